"""Weights of Keras: into a network, and out of one.

`units` knows how the arrays of each layer lie in Keras, `sources` reads lists, models and files, and `weights` brings the two
together. Neither Keras nor h5py is needed: `hdf5` reads the files.
"""

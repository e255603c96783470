"""Models in files: one safetensors file with the weights, the architecture as data, and the state of training.

`model_file` says what stands in the file, `declarations` turns layers, losses and the like into data and back, `training` takes
up and puts back the state of training, `backup` brings a model to the state in a file, `tensors` knows the file format, `atomic`
how to write. Nothing here imports by name, evaluates or unpickles what a file says: a name in a file selects from nncore's own
classes, or fails. A file gives a network; which face it gets is for `nncore.models` to say.
"""

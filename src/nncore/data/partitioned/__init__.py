"""Data in parts: sources of chunks of rows that are read while the model trains, at steady memory.

``source.py`` makes `Parts` of whatever the origin is: Arrow, Dask, arrays on disk, iterables of chunks. An origin reads one piece
at a time as chunks of any size; ``origin.py`` joins them into blocks of rows that are shuffled and trained on together.
"""

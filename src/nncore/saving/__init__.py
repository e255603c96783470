"""Models in files: one safetensors file with the weights, the architecture as data, and the state of training.

`model_file` defines the content of the file. `declarations` converts layers, losses and similar objects to data and back.
`training` captures and restores the state of training. `backup` restores a model from a file. `tensors` implements the file format,
`atomic` the writing. Nothing here imports, evaluates or unpickles content of a file: a name in a file must be a class of nncore, or
of ``custom_objects``. A file gives a network; `nncore.models` makes a model from it.
"""

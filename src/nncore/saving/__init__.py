"""Models in files: one safetensors file with the weights, the architecture as data, and the state of training.

`savable` is what users see, `model_file` says what stands in the file, `architecture` and `configuration` turn declarations into
data and back, `training` takes up and puts back the state of training, `tensors` knows the file format, `atomic` how to write.
Nothing here imports by name, evaluates or unpickles what a file says: a name in a file selects from nncore's own classes, or fails.
"""

from .savable import Savable, load

__all__ = ["Savable", "load"]

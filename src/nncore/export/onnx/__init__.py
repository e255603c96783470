"""ONNX: a network as a graph of standard operators of the default domain.

`model` makes the graph from a walk. `builder` has the nodes and tensors while it is made. `layers`, `recurrent` and `activations`
have the entries: how each op of the registry is written.
"""

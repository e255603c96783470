"""ONNX files of other programs: a graph of operators as layers.

`wire` measures a file before it is parsed, `tensors` takes the numbers from it, and `graph` makes a checked graph of plain Python
objects. `loops` finds recurrent layers that are laid out step by step, `bodies` those that are a Loop, `masks` their masks, and
`states` what is taken of their outputs. `interpret` goes through the nodes: what is known becomes a
constant (`folding`), sizes stay sizes (`sizes`), and what depends on the inputs becomes a place in a network, seen in the order of
dimensions that ONNX has (`values`, `views`). `recognize` finds the activations and norms that a graph writes as several operators.
The entries of operators are in `elementwise`, `products`, `rows`, `shapes`, `recurrent` and `estimators`. `build` makes the
network.
"""

"""C: a network as one file in C99 that allocates nothing.

`model` makes the file from a walk. `program` has its parts while it is made: constants, functions, and buffers in one workspace.
`layers` and `activations` have the entries: how each op of the registry is written. `weights` says how arrays of weights are stored
and read, `functions` where mathematical functions come from, and `text` how numbers and names are spelt.
"""

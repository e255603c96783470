"""One Python file: a network as a program that needs NumPy alone.

`model` puts the file together. `functions` and `program` are what the file is made of: Python that is copied, and never run here.
`writer` has the lines of the network while they are written. `layers`, `recurrent` and `activations` have the entries: how each op
of the registry is written.
"""

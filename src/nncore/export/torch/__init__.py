"""PyTorch: modules made into networks, and state dicts with the names of another module. Only what is passed in brings torch along.

`layers` has the table of modules, `functions` and `shapes` what `forward` may call, `tracing` and `follow` the walk through it,
`recurrent` what its recurrent layers give, `inputs` the shapes of its arguments, and `model` puts a network together. The keys of
state dicts are in network/torch_names.py.
"""

"""PyTorch: modules made into networks, and state dicts with the names of another module. Only what is passed in brings torch along.

`layers` has the table of modules, `functions` what `forward` may call, `follow` the walk through a traced module, `recurrent` what
its recurrent layers give, `names` the keys of state dicts, and `model` puts a network together.
"""

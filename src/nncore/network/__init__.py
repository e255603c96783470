"""An assembled graph: a plan, layers and their connections, and what can be done with them without a loss or an optimizer.

`network` holds the class; beside it stand its `inputs`, one batch (`batches`) or many rows (`prediction`) through it, its
`parameters` by name, `sharing` of layers between networks, `stream`, `summary`, and the calls of a layer by itself (`standalone`).
"""

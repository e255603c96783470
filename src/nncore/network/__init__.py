"""Networks: a plan, layers and their connections, and the operations that need neither a loss nor an optimizer.

`network` has the class. The other modules have the `inputs`, one batch (`batches`) or many rows (`prediction`), the `parameters` by
name, the `sharing` of layers between networks, `stream`, `summary`, and the calls of a layer by itself (`standalone`).
"""

"""Training: the code behind ``compile`` and ``fit`` of a model.

Start with `fit`. The other modules are the `configuration` (losses, metrics, optimizer), the `trainer` of a compiled model, the
`sources` of data for an epoch, `validation` and `evaluation`, `hooks` and `history`, `progress` (the state needed to resume), and
the training loop of `lbfgs`.
"""

"""Training: what ``compile`` and ``fit`` of a model do.

`fit` reads from top to bottom. Beside it stand the `configuration` (losses, metrics, optimizer), the `trainer` that a compiled
model has, the `sources` of an epoch, `validation` and `evaluation`, `hooks` and `history`, `progress` (where training stands, for
resuming), and the loop of `lbfgs`.
"""

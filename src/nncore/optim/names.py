"""What stands for an optimizer in ``compile``: the names, as type checkers and editors know them, and the objects.

A test holds the names against the classes.
"""

from __future__ import annotations

from typing import Literal

from .base import Optimizer

# fmt: off
#: Every name of an optimizer; a line for each.
OptimizerName = Literal[
    "adadelta", "Adadelta",
    "adagrad", "Adagrad",
    "adam", "Adam",
    "adamax", "Adamax",
    "adamw", "AdamW",
    "lbfgs", "LBFGS",
    "lion", "Lion",
    "nadam", "NAdam",
    "radam", "RAdam",
    "rmsprop", "RMSprop",
    "rprop", "Rprop",
    "sgd", "SGD",
]
# fmt: on

#: What ``compile`` takes.
OptimizerLike = OptimizerName | Optimizer

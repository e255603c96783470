"""The types of what ``compile`` accepts as an optimizer: names, for type checkers and editors, and objects.

A test compares the names with the classes.
"""

from __future__ import annotations

from typing import Literal

from .base import Optimizer

# fmt: off
#: Every name of an optimizer, one line per optimizer.
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

#: What ``compile`` accepts.
OptimizerLike = OptimizerName | Optimizer

"""Every public function with what it takes, for a test of wrong arguments. Those of models are in misuse.py."""

import inspect

import numpy as np

import nncore as nn

FAMILIES = ("layers", "losses", "optim", "metrics", "init", "callbacks", "schedules")
SPACES = {"": nn, **{name: getattr(nn, name) for name in FAMILIES}}


def _values():
    return [nn.Input((4,)), nn.Input((4,))]


def _model():
    model = nn.Sequential(nn.Linear(4, 1), seed=0)
    model.compile("mse", "sgd")
    return model


#: Argument -> a function that gives a right value.
RIGHT = {
    "inputs": _values,
    "shape": lambda: (3, 4),
    "obj": lambda: nn.Linear(4, 2),
    "x": lambda: np.ones((2, 4)),
    "y_true": lambda: np.array([0, 1, 1, 0]),
    "y_pred": lambda: np.array([0.2, 0.7, 0.4, 0.1]),
    "sequences": lambda: [[1.0, 2.0], [3.0]],
    "series": lambda: np.arange(10.0),
    "length": lambda: 3,
    "path": lambda: "no such file",
    "n": lambda: 1,
    "loss": lambda: "mse",
    "optimizer": lambda: "sgd",
    "metric": lambda: "mae",
    "scheme": lambda: "ones",
    "nonlinearity": lambda: "relu",
    "seed": lambda: 3,
    "module": lambda: None,
    "model": _model,
}
#: Function -> argument -> a function that gives what it needs beside.
BESIDE = {
    "top_k_accuracy": {"y_pred": lambda: np.eye(4)[[0, 1, 2, 3]], "y_true": lambda: np.array([0, 1, 2, 3]), "k": lambda: 2},
    "fbeta": {"beta": lambda: 2.0},
    "diagnose": {"y": lambda: np.ones((2, 1))},
    "find_lr": {"y": lambda: np.ones((2, 1))},
    "overfit_one_batch": {"y": lambda: np.ones((2, 1))},
}


def functions():
    """Return (name, function) for every public function."""
    found = {}
    for space, module in SPACES.items():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value) and name not in nn.init.SCHEMES:
                found.setdefault(value, f"{space}.{name}".lstrip("."))
    return [(name, function) for function, name in found.items()]


def arguments(function):
    """Return the names of what a function takes, those of the metric that a function makes included."""
    made = getattr(function, "metric", None)
    taken = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_POSITIONAL]
    names = [*taken, *(inspect.signature(made).parameters if made else ())]
    return [name for name in dict.fromkeys(names) if name not in ("options", "name")]


def call(name, function, given):
    """Call a function with right arguments, and one that is given."""
    own = BESIDE.get(name.rpartition(".")[2], {})
    takes = inspect.signature(function).parameters.values()
    needed = [p.name for p in takes if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    right = {each: own.get(each, RIGHT.get(each)) for each in (*needed, *own)}
    missing = [each for each, make in right.items() if make is None]
    assert not missing, f"{name}: add a right value of {missing} to tests/functions.py"
    found = function(**{**{each: make() for each, make in right.items()}, **given})
    if hasattr(found, "__enter__"):
        with found:
            pass

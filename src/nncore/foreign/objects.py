"""Objects of other libraries, and what to use instead of them."""

from __future__ import annotations

from typing import Any

from . import attributes, words

#: Package -> the name of the library.
LIBRARIES = {
    "torch": "PyTorch's",
    "torchmetrics": "TorchMetrics'",
    "lightning": "Lightning's",
    "pytorch_lightning": "Lightning's",
    "keras": "Keras's",
    "tf_keras": "Keras's",
    "tensorflow": "TensorFlow's",
    "jax": "JAX's",
    "flax": "Flax's",
    "optax": "Optax's",
    "sklearn": "scikit-learn's",
}

#: Module -> the kind of its names in `words`.
KINDS = {"losses": "loss", "optim": "optimizer", "metrics": "metric", "init": "initializer"}


def library(value: Any) -> str:
    """Return the library of an object, a class or a function, in the genitive, or "". A subclass counts as its base.

    Examples
    --------
    >>> import numpy as np
    >>> library(np.tanh)
    ''
    """
    if not isinstance(value, type):
        own = getattr(value, "__module__", None) if hasattr(value, "__name__") else None
        if isinstance(own, str) and own.partition(".")[0] in LIBRARIES:
            return LIBRARIES[own.partition(".")[0]]
    bases = (value if isinstance(value, type) else type(value)).__mro__
    roots = [str(getattr(base, "__module__", "")).partition(".")[0] for base in bases]
    return next((LIBRARIES[root] for root in roots if root in LIBRARIES), "")


def refusal(value: Any, family: str) -> str:
    """Return what to say of an object of another library, as "MSELoss is PyTorch's: use ...", or "" if it is of none.

    Parameters
    ----------
    value : object
        An object, a class or a function.
    family : str
        The module that has what is needed, such as "losses".
    """
    owner = library(value)
    if not owner:
        return ""
    name = getattr(value, "__name__", None) or type(value).__name__
    return f"{name} is {owner}: {_instead(str(name), family)}"


def _instead(name: str, family: str) -> str:
    if here := words.hint(KINDS.get(family, ""), name):
        return f"use {here}"
    here = attributes.hint("", name)
    fits = name in attributes.NAMES or family == "layers" or f"nn.{family}." in here
    return here if here and fits else f"use nn.{family}"

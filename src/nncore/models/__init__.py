"""Models: the faces that users see. Each has a network and, once compiled, a trainer; it documents, and hands on."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from .functional import Functional
    from .loading import load
    from .model import Model
    from .sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "load"]

if not TYPE_CHECKING:
    # Model comes from the module that says which class graphs have.
    __getattr__, __dir__ = lazily(
        __name__, __all__, {"functional": "Functional Model", "loading": "load", "sequential": "Sequential"}
    )

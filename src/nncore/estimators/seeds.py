"""The argument ``random_state``, in all forms that scikit-learn knows, as numbers for nncore.

nncore draws dropout masks from a seed of its own. A `peek` takes that seed from a generator without moving it on, so that
whatever is drawn from the generator afterwards does not depend on whether somebody has looked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._sklearn import check_random_state

_MOST = 2**31 - 1


def generator_of(random_state: Any) -> np.random.RandomState:
    """Return the generator for ``random_state``: None is NumPy's global one, a number a new one."""
    found: np.random.RandomState = check_random_state(random_state)
    return found


def draw(generator: np.random.RandomState) -> int:
    """Return a seed for nncore, and move the generator on by one number."""
    return int(generator.randint(_MOST))


def peek(generator: np.random.RandomState) -> int:
    """Return a seed for nncore, and leave the generator as it is."""
    return draw(twin(generator))


def twin(generator: np.random.RandomState) -> np.random.RandomState:
    """Return another generator that draws the same numbers."""
    found = np.random.RandomState(0)
    found.set_state(generator.get_state())
    return found

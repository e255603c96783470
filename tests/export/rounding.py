"""What rounding does to a network: the unit in which the distance of two computations of it is measured."""

import numpy as np

CHANGES = 8


def units(got, want, outputs, model, x):
    """How far numbers are from those of nncore, in scaled units of the last place.

    The unit is eps times the largest number. For a network that amplifies rounding it is larger: what changes in nncore's own
    result if all numbers of inputs and weights change by one unit of their last place, upwards or downwards at random; the largest
    of 8 changes. outputs: what a model computes from x.
    """
    unit, apart = np.finfo(want.dtype).eps * float(np.abs(want[np.isfinite(want)]).max(initial=0)), distance(got, want)
    if apart > 4 * unit:
        unit = max(unit, amplified(outputs, model, x, want))
    return apart / unit if apart else 0.0


def distance(a, b):
    """The largest difference. Equal infinities and NaN agree."""
    with np.errstate(invalid="ignore"):  # infinity less infinity
        return float(np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b)).max(initial=0))


def amplified(outputs, model, x, want):
    """The largest change of nncore's result. The model has its own weights again afterwards."""
    rng, state, largest = np.random.default_rng(0), {k: v.copy() for k, v in model.state_dict().items()}, 0.0

    def changed(a):
        if a.dtype.kind != "f":
            return a
        return (a * (1 + rng.choice([-1, 1], a.shape) * np.finfo(a.dtype).eps)).astype(a.dtype)

    for _ in range(CHANGES):
        model.load_state_dict({name: changed(value) for name, value in state.items()})
        largest = max(largest, distance(outputs(model, [changed(a) for a in x]), want))
    model.load_state_dict(state)
    return largest

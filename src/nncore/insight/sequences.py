"""What sequences and recurrent layers say: padding that the net reads, and how far back in time the gradient reaches."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np

from ..models import Sequential
from .case import LEARNED, Case, Rows, has
from .changes import reference
from .verdict import Verdict

_LOOKED_AT = 4096  #: rows in which padding is looked for
_FIRST_GATED = 2  #: nnc_cell: tanh, relu, gru, lstm


def padding(case: Case) -> Iterator[Verdict]:
    """Sequences that end in equal steps, without lengths."""
    plan = case.plan
    for name, value in case.train.inputs.items():
        is_index = plan.holds_indices(case.start.input_names.index(name))
        if value.ndim < (2 if is_index else 3) or value.shape[1] < 4 or case.train.lengths is not None:
            continue
        steps = value[:_LOOKED_AT].reshape(min(len(value), _LOOKED_AT), value.shape[1], -1)
        share = max(_padded(steps), _padded(steps[:, ::-1]))
        if share < 0.3:
            continue
        yield Verdict(
            "padding_dominates",
            "serious" if share >= 0.5 else "warning",
            "inputs",
            f"{share:.0%} of the time steps repeat one value up to the end: padding, which the net reads as values.",
            "A recurrent layer overwrites its state step by step while it reads padding, and the gradient has to pass all of it; a "
            "mean over time is mostly one of padding.",
            "Say how long the sequences are; padding then has no effect:",
            "model.fit(X, y, lengths=lengths)",
            {"padding": share, "time steps": int(value.shape[1])},
        )


def _padded(steps: np.ndarray) -> float:
    """Return which part of the steps repeats the last step up to the end. Rows in which all steps are equal do not count."""
    same = (steps == steps[:, -1:]).all(2)
    run = np.flip(np.logical_and.accumulate(np.flip(same, 1), 1), 1).sum(1)
    return float(np.where((run > 1) & (run < same.shape[1]), run, 0).sum() / same.size)


def through_time(case: Case) -> Iterator[Verdict]:
    """The gradient of recurrent layers by time step: does it reach the first steps, or explode on the way?"""
    rows = case.tested.take(slice(0, 64))
    for key, norms in norms_by_step(case, rows).items():
        if len(norms) < 8:
            continue
        tail = float(norms[-max(1, len(norms) // 10) :].max())
        head = float(norms[: max(1, len(norms) // 10)].mean())
        stuck = case.first.relative > LEARNED
        plain = reference(case) if stuck and _is_gated(case) else None  # of GRU as well
        layer = f"layer {key.rpartition('.')[0]}"
        evidence = {
            "first / last": head / tail if tail else float("nan"),
            "time steps": len(norms),
            "loss / chance": case.first.relative,
        }
        if not np.isfinite(norms).all() or (tail and head > 100 * tail):
            yield Verdict(
                "exploding_gradient",
                "serious" if stuck or not np.isfinite(norms).all() else "warning",
                layer,
                "The gradient grows from time step to time step on its way back.",
                "Each time step multiplies it by the same weights; if these are large, it grows exponentially with the length.",
                "Use GRU or LSTM with the usual weights, and limit the norm of the gradient:",
                "nn.GRU(features, units); model.compile(..., optimizer=nn.optim.Adam(clip_norm=1.0))",
                evidence,
            )
        elif tail and head < 1e-4 * tail:
            reach = int((norms[::-1] > 1e-3 * tail).argmin()) or len(norms)
            yield Verdict(
                "sequence_too_long",
                "serious" if stuck and not (plain and plain.relative < LEARNED) else "warning",
                layer,
                f"The gradient reaches about {reach} of {len(norms)} time steps back; what was before is not learned.",
                "Each time step multiplies the gradient by a number below 1, so it fades exponentially with the distance.",
                "Use shorter or averaged sequences, or a layer that looks at all steps"
                + (":" if _is_gated(case) else ", or LSTM or GRU instead of RNN:"),
                "nn.GRU(features, units, return_sequences=True), nn.GlobalAveragePooling1D()",
                evidence | {"reach in steps": reach},
            )


def _is_gated(case: Case) -> bool:
    """Whether the recurrent layers are GRU or LSTM."""
    return all(op.field("cell") >= _FIRST_GATED for op in case.plan.ops if op.kind == "recurrent")


def norms_by_step(case: Case, rows: Rows) -> dict[str, np.ndarray]:
    """Return the norm of the gradient per time step of each recurrent sublayer, before any step.

    It is the gradient of a random sum of the answers, before a last activation, which may be flat where the answers are large.
    """
    is_chain = isinstance(case.start, Sequential) and len(case.start.layers) > 1 and case.start.layers[-1].is_activation
    model = case.start[:-1] if is_chain else copy.deepcopy(case.start)
    answers = model.forward(rows.x, training=True, **rows.sequence)
    rng = np.random.default_rng(0)
    several = isinstance(answers, list | tuple)
    grads = [rng.standard_normal(each.shape).astype(each.dtype) for each in (answers if several else [answers])]
    model.backward(grads if several else grads[0])
    return dict(model.step_gradient_norms())


def examine(case: Case) -> Iterator[Verdict]:
    """Yield what sequences say."""
    if case.is_finite and (has(case.start, "recurrent") or has(case.start, "pool")):
        yield from padding(case)
        yield from through_time(case)

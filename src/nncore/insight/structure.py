"""What the model says by itself: a loss that does not fit, units that are equal, weights that start wrong, frozen layers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..training.advice import end_of, mismatches
from .case import LEARNED, Case
from .changes import SCALABLE, rescaled, unfrozen
from .facts import WeightLayer, weight_layers
from .verdict import Verdict

_OUTSIDE = 0.02  #: the part of the targets that the output cannot reach
_CLASSES = 20  #: whole numbers from 0 or 1 with fewer values look like classes
_LARGE, _TINY = 4.0, 0.02  #: weights beyond such parts of He's and Glorot's size start wrong


def loss_mismatch(case: Case) -> Iterator[Verdict]:
    """A loss, a last activation and targets that do not belong together."""
    network, config = case.start._network, case.config
    many = len(config.names) > 1
    for name, said in mismatches(network, config):
        what, _, remedy = said.partition("; ")
        yield Verdict(
            "loss_mismatch",
            "serious",
            f"output {name!r}" if many else "loss",
            f"{what[:1].upper()}{what[1:]}.",
            "The loss reads the output as something that it is not, so its gradient leads somewhere else.",
            f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "",
            _fitting_line(case, config.names.index(name)),
            {},
        )
        return
    for i, name in enumerate(config.names):
        yield from _unreachable(case, i, f"output {name!r}" if many else "loss")
        yield from _numbers_for_classes(case, i, f"output {name!r}" if many else "loss")


def _fitting_line(case: Case, output: int) -> str:
    """Return the end of a model and the loss that fit targets of classes."""
    loss, shape = case.losses[output], case.start.output_shapes[output]
    width = shape[-1] if shape else 1
    if width == 1 or loss.targets == "probabilities":
        return f'nn.Linear(..., {width}), nn.Sigmoid()  with  loss="binary_crossentropy"'
    name = "categorical_crossentropy" if loss.targets == "one_hot" else "sparse_categorical_crossentropy"
    return f'nn.Linear(..., {width}), nn.Softmax()  with  loss="{name}"'


def _unreachable(case: Case, i: int, where: str) -> Iterator[Verdict]:
    """Targets of a regression beyond what the last activation gives."""
    loss, network = case.losses[i], case.start._network
    y = list(case.train.targets.values())[i]
    end = end_of(network, network.plan.outputs[i])
    if loss.targets != "values" or not end.text or y.dtype.kind not in "fiu":
        return
    outside = float(((y < end.low - 1e-6) | (y > end.high + 1e-6)).mean())
    if outside <= _OUTSIDE:
        return
    yield Verdict(
        "loss_mismatch",
        "serious",
        where,
        f"{outside:.0%} of the targets lie outside of [{end.low:g}, {end.high:g}]; {end.text}, the last layer, gives nothing else.",
        "The net can never answer with these targets. Where the last unit is flat, it gets no gradient either.",
        "End a regression in a linear layer:",
        "nn.Sequential(..., nn.Linear(hidden, 1))  # nothing behind it",
        {"outside": outside, "least target": float(y.min()), "greatest target": float(y.max())},
    )


def _numbers_for_classes(case: Case, i: int, where: str) -> Iterator[Verdict]:
    """Classes as numbers of a regression, or a squared error behind a softmax."""
    loss, network = case.losses[i], case.start._network
    y = list(case.train.targets.values())[i]
    shape = case.start.output_shapes[i]
    if loss.name not in SCALABLE or y.dtype.kind not in "fiub" or len(y) < 10:
        return
    width = shape[-1] if shape else 1
    values, counts = np.unique(y, return_counts=True)
    end = end_of(network, network.plan.outputs[i]).code
    is_numbered = width == 1 and 2 < len(values) <= _CLASSES and values[0] in (0, 1)
    is_numbered = is_numbered and np.array_equal(values - values[0], np.arange(len(values)))
    is_numbered = is_numbered and counts.min() >= 0.2 * counts.max()  # those of counted things fall off
    is_binary = width == 1 and len(values) == 2
    is_one_hot = width > 1 and y.ndim > 1 and np.array_equal(values, [0, 1]) and bool((y.reshape(-1, width).sum(1) == 1).all())
    if not (is_numbered or is_one_hot or is_binary):
        return
    coded = f"y = (y - {values[0]:g}).astype(int); " if is_numbered else ""
    if is_binary and not np.array_equal(values, [0, 1]):
        coded = f"y = (y == {values[1]:g}).astype(int); "
    loss_name = "binary" if is_binary else "categorical" if is_one_hot else "sparse_categorical"
    kind = "numbered classes" if is_numbered else "one-hot classes" if is_one_hot else "two classes"
    yield Verdict(
        "loss_mismatch",
        "warning",
        where,
        f"The targets look like {kind}, but {loss.name} is a loss of numbers.",
        "A squared error calls class 9 nine times as wrong as class 1 in place of class 0."
        if is_numbered
        else f"Behind {end or 'a linear layer'}, a squared error is nearly flat where the net is sure and wrong, so such rows are "
        "learned last.",
        "Use one output per class and a cross-entropy:" if not is_binary else "Use Sigmoid and the binary cross-entropy:",
        coded
        + f"nn.Sequential(..., nn.Linear(hidden, {1 if is_binary else max(width, len(values))}), "
        + ("nn.Sigmoid" if is_binary else "nn.Softmax")
        + f'()); model.compile("{loss_name}_crossentropy", "adam")',
        {"values": len(values)},
    )


def _size(each: WeightLayer) -> float:
    """Return the root mean square of a weight as a part of the usual one. That is sqrt(2 / inputs) for ReLU (He et al., 2015) and
    sqrt(2 / (inputs + units)) for others (Glorot and Bengio, 2010); between the two it is 1."""
    units, inputs = each.value.shape
    found = float(np.sqrt((each.value * each.value).mean()))
    he, glorot = np.sqrt(2.0 / inputs), np.sqrt(2.0 / (units + inputs))
    return float(found / he if found > he else min(1.0, found / glorot))


def equal_units(case: Case) -> Iterator[Verdict]:
    """Hidden layers whose units all have the same weights, so that they get the same gradient for ever."""
    moves = case.is_finite and case.first.relative < LEARNED  # a branch beside another one may start at 0
    for each in weight_layers(case.start):
        units = each.value.shape[0]
        if each.is_last or units < 2 or (each.is_recurrent and not each.value.any()):  # the other matrix tells its units apart
            continue
        spread = float(np.abs(each.value - each.value[:1]).max())
        size = float(np.abs(each.value).max())
        if spread > 1e-6 * max(size, 1e-12) or (size == 0 and moves):
            continue
        yield Verdict(
            "symmetric_weights",
            "serious",
            each.where,
            f"All {units} units start with the same weights.",
            "Equal units give equal answers and get equal gradients, so they stay equal: the layer is as good as one unit.",
            "Let the weights be drawn at random:",
            'nn.Linear(..., weight_init="auto")',
            {"units": units, "largest difference": spread},
        )
        return


def initial_weights(case: Case) -> Iterator[Verdict]:
    """Weights that start at 0, or far too large or too small."""
    layers = weight_layers(case.start)
    if case.model.step > 0:
        return
    moves = case.is_finite and case.first.relative < LEARNED
    found = []
    for each in layers:
        ratio = _size(each)
        if (ratio == 0 and ((each.is_last and len(layers) > 1) or moves)) or _TINY < ratio < _LARGE:
            continue
        if each.value.shape[1] < 2 and ratio > _TINY:
            continue
        found.append((each, ratio))
    if not found:
        return
    each, ratio = max(found, key=lambda one: abs(np.log(max(one[1], 1e-30))))
    helped = rescaled(case)
    wrong = "at 0" if ratio == 0 else f"{ratio:.3g} times as large as usual"
    reason = (
        "Units with the weights 0 are all equal and stay equal, and pass no gradient on."
        if ratio == 0
        else "Large weights drive units to where they are flat, or the answers and gradients grow from layer to layer."
        if ratio > 1
        else "Every layer makes the differences between rows smaller, until hardly any are left."
    )
    yield Verdict(
        "bad_init",
        "serious" if ratio == 0 or case.improves(helped) or ratio > 20 else "warning",
        each.where,
        f"The weights start {wrong}" + (f", here and in {len(found) - 1} other layers." if len(found) > 1 else "."),
        reason,
        "Take the initial weights that belong to the activation (Glorot for tanh and sigmoid, He for ReLU):",
        'nn.Linear(..., weight_init="auto")',
        {"size / usual size": ratio, "layers": len(found)} | case.compared(helped, "usual weights"),
    )


def frozen(case: Case) -> Iterator[Verdict]:
    """Frozen parameters."""
    options = case.model.parameter_options() if case.model.built else case.start.parameter_options()
    names = [name for name, _ in case.start.named_parameters()]
    still = [name for name, option in zip(names, options, strict=True) if not option.trainable]
    if not still:
        return
    share = len(still) / len(names)
    helped = unfrozen(case)
    values = dict(case.start.named_parameters())
    trained = any(np.any(values[name]) for name in still if "bias" in name)  # which start at 0
    serious = share == 1 or (case.improves(helped) and (not trained or case.first.relative > LEARNED))
    keys = list(dict.fromkeys(name.rpartition(".")[0] for name in still))
    yield Verdict(
        "frozen_layers",
        "serious" if serious else "warning",
        f"layer {keys[0]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else ""),
        f"{len(still)} of {len(names)} parameters are frozen" + (", so nothing is trained at all." if share == 1 else "."),
        "Frozen layers keep the weights that they have: right for layers that were trained before, and wrong for random ones.",
        "Unfreeze them, and compile again:",
        "model.trainable = True; model.compile(...)",
        {"frozen": len(still), "parameters": len(names)} | case.compared(helped, "nothing frozen"),
    )


def lost_weights(case: Case) -> Iterator[Verdict]:
    """Weights that are no numbers any more."""
    lost = [name for name, value in case.start.named_parameters() if not np.isfinite(value).all()]
    if lost:
        yield Verdict(
            "exploding_gradient",
            "serious",
            f"{lost[0]} and {len(lost) - 1} more" if len(lost) > 1 else lost[0],
            "The weights are NaN or infinite: an earlier training ran to infinity.",
            "No step leads back from there.",
            "Draw them anew, and train with a lower learning rate:",
            "model.reset_parameters(); model.optimizer.lr = model.optimizer.lr / 10",
            {"parameters": len(lost)},
        )


def examine(case: Case) -> Iterator[Verdict]:
    """Yield what the model says by itself."""
    for each in (loss_mismatch, equal_units, initial_weights, frozen):
        yield from each(case)

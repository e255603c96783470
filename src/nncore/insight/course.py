"""What the first steps say: the learning rate, gradients, units, penalties, batch normalisation, and what is left to learn."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import numpy as np

from ..layers import Dropout, GaussianNoise
from .case import LEARNED, Case, Trial, has
from .changes import at_rate, in_larger_batches, reference, with_adam, without_penalties
from .facts import classes_of, layers_of, predicted_classes, weight_layers
from .relations import ENOUGH_HELD, generalises
from .verdict import Verdict

NOTHING = 0.9  #: a loss above this part of chance means that the net has learned next to nothing
_VANISHED, _EXPLODED = 1e-3, 1e3  #: ratio of the gradients of the first and of the last layer
_USUAL_LR = 1e-2
_WELL = 0.15  #: a loss below this part of chance leaves little to learn
_SMALL_BATCH, _TINY_BATCH = 8, 3
#: What takes the place of a penalty that is too strong; of others, weight decay.
_WEAKER = {
    "l1": "model.compile(..., l1=1e-5)",
    "l2": "model.compile(..., l2=1e-4)",
    "l1 of a layer": "nn.Linear(..., l1=1e-5)",
    "l2 of a layer": "nn.Linear(..., l2=1e-4)",
    "max_norm of a layer": "nn.Linear(..., max_norm=3)",
    "dropout": "nn.Dropout(0.2)",
    "noise": "nn.GaussianNoise(0.1)",
}


def rate(case: Case) -> Iterator[Verdict]:
    """A learning rate that is too high or too low: other rates learn far more."""
    rule = case.rule
    first = case.first
    if rule.full_batch:
        return
    if rule.lr == 0:
        yield _rate_verdict(case, "lr_too_low", 0.0, first)
        return
    is_wild = not isfinite(first.after) or first.after > first.before + 0.5 * abs(first.before) or _is_noisy(first)
    if is_wild or first.relative > LEARNED or (first.relative > _WELL and _is_restless(first)):
        factor, best = _best_rate(case, (0.1, 0.01, 0.001, 1e-5, 1e-7, min(1e-9, _USUAL_LR / float(rule.lr))))
        if case.improves(best) and best.relative < 0.95 and (is_wild or best.relative < 0.7 * first.relative):
            yield _rate_verdict(case, "lr_too_high", factor, best)
            return
    if first.relative > LEARNED and isfinite(first.after):
        factor, best = _best_rate(case, (10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8))
        moved = (first.before - first.after) / max(abs(first.before), 1e-30)
        if case.improves(best) and moved < 0.3:
            yield _rate_verdict(case, "lr_too_low", factor, best)


def _best_rate(case: Case, factors: tuple[float, ...]) -> tuple[float, Trial]:
    """Return the best of these changes of the learning rate. The search ends where the loss grows again."""
    best = (1.0, case.first)
    for factor in factors:
        trial = at_rate(case, factor)
        if best[1].relative < 0.9 * case.first.relative and trial.relative > best[1].relative:
            break
        if trial.relative < best[1].relative or not isfinite(best[1].relative):
            best = (factor, trial)
    return best


def _is_noisy(trial: Trial) -> bool:
    """Whether the losses of the last steps jump far above the least one."""
    last = trial.steps[-max(10, len(trial.steps) // 4) :]
    return bool(len(last) >= 10 and np.median(last) > trial.before + 0.5 * abs(trial.before))


def _is_restless(trial: Trial) -> bool:
    """Whether the losses of the last steps jump, and are hardly below those before, or above those of a constant answer."""
    quarter = max(1, len(trial.steps) // 4)
    before, last = trial.steps[quarter : 2 * quarter], trial.steps[-quarter:]
    return bool((last.mean() > 0.8 * before.mean() or last.mean() > trial.chance) and last.std() > 0.1 * abs(last.mean()))


def _rate_verdict(case: Case, code: str, factor: float, best: Trial) -> Verdict:
    rule = case.rule
    first, lr = case.first, float(rule.lr)
    high = code == "lr_too_high"
    if lr == 0:
        return Verdict(
            code, "serious", "optimizer", "The learning rate is 0, so no step changes anything.", "", "Set one:",
            "model.optimizer.lr = 1e-3", {"lr": lr},
        )  # fmt: skip
    return Verdict(
        code,
        "serious",
        "optimizer",
        f"With lr={lr:g} the loss {'jumps instead of falling' if high else 'hardly moves'}; with lr={lr * factor:g} it falls.",
        "A step that is too long lands beyond the valley, on the other side or farther up, again and again."
        if high
        else "Each step changes the weights so little that the loss needs far more steps than anybody waits for.",
        f"{'Lower' if high else 'Raise'} the learning rate; nn.find_lr(model, X, y) shows which ones work:",
        f"model.optimizer.lr = {lr * factor:g}",
        {
            "lr": lr,
            "loss before": first.before,
            "loss after": first.after,
            f"loss after with lr={lr * factor:g}": best.after,
            "steps": len(first.steps),
        },
    )


def _norms(case: Case, trial: Trial, of_biases: bool = False) -> list[tuple[str, float]]:
    """Return for each weight matrix in turn its layer, and the root mean square of the gradient of it, or of its biases, in the
    first epoch."""
    found = []
    for each in weight_layers(case.start):
        name, size = (each.key + ".bias", len(each.value)) if of_biases else (each.name, each.value.size)
        norms = trial.found.gradient_norm.get(name)
        if norms and "hh" not in each.name and isfinite(norms[0]):
            found.append((each.where, norms[0] / np.sqrt(size)))
    return found


def _at_start(case: Case) -> Trial:
    """The gradients before the first step: those of an epoch may be those of a net that has run away."""
    rule = case.rule
    return case.first if rule.full_batch or not case.is_finite else case.trial("start", case.changed(lr=0.0), 1)


def gradients(case: Case, early: Trial | None = None) -> Iterator[Verdict]:
    """Gradients that vanish or explode on their way to the first layers. Where the values of the layers fade or grow as well, the
    gradients of the weights, which are products of both, hide it; those of the biases do not."""
    early = early or case.first
    norms = _norms(case, early)
    if len(norms) < 3 or norms[-1][1] == 0:
        return
    stuck = case.first.relative > LEARNED
    ratio = norms[0][1] / norms[-1][1]
    biases = [] if has(case.start, "batch_norm") else _norms(case, early, True)  # which has no use for biases
    exploded = _EXPLODED if isfinite(case.first.after) else _EXPLODED / 10
    if len(biases) > 2 and biases[0][1] and biases[-1][1] and _VANISHED <= ratio <= exploded:
        fading = biases[0][1] / biases[-1][1]
        norms, ratio = (biases, fading) if fading > exploded or (stuck and fading < _VANISHED) else (norms, ratio)
    if ratio < _VANISHED:
        yield Verdict(
            "vanishing_gradient",
            "serious" if stuck else "warning",
            norms[0][0],
            f"The gradient of the first layer is {ratio:.2g} times that of the last one.",
            "Backpropagation multiplies by the derivatives of every layer on the way. Those of Sigmoid are at most 1/4, so in a "
            "deep net the first layers get nothing and keep their random weights.",
            "Use ReLU with He's initial weights, batch normalisation, or fewer layers:",
            'nn.Linear(..., weight_init="he_normal"), nn.BatchNorm1d(units), nn.ReLU()',
            {"first / last": ratio, "gradient by layer": [value for _, value in norms], "loss / chance": case.first.relative},
        )
    largest = max(value for _, value in norms)
    if ratio > exploded or (largest > 1e3 and stuck):
        yield Verdict(
            "exploding_gradient",
            "serious" if stuck else "warning",
            norms[0][0],
            f"The gradient of the first layer is {ratio:.2g} times that of the last one, up to {largest:.2g} per weight.",
            "Backpropagation multiplies by the weights of every layer on the way. If they are large, the gradient grows with each "
            "one, and one step throws all weights away.",
            "Take the usual initial weights, and limit the norm of the gradient:",
            'nn.Linear(..., weight_init="auto"); model.compile(..., optimizer=nn.optim.Adam(clip_norm=1.0))',
            {"first / last": ratio, "gradient by layer": [value for _, value in norms]},
        )


def units(case: Case) -> Iterator[Verdict]:
    """Units that are dead or saturated."""
    first = case.first
    stuck = first.relative > LEARNED
    dead = {where: values[-1] for where, values in first.found.dead_fraction.items() if values and isfinite(values[-1])}
    if dead and max(dead.values()) > 0.4 and isfinite(first.after):
        where, share = max(dead.items(), key=lambda each: each[1])
        yield Verdict(
            "dead_units",
            "serious" if stuck or share > 0.8 else "warning",
            where,
            f"{share:.0%} of the units are 0 for every row.",
            "Where such an activation is 0, so is its derivative. These units get no gradient from any row, and stay as they are.",
            "Use a lower learning rate, biases of 0, and a ReLU that passes something on below 0:",
            "nn.LeakyReLU()",
            {"dead": share, "loss / chance": first.relative},
        )
    flat = {w: max(v[0], v[-1]) for w, v in first.found.saturated_fraction.items() if v and isfinite(v[-1])}
    hidden = {where: share for where, share in flat.items() if where != _last_activation(case)}
    if hidden and max(hidden.values()) > 0.5 and isfinite(first.after):
        where, share = max(hidden.items(), key=lambda each: each[1])
        yield Verdict(
            "saturated_units",
            "serious" if stuck or share > 0.8 else "warning",
            where,
            f"{share:.0%} of the values are where the activation is flat.",
            "Where the activation is flat, its derivative is nearly 0, so hardly any gradient gets to this layer and those before.",
            "Standardise the inputs or what the layer gives, and take the usual initial weights, or ReLU:",
            'nn.Linear(..., weight_init="auto"), nn.BatchNorm1d(units), nn.ReLU()',
            {"saturated": share, "loss / chance": first.relative},
        )


def _last_activation(case: Case) -> str:
    """Return the name of the activation that computes the output, or an empty string."""
    plan = case.plan
    inputs = len(case.start.input_names)
    i = plan.outputs[0] - inputs
    return plan.ops[i].name if i >= 0 and plan.ops[i].kind == "activation" else ""


def regularisation(case: Case) -> Iterator[Verdict]:
    """Penalties, weight decay or dropout that keep the net from learning."""
    config = case.config
    strengths = {"l1": config.l1, "l2": config.l2}
    strengths |= {name: value for name, value in config.optimizer.config().items() if "weight_decay" in name and value}
    for layer in case.start.layers:
        for name in ("l1", "l2", "max_norm"):
            if getattr(layer, name, None):
                strengths[f"{name} of a layer"] = max(float(getattr(layer, name)), strengths.get(f"{name} of a layer", 0.0))
        drops = layer.p if isinstance(layer, Dropout) else getattr(layer, "recurrent_dropout", 0.0), getattr(layer, "dropout", 0.0)
        strengths["dropout"] = max(*map(float, drops), strengths.get("dropout", 0.0))
        if isinstance(layer, GaussianNoise):
            strengths["noise"] = max(float(layer.stddev), strengths.get("noise", 0.0))
    strengths = {name: value for name, value in strengths.items() if value}
    if not strengths:
        return
    helped = without_penalties(case)
    if not case.improves(helped) or helped.relative >= 0.6 * case.first.relative:
        return
    yield Verdict(
        "over_regularised",
        "serious",
        "optimizer" if set(strengths) <= {"l1", "l2", "weight_decay"} else "layers",
        "Without its penalties and dropout the net learns far more from the training rows.",
        "Penalties pull all weights to 0, and dropout hides most of what a layer says; if they are stronger than the loss, the net "
        "answers with a constant.",
        "Weaken them (L2 about 1e-4, dropout 0.1 to 0.5), and strengthen them again only if the net overfits:",
        ", ".join(dict.fromkeys(_WEAKER.get(name, "nn.optim.AdamW(weight_decay=0.01)") for name in strengths)),
        strengths | case.compared(helped, "without"),
    )


def normalisation(case: Case) -> Iterator[Verdict]:
    """Batch normalisation with tiny batches, and running statistics that do not fit."""
    if not has(case.start, "batch_norm"):
        return
    where = layers_of(case.start, "batch_norm")[0]
    size = min(case.asked_batch_size, len(case.train))
    if size < _SMALL_BATCH:
        helped = in_larger_batches(case, 32)
        yield Verdict(
            "batch_too_small",
            "serious" if size <= _TINY_BATCH or case.improves(helped) else "warning",
            where,
            f"Batch normalisation takes its mean and variance from batches of {size} rows.",
            "The statistics of so few rows are mostly noise, and each row changes the result of the others."
            + (" With two rows, every feature becomes -1 or +1, whatever it was." if size == 2 else "")
            + (" With one row, every feature becomes 0." if size == 1 else ""),
            "Use batches of 32 or more, or LayerNorm, which looks at one row alone:",
            "model.fit(X, y, batch_size=32)  # or nn.LayerNorm(units)",
            {"batch size": size} | case.compared(helped, "batches of 32"),
        )
        return
    first = case.first
    in_training = first.after
    if isfinite(in_training) and first.inference > 2 * in_training + 0.05 * abs(first.chance):
        yield Verdict(
            "train_inference_gap",
            "serious",
            where,
            f"The same rows have the loss {in_training:.3g} with the statistics of their batch, and {first.inference:.3g} with the "
            "running ones.",
            "Prediction uses means and variances that were averaged over the steps of training. If they are out of date, or their "
            "momentum is wrong, the net computes something that it was never trained for.",
            "Use the usual momentum (the new value counts 0.1), and train for more steps than 1 / momentum:",
            "nn.BatchNorm1d(units, momentum=0.1)",
            {"loss in training": in_training, "loss at inference": first.inference},
        )


def overfitting(case: Case) -> Iterator[Verdict]:
    """A net that learns the training rows by heart."""
    first = case.first
    is_ratio = first.chance > 0 and first.held_chance > 0 and first.after >= 0 and all(loss >= 0 for loss in first.held)
    if len(first.held) < 3 or not is_ratio or not (first.best_held < 0.97 or first.relative < LEARNED):
        return
    best, last = min(first.held), first.held[-1]
    gap = last > 1.3 * best and last > 3 * first.after
    wide = last > 4 * max(first.after, 1e-12) and last - first.after > 0.25 * first.chance
    if not (gap or wide):
        return
    yield Verdict(
        "overfitting",
        "serious" if gap and last >= 0.8 * first.held_chance and _is_lost(case) else "warning",
        "validation data" if case.is_validated else "held-out rows",
        f"The loss of the training rows is {first.after:.3g}, that of other rows {last:.3g}"
        + (f", which was {best:.3g} before." if gap else "."),
        "The net has enough weights to learn single rows by heart, with their noise; that does not help for others.",
        "Stop at the best epoch of validation_data, and add dropout, an L2 penalty, or rows:",
        "model.fit(..., callbacks=nn.callbacks.EarlyStopping(patience=10, restore_best_weights=True))",
        {"training loss": first.after, "loss of other rows": last, "best": best, "other rows": len(case.held or ())},
    )


def _is_lost(case: Case) -> bool:
    """Whether a net that overfits is of no use for other rows: large losses of few of them may hide many right answers."""
    if case.held is None or len(case.held) < ENOUGH_HELD or not generalises(case):
        return False
    classes = classes_of(case, case.held)
    if classes is None:
        return True
    share = classes.counts.max() / len(case.held)
    right = (predicted_classes(case, case.first.model, case.held) == classes.labels).mean()
    return bool(right - share < 0.5 * (1 - share))


def underfitting(case: Case) -> Iterator[Verdict]:
    """A net that learns far less than a plain one: it is too small, its steps are too short, or it learns nothing at all."""
    first, plain = case.first, reference(case)
    if plain is None or first.relative < _WELL:
        return
    slope, learned_nothing = _slope(first), first.relative > NOTHING
    if learned_nothing and plain.relative > LEARNED and generalises(case):  # neither has, yet
        plain = reference(case, 4 * case.steps) or plain
    is_better = plain.relative < 0.5 * first.relative and first.relative - plain.relative > 0.1
    margin = 0.5 / np.sqrt(len(case.held or ()) or 1)  # few rows are better than chance by chance
    knows_more = plain.best_held < 0.8 * min(1.0, first.best_held) - margin  # which noise learned by heart does not give
    is_stuck = knows_more and (slope < 0.1 or (learned_nothing and plain.relative < LEARNED))
    if not (is_better and is_stuck):
        return
    adam = with_adam(case)
    if adam.relative < min(0.75 * first.relative, NOTHING):
        yield _slow(case, adam)
        return
    yield Verdict(
        "underfitting",
        "serious" if first.relative > 0.4 else "warning",
        "layers",
        f"The loss stays at {first.relative:.0%} of chance, where a plain net with hidden layers gets to {plain.relative:.0%}.",
        "The net has learned nothing, so its layers pass nothing on, or no gradient back."
        if learned_nothing
        else "A net with few units, or without a nonlinear layer, cannot express what tells the rows apart.",
        "Begin with a plain net, and add layers one by one:" if learned_nothing else "Use more units or another hidden layer:",
        "nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)",
        {"loss / chance": first.relative, "of a plain net": plain.relative, "still falling": slope},
    )


def _slow(case: Case, adam: Trial) -> Verdict:
    """The verdict on a net that learns far more with Adam."""
    first = case.first
    return Verdict(
        "lr_too_low",
        "serious" if first.relative > NOTHING else "warning",
        "optimizer",
        f"In as many steps, Adam with lr=0.003 gets the same net to {adam.relative:.0%} of chance instead of {first.relative:.0%}.",
        "Plain gradient descent takes steps of the same size for all weights, so those with small gradients hardly move."
        if type(case.rule).__name__ == "SGD"
        else "The steps of this optimizer are too short, so the loss needs far more of them.",
        "Use Adam, or a higher learning rate with momentum:",
        "model.compile(..., optimizer=nn.optim.Adam(lr=3e-3))",
        case.compared(adam, "with Adam"),
    )


def _slope(trial: Trial) -> float:
    """Return which part of the loss the last third of the steps took away."""
    third = max(1, len(trial.steps) // 3)
    middle, last = float(trial.steps[-2 * third : -third].mean()), float(trial.steps[-third:].mean())
    return (middle - last) / abs(middle) if middle else 0.0


def examine(case: Case) -> Iterator[Verdict]:
    """Yield what short trainings say."""
    if not case.is_finite:
        return
    found: list[Verdict] = []
    for each in (rate, units, regularisation, normalisation, overfitting):
        found += each(case)
    found += gradients(case, _at_start(case))
    small: list[Verdict] = []
    others = [each for each in found if each.severity == "serious" and not _came_late(case, each)]
    if isfinite(case.first.after) and not others and not any(each.code == "overfitting" for each in found):
        small = [*underfitting(case)]
    if small:  # few units go to their ends because there are few
        found = [each._replace(severity="warning") if _came_late(case, each) else each for each in found]
    yield from found
    yield from small


def _came_late(case: Case, verdict: Verdict) -> bool:
    """Whether units became saturated in training, in a net that learned something all the same."""
    if verdict.code != "saturated_units" or case.first.relative > NOTHING:
        return False
    return bool(_at_start(case).found.saturated_fraction[verdict.where][0] <= 0.5)

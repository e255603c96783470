"""What inputs tell of targets, without a net: too much (leaks), or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isfinite
from typing import Any

import numpy as np

from .case import Case, Rows
from .changes import reference
from .facts import classes_of, columns_of, numbers_of, predicted_classes, where_of
from .verdict import Verdict

ENOUGH_HELD = 50  #: held-out rows, of which fewer say little
MOST_COLUMNS = 1024  #: more columns are not compared
_FEW_CLASSES = 20  #: targets with more values are numbers
_ALIKE = 0.9999  #: correlation of an input that is the target
_COPIED, _NEXT = 0.1, 9  #: a copy but for noise is so much nearer than the row after so many others
_CERTAIN = 5.0  #: correlation times the root of the number of rows: no chance


def _correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the absolute correlations of columns of x [n, columns] with those of y, and with each class if y has few values."""
    targets = y.reshape(len(y), -1).astype(np.float64)
    if targets.shape[1] == 1 and y.dtype.kind in "iub" and 2 < len(values := np.unique(y)) <= _FEW_CLASSES:
        targets = np.concatenate([targets, targets == values], 1)
    a, b = x.astype(np.float64), targets
    a, b = (np.where(each.min(0) < each.max(0), each - each.mean(0), 0.0) for each in (a, b))  # 0, not rounding, if constant
    with np.errstate(all="ignore"):
        return np.asarray(np.nan_to_num(np.abs(a.T @ b) / np.sqrt(np.outer((a * a).sum(0), (b * b).sum(0))), posinf=0.0))


def _related(rows: Rows) -> float:
    """Return the greatest correlation of an input with a target."""
    found = [
        float(_correlations(value.reshape(len(value), -1), y).max(initial=0.0))
        for value in rows.inputs.values()
        for y in rows.targets.values()
        if value[0].size * y[0].size <= MOST_COLUMNS
    ]
    return max(found, default=0.0)


def _features(train: Rows, *others: Rows) -> list[np.ndarray]:
    """Return the inputs of rows as columns, scaled by the standard deviations of the first rows."""
    every = ([np.asarray(v, np.float64).reshape(len(v), -1) for v in each.inputs.values()] for each in (train, *others))
    flat = [np.concatenate(each, 1) for each in every]
    scale = flat[0].std(0)
    return [(each - flat[0].mean(0)) / np.where(scale > 1e-12, scale, 1.0) for each in flat]


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared distances of rows of b from those of a, [rows of b, rows of a]."""
    return np.asarray((b * b).sum(1)[:, None] - 2 * b @ a.T + (a * a).sum(1))


def unrelated(case: Case) -> Iterator[Verdict]:
    """Targets that no model predicts better than chance: not this one, and not the nearest neighbour."""
    if all(value.size and (value == value.flat[0]).all() for value in case.train.targets.values()):
        yield Verdict(
            "labels_unrelated",
            "serious",
            "targets",
            "All targets are equal, so there is nothing to learn.",
            "",
            "Look where the targets come from:",
            "np.unique(y)",
            {"rows": len(case.train)},
        )
        return
    if case.held is None or len(case.train) < 60 or not isfinite(case.first.chance):
        return
    if generalises(case):
        return
    first, plain = case.first, reference(case)
    neighbour, guess, _ = _neighbours(case)
    columns = sum(value[0].size for value in case.train.inputs.values())
    yield Verdict(
        "labels_unrelated",
        "warning" if plain is None or columns > len(case.train) or len(case.held) < ENOUGH_HELD else "serious",
        "targets",
        "The inputs seem to say nothing about the targets: on rows that were not trained on, neither this net nor the nearest "
        "neighbour is better than a constant answer.",
        "Either the rows of X and y have got out of order, or the targets were shuffled, or what would tell them is not among the "
        "inputs, or there are too few rows for it.",
        "Look at some rows with their targets, and at every place where X or y is sorted, merged or filtered by itself:",
        "order = rng.permutation(len(X)); X, y = X[order], y[order]  # the same order for both",
        {"held-out loss / chance": first.best_held, "score of the nearest neighbour": neighbour, "of chance": guess}
        | ({} if plain is None else {"held-out loss / chance of a plain net": plain.best_held}),
    )


def generalises(case: Case) -> bool:
    """Whether anything predicts held-out rows better than a constant: this net, a plain one, or the nearest neighbour."""
    if case.held is None:
        return False
    plain, least = reference(case), 1 - max(0.03, 1 / np.sqrt(len(case.held)))  # few rows are better than chance by chance
    if case.first.best_held < least or (plain is not None and plain.best_held < least):
        return True
    if _related(case.train) * np.sqrt(len(case.train)) > _CERTAIN:
        return True
    neighbour, guess, error = _neighbours(case)
    if neighbour > guess + 3 * error or _is_linear(case):
        return True
    classes = classes_of(case, case.held)
    if classes is None:
        return False
    share = classes.counts.max() / classes.counts.sum()
    right = float((predicted_classes(case, case.first.model, case.held) == classes.labels).mean())
    return right > float(share + 3 * np.sqrt(share * (1 - share) / len(case.held)))


def _pooled(case: Case) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return the inputs and the targets of up to 2000 rows, held-out ones first, and their classes."""
    parts = [each for each in (case.held, case.train) if each is not None]

    def joined(kind: str) -> dict[str, np.ndarray]:
        return {name: np.concatenate([getattr(each, kind)[name] for each in parts])[:2000] for name in getattr(parts[0], kind)}

    rows = Rows(joined("inputs"), joined("targets"))
    y = np.asarray(next(iter(rows.targets.values())), np.float64).reshape(len(rows), -1)
    classes = classes_of(case, rows)
    return _features(rows)[0], y if classes is None else np.eye(len(classes.counts))[classes.labels], classes


def _is_linear(case: Case) -> bool:
    """Whether a linear regression that leaves each row out (PRESS; Allen, 1974) tells a target or a class better than the mean. If
    nothing relates them, R2 is about -2 columns / rows, and seldom above 0."""
    x, y, _ = _pooled(case)
    x, y = (each[:, np.ptp(each, 0) > 0] for each in (x, y))
    if 4 * x.shape[1] > len(x) or not y.size:
        return False
    q = np.linalg.qr(np.column_stack([np.ones(len(x)), x]))[0]
    left = (y - q @ (q.T @ y)) / np.maximum(1 - (q * q).sum(1, keepdims=True), 1e-9)
    return bool(((left**2).sum(0) < (1 - 2 / len(x)) * ((y - y.mean(0)) ** 2).sum(0)).any())


def _neighbours(case: Case) -> tuple[float, float, float]:
    """Return the score of each row's nearest neighbour, that of chance, and its standard error: the accuracy, or for numbers the
    correlation of two neighbours' targets."""
    x, y, classes = _pooled(case)
    distance = _distances(x, x)
    np.fill_diagonal(distance, np.inf)
    near = y[distance.argmin(1)]
    if classes is not None:
        guess = float((y.mean(0) ** 2).sum())
        return float((near * y).sum(1).mean()), guess, float(np.sqrt(guess * (1 - guess) / len(x)))
    varied = [k for k in range(y.shape[1]) if np.ptp(near[:, k]) > 0]
    return max((float(np.corrcoef(near[:, k], y[:, k])[0, 1]) for k in varied), default=0.0), 0.0, float(1 / np.sqrt(len(x)))


def leaks(case: Case) -> Iterator[Verdict]:
    """Validation rows that are training rows, and inputs that are the target."""
    if case.is_validated and case.given_held is not None:
        yield from _copied_rows(case, case.given_held)
        yield from _too_good(case)
    for name, value in numbers_of(case, case.train).items():
        for target_name, y in case.train.targets.items():
            if value.ndim not in (2, 3) or len(value) < 20 or y.shape == value.shape:  # an autoencoder
                continue
            few = len(np.unique(y)) <= _FEW_CLASSES
            if (value.shape[1] == 1 and value.ndim == 2) or (value.ndim == 3 and few):  # a task may be to remember a class
                continue
            last = value if value.ndim == 2 else value[:, -1]
            related = np.maximum(_correlations(last, y).max(1), _relabelled(last, y) if few else _rank_correlations(last, y))
            if related.max() > _ALIKE:
                column, every = int(related.argmax()), np.flatnonzero(related > _ALIKE).tolist()
                yield Verdict(
                    "leakage",
                    "serious" if value.ndim == 2 else "warning",
                    where_of(case, name),
                    f"Column {column}{' at the last step' * (value.ndim == 3)} is the target {target_name!r}, up to its scale "
                    "or other names.",
                    "The net learns to copy this column. Where the target is not known yet, the column will not be there either.",
                    "Leave such columns out:" if value.ndim == 2 else "Let the sequences end before it:",
                    f"X = np.delete(X, {every}, axis=1)" if value.ndim == 2 else "X = X[:, :-1]",
                    {"columns": every, "correlation": float(related.max())},
                )


def _rank_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the absolute rank correlations of columns of x [n, columns] with y."""
    return np.asarray(_correlations(*(each.reshape(len(y), -1).argsort(0).argsort(0).astype(float) for each in (x, y))).max(1))


def _relabelled(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return 1 for each column of x [n, columns] that has few values, each of which comes with one class only, and 0 for others."""
    classes, found = np.unique(y.reshape(len(y), -1), axis=0, return_inverse=True)[1].reshape(-1), np.zeros(x.shape[1])
    for k, column in enumerate(x.T):
        if classes.any() and len(np.unique(column[:100])) <= _FEW_CLASSES:
            values, which = np.unique(column, return_inverse=True)
            pairs = len(np.unique(which * (classes.max() + 1) + classes))
            found[k] = pairs == len(values) <= min(_FEW_CLASSES, len(x) // 5)
    return found


def _too_good(case: Case) -> Iterator[Verdict]:
    """Validation rows on which the net does far better than on those that it was trained on."""
    first = case.first
    ours, theirs = first.inference, (first.held or (inf,))[-1]
    if len(case.held or ()) >= ENOUGH_HELD and 0 <= theirs < 0.5 * ours and 0.1 * first.chance < ours < inf:
        yield Verdict(
            "leakage",
            "warning",
            "validation data",
            f"The validation loss is {theirs:.3g}, that of the training rows {ours:.3g}: better than it can be.",
            "The net knows the training rows best, unless the others tell the answer, are easier ones, or have cleaner targets.",
            "Split again, at random, and compute both parts by the same code:",
            "model.fit(X, y, validation_split=0.2)",
            {"loss": ours, "of validation rows": theirs},
        )


def _copied_rows(case: Case, held: Rows) -> Iterator[Verdict]:
    """Rows of the validation data that are among those of training, unless rows repeat within the training data as well."""
    train, validation = (_keys(rows) for rows in (case.whole, held))
    known = set(train)
    shared = sum(key in known for key in validation) / max(1, len(validation))
    within, many = 1 - len(known) / max(1, len(train)), _is_continuous(case, len(known))
    shared, nearly = (near, " nearly") if many and (near := _nearly_copied(case)) > 0.3 > shared else (shared, "")
    if shared < 0.02 or (shared < 3 * within and not many):
        return
    yield Verdict(
        "leakage",
        "serious" if shared > 0.1 else "warning",
        "validation data",
        f"{shared:.0%} of the validation rows are{nearly} training rows.",
        "The validation loss then tells how well the net remembers, not how well it does on rows that it has not seen.",
        "Drop repeated rows before the split, and keep rows that belong together on one side:",
        "X, index = np.unique(X, axis=0, return_index=True); y = y[index]  # or fit(groups=patient)",
        {"shared": shared, "repeated within training": within},
    )


def _nearly_copied(case: Case) -> float:
    """Return the part of the validation rows that are copies of training rows but for some noise: far nearer than the next ones."""
    if case.held is None or len(case.train) < 20:
        return 0.0
    features = _features(case.train.take(slice(0, 2000)), case.held)
    if features[0].shape[1] < 3:
        return 0.0
    near = np.sqrt(np.maximum(0.0, np.partition(_distances(*features), (0, _NEXT), 1)[:, [0, _NEXT]]))
    return float((near[:, 0] < _COPIED * near[:, 1]).mean())


def _is_continuous(case: Case, distinct: int) -> bool:
    """Whether an input has so many different numbers that rows do not repeat by chance."""
    return any(
        value.dtype.kind == "f" and any(len(np.unique(column)) > 0.5 * distinct for column in columns_of(value).T[:16])
        for value in case.whole.inputs.values()
    )


def _keys(rows: Rows) -> list[bytes]:
    """Return the bytes of the inputs of each row."""
    arrays = [np.ascontiguousarray(np.asarray(value, np.float64).reshape(len(value), -1)) for value in rows.inputs.values()]
    return [b"".join(each.tobytes() for each in row) for row in zip(*arrays, strict=True)]

"""What the data say by themselves: numbers that are none, scales, columns that tell nothing, rare classes, leaks."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

import numpy as np

from .case import Case, Rows
from .changes import SCALABLE, reference, standardised, with_scaled_targets
from .facts import classes_of, columns_of, numbers_of, predicted_classes, where_of
from .verdict import Verdict

_LOOKED_AT = 4096  #: rows for statistics of columns
_MOST_COLUMNS = 1024  #: more columns are not compared with one another
_LARGE = 20.0  #: root mean square of a column
_OFFSET = 10.0  #: mean of a column in standard deviations
_SPREAD = 1000.0  #: ratio of the scales of two columns
_FEW_CLASSES = 20
_CERTAIN = 5.0  #: correlation times the root of the number of rows: no chance
_ALIKE = 0.9999  #: correlation of columns that repeat one another


def non_finite(case: Case) -> Iterator[Verdict]:
    """NaN, infinity, and numbers that become infinite in the model's dtype."""
    parts = [("", case.whole), ("validation ", case.given_held if case.is_validated else None)]
    for which, rows in parts:
        for kind in ("inputs", "targets"):
            for name, value in getattr(rows, kind, {}).items():
                if value.dtype.kind not in "fc":
                    continue
                with np.errstate(over="ignore"):
                    bad = ~np.isfinite(value.astype(case.model.dtype))
                if not bad.any():
                    continue
                at = tuple(int(i) for i in np.argwhere(bad)[0])
                end = "_val" if which else ""
                looked = f"{'X' if kind == 'inputs' else 'y'}{end}"
                yield Verdict(
                    "non_finite_data",
                    "serious",
                    f"{which}{kind}",
                    f"{int(bad.sum())} values of {name!r} are NaN or infinite, or too large for {case.model.dtype}.",
                    "One such value makes the loss NaN, and one step later all weights.",
                    "Drop these rows or fill in the values, and let compile check the data:",
                    f'keep = np.isfinite({looked}.astype("{case.model.dtype}")).reshape(len({looked}), -1).all(1); '
                    f"X{end}, y{end} = X{end}[keep], y{end}[keep]",
                    {"values": int(bad.sum()), "rows": int(bad.reshape(len(bad), -1).any(1).sum()), "first at": list(at)},
                )


def scales(case: Case) -> Iterator[Verdict]:
    """Inputs of large, shifted or very different scales. It is serious if the net learns far more from standardised inputs."""
    for name, value in numbers_of(case, case.train).items():
        where = where_of(case, name)
        flat = columns_of(value[:_LOOKED_AT])
        mean, std, size = flat.mean(0), flat.std(0), np.sqrt((flat * flat).mean(0))
        varied = std > 1e-12 * np.maximum(1.0, size)
        if not varied.any():
            continue
        offset = float((np.abs(mean) / np.maximum(std, 1e-300))[varied].max())
        spread = float(std[varied].max() / std[varied].min())
        largest, all_tiny = float(size.max()), float(size.max()) < 0.02
        if largest <= _LARGE and offset <= _OFFSET and not all_tiny and (spread <= _SPREAD or largest <= 3):
            continue
        helped = standardised(case)
        serious = case.improves(helped)
        yield Verdict(
            "inputs_unscaled",
            "serious" if serious else "note",
            where,
            "The columns have large, shifted or very different scales."
            if not all_tiny
            else "All columns are tiny, so that the net hardly sees a difference between rows.",
            "A unit sums its inputs: columns with large numbers drown the others, and the step that is right for one weight is far "
            "too large for another.",
            "Standardise the inputs with the mean and the standard deviation of the training rows:",
            "mean, std = X.mean(0), X.std(0) + 1e-8; X = (X - mean) / std",
            {"largest rms": largest, "largest |mean| / std": offset, "ratio of scales": spread}
            | case.compared(helped, "standardised"),
        )


def constant_columns(case: Case) -> Iterator[Verdict]:
    """Columns with one value only."""
    for name, value in numbers_of(case, case.train).items():
        where = where_of(case, name)
        flat = columns_of(value)
        still = flat.min(0) == flat.max(0)
        if not still.any() or (len(flat) < 3 and not still.all()):
            continue
        share = float(still.mean())
        yield Verdict(
            "inputs_constant",
            "serious" if share == 1 else "warning" if share > 0.3 else "note",
            where,
            f"{int(still.sum())} of {len(still)} columns have the same value in every row.",
            "Such a column tells nothing about the row; its weights are a second bias."
            + (" Every row looks the same, so the net can only answer with a constant." if share == 1 else ""),
            "Look where the differences were lost:"
            if share == 1
            else "Leave these columns out, or look where their values were lost:",
            "X[:5]"
            if share == 1
            else "keep = X.min(0) < X.max(0); X = X[:, keep]"
            if value.ndim < 3
            else "keep = X.min((0, 1)) < X.max((0, 1)); X = X[..., keep]",
            {"constant": int(still.sum()), "columns": len(still), "first": np.flatnonzero(still)[:6].tolist()},
        )


def repeated_columns(case: Case) -> Iterator[Verdict]:
    """Columns that are copies of others, or nearly so."""
    for name, value in numbers_of(case, case.train).items():
        where = where_of(case, name)
        flat = columns_of(value[:_LOOKED_AT])
        varied = np.flatnonzero(flat.std(0) > 1e-12 * np.abs(flat).max(0))[:_MOST_COLUMNS]
        if len(varied) < 2 or len(flat) < 10:
            continue
        normal = flat[:, varied] - flat[:, varied].mean(0)
        normal /= np.maximum(np.sqrt((normal * normal).sum(0)), 1e-300)
        alike = np.triu(np.abs(normal.T @ normal) > _ALIKE, 1)
        if not alike.any():
            continue
        repeated = int(alike.any(0).sum())
        first, second = (int(varied[i]) for i in np.argwhere(alike)[0])
        yield Verdict(
            "inputs_duplicated",
            "warning" if repeated >= 0.3 * len(varied) else "note",
            where,
            f"{repeated} of {flat.shape[1]} columns repeat another one, up to a scale.",
            "What two equal columns have in common counts twice, so that the net listens to it more, and the share of each of the "
            "two cannot be told.",
            "Keep one of each:",
            f"X = np.delete(X, {second}, axis=-1)  # the same as column {first}",
            {"repeated": repeated, "columns": flat.shape[1], "pair": [first, second]},
        )


def target_scale(case: Case) -> Iterator[Verdict]:
    """Targets of a regression with a large, shifted or tiny scale."""
    for loss, (name, y) in zip(case.losses, case.train.targets.items(), strict=True):
        if loss.name not in SCALABLE or y.dtype.kind not in "fiu":
            continue
        flat = columns_of(y.reshape(len(y), -1))
        std, mean = float(flat.std(0).max()), float(np.abs(flat.mean(0)).max())
        if std <= 1e-12 or (0.01 <= std <= _LARGE and mean <= _OFFSET * max(1.0, std)):
            continue
        helped = with_scaled_targets(case)
        serious = case.improves(helped)
        yield Verdict(
            "targets_unscaled",
            "serious" if serious or std > 1000 else "warning",
            "targets" if len(case.losses) == 1 else f"target {name!r}",
            f"The targets have the standard deviation {std:.3g} and the mean {mean:.3g}.",
            "The weights start for answers near 1. Far larger targets mean errors and gradients that are too large at first, and "
            "many steps until the answers are there; with tiny ones nothing seems to be wrong.",
            "Scale the targets for training, and the predictions back:",
            "mean, std = y.mean(0), y.std(0); model.fit(X, (y - mean) / std); answer = model.predict(X) * std + mean",
            {"std": std, "|mean|": mean} | case.compared(helped, "scaled"),
        )


def rare_classes(case: Case) -> Iterator[Verdict]:
    """A class that is rare, and that the net never answers with."""
    found = classes_of(case, case.tested)
    every = classes_of(case, case.train)
    if found is None or every is None or not case.is_finite or (every.counts > 0).sum() < 2:
        return
    total = every.counts.sum()
    rare = [k for k, n in enumerate(every.counts) if 0 < n < 0.5 * total / len(every.counts)]
    if not rare or every.counts.max() < 0.75 * total:
        return
    answer = predicted_classes(case, case.first.model, case.tested)
    recall = {k: float((answer[found.labels == k] == k).mean()) for k in rare if (found.labels == k).any()}
    missed = [k for k, share in recall.items() if share < 0.2]
    share = float(every.counts.max() / total)
    if not missed:
        return
    yield Verdict(
        "class_imbalance",
        "serious",
        "targets",
        f"{share:.0%} of the rows are of one class, and the net hardly ever answers with class {missed[0]}.",
        f"Whoever always answers with the frequent class has an accuracy of {share:.0%} and a small loss, so accuracy does not "
        "show that a class is missing.",
        "Give rare classes more weight, and look at recall or F1 rather than at accuracy:",
        'model.compile(..., metrics=["accuracy", "f1"]); model.fit(X, y, class_weight="balanced")',
        {"largest share": share, "recall": {k: round(v, 3) for k, v in recall.items()}},
    )


def leaks(case: Case) -> Iterator[Verdict]:
    """Validation rows that are training rows, and inputs that are the target."""
    if case.is_validated and case.given_held is not None:
        yield from _copied_rows(case, case.given_held)
    for name, value in numbers_of(case, case.train).items():
        where = where_of(case, name)
        if value.ndim != 2 or len(value) < 20:
            continue
        for target_name, y in case.train.targets.items():
            if y.shape == value.shape:  # an autoencoder
                continue
            related = _correlations(value, y).max(1)
            if value.shape[1] > 1 and related.max() > _ALIKE:
                column = int(related.argmax())
                yield Verdict(
                    "leakage",
                    "serious",
                    where,
                    f"Column {column} is the target {target_name!r}, up to a scale.",
                    "The net learns to copy this column. Where the target is not known yet, the column will not be there either.",
                    "Leave the column out:",
                    f"X = np.delete(X, {column}, axis=1)",
                    {"column": column, "correlation": float(related.max())},
                )


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
        if value[0].size * y[0].size <= _MOST_COLUMNS
    ]
    return max(found, default=0.0)


def _copied_rows(case: Case, held: Rows) -> Iterator[Verdict]:
    """Rows of the validation data that are among those of training, unless rows repeat within the training data as well."""
    train, validation = (_keys(rows) for rows in (case.whole, held))
    known = set(train)
    shared = sum(key in known for key in validation) / max(1, len(validation))
    within = 1 - len(known) / max(1, len(train))
    if shared < 0.02 or (shared < 3 * within and not _is_continuous(case, len(known))):
        return
    yield Verdict(
        "leakage",
        "serious" if shared > 0.1 else "warning",
        "validation data",
        f"{shared:.0%} of the validation rows are training rows.",
        "The validation loss then tells how well the net remembers, not how well it does on rows that it has not seen.",
        "Drop repeated rows before the split, and keep rows that belong together on one side:",
        "X, index = np.unique(X, axis=0, return_index=True); y = y[index]  # or fit(..., groups=patient)",
        {"shared": shared, "repeated within training": within},
    )


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
        "warning" if plain is None or columns > len(case.train) else "serious",
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
    plain = reference(case)
    if case.first.best_held < 0.97 or (plain is not None and plain.best_held < 0.97):
        return True
    if _related(case.train) * np.sqrt(len(case.train)) > _CERTAIN:
        return True
    neighbour, guess, error = _neighbours(case)
    if neighbour > guess + 3 * error:
        return True
    classes = classes_of(case, case.held)
    if classes is None:
        return False
    share = classes.counts.max() / classes.counts.sum()
    right = float((predicted_classes(case, case.first.model, case.held) == classes.labels).mean())
    return right > float(share + 3 * np.sqrt(share * (1 - share) / len(case.held)))


def _neighbours(case: Case) -> tuple[float, float, float]:
    """Return the score of the nearest neighbour on held-out rows, that of chance, and its standard error: the accuracy, or for
    numbers the correlation of two neighbours' targets."""
    train, held = case.train.take(slice(0, 2000)), case.held
    if held is None or len(held) < 3:
        return 0.0, 0.0, 1.0
    arrays = [
        np.concatenate([np.asarray(v, np.float64).reshape(len(v), -1) for v in rows.inputs.values()], 1) for rows in (train, held)
    ]
    scale = arrays[0].std(0)
    a, b = (each / np.where(scale > 1e-12, scale, 1.0) for each in arrays)
    distance = (b * b).sum(1)[:, None] - 2 * b @ a.T + (a * a).sum(1)
    nearest = distance.argmin(1)
    classes = classes_of(case, train)
    if classes is not None:
        expected = classes_of(case, held)
        assert expected is not None
        share = expected.counts / max(1, expected.counts.sum())
        guess = float((share * classes.counts[: len(share)] / max(1, classes.counts.sum())).sum())
        score = float((classes.labels[nearest] == expected.labels).mean())
        return score, guess, float(np.sqrt(guess * (1 - guess) / max(1, len(held))))
    y = np.asarray(next(iter(train.targets.values())), np.float64).reshape(len(train), -1)
    other = np.asarray(next(iter(held.targets.values())), np.float64).reshape(len(held), -1)
    varied = [k for k in range(y.shape[1]) if np.ptp(y[nearest, k]) > 0 and np.ptp(other[:, k]) > 0]
    score = max((float(np.corrcoef(y[nearest, k], other[:, k])[0, 1]) for k in varied), default=0.0)
    return score, 0.0, float(1 / np.sqrt(len(held)))


def examine(case: Case) -> Iterator[Verdict]:
    """Yield what the data say."""
    if not case.is_finite:
        yield from non_finite(case)
        return
    for each in (leaks, constant_columns, scales, target_scale, repeated_columns, rare_classes, unrelated):
        yield from each(case)

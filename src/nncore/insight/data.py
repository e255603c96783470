"""What the data say by themselves: numbers that are none, scales, columns that tell nothing, rare classes, leaks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .case import Case
from .changes import SCALABLE, standardised, with_scaled_targets
from .facts import classes_of, columns_of, numbers_of, predicted_classes, where_of
from .relations import MOST_COLUMNS, leaks, unrelated
from .verdict import Verdict

_LOOKED_AT = 4096  #: rows for statistics of columns
_LARGE, _SMALL = 20.0, 0.1  #: root mean square of a column
_OFFSET = 10.0  #: mean of a column in standard deviations
_SPREAD = 1000.0  #: ratio of the scales of two columns
_NAMED = 30  #: columns at most, in a line of code
_ROUNDING = 8  #: numbers that differ by so many units in the last place of the model's dtype are equal
_LEFT = 0.03  #: the part of a column, in standard deviations, that the columns before it do not tell, if it repeats them


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
        largest, all_tiny = float(size.max()), float(size.max()) < _SMALL
        if largest <= _LARGE and offset <= _OFFSET and not all_tiny and (spread <= _SPREAD or largest <= 3):
            continue
        helped = standardised(case)
        serious = case.improves(helped)
        some = all_tiny and helped.relative < min(0.8 * case.first.relative, case.first.relative - 0.1)
        if all_tiny and largest > _SMALL / 5 and not (serious or some):
            continue
        yield Verdict(
            "inputs_unscaled",
            "serious" if serious else "warning" if some else "note",
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
    numbers = numbers_of(case, case.train)
    for name, value in case.train.inputs.items():
        where = where_of(case, name)
        flat = columns_of(value) if name in numbers else np.asarray(value, np.float64).reshape(len(value), -1)
        low, high = flat.min(0), flat.max(0)
        still = high - low <= _ROUNDING * np.finfo(case.model.dtype).eps * np.maximum(np.abs(low), np.abs(high))
        if not still.any() or ((len(flat) < 3 or name not in numbers) and not still.all()):
            continue  # an index may be the same at some place, such as one that begins each text
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
    """Columns that are copies of others, or sums of some of them, or nearly so."""
    for name, value in numbers_of(case, case.train).items():
        flat = columns_of(value[:_LOOKED_AT])
        varied = np.flatnonzero(flat.std(0) > 1e-12 * np.abs(flat).max(0))[:MOST_COLUMNS]
        if len(varied) < 2 or len(flat) < 10:
            continue
        normal = flat[:, varied] - flat[:, varied].mean(0)
        normal /= np.maximum(np.sqrt((normal * normal).sum(0)), 1e-300)
        alike = np.triu(np.abs(normal.T @ normal) > 1 - _LEFT**2 / 2, 1)
        told = alike.any(0) | _sums(flat[:, varied], normal)
        if not told.any():
            continue
        second = int(told.argmax())
        first = np.flatnonzero(alike[:, second])[:1]
        if not len(first):
            first = np.flatnonzero(np.abs(np.linalg.lstsq(normal[:, :second], normal[:, second], None)[0]) > _LEFT)
        pair, columns = [int(varied[i]) for i in (*first, second)], varied[told][:_NAMED].tolist()
        yield Verdict(
            "inputs_duplicated",
            "warning" if alike.any(0).sum() >= 0.3 * len(varied) else "note",
            where_of(case, name),
            f"{told.sum()} of {flat.shape[1]} columns repeat another one or a sum of others, up to a scale.",
            "What two equal columns have in common counts twice, so that the net listens to it more, and the share of each of the "
            "two cannot be told.",
            "Keep one of each:",
            f"X = np.delete(X, {columns}, axis=-1)  # {columns[0]}: told by {', '.join(map(str, pair[:-1]))}",
            {"repeated": int(told.sum()), "columns": flat.shape[1], "alike": pair},
        )


def _sums(flat: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return which columns are nearly sums of multiples of those before them. Those of two values, as of one-hot codes, may be."""
    if not 2 * normal.shape[1] <= len(normal) or normal.shape[1] > MOST_COLUMNS // 4:
        return np.zeros(normal.shape[1], bool)
    binary = ((flat == flat.min(0)) | (flat == flat.max(0))).all(0)
    return np.asarray((np.abs(np.diag(np.linalg.qr(normal, "r"))) < _LEFT) & ~binary)


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
    metric = "nn.metrics.F1(average='macro')" if len(every.counts) > 2 else "'f1'"
    yield Verdict(
        "class_imbalance",
        "serious",
        "targets",
        f"{share:.0%} of the rows are of one class, and the net hardly ever answers with class {missed[0]}.",
        f"Whoever always answers with the frequent class has an accuracy of {share:.0%} and a small loss, so accuracy does not "
        "show that a class is missing.",
        "Give rare classes more weight, and look at recall or F1 rather than at accuracy:",
        f"model.compile(..., metrics=[{metric}]); model.fit(X, y, class_weight='balanced')",
        {"largest share": share, "recall": {k: round(v, 3) for k, v in recall.items()}},
    )


def examine(case: Case) -> Iterator[Verdict]:
    """Yield what the data say."""
    if not case.is_finite:
        yield from non_finite(case)
        return
    for each in (leaks, constant_columns, scales, target_scale, repeated_columns, rare_classes, unrelated):
        yield from each(case)

"""Handwritten digits: 1797 pictures of 8 x 8 pixels from scikit-learn, a net of 17,000 parameters, a few seconds.

    make demo            or: python examples/digits.py (needs scikit-learn and matplotlib; tqdm for the progress bar)

A fifth of the pictures is held out, with all ten digits in proportion. The net never trains on them. The accuracy on these
pictures is the result. Then the same net is trained for the same number of epochs in plain NumPy (see below), to show how much
faster the core is.
"""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

import nncore as nn

OUT = Path(__file__).resolve().parent.parent / "out"
EPOCHS, BATCH, LR, DROPOUT = 60, 64, 2e-3, 0.2


def build(seed: int = 0) -> nn.Sequential:
    model = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(128, 64), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(64, 10), nn.Softmax(),
        seed=seed,
    )  # fmt: skip
    model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(lr=LR), metrics=["accuracy"])
    return model


def main() -> None:
    digits = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        (digits.data / 16).astype(np.float32), digits.target, test_size=0.2, stratify=digits.target, random_state=0
    )
    model = build()
    model.summary()
    print(f"\n{len(x_train)} digits to learn from, {len(x_test)} held out\n")

    history = model.fit(x_train, y_train, epochs=EPOCHS, batch_size=BATCH, validation_data=(x_test, y_test), verbose=1)
    _, accuracy = model.evaluate(x_test, y_test)
    table = nn.metrics.confusion_matrix(y_test, model.predict(x_test))
    print(f"\nright on {accuracy:.1%} of the held-out digits. Rows are the truth, columns what the net says:\n")
    print("      " + "".join(f"{d:4d}" for d in range(10)))
    for digit, row in enumerate(table):
        print(f"   {digit}  " + "".join(f"{n:4.0f}" if n else "   ." for n in row))

    compare_with_numpy(x_train, y_train, x_test, y_test)
    OUT.mkdir(exist_ok=True)
    history.plot().savefig(OUT / "digits-learning.png", dpi=120)
    draw(x_test, y_test, model.predict(x_test).argmax(1), table).savefig(OUT / "digits-confusion.png", dpi=120)
    print("\npictures:", *(os.path.relpath(OUT / f"digits-{name}.png") for name in ("learning", "confusion")))


def compare_with_numpy(x_train, y_train, x_test, y_test) -> None:
    """Train once more in nncore and once in NumPy, without output or validation.

    Both have the same sizes, batches and epochs, and use dropout and Adam.
    """
    model = build(seed=1)
    start = time.perf_counter()
    model.fit(x_train, y_train, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    ours = time.perf_counter() - start
    with threadpool_limits(1, user_api="blas"):  # more threads only slow down products of this size
        start = time.perf_counter()
        predict = train_in_numpy(x_train, y_train)
        theirs = time.perf_counter() - start
    right = np.mean(predict(x_test).argmax(1) == y_test)
    print(
        f"\n{EPOCHS} epochs: nncore {ours:.2f} s on up to {nn.get_num_threads()} threads, plain NumPy {theirs:.2f} s "
        f"({right:.1%} right): nncore is {theirs / ours:.1f} times faster"
    )


def train_in_numpy(x, y):
    """Train the same net without nncore. Return the function from pictures to logits."""
    rng = np.random.default_rng(0)
    sizes = (64, 128, 64, 10)
    w = [rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32) for a, b in pairwise(sizes)]
    b = [np.zeros(n, np.float32) for n in sizes[1:]]
    parameters = w + b
    m, v = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(x))
        for first in range(0, len(x), BATCH):
            rows = order[first : first + BATCH]
            values, masks = [x[rows]], []
            for i in range(2):
                z = np.maximum(values[-1] @ w[i] + b[i], 0)
                masks.append((rng.random(z.shape, np.float32) >= DROPOUT) * np.float32(1 / (1 - DROPOUT)))
                values.append(z * masks[-1])
            z = values[-1] @ w[2] + b[2]
            e = np.exp(z - z.max(1, keepdims=True))
            delta = e / e.sum(1, keepdims=True)
            delta[np.arange(len(rows)), y[rows]] -= 1
            delta /= len(rows)
            gradients: list = [None] * 6
            for i in (2, 1, 0):
                gradients[i], gradients[3 + i] = values[i].T @ delta, delta.sum(0)
                if i:
                    delta = (delta @ w[i].T) * masks[i - 1] * (values[i] > 0)
            step += 1
            rate = LR * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
            for p, g, mean, square in zip(parameters, gradients, m, v, strict=True):
                mean += 0.1 * (g - mean)
                square += 0.001 * (g * g - square)
                p -= rate * mean / (np.sqrt(square) + 1e-8)
    return lambda x: np.maximum(np.maximum(x @ w[0] + b[0], 0) @ w[1] + b[1], 0) @ w[2] + b[2]


def draw(x, truth, said, table) -> Figure:
    """Draw the confusion matrix, and some of the digits that the net got wrong."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    axes.imshow(np.log1p(table), cmap="Blues")
    for i, j in np.argwhere(table > 0):
        axes.text(j, i, int(table[i, j]), ha="center", va="center", color="white" if table[i, j] > 10 else "black", fontsize=8)
    axes.set(xlabel="the net says", ylabel="it is", xticks=range(10), yticks=range(10), title="held-out digits")
    wrong = np.flatnonzero(truth != said)
    right.suptitle(f"{len(wrong)} of {len(truth)} are wrong" if len(wrong) else "none is wrong")
    for axes, i in zip(right.subplots(3, 4).flat, [*wrong[:12], *[None] * 12], strict=False):
        axes.axis("off")
        if i is not None:
            axes.imshow(x[i].reshape(8, 8), cmap="gray_r")
            axes.set_title(f"{truth[i]}, said {said[i]}", fontsize=8)
    return figure


if __name__ == "__main__":
    main()

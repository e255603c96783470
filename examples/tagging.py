"""Tagging letters: where do words begin in text without blanks? GRU and LSTM, in one direction and in both.

    python examples/tagging.py             (needs matplotlib; the text comes with Python)

The text is the language reference that comes with CPython for help() (pydoc_data.topics). Only its letters are kept, in lower
case. The tag of a letter says whether a word begins with it. Whole topics are held out, so the test reads text that no net has
seen.

A word "the" may be complete, or may be the beginning of "there" or "themselves". Only later letters decide this. A net that reads
in one direction has not seen them. A net that reads in both directions has. All nets have about the same number of parameters.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
from matplotlib.figure import Figure

import nncore as nn

OUT = Path(__file__).resolve().parent.parent / "out"
STEPS, LETTERS, EPOCHS, TRAINED_ON = 64, 26, 15, 150_000
NETS = {
    "GRU": lambda: (nn.GRU(LETTERS, 72, return_sequences=True), 72),
    "both ways GRU": lambda: (nn.GRU(LETTERS, 48, bidirectional=True, return_sequences=True), 96),
    "LSTM": lambda: (nn.LSTM(LETTERS, 64, return_sequences=True), 64),
    "both ways LSTM": lambda: (nn.LSTM(LETTERS, 42, bidirectional=True, return_sequences=True), 84),
}


def sequences(names: list[str], limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return letters as 0 to 25 and their tags, both [N, STEPS]. The topics are joined, and cut into sequences without overlap."""
    words = [word for name in names for word in re.findall("[a-z]+", topics[name].lower())]
    letters = np.frombuffer("".join(words).encode(), np.uint8)[:limit] - ord("a")
    begins = np.zeros(sum(map(len, words)), np.float32)
    begins[np.cumsum([0, *map(len, words[:-1])])] = 1
    count = len(letters) // STEPS
    return letters[: count * STEPS].reshape(count, STEPS), begins[: count * STEPS].reshape(count, STEPS)


def one_hot(letters: np.ndarray) -> np.ndarray:
    return np.eye(LETTERS, dtype=np.float32)[letters]


def main() -> None:
    OUT.mkdir(exist_ok=True)
    names = [str(name) for name in np.random.default_rng(0).permutation(sorted(topics))]
    held_out = len(names) // 5
    letters, tags = sequences(names[held_out:], TRAINED_ON)
    test_letters, test_tags = sequences(names[:held_out], TRAINED_ON // 4)
    x, test = one_hot(letters), one_hot(test_letters)
    print(f"{letters.size} letters to train on, {test_letters.size} of other topics to test on")
    print(f"always the commoner tag: {1 - test_tags.mean():.1%} right")

    probabilities, curves = {}, {}
    for name, net in NETS.items():
        layer, width = net()
        model = nn.Sequential(layer, nn.Linear(width, 1), nn.Sigmoid(), seed=0).build((STEPS, LETTERS))
        model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=5e-3, clip_norm=1.0), metrics=["accuracy"])
        start = time.perf_counter()
        later = (test, test_tags[..., None])
        history = model.fit(x, tags[..., None], epochs=EPOCHS, batch_size=32, validation_data=later, verbose=0)
        seconds = time.perf_counter() - start
        curves[name] = history.history["val_accuracy"]
        probabilities[name] = model.predict(test)[..., 0]
        right = np.mean((probabilities[name] > 0.5) == test_tags)
        parameters = sum(value.size for value in model.state_dict().values())
        print(f"{name:14}: {right:.1%} of the tags right after {EPOCHS} epochs; {parameters} parameters, {seconds:.1f} s")

    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplot_mosaic([["epochs", "place"], ["text", "text"]])
    for name in NETS:
        style = "-" if name.startswith("both") else "--"
        axes["epochs"].plot(range(1, EPOCHS + 1), curves[name], style, label=name)
        axes["place"].plot(((probabilities[name] > 0.5) == test_tags).mean(0), style, label=name)
    axes["epochs"].set(title="Tags right, on topics that no net has seen", xlabel="epoch", ylabel="share of the letters")
    axes["place"].set(title="By place in the sequence: the last letters have no later ones", xlabel="time step")
    axes["epochs"].legend()
    shown = 1
    axes["text"].bar(range(STEPS), test_tags[shown], width=1, color="0.85", label="a word begins")
    for name in ("GRU", "both ways GRU"):
        axes["text"].plot(probabilities[name][shown], "o-" if name.startswith("both") else "s--", markersize=4, label=name)
    axes["text"].set_xticks(range(STEPS), [chr(ord("a") + int(letter)) for letter in test_letters[shown]], family="monospace")
    axes["text"].set(title="One sequence of the test", ylabel="probability that a word begins", ylim=(0, 1.2))
    axes["text"].legend(loc="upper right", ncols=3)
    figure.savefig(OUT / "tagging.png", dpi=120)
    print(f"picture: {OUT / 'tagging.png'}")


if __name__ == "__main__":
    main()

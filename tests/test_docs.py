"""Every Python block of the README and of the docs runs, those of one page after another in one namespace, as they are read.

Where a page speaks of the reader's own data and model, `GIVEN` has small ones.
"""

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import nncore as nn

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = {path.name: path for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def classifier(rng):
    """x, y and a model for them that has been trained a little."""
    x, y = rng.normal(size=(200, 5)), rng.integers(3, size=200)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(), seed=0)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x, y)
    return {"nn": nn, "x": x, "y": y, "model": model}


def sequences(rng):
    stream = nn.Sequential(nn.GRU(8, 16), nn.Linear(16, 5)).build((20, 8)).stream(batch=4)
    x, y, lengths = rng.normal(size=(30, 20, 8)), rng.integers(5, size=(30, 20)), rng.integers(1, 21, 30)
    return {"nn": nn, "x": x, "y": y, "lengths": lengths, "stream": stream, "x_t": x[:4, 0].astype(np.float32)}


GIVEN = {
    "custom.md": lambda rng: {"np": np, "nn": nn},
    "recurrent.md": sequences,
    "saving.md": lambda rng: classifier(rng) | {"stopping": nn.callbacks.EarlyStopping("accuracy", patience=40)},
    "training.md": lambda rng: (
        classifier(rng) | {"patient": np.arange(200) // 5, "x_val": rng.normal(size=(20, 5)), "y_val": rng.integers(3, size=20)}
    ),
}


class SummaryWriter:
    """What a page does with TensorBoard's, without TensorBoard."""

    def __init__(self, folder):
        self.scalars = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.scalars

    def add_scalar(self, *scalar):
        self.scalars.append(scalar)


@pytest.mark.parametrize("page", [page for page, path in PAGES.items() if BLOCK.search(path.read_text(encoding="utf-8"))])
def test_blocks_run(page, tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)  # some save files
    for name in ("torch", "torch.utils", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["torch.utils.tensorboard"].SummaryWriter = SummaryWriter
    text, namespace = PAGES[page].read_text(encoding="utf-8"), GIVEN.get(page, lambda rng: {})(rng)
    for found in BLOCK.finditer(text):
        lines_before = "\n" * text.count("\n", 0, found.start(1))  # errors name the line of the page
        exec(compile(lines_before + found[1], str(PAGES[page]), "exec"), namespace)


def test_links_lead_somewhere():
    links = {
        (path, target) for path in PAGES.values() for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    }
    assert len(links) > 10
    assert not [(path.name, target) for path, target in links if "://" not in target and not (path.parent / target).exists()]

"""Every Python block of the README and of the docs runs, those of one page after another in one namespace, as they are read.

Where a page speaks of the reader's own data and model, `GIVEN` has small ones.
"""

import re
import sys
import types
from collections import Counter
from pathlib import Path

import numpy as np
import public_names
import pytest

import nncore as nn
from nncore._declarations import Elsewhere

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = {path.name: path for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))}
PAGES["the first page"] = REPOSITORY / "index.md"
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
    return {"np": np, "nn": nn, "x": x, "y": y, "lengths": lengths, "stream": stream, "x_t": x[:4, 0].astype(np.float32)}


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
    monkeypatch.syspath_prepend(tmp_path)  # and import them, as in the folder of a script
    text, namespace = PAGES[page].read_text(encoding="utf-8"), GIVEN.get(page, lambda rng: {})(rng)
    if "torch.utils.tensorboard" in text:
        for name in ("torch", "torch.utils", "torch.utils.tensorboard"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules["torch.utils.tensorboard"].SummaryWriter = SummaryWriter
    for found in BLOCK.finditer(text):
        lines_before = "\n" * text.count("\n", 0, found.start(1))  # errors name the line of the page
        exec(compile(lines_before + found[1], str(PAGES[page]), "exec"), namespace)


FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINKED = [*PAGES.values(), REPOSITORY / "csrc" / "README.md", REPOSITORY / "CHANGELOG.md"]


def anchors(path):
    """What GitHub, and the site, make of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_index_knows_every_page():
    index = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    site = (REPOSITORY / "docs" / "conf.py").read_text(encoding="utf-8")
    for page in (REPOSITORY / "docs").glob("*.md"):
        if page.stem != "index":
            assert f"({page.name})" in index
            assert f"docs/{page.stem}>" in site


def test_reference_lists_every_public_name_once_and_no_other():
    paths = [each.path for each in public_names.listed()]
    assert [path for path, count in Counter(paths).items() if count > 1] == []
    own = public_names.members()
    names = {path for path in paths if path not in own}
    assert names == {*public_names.public(), *public_names.RESULTS}
    for path in public_names.RESULTS:
        space, _, name = path.rpartition(".")
        assert name in public_names.reached(space).__all__


def test_members_in_the_reference_are_those_that_users_reach():
    """Those of models are complete. No page lists a name of another library that only raises an error."""
    for path in public_names.members():
        assert not isinstance(public_names.reached(path), Elsewhere), path
        assert path.endswith(".__call__") or not path.rpartition(".")[2].startswith("_"), path
    model = nn.Sequential(nn.Linear(1, 1))
    of_models = {path.removeprefix("nn.Model.") for path in public_names.members() if path.startswith("nn.Model.")}
    assert of_models | {"build"} == {name for name in dir(model) if not name.startswith("_")}


def test_every_page_of_the_reference_is_on_the_site_and_has_a_summary():
    site = (REPOSITORY / "docs" / "conf.py").read_text(encoding="utf-8")
    for page in public_names.PAGES.glob("*.md"):
        assert re.search(rf"[ \"]{page.stem}[ \"]", site)
        assert page.read_text(encoding="utf-8").count("```{summary}\n```\n") == 1

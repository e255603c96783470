"""The pictures of the docs: their programs run, and the committed files are what they draw."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PICTURES = REPOSITORY / "docs" / "pictures"
PAGES = sorted(path.stem for path in PICTURES.glob("[a-z]*.py") if path.stem != "drawing")
FILES = sorted(PICTURES.glob("*.svg"))
INDEX = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
GUIDES = re.findall(r"^\| \[[^]]+\]\(([a-z-]+\.md)\)", INDEX.split("## Guides")[1].split("## Behind it")[0], re.MULTILINE)
SIZE = 150_000  # bytes of one file


def words(path):
    """Return the words of a picture. Its numbers and where they stand may differ with the version of matplotlib."""
    texts = ("".join(text.itertext()) for text in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text"))
    return sorted(word for text in texts for word in re.findall(r"[^\W\d]{3,}", text))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The folder of all pictures, drawn again by one program."""
    folder = tmp_path_factory.mktemp("pictures")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "error", str(PICTURES), "--into", str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_pictures_of_a_page(page, drawn):
    paths = sorted(drawn.glob(f"{page.replace('_', '-')}-*.svg"))
    assert paths
    for path in paths:
        assert words(path) == words(PICTURES / path.name), f"make pictures, and look at {path.name}"
        assert path.stat().st_size < SIZE


@pytest.mark.parametrize("path", [*sorted((REPOSITORY / "docs").glob("*.svg")), *FILES], ids=lambda path: path.stem)
def test_every_picture_is_dark_on_a_dark_page(path):
    text = path.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    rules = re.search(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\}\n", text, re.DOTALL)[1]
    known = set(re.findall(r': (#\w{6})"\]', rules))
    assert "text {fill:" in rules
    assert {"#ffffff", "#000000"} <= known
    for tag in re.findall(r"<(?:path|use)\b[^>]*style=\"[^>]*>", text):  # matplotlib leaves out what is black
        assert "fill: " in tag or "<path id=" in tag, tag


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_picture_is_shown_and_described(path):
    assert any(path.name.startswith(page.replace("_", "-") + "-") for page in PAGES), "no program draws it"
    sources = [REPOSITORY / "README.md", *REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]
    pages = "".join(page.read_text(encoding="utf-8") for page in sources)
    assert re.search(rf"!\[[^\]]{{10,}}\]\((docs/)?pictures/{path.name}\)", pages), "no page shows it and says what it shows"


@pytest.mark.parametrize("page", GUIDES)
def test_every_guide_has_a_picture(page):
    assert re.search(r"!\[[^\]]{10,}\]\([\w/-]+\.svg\)", (REPOSITORY / "docs" / page).read_text(encoding="utf-8")), (
        "draw what it is about"
    )

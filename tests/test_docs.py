"""Every block of code of the README and of the guides runs as pasted: a page from top to bottom, and a section by itself."""

import re
import shutil
import subprocess
import tomllib
import warnings
from collections import Counter
from functools import reduce

import numpy as np
import pages
import public_names
import pytest
from pages import PAGES, REPOSITORY

import nncore as nn
from nncore._declarations import Elsewhere

BLOCKS = {page: pages.blocks(path) for page, path in PAGES.items()}
PYTHON = {page: [block for block in blocks if block.kind == "python"] for page, blocks in BLOCKS.items()}
SECTIONS = [
    pytest.param(page, section, id=f"{page}#{'/'.join(section)}")
    for page, blocks in PYTHON.items()
    if not re.search(r"from\s+top to bottom", PAGES[page].read_text("utf-8"))  # a page that is one story says so
    for section in dict.fromkeys(block.section for block in blocks[1:] if block.section != blocks[0].section)
]
CONSOLE = [(page, number) for page, blocks in BLOCKS.items() for number, block in enumerate(blocks) if block.kind == "console"]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some save files
    monkeypatch.syspath_prepend(tmp_path)  # and import them, as in the folder of a script
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("KERAS_BACKEND", "torch")


def run(blocks, page):
    namespace = {"__name__": "__main__"}
    with warnings.catch_warnings():
        if any(re.search(r"^import (torch|keras)", block.text, re.MULTILINE) for block in blocks):
            for kind in (DeprecationWarning, FutureWarning):  # of theirs: their exporters warn of their own code
                warnings.simplefilter("ignore", kind)
        for block in blocks:
            pages.run(block, PAGES[page], namespace)
    return namespace


@pytest.mark.parametrize("page", [page for page, blocks in PYTHON.items() if blocks])
def test_pages_run_from_top_to_bottom(page):
    pages.skip_without(pages.missing(PYTHON[page][:1]))
    without = {block.section for block in PYTHON[page] if pages.missing([block])}  # skipped below, with the reason
    run([block for block in PYTHON[page] if block.section not in without], page)


@pytest.mark.parametrize(("page", "section"), SECTIONS)
def test_sections_need_the_first_block_alone(page, section):
    blocks = [block for block in pages.needed(PAGES[page], section) if block.kind == "python"]
    pages.skip_without(pages.missing(blocks))
    run(blocks, page)


@pytest.mark.parametrize(("page", "number"), CONSOLE)
def test_commands(page, number):
    block = BLOCKS[page][number]
    pages.skip_without(pages.absent_tool(block))
    before = pages.needed(PAGES[page], block.section, number)
    pages.skip_without(pages.missing(before))
    for linked in re.findall(r"\]\((\.\./[\w/]+/(\w+\.\w+))\)", PAGES[page].read_text("utf-8")):
        if linked[1] in block.text:
            shutil.copy(PAGES[page].parent / linked[0], linked[1])  # a file of the repository that the page names
    run([*before, block], page)


BROWSER = """
import {{ readFileSync }} from "node:fs";
const element = {{}};
globalThis.document = {{ getElementById: () => element }};
globalThis.fetch = (name) => readFileSync(name);
WebAssembly.instantiateStreaming = (bytes) => WebAssembly.instantiate(bytes);
{script}
console.log(element.textContent);
"""


def test_the_page_for_browsers(tmp_path):
    """That of deploying.md which needs no library, in Node.js in place of a browser."""
    blocks = BLOCKS["deploying.md"]
    number = max(n for n, block in enumerate(blocks) if block.kind == "html")
    before = pages.needed(PAGES["deploying.md"], blocks[number].section, number)
    pages.skip_without(pages.missing(before) or next(filter(None, map(pages.absent_tool, before)), None))
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    namespace = run(before, "deploying.md")
    script = re.search(r"<script type=\"module\">\n(.*?)</script>", blocks[number].text, re.DOTALL)[1]
    (tmp_path / "page.mjs").write_text(BROWSER.format(script=script), encoding="utf-8")
    done = subprocess.run([node, "page.mjs"], capture_output=True, text=True, timeout=60, check=True)
    wanted = namespace["model"].predict(np.sin(np.arange(33 * 3)).reshape(1, 33, 3))
    assert float(done.stdout) == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("said", "printed", "right"),
    [
        ("loss 0.118", "loss  0.1182\n", True),  # to the digits shown, in any spacing
        ("loss 0.118", "loss 0.121\n", False),
        ("loss 0.118", "error 0.118\n", False),
        ("(200, 4)", "(200, 5)\n", False),  # whole numbers are exact
        ("about 4.0, in units", "5.5\n", True),
        ("True, as it should be", "True\n", True),  # words may follow
        ("True, as it should be", "False\n", False),
        ("[0.5 0.25]", "[0.5 0.25 1. ]\n", False),
        ("0.5 0.25", "0.5\n", True),
        ("", "0.5\n", False),
    ],
)
def test_what_is_printed_is_compared(said, printed, right):
    assert pages.agree(said, printed, more=True) == right


def test_blocks_are_of_a_known_kind_and_fit_the_page():
    """What runs is marked as python, console or c; html is for browsers; what has no language is printed before."""
    for page, blocks in BLOCKS.items():
        for block in blocks:
            assert block.kind in ("python", "console", "c", "html"), f"{page}:{block.line}: {block.kind or 'no language'}"
            for number, line in enumerate(block.text.splitlines(), block.line + 1):
                assert len(line) <= 96 or block.kind == "html", f"{page}:{number} is cut off beside the sidebar of the site"


def test_what_pages_name_exists():
    """Targets of make, extras of pip, programs, and names of the library."""
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for page, path in PAGES.items():
        text = path.read_text("utf-8")
        for target in re.findall(r"(?:`|^    |, )make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{page}: make {target}"
        for found in re.findall(r"pip install \"?(?:\.|nncore)\[([\w,]+)\]", text):
            assert set(found.split(",")) <= set(extras), f"{page}: {found}"
        for program in re.findall(r"\b(?:examples|benchmarks|tests|src|csrc)/[\w/]+\.\w+", text):
            assert (REPOSITORY / program).exists(), f"{page}: {program}"
        for name in re.findall(r"`nn\.(\w+(?:\.\w+)*)", text):
            if name != "Dense":  # which migrating.md gives as a name from elsewhere
                assert reduce(getattr, name.split("."), nn) is not None, f"{page}: nn.{name}"


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

"""The check of the built site, which `make docs` runs, finds what it is there for."""

import runpy
from pathlib import Path

import pytest

CHECK = runpy.run_path(str(Path(__file__).resolve().parent.parent.parent / "docs" / "check_site.py"))
SOUND = """
<a href="other/page.html#part">a page</a> <a href="other/">a folder</a> <a href="#top">here</a>
<a href="https://example.org/x">elsewhere</a>
<h1 id="top">A page</h1> <img src="picture.svg" alt="a picture">
<div class="highlight-python"><pre>{fits}</pre></div>
<dl><dd><div class="highlight-python"><pre>{fits_in_a_class}</pre></div></dd></dl>
<div class="highlight-none"><pre>{long}</pre></div>
"""


def site(folder, page, **text):
    text = {"fits": "x" * CHECK["WIDTH"], "fits_in_a_class": "x" * CHECK["NESTED_WIDTH"], "long": "x" * 500} | text
    (folder / "other").mkdir()
    (folder / "index.html").write_text(page.format(**text), encoding="utf-8")
    (folder / "picture.svg").write_text("<svg/>", encoding="utf-8")
    for name in ("page.html", "index.html"):
        (folder / "other" / name).write_text('<h2 id="part">Part</h2>', encoding="utf-8")
    return list(CHECK["faults"](folder))


def test_sound(tmp_path):
    assert site(tmp_path, SOUND) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('<a href="gone.html">', "no such file: gone.html"),
        ('<a href="other/page.html#gone">', "no such anchor: other/page.html#gone"),
        ('<a href="#gone">', "no such anchor: #gone"),
        ('<img src="gone.svg" alt="gone">', "no such file: gone.svg"),
        ('<img src="picture.svg">', "a picture without alt: picture.svg"),
        ("<pre>x{fits}</pre>", f"{CHECK['WIDTH'] + 1} columns, not {CHECK['WIDTH']}"),
        ("<dd><pre>short\nx{fits_in_a_class}</pre></dd>", f"{CHECK['NESTED_WIDTH'] + 1} columns, not {CHECK['NESTED_WIDTH']}"),
    ],
)
def test_fault(tmp_path, text, fault):
    (found,) = site(tmp_path, SOUND + text)
    assert found.startswith(f"index.html: {fault}")

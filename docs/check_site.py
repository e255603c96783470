"""Check the built site: python docs/check_site.py build/docs, a part of make docs.

Every link leads to a file of the site and to an anchor that is there, every picture says what it shows, and every line of code fits
its box where the window has 1300 pixels (static/site.css). Text that programs print is wrapped by the browser, and may be longer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

WIDTH, NESTED_WIDTH = 96, 92  #: columns of code on a page, and in the description of a class or function
WRAPPED = ("highlight-none", "highlight-text", "sphx-glr-script-out")


class Page(HTMLParser):
    """The anchors and links of a page, and what is wrong with it by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.faults: list[str] = []
        self._code: str | None = None
        self._open: list[tuple[str, str]] = []  # tags within the page, with their classes
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag == "img" and "alt" not in found:
            self.faults.append(f"a picture without alt: {found.get('src')}")
        if tag in ("div", "dd"):
            self._open.append((tag, found.get("class", "")))
        if tag == "pre":
            self._code = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("div", "dd") and self._open:
            self._open.pop()
        if tag == "pre" and self._code is not None:
            if not any(each in WRAPPED for _, classes in self._open for each in classes.split()):
                width = NESTED_WIDTH if any(each == "dd" for each, _ in self._open) else WIDTH
                self.faults += [
                    f"{len(line)} columns, not {width}: {line}" for line in self._code.splitlines() if len(line) > width
                ]
            self._code = None

    def handle_data(self, data: str) -> None:
        if self._code is not None:
            self._code += data


def faults(site: Path) -> Iterator[str]:
    """Yield what is wrong, with the page where it stands."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        here = path.relative_to(site.resolve())
        yield from (f"{here}: {fault}" for fault in page.faults)
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{here}: no such file: {link}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{here}: no such anchor: {link}"


if __name__ == "__main__":
    found = list(faults(Path(sys.argv[1])))
    sys.exit("\n".join(found) if found else None)

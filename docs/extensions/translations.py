"""Bring the catalogues in docs/locale/ko up to date with the pages: `make translations` runs this behind the extraction.

What is new stands there empty; what changed keeps its old translation, marked fuzzy until somebody has looked and removed the mark.
"""

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

HEADER = (
    'msgid ""\nmsgstr ""\n"Language: ko\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n\n'
)


def read(path):
    with path.open("rb") as file:
        return read_po(file, locale="ko")


def write(path, catalogue):
    for message in catalogue:
        message.flags &= {"fuzzy"}
    text = io.BytesIO()
    write_po(text, catalogue, width=100, no_location=True, omit_header=True, ignore_obsolete=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + text.getvalue().decode("utf-8").strip() + "\n", encoding="utf-8")


def update(extracted, catalogues):
    """Make each catalogue the translation of its extracted one; remove those of pages that are gone."""
    templates = {path.relative_to(extracted).with_suffix(".po"): path for path in extracted.rglob("docs/learn/*.pot")}
    for gone in {path.relative_to(catalogues) for path in catalogues.rglob("docs/learn/*.po")} - set(templates):
        (catalogues / gone).unlink()
    for name, template in sorted(templates.items()):
        path = catalogues / name
        catalogue = read(path) if path.exists() else Catalog(locale="ko")
        catalogue.update(read(template))
        write(path, catalogue)
        missing = sum(not message.string or message.fuzzy for message in catalogue if message.id)
        print(f"{path}: {missing} to translate" if missing else f"{path}: complete")


if __name__ == "__main__":
    update(*map(Path, sys.argv[1:]))

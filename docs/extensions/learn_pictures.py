"""The pictures of the learner's path, as SVG: dark where the page is dark, and with Korean words on Korean pages.

Their words are text that the browser draws, so that no font is needed here. The Korean site takes the pictures of the English one,
with words of docs/locale/ko/LC_MESSAGES/pictures.po in them.
"""

import importlib.util
from pathlib import Path

from matplotlib import pyplot as plt
from sphinx.util import logging
from sphinx_gallery.directives import imgsgnode
from sphinx_gallery.scrapers import figure_rst
from translations import read

DOCS = Path(__file__).resolve().parent.parent
CATALOGUE = DOCS / "locale" / "ko" / "LC_MESSAGES" / "pictures.po"
APART = " · "  # between the words that describe a picture

logger = logging.getLogger(__name__)
_found = importlib.util.spec_from_file_location("drawing", DOCS / "pictures" / "drawing.py")
drawing = importlib.util.module_from_spec(_found)
_found.loader.exec_module(drawing)


def scrape(block, block_vars, gallery_conf):
    """Save the figures of a block, and return the directive that shows them."""
    paths, words = [], []
    for number, path in zip(plt.get_fignums(), block_vars["image_path_iterator"], strict=False):
        figure, path = plt.figure(number), Path(path).with_suffix(".svg")
        words += [word for axes in figure.axes for word in (axes.get_title(), axes.get_ylabel(), axes.get_xlabel())]
        path.write_text(drawing.as_svg(figure), encoding="utf-8")
        paths.append(path)
    said = APART.join(dict.fromkeys(" ".join(word.split()) for word in words if word))
    return figure_rst(paths, gallery_conf["src_dir"], said, srcsetpaths=[{0: path} for path in paths]) if paths else ""


def catalogue():
    return {message.id: message.string for message in read(CATALOGUE) if message.id}


def translate(app, error):
    """Replace the words in the pictures of the Korean site, and warn of what has no translation, which fails the build."""
    if error or app.config.language != "ko":
        return
    known = catalogue()
    for path in Path(app.outdir, "_images").glob("sphx_glr_*.svg"):
        svg = path.read_text(encoding="utf-8")
        for text in drawing.words_of(svg):
            if text not in known:
                logger.warning("not in docs/locale/ko/LC_MESSAGES/pictures.po: %s", text, location=path.name)
        path.write_text(drawing.translate(svg, known), encoding="utf-8")


def translate_descriptions(app, document, page):
    """Say in Korean what pictures show."""
    if app.config.language == "ko":
        known = catalogue()
        for picture in document.findall(imgsgnode):
            picture["alt"] = APART.join(drawing.translated(word, known) for word in picture["alt"].split(APART))


def setup(app):
    app.connect("doctree-resolved", translate_descriptions)
    app.connect("build-finished", translate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx: the guides, and a reference made from the docstrings, as one site. `make docs` builds it in build/docs, offline."""

import sys
from pathlib import Path

from docutils import nodes
from latex2mathml import converter

import nncore

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
from learner_path import ENGLISH

project, author, release = "nncore", "the authors of nncore", nncore.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
extensions += ["learner_path", "learn_pictures", "reference"]
root_doc = "index"
include_patterns = ["index.md", "README.md", "CHANGELOG.md", "csrc/README.md", "docs/**.md", "docs/learn/*.rst"]
exclude_patterns = ["build", "dist", ".*", "docs/locale", "**/sg_execution_times.rst"]
templates_path = ["templates"]

# The learner's path: the programs in examples/learn are run, and become pages with the pictures that they draw.
sphinx_gallery_conf = {
    "examples_dirs": "examples/learn",
    "gallery_dirs": "docs/learn",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "image_scrapers": ("learn_pictures.scrape",),
    "capture_repr": (),  # what a page prints, and not what its last line returns
    "remove_config_comments": True,
    "min_reported_time": 1_000,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "furo"
html_math_renderer = "mathml"
html_title = "nncore"
html_static_path, html_css_files = ["static"], ["site.css"]
html_domain_indices = False
html_show_copyright = html_show_sphinx = html_copy_source = False

# The learner's path alone: its messages, and its Korean, in the folder ko of the English site and with links to the rest of that.
locale_dirs, gettext_compact = ["docs/locale"], False
if tags.has("learn"):  # noqa: F821
    root_doc, include_patterns = "docs/learn/index", ["docs/learn/*.rst"]
    html_title = "처음 배우는 신경망"
    html_additional_pages = {"index": "to_path.html"}
    html_sidebars = {
        "**": ["sidebar/brand.html", "sidebar/search.html", "sidebar/scroll-start.html"]
        + ["sidebar/navigation.html", "english.html", "sidebar/scroll-end.html"]
    }
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping, intersphinx_disabled_reftypes = {"nncore": (ENGLISH, "build/docs/objects.inv")}, []

myst_heading_anchors = 3  # links to headings are those that GitHub makes

autodoc_default_options = {"member-order": "bysource"}
autodoc_preserve_defaults = True
maximum_signature_line_length = 90  # a longer one has a line for each parameter
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # docstrings say it better
napoleon_google_docstring = False
napoleon_use_ivar = napoleon_preprocess_types = True
napoleon_use_rtype = False
default_role = "py:obj"  # `Linear` in a docstring
highlight_language = "none"  # of formulas; examples are known by their prompts

REFERENCE = (
    "models data layers losses optim schedules metrics callbacks insight init errors estimators export distributed config typing"
)
SIDEBAR = {
    "Learn": "The learner's path <docs/learn/index>",
    "Use": """
        Getting started <docs/getting-started>
        From PyTorch, Keras, scikit-learn <docs/migrating>
        Training <docs/training>
        Recipes <docs/recipes>
        Why a net does not learn <docs/diagnosis>
        Metrics <docs/metrics>
        Estimators for scikit-learn <docs/estimators>
        Recurrent networks <docs/recurrent>
        Models that are graphs <docs/functional>
        Optimizers and schedules <docs/optimizers>
        Loops by hand <docs/loops>
        Your own parts <docs/custom>
        Models in files <docs/saving>
        Precision <docs/precision>
        Several processes <docs/distributed>
        Threads and interrupts <docs/reliability>
        All pages and examples <docs/index>
    """,
    "Deploy": """
        ONNX and NumPy <docs/deploying>
        C <docs/c>
        Weights of PyTorch and Keras <docs/weights>
    """,
    "Reference": "\n".join(f"docs/reference/{page}" for page in REFERENCE.split()),
    "Behind it": """
        Benchmarks <docs/benchmarks>
        How far training scales <docs/scaling>
        Design <docs/design>
        The core <csrc/README>
        The README <README>
        CHANGELOG
    """,
}


def add_sidebar(app, page, source):
    """Tables of contents, which the first page does without where it is read as it is."""
    if page == "index":
        for caption, pages in SIDEBAR.items():
            lines = [line.strip() for line in pages.strip().splitlines()]
            source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *lines, "```", ""])


def write_math(writer, node, display):
    """Write a formula as MathML, which browsers show without a script or the network."""
    writer.body.append(converter.convert(node.astext(), display=display))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer(
        "mathml",
        (lambda writer, node: write_math(writer, node, "inline"), None),
        (lambda writer, node: write_math(writer, node, "block"), None),
    )
    app.connect("source-read", add_sidebar)
    app.connect("env-get-outdated", lambda *_: [root_doc])  # it depends on this file, too

"""What the learner's path needs of the site: questions with hidden answers, and the same pages in Korean.

The English site has all pages; the Korean one, built with ``-t learn -D language=ko`` into its folder ko, those of the path alone.
"""

import html
import posixpath
import re

from docutils import nodes
from sphinx.locale import _
from sphinx.search import SearchLanguage
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import extract_messages
from sphinx_gallery import notebook

logger = logging.getLogger(__name__)
LANGUAGES = {"en": "English", "ko": "한국어"}
PATH = "docs/learn/"
ENGLISH = "site://english"  # how the Korean site names the English one until it is known from which page


class details(nodes.General, nodes.Element):
    """A question and its answer, which shows when the question is clicked."""


class summary(nodes.TextElement):
    """The question."""


class Question(SphinxDirective):
    """``.. question:: Why?`` with the answer as its content."""

    required_arguments, final_argument_whitespace, has_content = 1, True, True

    def run(self):
        self.assert_has_content()
        text = " ".join(self.arguments[0].split())
        inner, messages = self.parse_inline(text)
        question = summary(text, "", *inner)
        whole = details("", question, *self.parse_content_to_nodes())
        for node in (question, whole):
            self.set_source_info(node)
        return [whole, *messages]


def visit_summary(writer, node):
    writer.body.append(f"<summary><strong>{html.escape(_('Question:'))}</strong> ")


def write_notebooks_without_directives():
    """Have sphinx-gallery write questions into its notebooks as HTML, which hides the answers there."""
    plain = notebook.rst2md

    def with_questions(text, *args, **options):
        question = re.compile(r"^\.\. question:: (.*)\n((?:\s*\n| {3}.*\n?)*)", re.MULTILINE)
        return plain(question.sub(r"<details><summary><b>Question:</b> \1</summary>\n\2\n</details>", text), *args, **options)

    notebook.rst2md = with_questions


class Translatable(SphinxTransform):
    """Say what a translator sees: prose, and formulas with words in them. What sphinx-gallery adds is translated here."""

    default_priority = 15  # before Sphinx's Locale, and its extraction of messages

    def apply(self, **options):
        if not self.env.docname.startswith(PATH):
            return
        for formula in self.document.findall(nodes.math_block):
            formula["translatable"] = bool(re.search(r"\\text\{[^}]* ", formula.astext()))
            formula.rawsource = formula.astext().strip()
        for note in list(self.document.findall(nodes.note)):
            if "sphx-glr-download-link-note" in note["classes"]:
                note.parent.remove(note)
        for container in self.document.findall(nodes.container):
            if "sphx-glr-download" in container["classes"]:
                label = container.next_node(nodes.literal)
                said, colon, name = label.astext().partition(": ")
                label[:] = [nodes.Text(_(said) + colon + name)]
                container.next_node(nodes.paragraph)["translatable"] = False
        if self.env.docname == PATH + "index":
            for link in self.document.findall(nodes.paragraph):
                if link.rawsource.startswith(":doc:`"):
                    link["translatable"] = False


def check_translations(app, document):
    """Warn of what has no translation, which fails the build."""
    if app.config.language == "ko" and app.env.docname.startswith(PATH):
        for node, text in extract_messages(document):
            if not node.get("translated"):
                logger.warning("not in docs/locale/ko (make translations): %s", text[:80], location=node)


def translate_thumbnails(app, document, page):
    """The list of pages has their titles and first sentences in raw HTML, which no catalogue reaches."""
    if app.config.language != "ko" or page != PATH + "index":
        return
    linked = None
    for node in list(document.findall()):
        if isinstance(node, nodes.reference) and node.get("internal"):
            linked = posixpath.splitext(posixpath.basename(node["refuri"]))[0]
        elif isinstance(node, nodes.raw):
            text = re.sub(r' tooltip="[^"]*"', "", node.astext())
            if linked:
                title = html.escape(app.env.titles[PATH + linked].astext())
                text = re.sub(r'(thumbnail-title">)[^<]*', lambda found, title=title: found[1] + title, text)
            node[:] = [nodes.Text(text)]


def link_to_english(app, document, page):
    """Make links to what only the English site has relative, so that both can lie anywhere."""
    for link in document.findall(nodes.reference):
        if link.get("refuri", "").startswith(ENGLISH):
            link["refuri"] = link["refuri"].replace(ENGLISH + "/", "../" * (page.count("/") + 1))
            link["reftitle"] = _("in English")


def join_formulas(app, document, page):
    """Keep on the line of a formula what follows it without a blank, such as a comma or a Korean particle."""
    for formula in list(document.findall(nodes.math)):
        parent, place = formula.parent, formula.parent.index(formula)
        following = parent[place + 1] if place + 1 < len(parent) else None
        if isinstance(following, nodes.Text) and (joined := re.match(r"\S{1,12}(?!\S)", following.astext())):
            rest = nodes.Text(following.astext()[joined.end() :])
            parent[place : place + 2] = [nodes.inline("", "", formula, nodes.Text(joined[0]), classes=["joined"]), rest]


def add_switch(app, page, template, context, document):
    """Put the way to the same page in the other language above each page of the path."""
    if not (page.startswith(PATH) and document):
        return
    here, depth = app.config.language, page.count("/")
    links, alternates = [], []
    for language, name in LANGUAGES.items():
        url = "../" * (depth + (here == "ko")) + ("ko/" if language == "ko" else "") + page + ".html"
        alternates.append(f'<link rel="alternate" hreflang="{language}" href="{url}">')
        current = 'aria-current="true"' if language == here else f'href="{url}"'
        links.append(f'<a lang="{language}" hreflang="{language}" {current}>{name}</a>')
    context["body"] = f'<nav class="languages" aria-label="{_("Language")}">{"".join(links)}</nav>\n{context["body"]}'
    context["metatags"] = context.get("metatags", "") + "".join(alternates)


class SearchKorean(SearchLanguage):
    """Particles stand at the end of a Korean word, so the index also has every beginning of it of two syllables or more."""

    lang, language_name = "ko", "Korean"

    def split(self, input):
        words = super().split(input)
        return words + [word[:n] for word in words if "가" <= word[0] <= "힣" for n in range(2, len(word))]

    def word_filter(self, word):
        return len(word) > 1 or word.isdigit()


def setup(app):
    write_notebooks_without_directives()
    app.add_directive("question", Question)
    app.add_node(details, html=(lambda writer, node: writer.body.append(writer.starttag(node, "details")), close("details")))
    app.add_node(summary, html=(visit_summary, close("summary")))
    app.add_transform(Translatable)
    app.add_search_language(SearchKorean)
    app.add_css_file("learn.css")
    app.connect("doctree-read", check_translations)
    app.connect("doctree-resolved", translate_thumbnails)
    app.connect("doctree-resolved", link_to_english, priority=900)  # behind those that make links
    app.connect("doctree-resolved", join_formulas)
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def close(tag):
    return lambda writer, node: writer.body.append(f"</{tag}>\n")

"""The Korean catalogues of the learner's path are complete, say the same as their pages, and no less: without building the site."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CATALOGUES = REPOSITORY / "docs" / "locale" / "ko" / "LC_MESSAGES"
LEARN = REPOSITORY / "examples" / "learn"
PAGES = {"index": LEARN / "README.rst"} | {page.stem: page for page in sorted(LEARN.glob("plot_*.py"))}
# Code, formulas and other roles, and the targets of links.
MARKUP = re.compile(r":\w+(?::\w+)*:`[^`]+`|``[^`]+``|(?<=<)[^<>`]+(?=>`_)")

FORMULA = re.compile(r"^ *\.\. math::.*?(?=\n *\n|\Z)", re.MULTILINE | re.DOTALL)  # it has a translation where it has words
WORDS_IN_FORMULA = re.compile(r"\\text\{[^}]* ")


def messages(path):
    """Return the pairs of original and translation of a .po file; an error if one is marked fuzzy."""
    text = path.read_text(encoding="utf-8")
    assert "#, fuzzy" not in text, path
    strings = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
    pairs = re.findall(rf"^msgid {strings}^msgstr {strings}", text + "\n", re.MULTILINE)
    assert len(pairs) == text.count("msgid "), path
    pairs = [tuple("".join(map(ast.literal_eval, string.split("\n"))) for string in map(str.strip, pair)) for pair in pairs]
    return [pair for pair in pairs if pair[0]]


def prose(path):
    """Return the text of a page, without its code and the signs at the beginning of its lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        blocks = re.findall(r'\Ar?"""((?s:.*?))"""|^# %%.*\n((?:#.*\n?)*)', text, re.MULTILINE)
        text = "\n\n".join(doc or re.sub(r"^# ?", "", comment, flags=re.MULTILINE) for doc, comment in blocks)
    return text


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize("page", PAGES)
def test_catalogue_is_that_of_the_page(page):
    """`make translations` brings it up to date."""
    text = words(FORMULA.sub(lambda found: found[0] if WORDS_IN_FORMULA.search(found[0]) else "", prose(PAGES[page])))
    for original, _ in messages(CATALOGUES / "docs" / "learn" / f"{page}.po"):
        assert words(original) in text, original
        text = text.replace(words(original), " ", 1)
    assert not re.search(r"[A-Za-z]{2,}", re.sub(r"\.\. \w+::", "", text)), text


@pytest.mark.parametrize("page", PAGES)
def test_everything_is_translated(page):
    for original, translation in messages(CATALOGUES / "docs" / "learn" / f"{page}.po"):
        assert re.search("[가-힣]", translation), original
        assert not re.search(r"[`*][가-힣]", re.sub(r":\w+:`[^`]*`|``[^`]*``|\*\*[^*]*\*\*", "`", translation)), (
            "no `\\ ` before Hangul"
        )
        if WORDS_IN_FORMULA.search(original):
            formulas = [re.sub(r"\\text\{[^}]*\}|\s", "", text) for text in (original, translation)]
            assert formulas[0] == formulas[1]
        else:
            assert Counter(MARKUP.findall(original)) == Counter(MARKUP.findall(translation)), original


def test_words_of_pictures_keep_their_numbers():
    for original, translation in messages(CATALOGUES / "pictures.po"):
        numbers = [f"<{n}>" for n in range(original.count("{}"))]
        assert sorted(re.findall(r"<\d>", translation.format(*numbers))) == numbers, original
        if translation != original or re.search("[a-z]{2,} [a-z]{2,}", original):  # names stay as they are
            assert re.search("[가-힣]", translation), original


def test_what_the_site_says_is_translated():
    for original, translation in messages(CATALOGUES / "sphinx.po"):
        assert re.search("[가-힣]", translation), original

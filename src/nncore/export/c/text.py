"""How names, numbers, arrays and comments are spelt in C, so that C99 and C++ compilers read exactly what was meant."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

import numpy as np

from ..._checks import text
from ...errors import ArgumentError

_GLUE = "\1"  # stands for a blank at which no line ends
WIDTH = 100  #: characters in a line of the file
_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const const_cast
constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto
if inline int long main mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
reinterpret_cast restrict return short signed sizeof static static_assert static_cast struct switch template this thread_local
throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
#: Words that are no names in C99 or C++17, and main.
RESERVED = frozenset(_WORDS.split())
_LOCAL = """
acos asin atan atan2 ceil cos cosh erf erfc exp exp2 expm1 fabs floor fma fmax fmin fmod log log10 log1p log2 pow round sin sinh
sqrt tan tanh trunc expf expm1f logf log1pf tanhf erff erfcf sqrtf NAN INFINITY HUGE_VAL HUGE_VALF FP_NAN NULL EOF linux unix
i j k l m n o p rows work workspace state step t steps own
"""
#: Names that an argument must not have, because the body of a function may need what they stand for.
TAKEN = RESERVED | frozenset(_LOCAL.split())


def checked_name(owner: str, value: object) -> str:
    """Return the prefix of all names in a file, or raise ArgumentError if it is no name in C and C++."""
    name = text(owner, "name", value)
    hint = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or "__" in name:
        good = f", such as {hint if hint[:1].isalpha() else 'net_' + hint!r}" if hint else ""
        raise ArgumentError(
            f"{owner}: name must be a name in C{good}: letters of English, digits and single _, a letter first, not {value!r}"
        )
    if len(name) > 200:
        raise ArgumentError(f"{owner}: name has {len(name)} characters; at most 200 are possible")
    if name in RESERVED:
        raise ArgumentError(f"{owner}: name is {name!r}, a word of the language C or C++; take another, such as '{name}_net'")
    return name


def identifier(wanted: str, otherwise: str = "value") -> str:
    """Return a name as near as possible to a text of any characters."""
    name = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_")
    name = re.sub(r"__+", "_", name) or otherwise
    return f"{otherwise}_{name}" if name[0].isdigit() else name


def number(value: float, ctype: str) -> str:
    """Return the literal of a number: the shortest that is read as exactly this one. Infinity and NaN are quotients."""
    kind, end = (np.float32, "f") if ctype == "float" else (np.float64, "")
    given = kind(value)
    if np.isnan(given):
        return f"(0.0{end} / 0.0{end})"
    if np.isinf(given):
        return f"({'-' if given < 0 else ''}1.0{end} / 0.0{end})"
    shortest = repr(given.item()) if ctype == "double" else str(given)
    return f"{shortest if any(c in shortest for c in '.e') else shortest + '.0'}{end}"


def numbers(array: np.ndarray, ctype: str) -> list[str]:
    """Return the literals of all numbers of an array, floating or whole ones."""
    if array.dtype.kind != "f":
        return list(map(str, array.ravel().tolist()))
    if not np.isfinite(array).all():
        return [number(value, ctype) for value in array.ravel()]
    if ctype == "double":
        return list(map(repr, array.ravel().tolist()))
    return [f"{value}f" for value in map(str, array.ravel())]


def listed(items: Iterable[str], indent: str = "    ") -> str:
    """Return items with commas between them, in lines."""
    lines, line = [], indent  # textwrap would take minutes for millions of numbers
    for item in items:
        if len(line) + len(item) >= WIDTH and line != indent:
            lines.append(line.rstrip())
            line = indent
        line += f"{item}, "
    return "\n".join([*lines, line.removesuffix(", ")])


def comment(said: str, indent: str = "") -> str:
    """Return a comment. What could end it, or is no letter, digit or ASCII, is replaced: layers may have any name."""
    clean = "".join(c if " " <= c <= "~" or (c.isalnum() and not c.isascii()) else "?" for c in said)
    clean = clean.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?").replace("\\", "|")
    glued = re.sub(r" (?=[^\[\]]*\])", _GLUE, clean)
    lines = textwrap.wrap(glued, WIDTH - len(indent) - 6, break_on_hyphens=False)
    return (f"{indent}/* " + f"\n{indent} * ".join(lines) + " */").replace(_GLUE, " ")


def wrapped(line: str) -> str:
    """Return a statement, in several lines if it is long. A pointer stays with its type, and an index is not torn apart."""
    if len(line) <= WIDTH or line.lstrip().startswith("/*"):
        return line
    indent = re.match(" *", line).group() + "    "  # type: ignore[union-attr]
    glued = re.sub(r"(?<=\w) (?=\*\w)|(?<=\bconst) | (?=[^\[\]]*\])", _GLUE, line[len(indent) - 4 :])
    filled = textwrap.fill(line[: len(indent) - 4] + glued, WIDTH, subsequent_indent=indent, break_long_words=False)
    return filled.replace(_GLUE, " ")

"""The file put together: what other files see, and then constants, functions, the workspace and the public functions."""

from __future__ import annotations

from typing import NamedTuple

from ... import _core
from . import text
from .program import Body, Program


class Function(NamedTuple):
    """A function that runs the network."""

    said: str  #: a comment for its declaration; "" for one that other files do not see
    signature: str  #: without a semicolon
    lines: list[str]  #: its statements


class Assembly:
    """The parts of a file.

    Parameters
    ----------
    program : Program
        Constants and functions.
    of_caller : bool
        Whether the caller gives the workspace, as the last argument of each function.

    Attributes
    ----------
    macros : list of (name, value, comment)
        Sizes that other files see.
    types : list of str
        Definitions of types that other files see.
    functions : list of Function
        The public functions.
    bodies : list of Body
        The functions that need the workspace, after `Body.finish`.
    said : list of (label, text)
        More lines for the comment at the top.
    tail : str
        What comes after the functions.
    state_size : int
        How many numbers the struct with recurrent states has; 0: there is none.
    """

    def __init__(self, program: Program, of_caller: bool) -> None:
        self.program, self.of_caller = program, of_caller
        self.macros: list[tuple[str, int, str]] = []
        self.types: list[str] = []
        self.functions: list[Function] = []
        self.bodies: list[Body] = []
        self.said: list[tuple[str, str]] = []
        self.tail = ""
        self.state_size = 0

    # What functions need ------------------------------------------------------------------------------------------------------

    @property
    def workspace(self) -> str:
        """The name of the workspace within functions."""
        return "workspace" if self.of_caller else f"{self.program.name}_workspace"

    def signature(self, name: str, *arguments: str) -> str:
        """Return the signature of a public function, with the workspace if the caller gives it."""
        pointers = [*arguments, f"{self.program.ctype} *workspace"] if self.of_caller else arguments
        return text.wrapped(f"void {self.program.name}_{name}({', '.join(pointers)})")

    def call(self, name: str, *arguments: str) -> str:
        """Return a call of a public function from another one."""
        return f"{self.program.name}_{name}({', '.join([*arguments, 'workspace'] if self.of_caller else arguments)});"

    # Figures ------------------------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many numbers the workspace has. One of the caller has a state too, for predictions of whole sequences."""
        return max((body.workspace_size for body in self.bodies), default=0) + self.state_size * self.of_caller

    @property
    def flash(self) -> int:
        return sum(each.nbytes for each in self.program.constants.values())

    @property
    def ram(self) -> int:
        return (self.size + self.state_size * (not self.of_caller)) * int(self.program.dtype.itemsize)

    @property
    def state(self) -> int:
        return self.state_size * int(self.program.dtype.itemsize)

    @property
    def multiply_adds(self) -> int:
        """Those of the first function, which predicts."""
        return self.bodies[0].multiply_adds

    # Text ---------------------------------------------------------------------------------------------------------------------

    def header(self) -> str:
        """Return the text of the header."""
        guard = f"{self.program.name.upper()}_H"
        return f"{self._title()}\n#ifndef {guard}\n#define {guard}\n\n{_for_cpp(self._declarations())}\n#endif\n"

    def source(self, header: str | None) -> str:
        """Return the text of the file. header: the name of a header that it includes instead of declaring its functions itself."""
        p = self.program
        parts = [self._title(), "".join(f"#include <{each}>\n" for each in sorted(p.headers))]
        parts.append(f'#include "{header}"\n' if header else _for_cpp(self._declarations()))
        if any("_RESTRICT" in each for each in p.routines.values()):
            parts.append(_restrict(p.name.upper()))
        parts += _section("Weights", [each.declared() for each in p.constants.values()])
        parts += _section("Functions of layers", [*p.routines.values()])
        parts.append(_section("The network", [""])[0])
        if self.size and not self.of_caller:
            said = text.comment("Results of layers. Those that are not needed at the same time share memory.")
            parts.append(f"{said}\nstatic {p.ctype} {self.workspace}[{self.size}];\n")
        parts += [f"{each.signature}\n{{\n" + "\n".join(each.lines) + "\n}\n" for each in self.functions]
        return "\n".join(part for part in (*parts, self.tail) if part)

    def _title(self) -> str:
        lines = [
            f"{self.program.name}: a neural network in C99, written by nncore {_core.__version__}.",
            "",
            f"    flash          {self.flash:>10} bytes of constants; code comes in addition",
            f"    RAM            {self.ram:>10} bytes of workspace",
            f"    multiply-adds  {self.multiply_adds:>10} for a prediction",
            *(f"    {label:13}  {said}" for label, said in self.said),
        ]
        if self.state:
            lines.insert(4, f"    state          {self.state:>10} bytes for each sequence that goes on by steps")
        return "/* " + "\n".join(f" * {line}".rstrip() for line in lines)[3:] + "\n */\n"

    def _declarations(self) -> str:
        macros = list(self.macros)
        if self.of_caller:
            macros.append((f"{self.program.name.upper()}_WORKSPACE_SIZE", max(self.size, 1), "numbers in the workspace"))
        lines = [f"#define {name} {value} {text.comment(said)}\n" for name, value, said in macros]
        types = [f"\n{each}" for each in self.types]
        functions = [f"\n{text.comment(each.said)}\n{each.signature};\n" for each in self.functions if each.said]
        return "".join([*lines, *types, *functions])


def _section(title: str, parts: list[str]) -> list[str]:
    """Return parts of the file with a title before them, if there are any."""
    return [f"/* {title} {'-' * (text.WIDTH - len(title) - 7)} */\n", *parts] if parts else []


def _for_cpp(declarations: str) -> str:
    return f'#ifdef __cplusplus\nextern "C" {{\n#endif\n\n{declarations}\n#ifdef __cplusplus\n}}\n#endif\n'


def _restrict(upper: str) -> str:
    return (
        f"#ifndef __cplusplus\n#define {upper}_RESTRICT restrict\n#elif defined(__GNUC__) || defined(_MSC_VER)\n"
        f"#define {upper}_RESTRICT __restrict\n#else\n#define {upper}_RESTRICT\n#endif\n"
    )

"""The self-test at the end of a file: with -DNAME_SELFTEST it has a main that compares a few outputs with those of nncore.

The inputs are random. The outputs are those of a network with the weights that the file has, so that they differ by rounding alone.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...network.network import Network
from ...network.stream import Stream
from ..samples import samples
from ..walk import Walk
from . import text
from .rounding import predicted

if TYPE_CHECKING:
    from .assembly import Assembly
    from .model import Argument

_SAMPLES, _STEPS = 4, 8
_NUMBERS = 2000  # in the arrays of the self-test, unless one sample has more
#: Of the largest output: rounding is far below it, errors of code are far above.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}

_FRAME = """\
#ifdef UPPER_SELFTEST
/* The self-test: cc -DUPPER_SELFTEST this file -lm. It compares outputs with those of nncore for the same
 * inputs. They may differ by TOLERANCE of the largest. */
#include <stdio.h>

ARRAYS
static int NAME_selftest_compare(const char *what, int n, const TYPE *y, const TYPE *wanted, int size, TYPE most)
{
    for (int i = 0; i < size; i++) {
        const TYPE error = y[i] < wanted[i] ? wanted[i] - y[i] : y[i] - wanted[i];
        if (!(error <= most) && !(y[i] != y[i] && wanted[i] != wanted[i])) {
            printf("%s %d: output %d is %.9g, not %.9g\\n", what, n, i, (double)y[i], (double)wanted[i]);
            return 1;
        }
    }
    return 0;
}

int main(void)
{
    int wrong = 0;
BODY    if (!wrong) {
        printf("ok\\n");
    }
    return wrong;
}
#endif
"""


def selftest(a: Assembly, twin: Network, inputs: list[Argument], outputs: list[Argument]) -> str:
    """Return the text of the self-test.

    Parameters
    ----------
    a : Assembly
        The file, with its public functions.
    twin : Network
        A network with the numbers that the file has.
    inputs, outputs : list of Argument
        The arguments of ``NAME_predict``.
    """
    p, names = a.program, {each.signature.partition("(")[0].split()[-1] for each in a.functions}
    name, ctype, net = p.name, p.ctype, p.walk
    tolerance = TOLERANCE["float32" if "float32" in (net.dtype.name, p.dtype.name) else "float64"]
    made = _Test(name, ctype, tolerance)
    if a.of_caller:
        made.body.append(f"static {ctype} work[{name.upper()}_WORKSPACE_SIZE];")
    rng = np.random.default_rng(0)
    numbers = sum(each.size for each in (*inputs, *outputs))
    if numbers <= _NUMBERS or f"{name}_step" not in names:  # steps test long sequences too
        rows = _count(_SAMPLES, numbers)
        x = samples(net, [each.shape for each in inputs], rng, rows)
        _add_samples(made, x, predicted(twin, x if len(x) > 1 else x[0]), inputs, outputs, a.of_caller)
    if f"{name}_step" in names:
        _add_stream(made, net, twin, rng, a.of_caller)
    source = _FRAME.replace("ARRAYS\n", "\n".join([*made.arrays, ""])).replace(
        "BODY", "".join(f"{text.wrapped(f'    {line}')}\n" for line in made.body)
    )
    source = source.replace("TOLERANCE", f"{tolerance:g}").replace("UPPER", name.upper()).replace("NAME", name)
    return source.replace("TYPE", ctype)


def _count(most: int, numbers: int) -> int:
    return max(1, min(most, _NUMBERS // max(numbers, 1)))


class _Test:
    """The arrays of the self-test, and the statements of its main."""

    def __init__(self, name: str, ctype: str, tolerance: float) -> None:
        self.name, self.ctype, self.tolerance = name, ctype, tolerance
        self.arrays: list[str] = []
        self.body: list[str] = []

    def array(self, name: str, values: np.ndarray, ctype: str) -> str:
        """Add an array, and return its name."""
        name = f"{self.name}_selftest_{name}"
        numbers = [str(int(v)) if ctype == "int" else text.number(v, ctype) for v in values.ravel()]
        self.arrays.append(f"static const {ctype} {name}[{max(len(numbers), 1)}] = {{\n{text.listed(numbers or ['0'])}\n}};")
        return name

    def check(self, what: str, n: str, y: str, wanted: str, at: str, size: int, values: np.ndarray) -> str:
        """Return the statement that compares outputs. values: all that are wanted."""
        finite = np.abs(values[np.isfinite(values)])
        most = text.number(self.tolerance * float(finite.max(initial=0)) + float(np.finfo(np.float32).tiny), self.ctype)
        return f'wrong |= {self.name}_selftest_compare("{what}", {n}, {y}, {wanted} + {at}, {size}, {most});'


def _add_samples(
    t: _Test, x: list[np.ndarray], y: list[np.ndarray], inputs: list[Argument], outputs: list[Argument], of_caller: bool
) -> None:
    given = [t.array(f"{each.name}", values, each.ctype) for each, values in zip(inputs, x, strict=True)]
    wanted = [t.array(f"{each.name}_wanted", values, t.ctype) for each, values in zip(outputs, y, strict=True)]
    pointers = [f"{name} + i * {each.size}" for name, each in zip(given, inputs, strict=True)]
    found = [f"found_{k}" for k in range(len(outputs))]
    t.body += [f"static {t.ctype} {name}[{max(each.size, 1)}];" for name, each in zip(found, outputs, strict=True)]
    t.body.append(f"for (int i = 0; i < {len(x[0])}; i++) {{")
    t.body.append(f"    {t.name}_predict({', '.join([*pointers, *found, *['work'] * of_caller])});")
    for name, truth, each, values in zip(found, wanted, outputs, y, strict=True):
        what = "sample" if len(outputs) == 1 else f"{each.name} of sample"
        t.body.append(f"    {t.check(what, 'i', name, truth, f'i * {each.size}', each.size, values)}")
    t.body.append("}")


def _add_stream(t: _Test, net: Walk, twin: Network, rng: np.random.Generator, of_caller: bool) -> None:
    features = net.values[0].shape[1:]
    steps = _count(_STEPS, sum(int(np.prod(shape)) for shape in (features, *twin.output_shapes)))
    (x,) = samples(net, [(steps, *features)], rng, 1)
    y = streamed(twin, x)[0]
    given = t.array("steps", x, "int" if 0 in net.indices else t.ctype)
    wanted, size = t.array("steps_wanted", y, t.ctype), y.shape[1]
    work = ", work" * of_caller
    t.body += [
        f"static {t.name}_state state;",
        f"static {t.ctype} found[{size}];",
        f"{t.name}_reset(&state);",
        f"for (int t = 0; t < {steps}; t++) {{",
        f"    {t.name}_step(&state, {given} + t * {int(np.prod(features))}, found{work});",
        f"    {t.check('step', 't', 'found', wanted, f't * {size}', size, y)}",
        "}",
    ]


def streamed(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the outputs [streams, steps, outputs] of streams, one step after the other."""
    face: Any = SimpleNamespace(_network=network)
    stream = Stream(face, len(x))
    found = [np.array(stream.step(x[:, t])).reshape(len(x), -1) for t in range(x.shape[1])]
    return np.stack(found, 1)

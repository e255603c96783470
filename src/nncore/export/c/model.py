"""to_c: a network as one C file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..._checks import choice, flag, float_dtype, whole
from ...errors import ArgumentError, NotBuiltError, ShapeError, shown
from ...network.network import Network
from ...records import Shape
from ...saving import atomic
from ..axes import shapes_for
from ..walk import Walk, walk
from . import text
from .assembly import Assembly, Function
from .layers import LAYERS
from .program import Body, Program
from .rounding import RoundingError, rounded_tensors, rounding_error, twin
from .selftest import selftest
from .sizes import with_open_time
from .streams import add_stream, in_order, is_stream
from .weights import FORMATS

WORKSPACES = ("static", "caller")


class Argument(NamedTuple):
    """An input or an output of the C function."""

    name: str  #: in C
    shape: Shape
    ctype: str  #: of a number: "float" or "double", or "int" for inputs that are indices
    macro: str  #: the name of the constant with its size

    @property
    def size(self) -> int:
        """How many numbers a sample has."""
        return prod(self.shape)


class CFile:
    """A network as C source text, which `Model.to_c` returns.

    Attributes
    ----------
    source : str
        The C file.
    header : str
        The declarations alone, for other files to include.
    flash : int
        The bytes of the constants. Code comes in addition.
    ram : int
        The bytes of the workspace, and of the state of the sequence that ``NAME_predict`` runs through. Local variables on the
        stack come in addition.
    state : int
        The bytes of a ``NAME_state``; 0 if the network has none.
    multiply_adds : int
        How many multiplications with a weight a prediction of one sample takes.
    inputs, outputs : list of Argument
        The arguments of ``NAME_predict``: name, shape, ctype, and the macro with the size.
    name : str
        The prefix of all names in the file.
    error : RoundingError or None
        How far results are from those of the model because weights are rounded: ``max`` and ``mean``, as shares of the standard
        deviation ``of`` the outputs on the data for calibration; without data, of the weights. None if weights are not rounded.

    Examples
    --------
    >>> import nncore as nn
    >>> found = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).to_c(name="iris")
    >>> found.flash, found.ram, found.inputs[0].macro
    (268, 32, 'IRIS_INPUT_SIZE')
    >>> "void iris_predict(const float *x, float *y);" in found.header
    True
    """

    def __init__(
        self,
        assembly: Assembly,
        header: str | None,
        inputs: list[Argument],
        outputs: list[Argument],
        error: RoundingError | None = None,
    ) -> None:
        self.name = assembly.program.name
        self.source, self.header = assembly.source(header), assembly.header()
        self.flash, self.ram, self.multiply_adds = assembly.flash, assembly.ram, assembly.multiply_adds
        self.inputs, self.outputs, self.error = inputs, outputs, error
        self.state = assembly.state

    def __repr__(self) -> str:
        error = f", error={str(self.error)!r}" if self.error else ""
        return f"CFile({self.name!r}, flash={self.flash}, ram={self.ram}, multiply_adds={self.multiply_adds}{error})"


def to_c(
    network: Network,
    path: Any,
    name: Any,
    *,
    dtype: Any = None,
    time_steps: Any = None,
    header: Any = False,
    workspace: Any = "static",
    weights: Any = None,
    exp: Any = "libm",
    calibration: Any = None,
) -> CFile:
    """Return a network as a C file, and write it if there is a path; see `Model.to_c`."""
    name = text.checked_name("to_c", name)
    dtype = np.dtype(network.dtype if dtype is None else float_dtype("to_c", dtype))
    choice("to_c", "workspace", workspace, WORKSPACES)
    choice("to_c", "exp", exp, ("libm", "fast"))
    choice("to_c", "weights", weights, (None, *FORMATS))
    path = None if path is None else atomic.checked_path("to_c", path, ".c")
    header_path = _header_path(path, header)
    if path is not None and header_path is not None and os.path.realpath(path) == os.path.realpath(header_path):
        raise ArgumentError(f"to_c: path and header are the same file, {path!r}; the C file usually ends in '.c'")
    if calibration is not None and weights is None:
        raise ArgumentError("to_c: calibration is data on which the error of rounded weights is measured; it needs weights=")
    plain = walk(network, "to_c")
    net = plain._replace(tensors=rounded_tensors(plain, weights))
    shapes = _shapes(network, net, time_steps)
    every = 0
    if is_stream(net):
        net, every = in_order(net)
    p = Program(net, name, dtype, exp, weights)
    inputs, outputs = _arguments(p, shapes)
    assembly = Assembly(p, workspace == "caller")
    assembly.macros += [(each.macro, each.size, f"{each.name} {list(each.shape)}") for each in (*inputs, *outputs)]
    one_step = shapes_for(network, [(1, *inputs[0].shape[1:])]) if every else None
    if one_step is None:
        _add_predict(assembly, shapes, inputs, outputs, not network.plan.mixing())
    else:
        add_stream(assembly, one_step, every, inputs[0], outputs[0], LAYERS)
    _add_batch(assembly, inputs, outputs)
    given = twin(network, net.tensors)
    error = None if weights is None else rounding_error(network, given, plain, calibration)
    if error is not None:
        assembly.said += [("weights", weights), ("error", str(error))]
    assembly.tail = selftest(assembly, given, inputs, outputs)
    header_name = header_path and os.path.basename(header_path)
    found = CFile(assembly, header_name, inputs, outputs, error)
    if path is not None:
        atomic.write(path, [found.source.encode()])
    if header_path is not None:
        atomic.write(header_path, [found.header.encode()])
    return found


def _header_path(path: str | None, header: Any) -> str | None:
    if isinstance(header, str | os.PathLike):
        return atomic.checked_path("to_c", header)
    if not flag("to_c", "header", header):
        return None
    if path is None:
        raise ArgumentError(
            "to_c: header=True writes a file beside the C file, so it needs a path; the text is the result's .header"
        )
    return os.path.splitext(path)[0] + ".h"


def _shapes(network: Network, net: Walk, time_steps: Any) -> list[Shape]:
    """Return the shapes of all values for a number of time steps. In C, sizes are fixed."""
    timed = [i for i in range(len(net.input_names)) if net.values[i].axes[:1] not in ((), ("",))]
    if time_steps is None:
        if timed and not network.built:
            raise NotBuiltError("to_c: the number of time steps is not known; pass time_steps=, or call model.build(input_shape)")
        return [value.shape for value in net.values]
    if not timed:
        raise ArgumentError("to_c: time_steps is given, but the model has no input whose number of time steps may be another one")
    names = [net.input_names[i] for i in timed]
    if isinstance(time_steps, Mapping):
        if {*time_steps} != {*names}:
            raise ArgumentError(f"to_c: time_steps must have the inputs with time steps, {names}, not {shown([*time_steps])}")
        steps = {i: whole("to_c", f"time_steps[{n!r}]", time_steps[n]) for i, n in zip(timed, names, strict=True)}
    else:
        steps = dict.fromkeys(timed, whole("to_c", "time_steps", time_steps))
    inputs = [(steps[i], *v.shape[1:]) if i in steps else v.shape for i, v in enumerate(net.values[: len(net.input_names)])]
    shapes = shapes_for(network, inputs)
    if shapes is None:
        raise ShapeError(
            f"to_c: the model takes no inputs with time_steps={shown(time_steps)}; inputs that are joined need as many"
        )
    return shapes


def _arguments(p: Program, shapes: list[Shape]) -> tuple[list[Argument], list[Argument]]:
    net, taken = p.walk, {*text.TAKEN}

    def arguments(names: list[str], values: list[int], plain: str, of_one: str) -> list[Argument]:
        found = []
        for name, value in zip(names, values, strict=True):
            wanted, n = (plain if len(names) == 1 else text.identifier(name, of_one)), 2
            own = wanted
            while own in taken or re.fullmatch(r"h\d+", own):  # h1, h2 are buffers
                own, n = f"{wanted}_{n}", n + 1
            taken.add(own)
            macro = p.unique(f"{of_one if len(names) == 1 else own}_size".lower()).upper()
            ctype = "int" if of_one == "input" and value in net.indices else p.ctype
            found.append(Argument(own, shapes[value], ctype, macro))
        return found

    inputs = arguments(net.input_names, list(range(len(net.input_names))), "x", "input")
    return inputs, arguments(net.output_names, net.outputs, "y", "output")


def _add_predict(a: Assembly, shapes: list[Shape], inputs: list[Argument], outputs: list[Argument], takes_lengths: bool) -> None:
    """Add the function that predicts a sample, and for recurrent networks that take lengths one for shorter sequences."""
    p = a.program
    is_recurrent = any(step.op.kind == "recurrent" for step in p.walk.steps)
    open_shapes = with_open_time(p.walk, shapes, "steps") if is_recurrent and takes_lengths else None
    body = Body(p, open_shapes or shapes, [each.name for each in inputs])
    body.run(p.walk.steps, lambda b, step: LAYERS[step.op.kind](b, step))
    body.finish([each.name for each in outputs])
    a.bodies.append(body)
    given, results = [f"const {each.ctype} *{each.name}" for each in inputs], [f"{each.ctype} *{each.name}" for each in outputs]
    lines = body.statements(a.workspace)
    if a.of_caller and not body.workspace_size:
        lines.insert(0, "    (void)workspace;")
    if open_shapes is not None and p.walk.timed is not None:
        macro = f"{p.name.upper()}_TIME_STEPS"
        a.macros.append((macro, shapes[p.walk.timed][0], "time steps of a whole sequence"))
        signature = a.signature("predict_steps", *given, "int steps", *results)
        if not any(re.search(r"\bsteps\b", line) for line in lines):  # where only first steps are read
            lines.insert(0, "    (void)steps;")
        a.functions.append(Function(f"Predict a shorter sequence: 1 <= steps <= {macro}.", signature, lines))
        lines = [text.wrapped(f"    {a.call('predict_steps', *(e.name for e in inputs), macro, *(e.name for e in outputs))}")]
    a.functions.append(Function("Predict one sample.", a.signature("predict", *given, *results), lines))


def _add_batch(a: Assembly, inputs: list[Argument], outputs: list[Argument]) -> None:
    """Add the function that predicts several samples."""
    given, results = [f"const {each.ctype} *{each.name}" for each in inputs], [f"{each.ctype} *{each.name}" for each in outputs]
    each = [*inputs, *outputs]
    loop = [
        "    for (int i = 0; i < rows; i++) {",
        text.wrapped(f"        {a.call('predict', *(one.name for one in each))}"),
        *(f"        {one.name} += {one.macro};" for one in each),
        "    }",
    ]
    said = "Predict rows samples, which lie one after another."
    a.functions.append(Function(said, a.signature("predict_batch", *given, "int rows", *results), loop))

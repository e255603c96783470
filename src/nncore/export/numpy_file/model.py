"""to_numpy: a network as one Python file."""

from __future__ import annotations

import base64
from itertools import groupby
from typing import Any

import numpy as np

from ... import _core
from ...errors import SizeError
from ...graph import Graph
from ...network.network import Network
from ...saving import atomic
from ..samples import cases
from ..walk import Walk, walk
from .layers import LAYERS
from .sources import functions, names_in, needed
from .writer import Writer, plain, quoted, shape_text

_LARGEST = 2**30  # the parser of Python needs several times as much
_COLUMNS = 120  # of base64
#: How far the outputs of the self-test may be from those of nncore, relative to the largest. A wrong number is further away.
_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
_MODULES = ("argparse", "base64", "functools", "io", "math", "sys")
_IGNORED = 'with np.errstate(over="ignore", invalid="ignore", divide="ignore"):'


def to_numpy(network: Network, path: Any) -> str:
    """Return a network as a Python program, and write it to a file if there is a path; see `Model.to_numpy`."""
    if path is not None:
        atomic.checked_path("to_numpy", path, ".py")
    net = walk(network, "to_numpy")
    if (size := sum(array.nbytes for array in net.tensors.values())) > _LARGEST:
        raise SizeError(f"to_numpy: the parameters have {size} bytes, but at most {_LARGEST} go into a Python file; use model.save")
    connections = network.connections
    text = _text(network, net, isinstance(connections, Graph) and connections.by_name)
    if path is not None:
        atomic.write(path, [text.encode("utf-8")])
    return text


def _text(network: Network, net: Walk, by_name: bool) -> str:
    program = functions("program")
    w = Writer(net, {*functions("functions"), *program, "W", "lengths", "states", "_"})
    network_parts = [_forward(w), _predict(w, by_name)]  # before the functions, which are those that it calls
    network_parts += [program["Stream"]] if _has_streams(net) else []
    left_out = {"Stream", *(["checked_lengths"] if net.timed is None else [])}
    parts = [
        _constants(net),
        _section("What the layers compute"),
        *(functions("functions")[name] for name in needed("functions", w.used)),
        _section("The network"),
        *network_parts,
        _section("Checks, the self-test, and the program"),
        *(text for name, text in program.items() if text.startswith("def ") and name not in {*left_out, "forward", "predict"}),
        _section("Weights, and samples with their outputs: base64 of little-endian numbers"),
        _weights(w),
        _cases(network, net),
        'if __name__ == "__main__":\n    main()',
    ]
    body = "\n\n\n".join(parts).replace("#\n\n\n", "#\n\n")
    read = names_in(body)
    imports = [f"import {name}" for name in _MODULES if name in read]
    return "\n".join([_head(net, w.names_of_inputs(), by_name), "", *imports, "", "import numpy as np", "", f"{body}\n"])


def _has_streams(net: Walk) -> bool:
    return not net.no_stream and any(step.op.kind == "recurrent" for step in net.steps)


def _section(title: str) -> str:
    return f"# {title} {'-' * (108 - len(title))}"


def _head(net: Walk, names: list[str], by_name: bool) -> str:
    """The first paragraph: what the file is, and how it is used."""
    outputs = ", ".join(map(plain, net.output_names))
    several = "" if len(net.outputs) == 1 else "a dict of " if by_name else "a list of "
    arrays = [f"    {name}: {shape_text(net.values[i])}" for i, name in enumerate(names)]
    arrays += [f"    {plain(name)}: {shape_text(net.values[i])}" for name, i in zip(net.output_names, net.outputs, strict=True)]
    streams = ["", "Stream takes one time step after another."] if _has_streams(net) else []
    files = " ".join(f"{name}.npy" for name in names)
    return "\n".join(
        [
            f'"""{plain(net.label)}: a neural network, in NumPy. Written by nncore {_core.__version__}; it does not need nncore.',
            "",
            f"predict({', '.join(names)}{', lengths=None' if net.timed is not None else ''}) returns {several}{outputs}:",
            *arrays,
            *streams,
            "",
            "As a program, the outputs of samples in files, as .npy or as text, and a test of this file:",
            f"    python net.py {files} > outputs.{'npy' if len(net.outputs) == 1 else 'npz'}",
            f"    python net.py {files.replace('npy', 'csv')} > outputs.csv",
            "    python net.py --selftest",
            "",
            "Python 3.9 and NumPy 1.22, or newer ones.",
            '"""',
        ]
    )


def _constants(net: Walk) -> str:
    """What the checks read: names, shapes and types."""
    inputs = []
    for i, name in enumerate(net.input_names):
        sizes = [quoted(axis) if axis else str(size) for axis, size in zip(net.values[i].axes, net.values[i].shape, strict=True)]
        shape = ", ".join(['"N"', *sizes]) if sizes else '"N",'
        kind = "None),  # indices" if i in net.indices else f'"{net.dtype.name}"),'
        inputs.append(f"    {quoted(name)}: (({shape}), {kind}")
    return "\n".join(
        [
            "INPUTS = {  # shape and type; sizes that are words are free",
            *inputs,
            "}",
            f"OUTPUTS = [{', '.join(map(quoted, net.output_names))}]",
            f"TOLERANCE = {_TOLERANCE[net.dtype.name]}  # of the self-test, relative to the largest output",
        ]
    )


def _forward(w: Writer) -> str:
    """The function that computes the network, layer by layer."""
    net = w.walk
    names = w.names_of_inputs()
    if _has_streams(net):
        w.line("states = {} if states is None else states")
    for _, group in groupby(net.steps, key=lambda step: step.op.name):
        steps = list(group)
        w.lines.append(w.comment(steps))
        for step in steps:
            w.store(step, LAYERS[step.op.kind](w, step))
            w.follow_time(step)
    results = []
    for value in net.outputs:
        counts = w.counts(value)
        result = w.values[value] + (".copy()" if value < len(names) else "")  # inputs are the caller's
        results.append(result if counts == "None" else w.call("without_padding", result, counts))
    w.line(f"return {results[0] if len(results) == 1 else '[' + ', '.join(results) + ']'}")
    more = ["lengths=None"] if net.timed is not None else []
    more += ["states=None"] if _has_streams(net) else []
    body = [f"    {line}" for line in w.lines]
    return "\n".join([f"def forward({', '.join([*names, *more])}):", *body])


def _predict(w: Writer, by_name: bool) -> str:
    net = w.walk
    names = w.names_of_inputs()
    said = [f"{name}: {shape_text(net.values[i])}" for i, name in enumerate(names)]
    lines = [f'"""Return the outputs for samples. {"; ".join(said)}.']
    timed = net.timed is not None
    sequences = [name for i, name in enumerate(names) if timed and net.values[i].timeline]
    if timed:
        lines += [
            "",
            f"lengths: [N], the valid time steps of {' and '.join(sequences)}. The rest is padding, which is 0 in outputs.",
            '"""',
        ]
    else:
        lines[0] += '"""'
    several = len(names) > 1
    lines.append(f"{', '.join(names)} = checked({', '.join(names)})" if several else f"({names[0]},) = checked({names[0]})")
    if timed:
        lines.append(f"lengths = checked_lengths(lengths, {', '.join(sequences)})")
        lines += [f"{name} = {w.call('without_padding', name, 'lengths')}" for name in sequences]
    lines.append(_IGNORED)
    call = f"forward({', '.join([*names, *(['lengths'] if timed else [])])})"
    if by_name:
        call = f"dict(zip(OUTPUTS, {call if len(net.outputs) > 1 else f'[{call}]'}))"
    lines.append(f"    return {call}")
    return "\n".join(
        [f"def predict({', '.join([*names, *(['lengths=None'] if timed else [])])}):", *(f"    {line}".rstrip() for line in lines)]
    )


def _array(array: np.ndarray, indent: str) -> str:
    """A call of the function array in the file."""
    encoded = base64.b64encode(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()).decode("ascii")
    if len(encoded) <= _COLUMNS - 20:
        return f'array({array.shape!r}, "{encoded}", "{array.dtype.name}")'
    lines = "\n".join(encoded[i : i + _COLUMNS] for i in range(0, len(encoded), _COLUMNS))
    return f'array({array.shape!r}, """\n{lines}\n{indent}""", "{array.dtype.name}")'


def _weights(w: Writer) -> str:
    entries = [f"    {quoted(name)}: {_array(w.walk.tensors[name], '    ')},\n" for name in w.weights]
    return f"W = {{\n{''.join(entries)}}}" if entries else "W = {}"


def _cases(network: Network, net: Walk) -> str:
    entries = []
    for inputs, lengths, outputs in cases(network, net):
        given, expected = (f"[{', '.join(_array(each, '        ') for each in arrays)}]" for arrays in (inputs, outputs))
        options = "{}" if lengths is None else f'{{"lengths": {lengths.tolist()}}}'
        entries.append(f"    ({given}, {options}, {expected}),\n")
    return f"CASES = [  # inputs, options, outputs\n{''.join(entries)}]"

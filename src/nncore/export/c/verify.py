"""verify_c: compile a file of to_c, run it, and compare its results with those of the model."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..._checks import shown, whole
from ...errors import ArgumentError, CompilerError, FileFormatError, ShapeError
from ...network.network import Network
from ...records import Shape
from ...saving import atomic
from ..axes import shapes_for
from ..samples import outputs_for, samples
from ..walk import Walk, walk
from . import harness
from .rounding import difference, predicted, rounded_tensors, twin
from .selftest import streamed
from .weights import FORMATS

_SHORTER = 16  # sequences of other lengths
_LONGEST = 4000  # characters of what a compiler says
_SECONDS = 600.0  # for one run of a program
_TYPES = {"float": "float32", "double": "float64", "int": "int32"}


class CReport(NamedTuple):
    """What `verify_c` found.

    An error in ULP is ``max |c - model| / (eps * max |model|)`` over all samples and numbers of an output, and the largest of all
    outputs. ``eps`` is 2^-23 if the file or the model computes in float32, else 2^-52. If the file has rounded weights, the model
    is one with the same weights; what the rounding does is `rounding`.
    """

    samples: int  #: how many random inputs were compared
    steps: int  #: how many time steps of streams were compared
    ulp: float  #: the largest error in ULP
    largest: float  #: the largest absolute error
    rounding: (
        float  #: the largest difference from the model with its own weights, as a share of the largest output; 0 if not rounded
    )
    command: str  #: with which the file was compiled


class _Source(NamedTuple):
    """What verify_c reads in a file."""

    name: str
    ctype: str
    weights: str | None
    inputs: list[tuple[str, str, Shape]]  #: type, name, shape
    outputs: list[tuple[str, str, Shape]]
    workspace: str  #: the macro with its size, or ""
    streams: bool
    steps: bool  #: whether there is a NAME_predict_steps


def verify_c(
    model: Any,
    path: str | os.PathLike[str],
    cc: str = "gcc",
    n: int = 1000,
    flags: str | Sequence[str] | None = None,
    run: str | Sequence[str] = (),
    seed: int = 0,
) -> CReport:
    """Compile a file of `Model.to_c`, run all of its functions with random inputs, and compare the results with the model's.

    Parameters
    ----------
    model : Model
        The model that was written.
    path : str or path-like
        The C file. It is compiled in a temporary folder, which is removed.
    cc : str
        The compiler, perhaps with options: "gcc", "clang", "g++", "aarch64-linux-gnu-gcc -static".
    n : int
        How many samples, and how many time steps of streams, if the file has ``NAME_step``. If it has ``NAME_predict_steps``, 16
        sequences of other lengths are compared besides.
    flags : str or sequence of str, optional
        Options of the compiler. None: ``-std=c99 -O2``; if the name of the compiler ends in ``++``, ``-std=c++17 -O2``.
    run : str or sequence of str
        The emulator that runs the program of a cross-compiler, such as "qemu-aarch64 -L /usr/aarch64-linux-gnu".
    seed : int
        Of the random inputs: normal numbers, and indices for embeddings.

    Returns
    -------
    CReport
        ``ulp``, the largest error in ULP, and what else was found.

    Raises
    ------
    CompilerError
        There is no such compiler or emulator, the file does not compile, or the program fails. The message has their words.
    FileFormatError
        The file was not written by `Model.to_c`.
    ShapeError
        The file is not that of this model: inputs or outputs have other shapes.
    ArgumentError
        An argument is out of range.

    Examples
    --------
    >>> import os, tempfile
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.c")
    ...     _ = model.to_c(path)
    ...     report = nn.export.verify_c(model, path)
    >>> report.samples, report.ulp < 4
    (1000, True)
    """
    network: Network = _network_of(model)
    n, seed = whole("verify_c", "n", n), whole("verify_c", "seed", seed, 0)
    compiler, emulator = _words("cc", cc), _words("run", run)
    if not compiler:
        raise ArgumentError("verify_c: cc must name a compiler, such as 'gcc'")
    if flags is None:
        flags = ["-std=c++17" if compiler[0].endswith("++") else "-std=c99", "-O2"]
    path = atomic.checked_path("verify_c", path)
    source = _read(path)
    net = walk(network, "verify_c")
    _require_shapes(network, net, source)
    command = [*compiler, *_words("flags", flags)]
    given = twin(network, rounded_tensors(net, source.weights))
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        program = _Program(folder, emulator, source)
        found = _Comparison(np.float32 if "float32" in (net.dtype.name, _TYPES[source.ctype]) else np.float64)
        sizes = None
        if source.streams:
            for steps in (n, 7, 7, 7):  # several streams, so that a reset is tested
                (x,) = samples(net, [(steps, *net.values[0].shape[1:])], rng, 1)
                program.streams.append((x, streamed(given, x)[0]))
            sizes = prod(net.values[0].shape[1:]), program.streams[0][1].shape[1]
        shorter = _Shorter(given, net, source, rng) if source.steps else None
        program.build(command, os.path.abspath(path), sizes, shorter)
        inputs = samples(net, [shape for _, _, shape in source.inputs], rng, n)
        wanted = predicted(given, inputs if len(inputs) > 1 else inputs[0])
        found.add(program.predict(inputs), wanted)
        if shorter is not None:
            found.add(program.predict(shorter.x, shorter), shorter.wanted)
        if source.weights:
            found.compare_rounding(wanted, predicted(network, inputs if len(inputs) > 1 else inputs[0]))
        if source.streams:
            found.add(program.stream(), [np.concatenate([y for _, y in program.streams])])
        steps = sum(x.shape[1] for x, _ in program.streams)
    return CReport(n, steps, found.ulp, found.largest, found.rounding, shlex.join(command))


def _network_of(model: Any) -> Network:
    network = getattr(model, "_network", None)
    if not isinstance(network, Network):
        raise ArgumentError(f"verify_c: model must be a Model, not {shown(model)}")
    return network


def _words(name: str, value: Any) -> list[str]:
    """Return the words of a command, which is a text or a sequence of texts."""
    if isinstance(value, str):
        return shlex.split(value)
    if isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return list(value)
    raise ArgumentError(f"verify_c: {name} must be a string or a sequence of strings, not {shown(value)}")


# The file -------------------------------------------------------------------------------------------------------------------------


def _read(path: str) -> _Source:
    """Return what a file says of itself, and the header that it includes."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: it is not text") from None
    title = re.match(r"/\* (\w+): a neural network in C99, written by nncore ", text)
    if title is None:
        raise FileFormatError(f"{path}: it does not begin with the comment of a file that model.to_c wrote")
    name = title.group(1)
    if (included := re.search(r'^#include "([^"\n]+)"$', text, re.M)) is not None:
        with open(os.path.join(os.path.dirname(path), included.group(1)), encoding="utf-8") as file:
            text = text.split("*/", 1)[0] + file.read()
    weights = re.search(r"^ \* +weights +(\w+)$", text, re.M)
    predict = re.search(rf"^void {name}_predict\(([^)]*)\);", text, re.M)
    streams = re.search(rf"^void {name}_step\(([^)]*)\);", text, re.M)
    shapes = {
        each: tuple(int(size) for size in re.findall(r"\d+", sizes))
        for each, sizes in re.findall(r"^#define \w+ \d+ /\* (\w+) \[([\d, ]*)\] \*/", text, re.M)
    }
    arguments = re.findall(r"(const )?(\w+) \*(\w+)", predict.group(1)) if predict else []
    of_caller = any(each == "workspace" for _, _, each in arguments)
    arguments = [each for each in arguments if each[2] != "workspace"]
    if not predict or any(each not in shapes for _, _, each in arguments):
        raise FileFormatError(f"{path}: it has no declaration of {name}_predict with the sizes of its arguments")
    kind = weights.group(1) if weights else None
    if kind is not None and kind not in FORMATS:
        raise FileFormatError(f"{path}: weights of the format {kind} are not known; a newer nncore wrote it")
    split = {
        is_input: [(ctype, each, shapes[each]) for const, ctype, each in arguments if bool(const) == is_input]
        for is_input in (True, False)
    }
    ctype = "double" if re.search(rf"^void {name}_\w+\([^)]*double \*", text, re.M) else "float"
    return _Source(
        name,
        ctype,
        kind,
        split[True],
        split[False],
        f"{name.upper()}_WORKSPACE_SIZE" if of_caller else "",
        streams is not None,
        f"void {name}_predict_steps(" in text,
    )


def _require_shapes(network: Network, net: Walk, source: _Source) -> None:
    """Raise ShapeError if the file takes or gives other shapes than the model."""
    inputs = [shape for _, _, shape in source.inputs]
    own = [value.shape for value in net.values[: len(net.input_names)]]
    open_axes = [value.axes for value in net.values[: len(net.input_names)]]
    fits = len(inputs) == len(own) and all(
        len(a) == len(b) and all(x == y or axis for x, y, axis in zip(a, b, axes, strict=True))
        for a, b, axes in zip(inputs, own, open_axes, strict=True)
    )
    shapes = shapes_for(network, inputs) if fits else None
    outputs = None if shapes is None else [tuple(shapes[i]) for i in net.outputs]
    if outputs != [shape for _, _, shape in source.outputs]:
        raise ShapeError(
            f"verify_c: the file is not of this model: it takes {inputs} and gives {[shape for _, _, shape in source.outputs]}, "
            f"and the model takes {own}"
        )


class _Shorter:
    """Sequences of other lengths, and their outputs: up to that of the file, or if it has streams, longer ones, too."""

    def __init__(self, given: Network, net: Walk, source: _Source, rng: np.random.Generator) -> None:
        self.inputs, self.outputs, at = source.inputs, source.outputs, net.timed or 0
        most = source.inputs[at][2][0]
        if source.streams:
            most += 3
            is_timed = net.values[net.outputs[0]].timeline is not None
            self.inputs = [(ctype, name, (most, *shape[1:])) for ctype, name, shape in source.inputs]
            self.outputs = [(c, name, (most, *shape[1:]) if is_timed else shape) for c, name, shape in source.outputs]
        self.x = samples(net, [shape for *_, shape in self.inputs], rng, _SHORTER)
        self.lengths = rng.integers(1, most + 1, _SHORTER)
        self.wanted = [np.zeros((_SHORTER, *shape), net.dtype) for *_, shape in self.outputs]
        for i, n in enumerate(self.lengths):
            row = [each[i : i + 1] for each in self.x]
            found = outputs_for(given, [row[0][:, :n]]) if source.streams else outputs_for(given, row, self.lengths[i : i + 1])
            for all_of, one in zip(self.wanted, found, strict=True):
                all_of[i, : one.shape[1]] = one[0]


# The program ----------------------------------------------------------------------------------------------------------------------


class _Program:
    """The file and a main that reads inputs and writes outputs."""

    def __init__(self, folder: str, emulator: list[str], source: _Source) -> None:
        self.folder, self.emulator, self.source = folder, emulator, source
        self.streams: list[tuple[np.ndarray, np.ndarray]] = []
        self.sizes = (0, 0)

    def build(self, command: list[str], path: str, sizes: tuple[int, int] | None, shorter: _Shorter | None) -> None:
        """sizes: the numbers of an input and an output of a step of a stream, if there are streams."""
        s, self.sizes = self.source, sizes or (0, 0)
        main = self._at("main.c")
        with open(main, "w", encoding="utf-8") as file:
            of_steps = (shorter.inputs, shorter.outputs) if shorter is not None else None
            file.write(harness.written(path, s.name, s.ctype, s.inputs, s.outputs, s.workspace, sizes, of_steps))
        self._call("compiling", [*command, "-o", self._at("main"), main, "-lm"])

    def predict(self, x: list[np.ndarray], shorter: _Shorter | None = None) -> list[np.ndarray]:
        """Return the outputs of samples, or of sequences of other lengths."""
        outputs = self.source.outputs if shorter is None else shorter.outputs
        arrays = [] if shorter is None else [shorter.lengths.astype("int32").reshape(-1, 1)]
        arrays += [
            each.astype(_TYPES[ctype]).reshape(len(each), -1) for each, (ctype, _, _) in zip(x, self.source.inputs, strict=True)
        ]
        given = b"".join(each[i].astype(each.dtype.newbyteorder("<")).tobytes() for i in range(len(x[0])) for each in arrays)
        kind = np.dtype(_TYPES[self.source.ctype]).newbyteorder("<")
        sizes = [prod(shape) for _, _, shape in outputs]
        what = "predict" if shorter is None else "steps"
        rows = self._run(what, [len(x[0])], given, kind, len(x[0]) * sum(sizes)).reshape(len(x[0]), sum(sizes))
        return np.split(rows, np.cumsum(sizes)[:-1], axis=1)

    def stream(self) -> list[np.ndarray]:
        kind = np.dtype(_TYPES[self.source.ctype]).newbyteorder("<")
        of_input = np.dtype("<i4") if np.issubdtype(self.streams[0][0].dtype, np.integer) else kind
        given = b"".join(x.astype(of_input).tobytes() for x, _ in self.streams)
        steps = [x.shape[1] for x, _ in self.streams]
        found = self._run("stream", [len(steps), *steps], given, kind, sum(steps) * self.sizes[1])
        return [found.reshape(-1, self.sizes[1])]

    def _run(self, what: str, counts: list[int], given: bytes, kind: np.dtype, numbers: int) -> np.ndarray:
        with open(self._at("in"), "wb") as file:
            file.write(np.array(counts, "<i4").tobytes() + given)
        open(self._at("out"), "wb").close()
        self._call(f"running {what}", [*self.emulator, self._at("main"), what, self._at("in"), self._at("out")])
        found = np.fromfile(self._at("out"), kind)
        if len(found) != numbers:
            raise CompilerError(f"verify_c: running {what} gave {len(found)} numbers instead of {numbers}")
        return found

    def _at(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _call(self, what: str, command: list[str]) -> None:
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, cwd=self.folder)
        except OSError as error:
            raise CompilerError(f"verify_c: {command[0]!r} cannot be run ({error.strerror}); install it, or pass another") from None
        except subprocess.TimeoutExpired:
            raise CompilerError(f"verify_c: {what} took more than {_SECONDS:g} seconds: {shlex.join(command)}") from None
        if done.returncode:
            words = (done.stderr + done.stdout).decode(errors="replace").strip()
            words = words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."
            raise CompilerError(f"verify_c: {what} failed with status {done.returncode}: {shlex.join(command)}\n{words}")


class _Comparison:
    """The largest errors so far."""

    def __init__(self, dtype: Any) -> None:
        self.eps = float(np.finfo(dtype).eps)
        self.ulp = self.largest = self.rounding = 0.0

    def add(self, found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
        for one, other in zip(found, wanted, strict=True):
            largest, share = _difference(one, other.reshape(one.shape))
            self.largest, self.ulp = max(self.largest, largest), max(self.ulp, share / self.eps)

    def compare_rounding(self, found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
        self.rounding = max(_difference(one, other)[1] for one, other in zip(found, wanted, strict=True))


def _difference(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Return the largest difference of two arrays, and as a share of the largest number."""
    largest = float(difference(found, wanted).max(initial=0))
    scale = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0))
    return largest, 0.0 if largest == 0 else largest / scale if scale > 0 else np.inf

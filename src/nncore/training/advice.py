"""Advice of ``compile``: warnings about models that can be trained, but cannot learn what they are meant to.

`CHECKS` has one entry per mistake. An entry looks at one output: its loss, its width, and what computes it, with the least and the
greatest value that this gives. Where that is not known, as with a layer written in Python, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from .._checks import warn
from ..losses import Crossentropy, GaussianNLL, Loss, PythonLoss
from ..metrics import TopKAccuracy
from ..records import Op, ParameterOptions

if TYPE_CHECKING:
    from ..network.network import Network
    from .configuration import Configuration

#: The least and the greatest value of each activation, rounded outwards. See `_range` for those that depend on attributes.
_RANGES = {
    "step": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, inf),
    "softplus": (0.0, inf),
    "gelu": (-0.2, inf),
    "gelu_tanh": (-0.2, inf),
    "silu": (-0.3, inf),
    "log_softmax": (-inf, 0.0),
    "leaky_relu": (-inf, inf),
    "selu": (-1.8, inf),
    "hardsigmoid": (0.0, 1.0),
    "hardswish": (-0.4, inf),
    "mish": (-0.4, inf),
    "log_sigmoid": (-inf, 0.0),
    "exp": (0.0, inf),
    "hardshrink": (-inf, inf),
    "softshrink": (-inf, inf),
    "tanhshrink": (-inf, inf),
}
#: The ops that give any number.
_UNBOUNDED = ("linear", "maxout", "batch_norm", "layer_norm", "embedding")
_CELLS = ("tanh", "relu", "gru", "lstm", "gru_before")  # the order of nnc_cell
_SOFTMAX = ("softmax", "log_softmax")
_SIGMOIDS = ("sigmoid", "hardsigmoid")
_ENDS = ("softmax", "sigmoid")  #: those that take any number
#: The ops that give only numbers that they are given, but for noise in training.
_PASSING = ("flatten", "reshape", "permute", "repeat_vector", "pool", "dropout", "gaussian_noise")
_FLAT = 2.0  #: logits within (-1, 1), as of tanh, cannot express a probability near 0 or 1


class End(NamedTuple):
    """What computes an output, and its least and greatest number."""

    code: str  #: the activation, if it is one
    text: str  #: the activation, or "a linear layer" or the like; "" if nothing is known
    low: float = -inf
    high: float = inf
    is_recurrent: bool = False


_UNKNOWN = End("", "")
_FREE = {kind: End("", f"a {kind} layer".replace("_", " ")) for kind in _UNBOUNDED}


class Output(NamedTuple):
    """What the checks look at."""

    loss: Loss
    width: int
    last: End
    scores: End  #: what a last Softmax or Sigmoid gets

    @property
    def end(self) -> str:
        return self.last.code

    @property
    def low(self) -> float:
        return self.last.low

    @property
    def high(self) -> float:
        return self.last.high

    @property
    def over_classes(self) -> bool:
        """Whether the loss is a cross-entropy over exclusive classes."""
        return self.loss.targets in ("classes", "one_hot") and self.loss.name != "categorical_hinge"

    @property
    def is_crossentropy(self) -> bool:
        return self.over_classes or self.loss.targets == "probabilities"

    @property
    def remedy(self) -> str:
        added = f"add {self.between}{'Softmax' if self.over_classes else 'Sigmoid'}"
        return f"{added}, or use from_logits=True" if isinstance(self.loss, Crossentropy) else added

    @property
    def between(self) -> str:
        """What a recurrent layer needs before an activation, as its own results are limited."""
        return "Linear and " if self.last.is_recurrent else ""

    @property
    def freed(self) -> str:
        end = self.scores if self.scores.text else self.last
        return "add Linear" if end.is_recurrent else f"leave {end.text} out"


def _squeezes_logits(out: Output) -> bool:
    """Whether the logits are so limited that some probabilities cannot be expressed."""
    return bool(
        out.is_crossentropy and out.loss.from_logits and out.end not in (*_SIGMOIDS, "softmax") and _squeezes(out, out.last)
    )


def _squeezes_scores(out: Output) -> bool:
    """The same of what Softmax or Sigmoid makes probabilities of."""
    ends = ("softmax",) if out.over_classes else ("sigmoid",)
    return bool(out.is_crossentropy and not out.loss.from_logits and out.end in ends and _squeezes(out, out.scores))


def _squeezes(out: Output, scores: End) -> bool:
    if out.over_classes:
        return scores.code == "relu" or scores.high - scores.low <= _FLAT
    return scores.low > -_FLAT or scores.high < _FLAT


#: What is wrong, and what to say of it.
CHECKS: tuple[tuple[Callable[[Output], bool], str], ...] = (
    (
        lambda out: out.end in _SOFTMAX and out.width == 1,
        "{end} over one output is always the same; use Sigmoid with binary_crossentropy, or one output per class",
    ),
    (
        lambda out: out.loss.targets == "probabilities" and out.end in _SOFTMAX and out.width > 1,
        "{loss} is for independent outputs, but {end} makes them exclusive; use categorical_crossentropy, or Sigmoid",
    ),
    (
        lambda out: out.over_classes and not out.loss.from_logits and out.end in _SIGMOIDS and out.width > 1,
        "{loss} takes probabilities that add up to 1, but the model ends in {end}; use Softmax, or binary_crossentropy",
    ),
    (
        lambda out: out.is_crossentropy and out.loss.from_logits and out.end in (*_SIGMOIDS, "softmax"),
        "{loss}(from_logits=True) takes logits, but the model ends in {end}; leave one of the two out",
    ),
    (
        lambda out: out.is_crossentropy and not out.loss.from_logits and (out.low < 0 or out.high > 1),
        "{loss} takes probabilities, but the model ends in {end}; {remedy}",
    ),
    (_squeezes_logits, "{loss}(from_logits=True) takes any number, but {end} gives only some of them; {freed}"),
    (_squeezes_scores, "{end} takes any number, but {scores} gives only some of them; {freed}"),
    (
        lambda out: out.loss.name == "poisson" and not out.loss.from_logits and out.low < 0,
        "poisson takes rates, which are positive, but the model ends in {end}; add {between}Softplus",
    ),
    (
        lambda out: isinstance(out.loss, GaussianNLL) and not out.loss.log_variance and out.low < 0,
        "{loss}(log_variance=False) takes positive variances, but the model ends in {end}; use log_variance=True",
    ),
    (
        lambda out: out.loss.targets == "signs" and out.end != "step" and (out.low >= 0 or out.high <= 0),
        "{loss} takes scores of both signs, but the model ends in {end}; leave it out",
    ),
)


def advise(network: Network, config: Configuration, options: Sequence[ParameterOptions]) -> None:
    """Warn of each output that cannot learn what its loss asks for, and of parameters that get no gradient."""
    if config.log_keys != ["loss"]:
        for name, shape in zip(config.names, network.output_shapes, strict=True):
            _advise_on_top_k(config, name, shape[-1] if shape else 1)
    for name, said in mismatches(network, config):
        warn((f"{name}: " if len(config.names) > 1 else "") + said)
    if blocked := _behind_steps(network, options):
        names = ", ".join(blocked[:3]) + (", ..." if blocked[3:] else "")
        warn(
            f"Step passes no gradient, so {names} will not be trained; use Sigmoid, or for a perceptron the loss 'perceptron' "
            "without Step"
        )


def mismatches(network: Network, config: Configuration) -> Iterator[tuple[str, str]]:
    """Yield the outputs that cannot learn what their losses ask for, by name, and what is wrong."""
    for name, loss, value, shape in zip(config.names, config.losses, network.plan.outputs, network.output_shapes, strict=True):
        if isinstance(loss, PythonLoss) or not (last := end_of(network, value)).text:
            continue
        out = Output(loss, shape[-1] if shape else 1, last, _scores(network, value) if last.code in _ENDS else _UNKNOWN)
        takes_any = loss.targets == "values" and loss.name != "poisson" and out.end not in _SOFTMAX  # no check says anything then
        if not takes_any and (said := next((text for is_wrong, text in CHECKS if is_wrong(out)), "")):
            words = {"end": last.text, "scores": out.scores.text, "remedy": out.remedy, "between": out.between, "freed": out.freed}
            yield name, said.format(loss=loss.name, **words)


def _advise_on_top_k(config: Configuration, name: str, width: int) -> None:
    """Warn of a top-k accuracy that is always 1. A single score is that of one of two classes."""
    classes = max(2, width)
    for metric in config.metrics[config.names.index(name)]:
        if isinstance(metric, TopKAccuracy) and metric.k >= classes:
            warn(f"{metric.name} with k={metric.k} is always 1 over {classes} classes; pass TopKAccuracy(k=...) with a smaller k")


def end_of(network: Network, value: int) -> End:
    """Return what computes a value, and its least and greatest number."""
    plan, first = network.plan, len(network.input_shapes)
    while value >= first:
        op: Op = plan.ops[value - first]
        if op.kind in _UNBOUNDED:
            return _FREE[op.kind]
        written = type(network.layers[plan.owners[value - first]]).__name__
        if op.kind in _PASSING or op.code == "identity":
            value = op.inputs[0]
        elif op.kind == "activation":
            limits = _range(op)
            return End(op.code, _name(op.code, written), *limits) if limits else _UNKNOWN
        elif op.kind == "recurrent":
            return _recurrent(op, written)
        elif op.kind in ("prelu", "glu") or (op.kind == "add" and len(op.inputs) == 1):
            return _changed(op, written, end_of(network, op.inputs[0]))
        else:
            break
    return _UNKNOWN


def _scores(network: Network, value: int) -> End:
    """Return what computes the input of the activation behind which a value is the same."""
    plan, first = network.plan, len(network.input_shapes)
    while (op := plan.ops[value - first]).kind != "activation" or op.code == "identity":
        value = op.inputs[0]
    return end_of(network, op.inputs[0])


def _name(code: str, written: str) -> str:
    """Return the name of an activation: that of the registry, or that of the class if several classes share it."""
    return written if code == "hardtanh" and written.lower() != code else code


def _recurrent(op: Op, written: str) -> End:
    """Return what is known of a recurrent layer. The state that an RNN or a GRU starts with may be any, and reach its results."""
    cell = _CELLS[op.field("cell")]
    if cell == "relu":
        return End("", written, 0.0, inf, True)
    is_open = cell[:3] == "gru" and (len(op.inputs) > 1 or op.field("learn_initial_state"))
    return End("", written, -inf, inf, True) if is_open else End("", written, -1.0, 1.0, True)


def _changed(op: Op, written: str, inner: End) -> End:
    """Return what is known behind a layer that changes the numbers of another one."""
    if not inner.text:
        return inner
    if op.kind == "glu":  # times a number between 0 and 1
        return End("", written, min(inner.low, 0.0), max(inner.high, 0.0))
    if op.kind == "prelu":  # times any number if negative
        return inner if inner.low >= 0 else End("", written)
    scale, offset = op.field("first"), op.field("offset")
    if not scale:
        return _UNKNOWN
    low, high = sorted((inner.low * scale + offset, inner.high * scale + offset))
    text = f"{inner.text} times {scale:g}" if inner.code or inner.is_recurrent else inner.text
    return End("", text + (f" {'+' if offset > 0 else '-'} {abs(offset):g}" if offset and text != inner.text else ""), low, high)


def _range(op: Op) -> tuple[float, float] | None:
    """Return the least and the greatest value of an activation, or None if it is not in the tables."""
    if op.code == "hardtanh":
        return op.attributes[0], op.attributes[1]
    if op.code in ("elu", "celu"):
        return -op.attributes[0], inf
    return _RANGES.get(op.code)


def _behind_steps(network: Network, options: Sequence[ParameterOptions]) -> list[str]:
    """Return the names of the trainable parameters whose gradients all end at a Step."""
    ops, first = network.plan.ops, len(network.input_shapes)
    if "step" not in [op.code for op in ops]:
        return []

    def reached(stop: bool) -> set[int]:
        found: set[int] = set()
        waiting = [value - first for value in network.plan.outputs if value >= first]
        while waiting:
            i = waiting.pop()
            if i in found or (stop and ops[i].code == "step"):
                continue
            found.add(i)
            waiting += [value - first for value in ops[i].inputs if value >= first]
        return found

    lost = reached(stop=False) - reached(stop=True)
    # A layer that is called several times has its parameters at the first call.
    saved = {ops[i].shares for i in reached(stop=True) if ops[i].shares >= 0}
    named = zip(network.named_parameters("compile"), options, strict=True)
    return [name for (name, p), option in named if option.trainable and p.op in lost and p.op not in saved]

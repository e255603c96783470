"""Small networks straight on the core, for tests: op records in, numbers out, nothing of the Python layers in between."""

from __future__ import annotations

import numpy as np

from nncore import _core
from nncore.records import COMMON_SUMS, LossSpec, Op, OptimizerSpec, OutputStatistics, ParameterOptions, StatisticSpec

#: Values for the attributes of ops, by name; an op with a new attribute needs a value here.
VALUES = {
    "threshold": 0.1,
    "negative_slope": 0.15,
    "alpha": 0.8,
    "beta": 1.3,
    "min_val": -0.7,
    "max_val": 0.9,
    "delta": 0.6,
    "label_smoothing": 0.1,
    "lambd": 0.2,
    "value": -0.3,
    "gamma": 1.5,
    "focal_alpha": 0.3,
    "eps": 1e-6,
    "full": 1.0,
    "log_variance": 1.0,
    "pos_weight[]": 2.5,  # one for all columns
    "class_alpha[]": 0.6,
    "quantile[]": 0.3,
}
#: Where one name means different things.
OWN_VALUES = {"softplus": {"threshold": 20.0}}
#: Where a derivative jumps; 0 for what is not listed, because a smooth function does not mind.
KINKS = {
    "hardtanh": (VALUES["min_val"], VALUES["max_val"]),
    "step": (VALUES["threshold"],),
    "softplus": (20.0 / VALUES["beta"],),
    "hardsigmoid": (-3.0, 3.0),
    "hardswish": (-3.0, 3.0),
    "hardshrink": (-VALUES["lambd"], VALUES["lambd"]),
    "softshrink": (-VALUES["lambd"], VALUES["lambd"]),
    "threshold": (VALUES["threshold"],),
}


def values(kind, name):
    """All attributes of an op by name, in the order of the registry."""
    (op,) = [o for o in _core.OPS[kind] if o["name"] == name]
    return {a: float({**VALUES, **OWN_VALUES.get(name, {})}[a]) for a in op["attributes"]}


def attributes(kind, name):
    """The numbers that a kernel gets; a name with [] stands for a count and so many."""
    return tuple(v for a, value in values(kind, name).items() for v in ((1.0, value) if a.endswith("[]") else (value,)))


def names(kind):
    return [op["name"] for op in _core.OPS[kind]]


def linear(name, value, fan_in, fan_out, bias=True):
    return Op.of("linear", name, (value,), in_features=fan_in, out_features=fan_out, has_bias=bias)


def activation(code, value, name=None):
    return Op.of("activation", name or code, (value,), code=code, **values("activation", code))


def dropout(value, p):
    return Op.of("dropout", "dropout", (value,), p=p)


def batch_norm(value, channels, affine=True, track=True, eps=1e-5, momentum=0.1, last=False):
    fields = {
        "num_features": channels,
        "affine": affine,
        "track_running_stats": track,
        "features_last": last,
        "eps": eps,
        "momentum": momentum,
    }
    return Op.of("batch_norm", "norm", (value,), **fields)


def add(*inputs, first=1.0, rest=1.0, offset=0.0):
    return Op.of("add", "add", inputs, first=first, rest=rest, offset=offset)


def multiply(a, b):
    return Op.of("multiply", "multiply", (a, b))


def maximum(a, b, minimum=False):
    return Op.of("maximum", "maximum", (a, b), is_minimum=minimum)


def concat(*inputs, axis=-1):
    return Op.of("concat", "concat", inputs, axis=axis)


def shared(op, value, owner):
    """The op once more, on another value, with the parameters of op number ``owner``."""
    return op._replace(inputs=(value,), shares=owner)


def layer_norm(value, *dims, weight=True, bias=True, eps=1e-5):
    return Op.of("layer_norm", "layer norm", (value,), has_weight=weight, has_bias=bias, normalized_shape=dims, eps=eps)


def gaussian_noise(value, stddev):
    return Op.of("gaussian_noise", "noise", (value,), stddev=stddev)


def prelu(value, slopes=1):
    return Op.of("prelu", "prelu", (value,), num_parameters=slopes)


def maxout(value, pieces):
    return Op.of("maxout", "maxout", (value,), pieces=pieces)


def glu(value):
    return Op.of("glu", "glu", (value,))


def permute(value, *dims):
    return Op.of("permute", "permute", (value,), dims=dims)


def repeat_vector(value, n):
    return Op.of("repeat_vector", "repeat", (value,), n=n)


def part(value, axis, start, stop, step=1):
    return Op.of("slice", "slice", (value,), axis=axis, start=start, stop=stop, step=step)


def take(value, axis, *indices):
    return Op.of("take", "take", (value,), axis=axis, indices=indices)


def reshape(value, *dims):
    return Op.of("reshape", "reshape", (value,), dims=dims)


def pool(value, mode):
    """mode: 0 mean, 1 max, 2 last."""
    return Op.of("pool", "pool", (value,), mode=mode)


def embedding(value, rows, dim, padding=-1):
    return Op.of("embedding", "embedding", (value,), num_embeddings=rows, embedding_dim=dim, padding_idx=padding)


def flatten(value, start=1, end=-1):
    return Op.of("flatten", "flatten", (value,), start_dim=start, end_dim=end)


def assemble(inputs, ops, outputs=None, dtype="float64", seed=7):
    """A network with drawn parameters; the draw does not depend on the dtype."""
    net = _core.Plan()
    net.assemble(inputs, ops, [len(inputs) + len(ops) - 1] if outputs is None else outputs, str(np.dtype(dtype)))
    net.seed = seed
    draw(net, np.random.default_rng(seed))
    return net


def draw(net, rng):
    for p in net.parameters():
        fan_in = p.value.shape[-1] if p.value.ndim > 1 else 4
        p.value[...] = (rng.uniform(-1, 1, p.value.shape) * np.sqrt(3 / fan_in)).astype(np.float32)


def twin(net, inputs, ops, outputs=None):
    """The same network in float64, its parameters bit for bit those of ``net``."""
    other = assemble(inputs, ops, outputs, "float64", net.seed)
    for p, q in zip(other.parameters(), net.parameters(), strict=True):
        p.value[...] = q.value
    other.step = net.step
    return other


SGD = OptimizerSpec("sgd", (0.0, 0.0, 0.0, 0.0))
ADAM = OptimizerSpec("adam", (0.9, 0.999, 1e-8, 0.0, 0.0))


#: What is counted by pairs of true and predicted class; and every kind of sum for targets that are class indices.
PAIRS = OutputStatistics((StatisticSpec("classes", "pairs"),))
ALL_OF_CLASSES = OutputStatistics(
    (
        *(StatisticSpec("classes", counted) for counted in ("right", "each", "pairs")),
        StatisticSpec("classes", "top", k=2),
        StatisticSpec("loss", loss=LossSpec("sparse_categorical_crossentropy", attributes=(0.0,))),
    )
)


def pairs(classes):
    """Return zeroed sums for `PAIRS`, and a view of the matrix in them."""
    sums = np.zeros(PAIRS.size(classes))
    return sums, sums[COMMON_SUMS:].reshape(classes, classes)


def compile_net(net, losses="mean_squared_error", optimizer=None, options=None, statistics=None):
    outputs = [losses] if isinstance(losses, (str, LossSpec)) else losses
    specs = [LossSpec(each, attributes=attributes("loss", each)) if isinstance(each, str) else each for each in outputs]
    net.compile(
        specs,
        optimizer or SGD,
        options or [ParameterOptions() for _ in net.parameters()],
        statistics or [OutputStatistics() for _ in specs],
    )
    return net


def mlp(dtype="float32", width=12):
    """6 numbers -> tanh, dropout -> 3 probabilities."""
    ops = [linear("a", 0, 6, width), activation("tanh", 1), dropout(2, 0.2), linear("b", 3, width, 3), activation("softmax", 4)]
    return assemble([(6,)], ops, dtype=dtype)


def classifier(dtype="float32", width=12):
    """`mlp`, compiled with cross-entropy, Adam and a confusion matrix."""
    spec = LossSpec("sparse_categorical_crossentropy", attributes=(0.0,))
    return compile_net(mlp(dtype, width), spec, ADAM, statistics=[PAIRS])


def problem(rng, rows=50, dtype="float32"):
    """Data for `classifier`."""
    return rng.normal(size=(rows, 6)).astype(dtype), rng.integers(0, 3, rows)


def train(net, x, y, *, steps=1, batch=None, lr=0.0, weight=None, order=None, first=0, statistics=None):
    """Run ``steps`` steps in row order, wrapping at the end of the data as fit does; return the loss of each."""
    x, y = (v if isinstance(v, list) else [v] for v in (x, y))
    n = len(x[0]) if order is None else len(order)
    batch = batch or n
    losses, rates = np.zeros(steps), np.full(steps, float(lr))
    weights = weight if weight is None or isinstance(weight, list) else [weight] * len(y)
    done = 0
    while done < steps:
        rest = steps - done, rates[done:], losses[done:]
        new = net.train(x, y, weights, order, batch, first, *rest, statistics or [None] * len(y))
        assert new > 0
        done += new
        first = first + new * batch
        if first >= n:
            first = 0
    return losses


def evaluate(net, x, y, weight=None, statistics=None):
    """[sum of row losses, what they count] of each output."""
    x, y = (v if isinstance(v, list) else [v] for v in (x, y))
    weights = weight if weight is None or isinstance(weight, list) else [weight] * len(y)
    sums, first = np.zeros((len(y), 2)), 0
    while first < len(x[0]):
        first = net.evaluate(x, y, weights, first, sums, statistics or [None] * len(y))
    return sums


def predict(net, x):
    x = x if isinstance(x, list) else [x]
    return net.forward(x, False)


def snapshot(net):
    """Copies of everything that training changes."""
    return {name: buffer.copy() for name, buffer in net.buffers().items()} | {"step": np.array(net.step)}


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for key in a:
        assert a[key].dtype == b[key].dtype, key
        assert a[key].tobytes() == b[key].tobytes(), f"{key} differs at {np.flatnonzero(a[key] != b[key])[:5]}"


def targets_for(loss, rng, rows, shape, dtype=np.float64):
    """Targets as a loss wants them: for index losses [rows, *lines], else [rows, *shape]."""
    lines, columns = shape[:-1], shape[-1]
    if loss.startswith("sparse_"):
        return rng.integers(0, columns, (rows, *lines))
    if loss in ("categorical_crossentropy", "categorical_hinge", "categorical_focal_crossentropy"):
        return np.eye(columns, dtype=dtype)[rng.integers(0, columns, (rows, *lines))]
    if loss == "kl_divergence":
        y = rng.uniform(0.1, 1, (rows, *shape))
        return (y / y.sum(-1, keepdims=True)).astype(dtype)
    if "binary" in loss:
        return rng.integers(0, 2, (rows, *shape)).astype(dtype)
    if loss in ("hinge", "perceptron", "squared_hinge"):
        return (2.0 * rng.integers(0, 2, (rows, *shape)) - 1).astype(dtype)
    return rng.uniform(0.5, 2, (rows, *lines, columns // 2 if loss == "gaussian_nll" else columns)).astype(dtype)

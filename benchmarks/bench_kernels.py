"""Every kernel of the registry, one call at a time, in both dtypes, against NumPy. The cases come from `_core.OPS`.
The recurrent ones stand in bench_recurrent.py."""

import numpy as np
import pytest
import twins

from nncore import _core
from nncore._core import kernels

SHAPE = (256, 512)  # a batch of a wide layer: half a megabyte in float32, so it lies in the second-level cache
CLASSES = 100
DTYPES = [pytest.param(np.float32, id="f32"), pytest.param(np.float64, id="f64")]

#: (m, n, k) of the products in the headline nets (forward NN, weight gradient TN) and two that are large.
NN = [(1, 128, 64), (32, 10, 10), (64, 128, 64), (64, 10, 64), (128, 512, 784), (128, 256, 512)]
NN += [(256, 2048, 1024), (256, 100, 2048), (512, 512, 512), (1024, 1024, 1024)]
TN = [(10, 10, 32), (64, 128, 64), (784, 512, 128), (512, 256, 128), (1024, 2048, 256), (2048, 100, 256)]


def op_ids(op):
    return op["name"]


def normal(*shape, dtype):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", _core.OPS["activation"], ids=op_ids)
def bench_activation_forward(versus, op, dtype):
    x, attr = normal(*SHAPE, dtype=dtype), twins.attributes(op)
    twin = twins.FORWARD.get(op["name"])
    versus(lambda: kernels.activation_forward(op["name"], x, attr), twin and (lambda: twin(x, *attr)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", _core.OPS["activation"], ids=op_ids)
def bench_activation_backward(versus, op, dtype):
    x, attr = normal(*SHAPE, dtype=dtype), twins.attributes(op)
    saved = x if op["saves"] == "input" else kernels.activation_forward(op["name"], x, attr)
    dy = normal(*SHAPE, dtype=dtype)
    twin = twins.BACKWARD.get(op["name"])
    versus(lambda: kernels.activation_backward(op["name"], dy, saved, attr), twin and (lambda: twin(dy, saved, *attr)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", _core.OPS["loss"], ids=op_ids)
def bench_loss(versus, op, dtype):
    name, attr, rng = op["name"], twins.attributes(op), np.random.default_rng(1)
    z = normal(SHAPE[0], CLASSES, dtype=dtype)
    if not name.endswith("_logits") and ("crossentropy" in name or "divergence" in name or name == "poisson"):
        z = kernels.activation_forward("softmax", z)
    if op["target"] == "index":
        target = rng.integers(0, CLASSES, (SHAPE[0], 1)).astype(dtype)
    elif name in ("hinge", "perceptron", "squared_hinge"):
        target = rng.choice([-1.0, 1.0], z.shape).astype(dtype)
    elif "categorical" in name:
        target = np.eye(CLASSES, dtype=dtype)[rng.integers(0, CLASSES, SHAPE[0])]
    else:
        target = rng.random(z.shape).astype(dtype) + dtype(0.01)
        target /= target.max()
        target = target[:, : CLASSES // 2] if op["target"] == "half" else target
    twin = twins.LOSS.get(name)

    def ours():
        row_loss, grad, pred = kernels.loss(name, z, target, attr=attr)
        return (row_loss, grad) if pred is None else (row_loss, grad, pred)

    versus(ours, twin and (lambda: twin(z, target, *attr)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", _core.OPS["optimizer"], ids=op_ids)
def bench_optimizer(versus, op, dtype):
    name, attr = op["name"], twins.attributes(op)
    grad, twin = normal(SHAPE[0] * SHAPE[1], dtype=dtype), twins.OPTIMIZER.get(name)

    def stepper(update):
        param, step = np.ones_like(grad), 0
        moments = [np.zeros_like(grad) for _ in range(op["moments"])]

        def call():
            nonlocal step
            step += 1
            update(param, moments, step)
            return param

        return call

    ours = stepper(lambda w, m, t: kernels.optimizer_step(name, w, grad, m, lr=1e-6, step=t, attr=attr))
    versus(ours, twin and stepper(lambda w, m, t: twin(w, grad, m, 1e-6, t, *attr)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", NN, ids=lambda s: "x".join(map(str, s)))
def bench_gemm_forward(versus, size, dtype):
    m, n, k = size
    a, b, bias, c, d = (normal(*s, dtype=dtype) for s in ((m, k), (k, n), (n,), (m, n), (m, n)))
    versus(lambda: kernels.gemm(a, b, bias, c), lambda: np.add(np.matmul(a, b, out=d), bias, out=d), atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", TN, ids=lambda s: "x".join(map(str, s)))
def bench_gemm_weight_gradient(versus, size, dtype):
    m, n, k = size
    a, b, c, d = (normal(*s, dtype=dtype) for s in ((k, m), (k, n), (m, n), (m, n)))
    versus(lambda: kernels.gemm(a, b, None, c, transpose_a=True), lambda: np.matmul(a.T, b, out=d), atol=1e-3)


@pytest.mark.parametrize("size", NN + TN, ids=lambda s: "x".join(map(str, s)))
def bench_bf16_product(versus, size):
    """Operands of bfloat16, which NumPy does not have, against its product of floats: the operands are rounded."""
    m, n, k = size
    x, w, c, d = (normal(*s, dtype=np.float32) for s in ((m, k), (k, n), (m, n), (m, n)))
    a, b = kernels.bf16_pack(x, "a"), kernels.bf16_pack(w, "b")
    versus(lambda: kernels.bf16_product(a, b, m, n, out=c), lambda: np.matmul(x, w, out=d), same=False)


@pytest.mark.parametrize("size", [(128, 512, 784), (256, 2048, 1024)], ids=lambda s: "x".join(map(str, s)))
def bench_bf16_product_to_operands(versus, size):
    """With a bias and relu, as both operands that training needs of it."""
    m, n, k = size
    x, w, bias, d = (normal(*s, dtype=np.float32) for s in ((m, k), (k, n), (n,), (m, n)))
    a, b = kernels.bf16_pack(x, "a"), kernels.bf16_pack(w, "b")
    versus(
        lambda: kernels.bf16_product(a, b, m, n, ("a", "at"), bias, True),
        lambda: np.maximum(np.add(np.matmul(x, w, out=d), bias, out=d), 0, out=d),
        same=False,
    )


@pytest.mark.parametrize("forms", [("a",), ("a", "at"), ("b", "bt")], ids="-".join)
def bench_bf16_pack(versus, forms):
    x = normal(*SHAPE, dtype=np.float32)
    versus(lambda: kernels.bf16_pack(x, forms), lambda: (x.view(np.uint32) >> 16).astype(np.uint16), same=False)


@pytest.mark.parametrize("size", [(784, 512, 128), (1024, 2048, 256)], ids=lambda s: "x".join(map(str, s)))
def bench_bf16_update(versus, size):
    """The gradient of a weight, a step of Adam, and the operands of the new weight."""
    m, n, k = size
    a, b = kernels.bf16_pack(normal(k, m, dtype=np.float32), "at"), kernels.bf16_pack(normal(k, n, dtype=np.float32), "b")
    w, *moments = (np.zeros((m, n), np.float32) for _ in range(3))
    versus(lambda: kernels.bf16_update("adam", w, a, b, moments, lr=1e-3, step=9, attr=(0.9, 0.999, 1e-8, 0.0, 0.0)), None)


def bench_bf16_column_sum(versus):
    x = normal(*SHAPE, dtype=np.float32)
    versus(lambda: kernels.bf16_column_sum(x), lambda: x.sum(0), rtol=1e-3, atol=1e-3)


def _gather(dtype):
    source = normal(4096, SHAPE[1], dtype=dtype)
    index = np.random.default_rng(1).permutation(4096)[: SHAPE[0]].astype(np.int64)
    return lambda: kernels.gather(source, index, np.dtype(dtype).name), lambda: source[index]


def _accumulate(dtype):
    x, y, z = normal(*SHAPE, dtype=dtype), np.zeros(SHAPE, dtype), np.zeros(SHAPE, dtype)

    def theirs():
        nonlocal z
        z += x

    return lambda: kernels.accumulate(y, x), theirs


def _dropout(dtype):
    x, rng = normal(*SHAPE, dtype=dtype), np.random.default_rng(0)
    # The masks differ, so the results cannot be compared.
    return (
        lambda: kernels.dropout(x, 0.5, (1, 2), (3, 4)),
        lambda: np.where(rng.random(SHAPE, np.float32) < 0.5, 0, x / dtype(0.5)),
    )


def _dropout_backward(dtype):
    dy, mask = normal(*SHAPE, dtype=dtype), np.zeros(SHAPE, np.int8)
    kept = kernels.dropout(np.ones_like(dy), 0.5, (1, 2), (3, 4), mask=mask) != 0
    return lambda: kernels.dropout_backward(dy, mask, 0.5), lambda: np.where(kept, dy / dtype(0.5), 0)


def _classes(dtype):
    z = normal(SHAPE[0], CLASSES, dtype=dtype)
    target = np.random.default_rng(1).integers(0, CLASSES, SHAPE[0])
    floats = target.astype(dtype)

    def theirs():
        guess = z.argmax(1)
        counts = [np.bincount(each, minlength=CLASSES) for each in (target[target == guess], target, guess)]
        return np.stack(counts, 1)

    return lambda: kernels.count_classes(z, floats, None, True, "each")[5:].reshape(CLASSES, 3), theirs


def _decisions(dtype):
    z, t = normal(SHAPE[0], CLASSES, dtype=dtype), (normal(SHAPE[0], CLASSES, dtype=dtype) > 0).astype(dtype)

    def theirs():
        guess, truth = z > 0, t > 0
        return np.stack([(guess & truth).sum(0), truth.sum(0), guess.sum(0)], 1)

    return lambda: kernels.count_decisions(z, t, None, "each", 0.0, 0.5)[5:].reshape(CLASSES, 3), theirs


def _residuals(dtype):
    z, t = normal(SHAPE[0], CLASSES, dtype=dtype), 1 + np.abs(normal(SHAPE[0], CLASSES, dtype=dtype))

    def theirs():
        e, shift = z - t, t[0]
        a = np.abs(e)
        columns = (np.full(CLASSES, float(len(z))), (e * e).sum(0), a.sum(0), (a / np.abs(t)).sum(0))
        return np.stack([*columns, (t - shift).sum(0), ((t - shift) ** 2).sum(0), shift], 1)

    return lambda: kernels.sum_residuals(z, t, None), theirs


def _norm(dtype):
    x, gamma, beta, dy = (normal(*shape, dtype=dtype) for shape in (SHAPE, SHAPE[1:], SHAPE[1:], SHAPE))
    return x, gamma, beta, dy, x.mean(0), 1 / np.sqrt(x.var(0) + dtype(1e-5))


def _norm_forward(dtype):
    x, gamma, beta, *_ = _norm(dtype)

    def theirs():
        mean = x.mean(0)
        d = x - mean
        rstd = 1 / np.sqrt((d * d).mean(0) + dtype(1e-5))
        return d * (rstd * gamma) + beta, mean, rstd

    return lambda: kernels.batch_norm_forward(x, gamma, beta), theirs


def _norm_backward(dtype):
    x, gamma, _, dy, mean, rstd = _norm(dtype)

    def theirs():
        normed = (x - mean) * rstd
        dgamma, dbeta = (dy * normed).sum(0), dy.sum(0)
        return gamma * rstd * (dy - (normed * dgamma + dbeta) / dtype(len(x))), dgamma, dbeta

    return lambda: kernels.batch_norm_backward(dy, x, mean, rstd, gamma), theirs


def _norm_in_parts(dtype):
    """Forward and backward by the kernels that take a chunk of rows, or all chunks of some channels."""
    x, gamma, beta, dy, *_ = _norm(dtype)
    (_, forward), (_, backward) = _norm_forward(dtype), _norm_backward(dtype)
    return lambda: kernels.batch_norm_in_parts(x, dy, gamma, beta), lambda: (*forward(), *backward())


def _max_norm(dtype):
    w, other = normal(*SHAPE, dtype=dtype), normal(*SHAPE, dtype=dtype)

    def theirs():
        norm = np.sqrt((other * other).sum(0))
        return np.multiply(other, np.minimum(1, 1 / norm), out=other)

    return lambda: kernels.max_norm(w, 1.0) or w, theirs


def _average(dtype):
    mean, other, w = np.zeros(SHAPE, dtype), np.zeros(SHAPE, dtype), normal(*SHAPE, dtype=dtype)

    def theirs():
        nonlocal other
        other += dtype(0.01) * (w - other)
        return other

    return lambda: kernels.average(mean, w, 0.99) or mean, theirs


def _layer_forward(dtype):
    x, gamma, beta, *_ = _norm(dtype)

    def theirs():
        d = x - x.mean(1, keepdims=True)
        rstd = 1 / np.sqrt((d * d).mean(1, keepdims=True) + dtype(1e-5))
        return d * rstd * gamma + beta

    return lambda: kernels.layer_norm_forward(x, gamma, beta)[0], theirs


def _layer_saved(dtype):
    x, gamma, _, dy, *_ = _norm(dtype)
    mean = x.mean(1)
    return x, gamma, dy, mean, 1 / np.sqrt(x.var(1) + dtype(1e-5))


def _layer_backward(dtype):
    x, gamma, dy, mean, rstd = _layer_saved(dtype)

    def theirs():
        normed, g = (x - mean[:, None]) * rstd[:, None], dy * gamma
        return rstd[:, None] * (g - g.mean(1, keepdims=True) - normed * (g * normed).mean(1, keepdims=True))

    return lambda: kernels.layer_norm_backward(dy, x, mean, rstd, gamma), theirs


def _layer_gradient(dtype):
    x, _, dy, mean, rstd = _layer_saved(dtype)
    return (
        lambda: kernels.layer_norm_gradient(dy, x, mean, rstd),
        lambda: ((dy * (x - mean[:, None]) * rstd[:, None]).sum(0), dy.sum(0)),
    )


def _words(dtype):
    bits = np.random.Philox(0)
    return lambda: kernels.random_words(0, 0, (1, 2), (3, 4), dtype), lambda: bits.random_raw(64)


def _noise(dtype):
    x, rng = normal(*SHAPE, dtype=dtype), np.random.default_rng(0)
    return lambda: kernels.gaussian_noise(x, 0.1, (1, 2), (3, 4)), lambda: x + dtype(0.1) * rng.standard_normal(x.shape, dtype)


def _prelu(kernel, twin):
    def make(dtype):
        dy, x, slope = normal(*SHAPE, dtype=dtype), normal(*SHAPE, dtype=dtype), normal(SHAPE[1], dtype=dtype)
        return lambda: kernel(dy, x, slope), lambda: twin(dy, x, slope)

    return make


def _maxout_backward(dtype):
    dy, x = normal(SHAPE[0], SHAPE[1] // 2, dtype=dtype), normal(*SHAPE, dtype=dtype)

    def theirs():
        pieces = x.reshape(len(x), 2, -1)
        return (dy[:, None] * (pieces == pieces.max(1, keepdims=True))).reshape(x.shape)

    return lambda: kernels.maxout_backward(dy, x, 2), theirs


def _pool_forward(dtype):
    x = normal(*SHAPE, dtype=dtype)
    return lambda: kernels.pool_forward(x, len(x), "mean"), lambda: x.mean(0)


def _pool_backward(dtype):
    x, dy = normal(*SHAPE, dtype=dtype), normal(1, SHAPE[1], dtype=dtype)
    y = x.max(0, keepdims=True)
    return lambda: kernels.pool_backward(dy, x, y, len(x), "max"), lambda: np.where(x == y, dy, 0)


def _embedding(dtype):
    table, index = normal(1000, 64, dtype=dtype), np.random.default_rng(0).integers(0, 1000, SHAPE)
    return table, index[:, :20], index[:, :20].astype(dtype)


def _embedding_forward(dtype):
    table, index, x = _embedding(dtype)
    return lambda: kernels.embedding_forward(x, table), lambda: table[index.ravel()]


def _embedding_gradient(dtype):
    table, index, x = _embedding(dtype)
    dy = normal(index.size, 64, dtype=dtype)

    def theirs():
        grad = np.zeros_like(table)
        np.add.at(grad, index.ravel(), dy)
        return grad

    return lambda: kernels.embedding_gradient(x, dy, len(table)), theirs


def _of_matrix(kernel, twin):
    def make(dtype):
        x = np.abs(normal(*SHAPE, dtype=dtype)) + dtype(1e-3)
        return lambda: kernel(x), lambda: twin(x)

    return make


KERNELS = {
    "transpose": _of_matrix(kernels.transpose, lambda x: np.ascontiguousarray(x.T)),
    "column_sum": _of_matrix(kernels.column_sum, lambda x: x.sum(0)),
    "linear_gradient": _of_matrix(
        lambda x: kernels.linear_gradient(x[:, :10], x[:, :10]), lambda x: (x[:, :10].T @ x[:, :10], x[:, :10].sum(0))
    ),
    "accumulate": _accumulate,
    "combine": _of_matrix(lambda x: kernels.combine(x, x, 1.0, 0.5, 0.0), lambda x: x + x.dtype.type(0.5) * x),
    "multiply": _of_matrix(lambda x: kernels.multiply(x, x), lambda x: x * x),
    "maximum": _of_matrix(lambda x: kernels.maximum(x, x), lambda x: np.maximum(x, x)),
    "maximum_backward": _of_matrix(
        lambda x: kernels.maximum_backward(x, x, x), lambda x: np.where(x < x, 0, x * x.dtype.type(0.5))
    ),
    "dropout": _dropout,
    "dropout_backward": _dropout_backward,
    "gather": _gather,
    "sum_squares": _of_matrix(kernels.sum_squares, lambda x: np.vdot(x, x)),
    "sum_changes": _of_matrix(lambda x: kernels.sum_changes(x, x), lambda x: (np.vdot(x, x), np.vdot(x - x, x - x))),
    "unit_sums": _of_matrix(
        lambda x: kernels.unit_sums(x, -1.0, 1.0),
        lambda x: np.stack([x.sum(0), (x * x).sum(0), (x == 0).sum(0), ((x < -1) | (x > 1)).sum(0)]),
    ),
    "count_classes": _classes,
    "count_decisions": _decisions,
    "sum_residuals": _residuals,
    "batch_norm_forward": _norm_forward,
    "batch_norm_backward": _norm_backward,
    "batch_norm_moments": _norm_in_parts,
    "sum_penalties": _of_matrix(kernels.sum_penalties, lambda x: (np.abs(x).sum(), np.vdot(x, x))),
    "max_norm": _max_norm,
    "average": _average,
    "layer_norm_forward": _layer_forward,
    "layer_norm_backward": _layer_backward,
    "layer_norm_gradient": _layer_gradient,
    "gaussian_noise": _noise,
    "random_words": _words,
    "prelu_forward": _prelu(lambda dy, x, a: kernels.prelu_forward(x, a), lambda dy, x, a: np.where(x > 0, x, a * x)),
    "prelu_backward": _prelu(kernels.prelu_backward, lambda dy, x, a: np.where(x > 0, dy, a * dy)),
    "prelu_gradient": _prelu(
        lambda dy, x, a: kernels.prelu_gradient(dy, x, True), lambda dy, x, a: np.where(x > 0, 0, dy * x).sum(0, dtype=x.dtype)
    ),
    "maxout_forward": _of_matrix(lambda x: kernels.maxout_forward(x, 2), lambda x: x.reshape(len(x), 2, -1).max(1)),
    "maxout_backward": _maxout_backward,
    "pool_forward": _pool_forward,
    "pool_backward": _pool_backward,
    "embedding_forward": _embedding_forward,
    "embedding_gradient": _embedding_gradient,
    "exp": _of_matrix(kernels.exp, np.exp),
    "log": _of_matrix(kernels.log, np.log),
}


#: Timed in cases of their own, or as a part of another's.
ELSEWHERE = ("gemm", "recurrent", "gru_before", "multiply_adds", "batch_norm_merge", "batch_norm_sums", "batch_norm_total")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [k for k in _core.OPS["kernel"] if not k["name"].startswith(ELSEWHERE)], ids=op_ids)
def bench_kernel(versus, op, dtype):
    assert op["name"] in KERNELS, "a new kernel has arguments of its own: add it to KERNELS in this file"
    ours, theirs = KERNELS[op["name"]](dtype)
    versus(ours, theirs, rtol=1e-3, atol=1e-3, same=op["name"] not in ("dropout", "gaussian_noise", "random_words", "accumulate"))


@pytest.mark.parametrize(("m", "n", "k"), [(1, 512, 784), (1, 2048, 2048), (64, 512, 784)])
def bench_int8_product(versus, m, n, k):
    """8-bit integers: NumPy has no such product."""
    x, w = normal(m, k, dtype=np.float32), normal(n, k, dtype=np.float32)
    packed = kernels.int8_pack(*kernels.int8_quantize_weight(w))
    rows, scale = kernels.int8_quantize(x)
    versus(lambda: kernels.int8_product(rows, scale, packed, n, k), None)


@pytest.mark.parametrize("shape", [(1, 784), (64, 784)])
def bench_int8_quantize(versus, shape):
    x = normal(*shape, dtype=np.float32)
    versus(lambda: kernels.int8_quantize(x), None)

"""The contestants: one net, written the way each library's careful user would write it for speed on a CPU.

A trainer gives ``losses(k)``, the loss of each of the first k steps from the common initial weights, and ``run(k)``, which does
about k steps and returns how many. A predictor gives ``predict()`` for one fixed row and ``run(k)`` for k calls on it. Everything
that can be made ready beforehand (tensors on the library's side, compiled functions, slices of the data) is made in the
constructor, outside every timing. A library that is not installed raises ImportError there; nothing stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from workloads import Workload

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class NumpyTrainer:
    """Preallocated buffers, one flat parameter vector, every operation in place. In float64 it is the truth for the others."""

    def __init__(self, work: Workload, dtype: type = np.float32) -> None:
        self.work = work
        parameters = [p.astype(dtype) for layer in self.initial(work) for p in layer]
        self.flat = np.concatenate([p.ravel() for p in parameters])
        self.flat_grad = np.zeros_like(self.flat)
        self.moments = [np.zeros_like(self.flat) for _ in range(2)]
        self.scratch = [np.empty_like(self.flat) for _ in range(2)]
        ends = np.cumsum([p.size for p in parameters])[:-1]
        views, grads = (
            [v.reshape(p.shape) for v, p in zip(np.split(a, ends), parameters, strict=True)] for a in (self.flat, self.flat_grad)
        )
        self.layers = list(zip(views[0::2], views[1::2], grads[0::2], grads[1::2], strict=True))
        x, y = work.data()
        self.values = [np.empty((work.batch, n), dtype) for n in work.sizes]
        self.deltas = [np.empty((work.batch, n), dtype) for n in work.sizes]
        self.masks = [np.empty((work.batch, n), bool) for n in work.sizes]
        self.rows = np.arange(work.batch)
        labels = y.astype(dtype)[:, None] if work.binary else y
        self.data = list(zip(np.split(x.astype(dtype), work.batches), np.split(labels, work.batches), strict=True))
        self.step_number = 0

    def initial(self, work: Workload) -> list[tuple[np.ndarray, np.ndarray]]:
        return work.parameters()

    def losses(self, steps: int) -> np.ndarray:
        return np.array([self.step(*self.data[i % len(self.data)]) for i in range(steps)])

    def run(self, steps: int) -> int:
        for i in range(steps):
            self.step(*self.data[i % len(self.data)])
        return steps

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        values, deltas, relu = self.values, self.deltas, self.work.activation == "relu"
        values[0] = x
        last = len(self.layers) - 1
        for i, (w, b, _, _) in enumerate(self.layers):
            z = np.matmul(values[i], w, out=values[i + 1])
            z += b
            if i == last:
                break
            if relu:
                np.maximum(z, 0, out=z)
            else:
                _sigmoid(z)
        loss = (_binary_loss if self.work.binary else self._class_loss)(values[-1], y, deltas[-1])
        for i in range(last, -1, -1):
            w, _, dw, db = self.layers[i]
            np.matmul(values[i].T, deltas[i + 1], out=dw)
            np.sum(deltas[i + 1], axis=0, out=db)
            if i == 0:
                break
            d = np.matmul(deltas[i + 1], w.T, out=deltas[i])
            if relu:
                d *= np.greater(values[i], 0, out=self.masks[i])
            else:
                d *= values[i]
                np.subtract(1, values[i], out=values[i])
                d *= values[i]
        self.update()
        return loss

    def _class_loss(self, z: np.ndarray, y: np.ndarray, dz: np.ndarray) -> float:
        z -= z.max(1, keepdims=True)
        np.exp(z, out=dz)
        total = dz.sum(1, keepdims=True)
        loss = float((np.log(total[:, 0]) - z[self.rows, y]).mean())
        dz /= total
        dz[self.rows, y] -= 1
        dz /= len(dz)
        return loss

    def update(self) -> None:
        (m, v), (a, b), g, lr = self.moments, self.scratch, self.flat_grad, self.work.lr
        self.step_number += 1
        if self.work.optimizer == "sgd":
            g *= lr
            self.flat -= g
            return
        m *= BETA1
        m += np.multiply(g, 1 - BETA1, out=a)
        v *= BETA2
        g *= g
        v += np.multiply(g, 1 - BETA2, out=a)
        np.sqrt(v, out=b)
        b *= 1 / float(np.sqrt(1 - BETA2**self.step_number))
        b += EPS
        np.divide(m, b, out=a)
        a *= lr / (1 - BETA1**self.step_number)
        self.flat -= a


def _sigmoid(z: np.ndarray) -> np.ndarray:
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    return np.reciprocal(z, out=z)


def _binary_loss(z: np.ndarray, y: np.ndarray, dz: np.ndarray) -> float:
    loss = float((np.logaddexp(0, z) - z * y).mean())
    _sigmoid(z)
    np.subtract(z, y, out=dz)
    dz /= len(dz)
    return loss


class TorchTrainer:
    """Eager PyTorch with the fused optimizer; the loss takes logits and stays a tensor."""

    def __init__(self, work: Workload, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        hidden = torch.nn.ReLU if work.activation == "relu" else torch.nn.Sigmoid
        layers: list[torch.nn.Module] = []
        for w, b in work.parameters():
            linear = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T))
                linear.bias.copy_(torch.from_numpy(b))
            norm = [torch.nn.BatchNorm1d(len(b))] if work.batch_norm else []
            layers += [linear, *norm, hidden(), *([torch.nn.Dropout(work.dropout)] if work.dropout else [])]
        while not isinstance(layers[-1], torch.nn.Linear):
            layers.pop()
        self.model = torch.nn.Sequential(*layers)
        kind = torch.optim.Adam if work.optimizer == "adam" else torch.optim.SGD
        self.optimizer = kind(self.model.parameters(), lr=work.lr, fused=True)
        f = torch.nn.functional
        self.loss = f.binary_cross_entropy_with_logits if work.binary else f.cross_entropy
        x, y = (torch.from_numpy(a) for a in work.data())
        labels = y.float()[:, None] if work.binary else y
        self.data = list(zip(x.chunk(work.batches), labels.chunk(work.batches), strict=True))

    def step(self, i: int):
        x, y = self.data[i % len(self.data)]
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, steps: int) -> np.ndarray:
        return np.array([self.step(i).item() for i in range(steps)])

    def run(self, steps: int) -> int:
        for i in range(steps):
            self.step(i)
        return steps


class JaxTrainer:
    """One jitted step with donated state, or, with ``scan``, one jitted pass over all batches. Waits for the last result only."""

    def __init__(self, work: Workload, scan: bool = False) -> None:
        import jax
        import jax.numpy as jnp

        self.jax = jax
        self.parameters = jax.tree.map(jnp.array, work.parameters())
        if work.optimizer == "adam":
            zeros = (jax.tree.map(jnp.zeros_like, self.parameters) for _ in range(2))
            self.moments = (*zeros, jnp.zeros((), jnp.float32))
        else:
            self.moments = ()

        def loss_of(parameters, x, y):
            return _jax_loss(jax, work, _jax_forward(jax, work, parameters, x), y)

        def update(state, batch):
            parameters, moments = state
            loss, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
            if not moments:
                return (jax.tree.map(lambda p, g: p - work.lr * g, parameters, gradients), ()), loss
            return _jax_adam(jax, work, parameters, moments, gradients), loss

        self._compile(work, scan, update)

    def _compile(self, work: Workload, scan: bool, update: Callable) -> None:
        """``update`` takes (state, batch) and gives (state, loss); a state is (parameters, whatever else)."""
        jax, jnp = self.jax, self.jax.numpy
        x, y = work.data()
        labels = y.astype(np.float32)[:, None] if work.binary else y.astype(np.int32)
        self.batches = work.batches
        xs, ys = (jnp.array(a.reshape(work.batches, work.batch, *a.shape[1:])) for a in (x, labels))
        self.data = list(zip(list(xs), list(ys), strict=True))
        self.stacked = (xs, ys)
        self.scan = scan
        self.step = jax.jit(update, donate_argnums=0)
        self.epoch = jax.jit(lambda state, data: jax.lax.scan(update, state, data), donate_argnums=0)

    def losses(self, steps: int) -> np.ndarray:
        state, losses = (self.parameters, self.moments), []
        if self.scan:
            while len(losses) < steps:
                state, some = self.epoch(state, self.stacked)
                losses += some.tolist()
        else:
            for i in range(steps):
                state, loss = self.step(state, self.data[i % self.batches])
                losses.append(float(loss))
        self.parameters, self.moments = state
        return np.array(losses[:steps])

    def run(self, steps: int) -> int:
        state, done = (self.parameters, self.moments), 0
        if self.scan:
            while done < steps:
                state, _ = self.epoch(state, self.stacked)
                done += self.batches
        else:
            for done in range(1, steps + 1):
                state, _ = self.step(state, self.data[(done - 1) % self.batches])
        self.parameters, self.moments = self.jax.block_until_ready(state)
        return done


def _jax_loss(jax, work: Workload, z, y):
    if work.binary:
        return (jax.nn.softplus(z) - z * y).mean()
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()


def _jax_adam(jax, work: Workload, parameters, moments, gradients):
    jnp = jax.numpy
    m, v, t = moments
    t = t + 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradients)
    rate, scale = work.lr / (1 - BETA1**t), 1 / jnp.sqrt(1 - BETA2**t)
    return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * scale + EPS), parameters, m, v), (m, v, t)


def _jax_forward(jax, work: Workload, parameters, x):
    act = jax.nn.relu if work.activation == "relu" else jax.nn.sigmoid
    for w, b in parameters[:-1]:
        x = act(x @ w + b)
    w, b = parameters[-1]
    return x @ w + b


class SklearnTrainer:
    """MLPClassifier in float32. One partial_fit is one pass over all batches, which spreads its checks over many steps."""

    def __init__(self, work: Workload) -> None:
        if work.batch_norm or work.dropout:
            raise NotImplementedError("MLPClassifier has neither batch normalisation nor dropout")
        self.model = _sklearn_model(work)
        self.work = work
        self.x, self.y = work.data()

    def losses(self, steps: int) -> np.ndarray:
        rows, n = self.work.batch, self.work.batches
        losses = []
        for i in range(steps):
            part = slice(i % n * rows, (i % n + 1) * rows)
            self.model.partial_fit(self.x[part], self.y[part])
            losses.append(self.model.loss_)
        return np.array(losses)

    def run(self, steps: int) -> int:
        done = 0
        while done < steps:
            self.model.partial_fit(self.x, self.y)
            done += self.work.batches
        return done


def _sklearn_model(work: Workload):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        work.sizes[1:-1],
        activation="relu" if work.activation == "relu" else "logistic",
        solver=work.optimizer,
        alpha=0.0,
        batch_size=work.batch,
        learning_rate_init=work.lr,
        shuffle=False,
        momentum=0.0,
        nesterovs_momentum=False,
        random_state=0,
    )
    x, y = work.data()
    classes = np.arange(max(2, work.sizes[-1]))
    model.partial_fit(x[: work.batch], y[: work.batch], classes=classes)  # makes the arrays, which now take the common weights
    del model._optimizer
    for i, (w, b) in enumerate(work.parameters()):
        model.coefs_[i][:] = w
        model.intercepts_[i][:] = b
    return model


class NncoreTrainer:
    """nncore one batch at a time (``train_on_batch``), or with ``fit`` in whole epochs, shuffling and gathering included."""

    def __init__(self, work: Workload, threads: int, fit: bool = False) -> None:
        import nncore as nn

        nn.set_num_threads(threads)
        self.model = nncore_model(work)
        optimizer = nn.optim.Adam(lr=work.lr) if work.optimizer == "adam" else nn.optim.SGD(lr=work.lr)
        self.model.compile(loss="binary_crossentropy" if work.binary else "sparse_categorical_crossentropy", optimizer=optimizer)
        x, y = work.data()
        self.work, self.fit = work, fit
        self.x, self.y = x, y.astype(np.float32)[:, None] if work.binary else y
        self.data = list(zip(np.split(self.x, work.batches), np.split(self.y, work.batches), strict=True))

    def losses(self, steps: int) -> np.ndarray:
        if self.fit:
            epochs = -(-steps // self.work.batches)
            history = self.model.fit(self.x, self.y, epochs=epochs, batch_size=self.work.batch, shuffle=False, verbose=0)
            return np.asarray(history.step_losses)[:steps]
        return np.array([self.model.train_on_batch(*self.data[i % len(self.data)]) for i in range(steps)], float)

    def run(self, steps: int) -> int:
        if self.fit:
            epochs = -(-steps // self.work.batches)
            self.model.fit(self.x, self.y, epochs=epochs, batch_size=self.work.batch, verbose=0)
            return epochs * self.work.batches
        data, n, train = self.data, len(self.data), self.model.train_on_batch
        for i in range(steps):
            train(*data[i % n])
        return steps


def nncore_model(work: Workload):
    """The net as nncore writes it, with the common weights."""
    import nncore as nn

    hidden = nn.ReLU if work.activation == "relu" else nn.Sigmoid
    layers: list[nn.Layer] = []
    weights = {}
    for w, b in work.parameters():
        weights[f"{len(layers)}.weight"], weights[f"{len(layers)}.bias"] = w.T, b
        norm = [nn.BatchNorm1d(len(b))] if work.batch_norm else []
        layers += [nn.Linear(*w.shape), *norm, hidden(), *([nn.Dropout(work.dropout)] if work.dropout else [])]
    while not isinstance(layers[-1], nn.Linear):
        layers.pop()
    model = nn.Sequential(*layers, nn.Sigmoid() if work.binary else nn.Softmax(), seed=0)
    model.load_state_dict(weights, strict=False)  # scale and shift of a norm stay 1 and 0
    return model


class Predictor:
    """Wraps one call on one row."""

    def __init__(self, call: Callable[[], object], result: Callable[[object], np.ndarray] = np.asarray) -> None:
        self.call, self.result = call, result

    def predict(self) -> np.ndarray:
        return np.asarray(self.result(self.call()), np.float64).ravel()

    def run(self, calls: int) -> int:
        call = self.call
        for _ in range(calls):
            call()
        return calls


def row(work: Workload) -> np.ndarray:
    return np.ascontiguousarray(work.data()[0][:1])


def numpy_forward(work: Workload, x: np.ndarray) -> Callable[[], np.ndarray]:
    """The forward pass of a batch, in the dtype of x."""
    parameters = [(w.astype(x.dtype), b.astype(x.dtype)) for w, b in work.parameters()]

    def call() -> np.ndarray:
        a = x
        for w, b in parameters[:-1]:
            z = a @ w
            z += b
            a = np.maximum(z, 0, out=z) if work.activation == "relu" else _sigmoid(z)
        w, b = parameters[-1]
        z = a @ w
        z += b
        if work.binary:
            return _sigmoid(z)
        z -= z.max(1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(1, keepdims=True)
        return z

    return call


def numpy_predictor(work: Workload, dtype: type = np.float32) -> Predictor:
    return Predictor(numpy_forward(work, row(work).astype(dtype)))


def nncore_predictor(work: Workload, threads: int) -> Predictor:
    import nncore as nn

    nn.set_num_threads(threads)
    model, x = nncore_model(work), row(work)
    return Predictor(lambda: model(x))


def torch_predictor(work: Workload, threads: int) -> Predictor:
    import torch

    final = torch.nn.Sigmoid() if work.binary else torch.nn.Softmax(1)
    model = torch.nn.Sequential(*TorchTrainer(work, threads).model, final).eval()
    x = torch.from_numpy(row(work))

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return model(x)

    return Predictor(call)


def jax_predictor(work: Workload) -> Predictor:
    import jax
    import jax.numpy as jnp

    parameters, x = jax.tree.map(jnp.array, work.parameters()), jnp.array(row(work))

    def forward(parameters, x):
        z = _jax_forward(jax, work, parameters, x)
        return jax.nn.sigmoid(z) if work.binary else jax.nn.softmax(z)

    compiled = jax.jit(forward)
    return Predictor(lambda: compiled(parameters, x).block_until_ready())


def sklearn_predictor(work: Workload) -> Predictor:
    model, x = _sklearn_model(work), row(work)
    return Predictor(lambda: model.predict_proba(x), lambda p: p[:, 1:] if work.binary else p)


def onnxruntime_predictor(work: Workload, threads: int) -> Predictor:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    hidden = "Relu" if work.activation == "relu" else "Sigmoid"
    nodes, constants, value = [], [], "x"
    for i, (w, b) in enumerate(work.parameters()):
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        final = i == len(work.sizes) - 2
        kind = ("Sigmoid" if work.binary else "Softmax") if final else hidden
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [f"z{i}"]))
        nodes.append(helper.make_node(kind, [f"z{i}"], [f"a{i}"]))
        value = f"a{i}"
    first, last = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, s)) for n, s in (("x", work.sizes[0]), (value, work.sizes[-1]))
    )
    graph = helper.make_graph(nodes, "net", [first], [last], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed, run = {"x": row(work)}, session.run
    return Predictor(lambda: run(None, feed), lambda outputs: outputs[0])


def numpy_trainer(work: Workload, dtype: type = np.float32) -> NumpyTrainer:
    from regularised_peers import NumpyRegularised

    return (NumpyRegularised if work.batch_norm else NumpyTrainer)(work, dtype)


def jax_trainer(work: Workload, scan: bool = False) -> JaxTrainer:
    from regularised_peers import JaxRegularised

    return (JaxRegularised if work.batch_norm else JaxTrainer)(work, scan)


#: name -> constructor (workload, threads) of a trainer.
TRAINERS: dict[str, Callable[[Workload, int], object]] = {
    "nncore fit": lambda work, threads: NncoreTrainer(work, threads, fit=True),
    "nncore train_on_batch": NncoreTrainer,
    "NumPy": lambda work, threads: numpy_trainer(work),
    "PyTorch": TorchTrainer,
    "JAX": lambda work, threads: jax_trainer(work),
    "JAX scan": lambda work, threads: jax_trainer(work, scan=True),
    "scikit-learn": lambda work, threads: SklearnTrainer(work),
}
#: name -> constructor (workload, threads) of a predictor.
PREDICTORS: dict[str, Callable[[Workload, int], Predictor]] = {
    "nncore": nncore_predictor,
    "NumPy": lambda work, threads: numpy_predictor(work),
    "PyTorch": torch_predictor,
    "JAX": lambda work, threads: jax_predictor(work),
    "scikit-learn": lambda work, threads: sklearn_predictor(work),
    "onnxruntime": onnxruntime_predictor,
}


class Product:
    """A large matrix product: the rate that the machine gives to dense arithmetic, against which the steps are held."""

    N = 1024

    def __init__(self, multiply: Callable[[], object]) -> None:
        self.multiply = multiply

    def run(self, count: int) -> int:
        for _ in range(count):
            self.multiply()
        return count


def numpy_product(threads: int) -> Product:
    a, b, c = np.random.default_rng(0).standard_normal((3, Product.N, Product.N), dtype=np.float32)
    return Product(lambda: np.matmul(a, b, out=c))


def torch_product(threads: int) -> Product:
    import torch

    torch.set_num_threads(threads)
    a, b, c = torch.rand(3, Product.N, Product.N)
    return Product(lambda: torch.mm(a, b, out=c))


PRODUCTS: dict[str, Callable[[int], Product]] = {"NumPy": numpy_product, "PyTorch": torch_product}


class Update:
    """What an optimizer must at least do: read and write the parameters and their moments once each, in place.

    The arrays are as large as the workload's, so that they come from the same cache; each thread has its own part.
    """

    def __init__(self, work: Workload, threads: int) -> None:
        elements = sum(w.size + b.size for w, b in work.parameters()) * (3 if work.optimizer == "adam" else 1)
        self.parts = np.array_split(np.ones(elements, np.float32), threads)
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, count: int) -> int:
        def repeat(part: np.ndarray) -> None:
            for _ in range(count):
                np.multiply(part, np.float32(1.0), out=part)

        if self.pool is None:
            repeat(self.parts[0])
        else:
            list(self.pool.map(repeat, self.parts))
        return count

"""Recurrent nets and their contestants: what peers.py is to the multilayer perceptrons.

A contestant of "recurrent" trains a layer with a linear head on its final states (squared error, SGD); of "forward" computes the
outputs of all steps; of "stream" takes one step per call and keeps the state. All get the same weights, under PyTorch's names, and
the same batches, batch first. The truth for all three kinds is PyTorch in float64, as the gate orders and formulas are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from peers import Predictor

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Net:
    """One layer, in one or both directions, and the batches that it sees."""

    name: str
    cell: str  #: "RNN" (tanh), "GRU" or "LSTM"
    inputs: int
    hidden: int
    steps: int
    batch: int
    bidirectional: bool = False
    batches: int = 4  #: distinct batches; contestants run through them in turn
    lr: float = 0.05

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def forward_flops(self) -> int:
        """Of the products of one forward pass; the first step has no state to multiply yet."""
        per_row = GATES[self.cell] * self.hidden * (self.steps * self.inputs + (self.steps - 1) * self.hidden)
        return 2 * self.batch * self.directions * per_row

    @property
    def flops(self) -> int:
        """Of a training step: forward, gradient of the weights, and of the states; the input needs none, the head counts little."""
        states = 2 * self.batch * self.directions * GATES[self.cell] * self.hidden**2 * (self.steps - 1)
        return 2 * self.forward_flops + states + 6 * self.batch * self.directions * self.hidden

    def parameters(self) -> dict[str, np.ndarray]:
        """Of the layer, float32, by PyTorch's names and in its shapes."""
        rng, rows, bound = np.random.default_rng(1), GATES[self.cell] * self.hidden, self.hidden**-0.5
        shapes = {"weight_ih": (rows, self.inputs), "weight_hh": (rows, self.hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
        return {
            f"{role}_l0{suffix}": rng.uniform(-bound, bound, shape).astype(np.float32)
            for suffix in ("", "_reverse")[: self.directions]
            for role, shape in shapes.items()
        }

    def head(self) -> tuple[np.ndarray, np.ndarray]:
        """Weight [1, directions * hidden] and bias [1]."""
        width = self.directions * self.hidden
        weight = np.random.default_rng(2).uniform(-1, 1, (1, width)) * width**-0.5
        return weight.astype(np.float32), np.zeros(1, np.float32)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """x [batches * batch, steps, inputs] and what to learn of it [batches * batch, 1]: the mean of the last ten steps."""
        rng = np.random.default_rng(3)
        x = rng.standard_normal((self.batches * self.batch, self.steps, self.inputs), dtype=np.float32)
        return x, x[:, -10:].mean((1, 2))[:, None] * np.float32(self.inputs**0.5) + np.float32(1)


_CELLS = (("RNN", "RNN", False), ("bidirectional RNN", "RNN", True), ("GRU", "GRU", False), ("LSTM", "LSTM", False))
#: kind -> nets by name.
NETS = {
    kind: {net.name: net for net in nets}
    for kind, nets in {
        "recurrent": (
            Net("RNN i16 h32 T50 b32", "RNN", 16, 32, 50, 32, batches=32),
            *(Net(f"{title} i32 h128 T100 b32", cell, 32, 128, 100, 32, both) for title, cell, both in _CELLS[:2]),
            Net("RNN i32 h512 T50 b64", "RNN", 32, 512, 50, 64),
            *(Net(f"{title} i32 h128 T100 b32", cell, 32, 128, 100, 32, both) for title, cell, both in _CELLS[2:]),
        ),
        "forward": tuple(
            Net(f"{title} i32 h128 T100 b{batch}", cell, 32, 128, 100, batch, both, batches=1)
            for batch in (1, 32)
            for title, cell, both in _CELLS
        ),
        "stream": (Net("GRU i16 h64", "GRU", 16, 64, 20, 1, batches=1),),
    }.items()
}


def truth(kind: str, net: Net, steps: int) -> np.ndarray:
    import torch

    if kind == "recurrent":
        return TorchTrainer(net, torch.get_num_threads(), "float64").losses(steps)
    return (torch_forward if kind == "forward" else torch_stream)(net, torch.get_num_threads(), "float64").predict()


# Training -----------------------------------------------------------------------------------------------------------------------


class NncoreTrainer:
    """One batch at a time (``train_on_batch``), or with ``fit`` in whole epochs, shuffling and gathering included."""

    def __init__(self, net: Net, threads: int, fit: bool = False) -> None:
        import nncore as nn

        nn.set_num_threads(threads)
        self.net, self.fit = net, fit
        layer = getattr(nn, net.cell)(net.inputs, net.hidden, bidirectional=net.bidirectional)
        self.model = nn.Sequential(layer, nn.Linear(net.directions * net.hidden, 1), seed=0).build((net.steps, net.inputs))
        self.model.compile(loss="mse", optimizer=nn.optim.SGD(lr=net.lr))
        weight, bias = net.head()
        self.model.load_state_dict({f"0.{k}": v for k, v in net.parameters().items()} | {"1.weight": weight, "1.bias": bias})
        self.x, self.y = net.data()
        self.data = list(zip(np.split(self.x, net.batches), np.split(self.y, net.batches), strict=True))

    def losses(self, steps: int) -> np.ndarray:
        if self.fit:
            history = self.model.fit(
                self.x, self.y, epochs=-(-steps // self.net.batches), batch_size=self.net.batch, shuffle=False, verbose=0
            )
            return np.asarray(history.step_losses)[:steps]
        return np.array([self.model.train_on_batch(x, y) for x, y in islice(cycle(self.data), steps)], float)

    def run(self, steps: int) -> int:
        if self.fit:
            epochs = -(-steps // self.net.batches)
            self.model.fit(self.x, self.y, epochs=epochs, batch_size=self.net.batch, verbose=0)
            return epochs * self.net.batches
        train = self.model.train_on_batch
        for x, y in islice(cycle(self.data), steps):
            train(x, y)
        return steps


def _torch_layer(net: Net, threads: int, dtype: str):
    import torch

    torch.set_num_threads(threads)
    kind = getattr(torch, dtype)
    layer = getattr(torch.nn, net.cell)(net.inputs, net.hidden, batch_first=True, bidirectional=net.bidirectional)
    layer.load_state_dict({k: torch.from_numpy(v) for k, v in net.parameters().items()})
    return torch, layer.to(kind), [torch.from_numpy(a).to(kind) for a in net.data()]


class TorchTrainer:
    """Eager PyTorch with the fused optimizer; the head reads the final states, so that no slice of the outputs is made."""

    def __init__(self, net: Net, threads: int, dtype: str = "float32") -> None:
        torch, self.layer, (x, y) = _torch_layer(net, threads, dtype)
        self.head = torch.nn.Linear(net.directions * net.hidden, 1)
        with torch.no_grad():
            for own, given in zip((self.head.weight, self.head.bias), net.head(), strict=True):
                own.copy_(torch.from_numpy(given))
        self.head.to(x.dtype)
        parameters = [*self.layer.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=net.lr, fused=True)
        self.net, self.torch, self.loss = net, torch, torch.nn.functional.mse_loss
        self.data = list(zip(x.chunk(net.batches), y.chunk(net.batches), strict=True))

    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=True)
        _, state = self.layer(x)
        h = state[0] if self.net.cell == "LSTM" else state
        loss = self.loss(self.head(self.torch.cat((h[0], h[1]), 1) if self.net.bidirectional else h[0]), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, steps: int) -> np.ndarray:
        return np.array([self.step(x, y).item() for x, y in islice(cycle(self.data), steps)])

    def run(self, steps: int) -> int:
        for x, y in islice(cycle(self.data), steps):
            self.step(x, y)
        return steps


UNROLL = 2  #: steps per turn of JAX's loop; more were no faster, and compile longer


def _jax_cell(net: Net, jax):
    """(state, input product of one step, recurrent weight and bias) -> (state, output)."""
    np_, sigmoid, hidden = jax.numpy, jax.nn.sigmoid, net.hidden

    def rnn(h, a, w, b):
        h = np_.tanh(a + h @ w + b)
        return h, h

    def gru(h, a, w, b):
        g = h @ w + b
        r, z = np_.split(sigmoid(a[:, : 2 * hidden] + g[:, : 2 * hidden]), 2, 1)
        n = np_.tanh(a[:, 2 * hidden :] + r * g[:, 2 * hidden :])
        h = n + z * (h - n)
        return h, h

    def lstm(state, a, w, b):
        h, c = state
        i, f, g, o = np_.split(a + h @ w + b, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np_.tanh(g)
        h = sigmoid(o) * np_.tanh(c)
        return (h, c), h

    return {"RNN": rnn, "GRU": gru, "LSTM": lstm}[net.cell]


def _jax_layer(net: Net, jax, parameters, x):
    """Final states [batch, directions * hidden] and outputs [steps, batch, hidden] per direction; one product of the inputs before
    the loop."""
    cell, zeros = _jax_cell(net, jax), jax.numpy.zeros((x.shape[0], net.hidden), x.dtype)
    finals, outputs = [], []
    for suffix in ("", "_reverse")[: net.directions]:
        w_ih, w_hh, b_ih, b_hh = (parameters[f"{role}_l0{suffix}"] for role in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        a = x.swapaxes(0, 1) @ w_ih.T + b_ih
        w = w_hh.T
        state, y = jax.lax.scan(
            lambda s, row, w=w, b=b_hh: cell(s, row, w, b),
            (zeros, zeros) if net.cell == "LSTM" else zeros,
            a,
            reverse=bool(suffix),
            unroll=UNROLL,
        )
        finals.append(state[0] if net.cell == "LSTM" else state)
        outputs.append(y)
    return jax.numpy.concatenate(finals, 1), outputs


class JaxTrainer:
    """One jitted step with donated parameters; waits for the last result only."""

    def __init__(self, net: Net) -> None:
        import jax
        import jax.numpy as jnp

        self.jax = jax
        self.state = jax.tree.map(jnp.array, (net.parameters(), net.head()))

        def loss_of(state, x, y):
            layer, (weight, bias) = state
            final, _ = _jax_layer(net, jax, layer, x)
            return ((final @ weight.T + bias - y) ** 2).mean()

        def update(state, x, y):
            loss, gradients = jax.value_and_grad(loss_of)(state, x, y)
            return jax.tree.map(lambda p, g: p - net.lr * g, state, gradients), loss

        self.step = jax.jit(update, donate_argnums=0)
        self.data = [tuple(map(jnp.array, pair)) for pair in zip(*(np.split(a, net.batches) for a in net.data()), strict=True)]

    def losses(self, steps: int) -> np.ndarray:
        losses = []
        for x, y in islice(cycle(self.data), steps):
            self.state, loss = self.step(self.state, x, y)
            losses.append(float(loss))
        return np.array(losses)

    def run(self, steps: int) -> int:
        state = self.state
        for x, y in islice(cycle(self.data), steps):
            state, _ = self.step(state, x, y)
        self.state = self.jax.block_until_ready(state)
        return steps


# Forward ------------------------------------------------------------------------------------------------------------------------


def nncore_forward(net: Net, threads: int) -> Predictor:
    import nncore as nn

    nn.set_num_threads(threads)
    layer = getattr(nn, net.cell)(net.inputs, net.hidden, bidirectional=net.bidirectional, return_sequences=True)
    model = nn.Sequential(layer, seed=0).build((net.steps, net.inputs))
    model.load_state_dict({f"0.{k}": v for k, v in net.parameters().items()})
    x = net.data()[0]
    return Predictor(lambda: model(x))


def torch_forward(net: Net, threads: int, dtype: str = "float32") -> Predictor:
    torch, layer, (x, _) = _torch_layer(net, threads, dtype)
    layer.eval()

    def call():
        with torch.inference_mode():
            return layer(x)[0]

    return Predictor(call)


def jax_forward(net: Net) -> Predictor:
    import jax
    import jax.numpy as jnp

    parameters, x = jax.tree.map(jnp.array, net.parameters()), jnp.array(net.data()[0])
    compiled = jax.jit(lambda parameters, x: jnp.concatenate(_jax_layer(net, jax, parameters, x)[1], 2).swapaxes(0, 1))
    return Predictor(lambda: compiled(parameters, x).block_until_ready())


_ONNX_ORDER = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}  #: PyTorch's gates in ONNX's order: z, r, h and i, o, f, c


def _onnx_session(net: Net, threads: int, steps: int):
    """x [batch, steps, inputs] and h [directions, batch, hidden] to y [steps, directions, batch, hidden] and h."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    parameters, suffixes = net.parameters(), ("", "_reverse")[: net.directions]

    def gates(role: str) -> np.ndarray:
        parts = (np.split(parameters[f"{role}_l0{suffix}"], GATES[net.cell]) for suffix in suffixes)
        return np.stack([np.concatenate([p[i] for i in _ONNX_ORDER[net.cell]]) for p in parts])

    arrays = {
        "w": gates("weight_ih"),
        "r": gates("weight_hh"),
        "b": np.concatenate((gates("bias_ih"), gates("bias_hh")), 1),
    }
    attributes: dict[str, object] = {"hidden_size": net.hidden}
    attributes |= {"direction": "bidirectional"} if net.bidirectional else {}
    attributes |= {"linear_before_reset": 1} if net.cell == "GRU" else {}
    states = (net.directions, net.batch, net.hidden)

    def value(name: str, shape: tuple[int, ...]):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["time_first"], perm=(1, 0, 2)),
            helper.make_node(net.cell, ["time_first", "w", "r", "b", "", "h"], ["y", "h_n"], **attributes),
        ],
        "net",
        [value("x", (net.batch, steps, net.inputs)), value("h", states)],
        [value("y", (steps, net.directions, net.batch, net.hidden)), value("h_n", states)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnxruntime_forward(net: Net, threads: int) -> Predictor:
    run = _onnx_session(net, threads, net.steps).run
    feed = {"x": net.data()[0], "h": np.zeros((net.directions, net.batch, net.hidden), np.float32)}

    def batch_first(outputs) -> np.ndarray:
        return np.moveaxis(outputs[0], (2, 0), (0, 1)).reshape(net.batch, net.steps, -1)

    return Predictor(lambda: run(["y"], feed), batch_first)


# Streams ------------------------------------------------------------------------------------------------------------------------


class Stream:
    """Wraps a step that keeps its state, and what puts the state back to zeros."""

    def __init__(self, net: Net, step: Callable, reset: Callable[[], object], convert: Callable = np.ascontiguousarray) -> None:
        self.step, self.reset = step, reset
        self.inputs = [convert(net.data()[0][:, t]) for t in range(net.steps)]

    def predict(self) -> np.ndarray:
        self.reset()
        return np.concatenate([np.array(self.step(x), np.float64).ravel() for x in self.inputs])

    def run(self, calls: int) -> int:
        step = self.step
        for x in islice(cycle(self.inputs), calls):
            step(x)
        return calls


def nncore_stream(net: Net, threads: int) -> Stream:
    import nncore as nn

    nn.set_num_threads(threads)
    model = nn.Sequential(getattr(nn, net.cell)(net.inputs, net.hidden), seed=0).build((net.steps, net.inputs))
    model.load_state_dict({f"0.{k}": v for k, v in net.parameters().items()})
    stream = model.stream(batch=net.batch)
    return Stream(net, stream.step, stream.reset)


def torch_stream(net: Net, threads: int, dtype: str = "float32") -> Stream:
    """With GRUCell, which is faster than GRU on sequences of one step."""
    torch, layer, (x, _) = _torch_layer(net, threads, dtype)
    cell = torch.nn.GRUCell(net.inputs, net.hidden, dtype=x.dtype)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    zeros = torch.zeros(net.batch, net.hidden, dtype=x.dtype)
    state = zeros

    def step(x):
        nonlocal state
        with torch.inference_mode():
            state = cell(x, state)
        return state

    def reset() -> None:
        nonlocal state
        state = zeros

    return Stream(net, step, reset, lambda a: torch.tensor(a, dtype=x.dtype))


def jax_stream(net: Net) -> Stream:
    import jax
    import jax.numpy as jnp

    parameters, cell = jax.tree.map(jnp.array, net.parameters()), _jax_cell(net, jax)

    @jax.jit
    def compiled(h, x, p):
        return cell(h, x @ p["weight_ih_l0"].T + p["bias_ih_l0"], p["weight_hh_l0"].T, p["bias_hh_l0"])[0]

    zeros = jnp.zeros((net.batch, net.hidden), jnp.float32)
    state = zeros

    def step(x):
        nonlocal state
        state = compiled(state, x, parameters).block_until_ready()
        return state

    def reset() -> None:
        nonlocal state
        state = zeros

    return Stream(net, step, reset, jnp.array)


def onnxruntime_stream(net: Net, threads: int) -> Stream:
    run = _onnx_session(net, threads, 1).run
    zeros = np.zeros((1, net.batch, net.hidden), np.float32)
    state = zeros

    def step(x):
        nonlocal state
        state = run(["h_n"], {"x": x, "h": state})[0]
        return state

    def reset() -> None:
        nonlocal state
        state = zeros

    return Stream(net, step, reset, lambda a: np.ascontiguousarray(a[:, None]))


#: kind -> name -> constructor (net, threads) of a contestant.
CONTESTANTS: dict[str, dict[str, Callable[[Net, int], object]]] = {
    "recurrent": {
        "nncore fit": lambda net, threads: NncoreTrainer(net, threads, fit=True),
        "nncore train_on_batch": NncoreTrainer,
        "PyTorch": TorchTrainer,
        "JAX": lambda net, threads: JaxTrainer(net),
    },
    "forward": {
        "nncore": nncore_forward,
        "PyTorch": torch_forward,
        "JAX": lambda net, threads: jax_forward(net),
        "onnxruntime": onnxruntime_forward,
    },
    "stream": {
        "nncore": nncore_stream,
        "PyTorch": torch_stream,
        "JAX": lambda net, threads: jax_stream(net),
        "onnxruntime": onnxruntime_stream,
    },
}

"""Layers, losses, metrics and callbacks of one's own, with annotations, as strict checkers ask for them."""

from typing import Any

import numpy as np
import numpy.typing as npt

import nncore as nn

Array = npt.NDArray[np.floating[Any]]


class Scale(nn.PythonLayer):
    def __init__(self, start: float = 1.0) -> None:
        super().__init__(start=start)

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.add_weight("scale", input_shape, init=nn.init.constant(self.start))

    def forward(self, x: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = x * self.scale
        return scaled

    def backward(self, dy: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        self.grads["scale"][...] = (dy * x).sum(axis=0)
        passed: np.ndarray = dy * self.scale
        return passed


class Loudness(nn.PythonLayer):
    timewise = True

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], 1)

    def forward(self, x: Array, training: bool = False) -> Array:
        energy: Array = np.square(x).sum(axis=-1, keepdims=True)
        return energy

    def backward(self, grad: Array, x: Array, y: Array) -> Array:
        return 2 * x * grad


class Named(nn.PythonLayer):
    def __init__(self, units: int, *, name: str | None = None) -> None:
        super().__init__(units=units, name=name)

    def build(self, input_shape: Any) -> None:
        self.add_weight("weight", (self.units, input_shape[-1]), "he_uniform", l2=1e-4)
        self.add_weight("bias", self.units, trainable=False)

    def output_shape(self, input_shape: Any) -> tuple[int, ...]:
        return (*input_shape[:-1], self.units)

    def forward(self, x: Any) -> Any:
        return x @ self.weight.T + self.bias

    def backward(self, dy: Any, x: Any, y: Any) -> Any:
        self.grads["weight"][...] = dy.T @ x
        self.grads["bias"][...] = dy.sum(axis=0)
        return dy @ self.weight


class Sum(nn.PythonLayer):
    def forward(self, x: list[np.ndarray]) -> np.ndarray:
        total: np.ndarray = x[0] + x[1]
        return total

    def backward(self, dy: np.ndarray, x: list[np.ndarray], y: np.ndarray) -> list[np.ndarray]:
        return [dy, dy]


square = nn.Lambda(np.square, lambda dy, x, y: 2 * x * dy, timewise=True, name="square")
halves = nn.Lambda(lambda x: x[:, ::2], lambda dy, x, y: np.repeat(dy, 2, axis=1), output_shape=lambda shape: (shape[0] // 2,))
model = nn.Sequential(nn.Linear(8, 16), Scale(start=2.0), nn.ReLU(), Named(4, name="mine"), Loudness(), seed=0)
report = nn.check_gradients(model, np.ones((5, 8)))
print(report, bool(report), report.worst.name, report.worst.error)
print(model[1].scale, Scale().start, model[3].name, square(np.ones((1, 3))), halves(np.ones((1, 4))).shape)
a, b = nn.Input((4,)), nn.Input((4,))
print(nn.Model([a, b], Sum()([a, b])))


# Losses: a function, an object, a class.
def log_cosh(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    error = y_pred - y_true
    return np.log(np.cosh(error)).sum(axis=1), np.tanh(error)


class Squared:
    def value(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        found: np.ndarray = ((y_pred - y_true) ** 2).sum(axis=1)
        return found

    def gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        slope: np.ndarray = 2 * (y_pred - y_true)
        return slope


class Quantile(nn.losses.PythonLoss):
    targets = "values"

    def __init__(self, q: float = 0.5, reduction: nn.losses.Reduction = "mean") -> None:
        super().__init__(reduction, q=q)

    def value_and_gradient(self, y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below = y_pred < y_true
        share = np.where(below, -self.q, 1 - self.q)
        return (share * (y_pred - y_true)).sum(axis=1), share


# Metrics: a function, an object.
def within_a_tenth(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    near: np.ndarray = np.abs(y_true - y_pred) < 0.1
    return near


def weighted(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    return float(np.average(np.abs(y_true - y_pred)[:, 0], weights=sample_weight))


class Largest:
    def __init__(self) -> None:
        self.seen = 0.0

    def reset_state(self) -> None:
        self.seen = 0.0

    def update_state(self, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        self.seen = max(self.seen, float(np.abs(y_true - y_pred).max()))

    def result(self) -> float:
        return self.seen


# Callbacks: a subclass, and an object with some of the hooks.
class Halve(nn.callbacks.Callback):
    stateful = ("count",)

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        print(self.params["epochs"], self.model.step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.count += 1
        self.model.optimizer.lr = self.model.optimizer.lr / 2
        if (logs or {}).get("loss", 0.0) > 1e9:
            self.model.stop_training = True


class Hooks:
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        print(epoch, logs)


x = np.linspace(-1, 1, 40).reshape(20, 2)
regression = nn.Sequential(nn.Linear(2, 1), seed=0)
regression.compile(loss=log_cosh, optimizer="sgd")
regression.compile(loss=Squared(), optimizer="sgd", metrics=[within_a_tenth, weighted])
regression.compile(loss=Quantile(q=0.9), optimizer="sgd", metrics=[Largest(), "mae", nn.metrics.PythonMetric(weighted, name="w")])
regression.fit(x, x[:, 0], epochs=2, verbose=0, callbacks=[Halve(), Hooks()])
print(round(Quantile()([[0.0]], [[1.0]]), 4), Quantile(0.2).q)

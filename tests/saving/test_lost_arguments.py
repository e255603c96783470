"""A file must hold every argument of the user's own parts: what it would lose is refused when it is written."""

import numpy as np
import pytest

import nncore as nn

X, Y = np.linspace(-1, 1, 6).reshape(3, 2), np.ones((3, 1))


class Scale(nn.PythonLayer):
    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor

    def backward(self, dy, x, y):
        return dy * self.factor


class Needs(Scale):
    def __init__(self, size):
        super().__init__(2.0)


class Passes(nn.PythonLayer):
    def __init__(self, factor=1.0, name=None):
        super().__init__(factor=factor, name=name)

    def forward(self, x):
        return x * self.factor

    def backward(self, dy, x, y):
        return dy * self.factor


class Says(Scale):
    def config(self):
        return {"factor": self.factor}


class Tilted(nn.losses.PythonLoss):
    def __init__(self, tilt=1.0):
        super().__init__()
        self.tilt = tilt

    def value_and_gradient(self, y_true, y_pred):
        error = y_pred - y_true
        return self.tilt * (error**2).sum(axis=1), 2 * self.tilt * error


class Plain:
    def __init__(self, scale=1.0):
        self.scale = scale

    def value(self, y_true, y_pred):
        return self.scale * ((y_pred - y_true) ** 2).sum(axis=1)

    def gradient(self, y_true, y_pred):
        return 2 * self.scale * (y_pred - y_true)


class Within:
    def __init__(self, tol=1.0):
        self.tol = tol
        self.reset_state()

    def reset_state(self):
        self.found = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.found += list((abs(y_true - y_pred) < self.tol).ravel())

    def result(self):
        return float(np.mean(self.found))


class Hidden(Within):
    def __init__(self, limit=1.0):
        super().__init__(limit)


class Rate:
    def __init__(self, base=0.5):
        self.base = base
        self.__name__ = "Rate"

    def __call__(self, step):
        return self.base


def compiled(layer=None, loss="mse", metrics=(), lr=0.1):
    model = nn.Sequential(nn.Linear(2, 1), *([] if layer is None else [layer]), seed=0)
    model.compile(loss, nn.optim.SGD(lr=lr), list(metrics))
    return model


LOSING = {
    "layer": (lambda: compiled(Scale(3.0)), "factor", r"super\(\).__init__\(factor=factor\)"),
    "required": (lambda: compiled(Needs(4)), "size", r"super\(\).__init__\(size=size\)"),
    "loss": (lambda: compiled(loss=Tilted(2.0)), "tilt", r"super\(\).__init__\(tilt=tilt\)"),
    "loss object": (lambda: compiled(loss=Plain(2.0)), "scale", r"config\(\)"),
    "metric": (lambda: compiled(metrics=[Within(tol=2.0)]), "tol", r"config\(\)"),
    "hidden": (lambda: compiled(metrics=[Hidden()]), "limit", r"config\(\)"),
    "rate": (lambda: compiled(lr=Rate(0.25)), "base", r"config\(\)"),
}


@pytest.mark.parametrize("which", LOSING)
def test_what_a_file_would_lose_is_refused(tmp_path, which):
    make, argument, advice = LOSING[which]
    model = make()
    with pytest.raises(nn.errors.ArgumentError, match=rf"takes {argument}, which .*{advice}"):
        model.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("which", ["layer", "loss", "metric"])
def test_before_training_starts(tmp_path, which):
    for callback in (
        nn.callbacks.ModelCheckpoint(tmp_path / "m.safetensors"),
        nn.callbacks.BackupAndRestore(tmp_path / "backup"),
    ):
        model = LOSING[which][0]()
        with pytest.raises(nn.errors.ArgumentError, match="config"):
            model.fit(X, Y, callbacks=[callback])
        assert model.step == 0


@pytest.mark.parametrize("layer", [Passes(3.0, name="p"), Says(3.0), Scale()], ids=["passes", "says", "default"])
def test_what_is_kept_comes_back(tmp_path, layer):
    model = compiled(layer, Tilted(), [Within()], lr=Rate())
    model.save(tmp_path / "m.safetensors")
    given = {"Passes": Passes, "Says": Says, "Scale": Scale, "Tilted": Tilted, "Within": Within, "Rate": Rate()}
    again = nn.load(tmp_path / "m.safetensors", given)
    assert again[1].factor == layer.factor
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.evaluate(X, Y) == model.evaluate(X, Y)

"""Diagnostics: each figure against NumPy, and the claims of the examples."""

import copy

import numpy as np
import pytest

import nncore as nn
from nncore.callbacks import Diagnostics


def data(rows=96, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5))
    return x, (x[:, :1] * x[:, 1:2] > 0).astype(float)


def net(dtype="float64"):
    model = nn.Sequential(
        nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 9), nn.Sigmoid(), nn.BatchNorm1d(9), nn.Tanh(), nn.Linear(9, 1), nn.Sigmoid(),
        seed=3, dtype=dtype,
    )  # fmt: skip
    model.compile("binary_crossentropy", nn.optim.SGD(lr=0.3, momentum=0.9))
    return model


def test_figures_of_one_step_against_numpy():
    x, y = data(32)
    model, twin, found = net(), net(), Diagnostics(every=1)
    before = twin.state_dict()
    model.fit(x, y, batch_size=None, callbacks=[found], verbose=0)
    twin.train_on_batch(x, y)
    after = model.state_dict()
    for name, gradient in twin.gradients.items():
        assert found.gradient_norm[name] == [pytest.approx(np.linalg.norm(gradient), rel=1e-12)]
        weight, moved = np.linalg.norm(before[name]), np.linalg.norm(after[name] - before[name])
        assert found.weight_norm[name] == [pytest.approx(weight, rel=1e-12)]
        assert found.update_norm[name] == [pytest.approx(moved, rel=1e-9)]
        assert found.update_ratio[name] == [pytest.approx(moved / weight if weight else 0, rel=1e-9)]
    for i, code in ((1, nn.ReLU), (3, nn.Sigmoid), (5, nn.Tanh), (7, nn.Sigmoid)):
        start = net()
        outputs = start[: i + 1].forward(x, training=True)
        key = f"layer {i} ({code.__name__})"
        assert found.mean[key] == [pytest.approx(outputs.mean(), rel=1e-9, abs=1e-12)]
        assert found.std[key] == [pytest.approx(outputs.std(), rel=1e-9)]
        assert found.zero_fraction[key] == [pytest.approx((outputs == 0).mean())]
        assert found.dead_fraction[key] == [pytest.approx((outputs == 0).all(axis=0).mean())]
        flat = {nn.Sigmoid: abs(outputs - 0.5) > 0.49, nn.Tanh: abs(outputs) > 0.98, nn.ReLU: outputs != outputs}[code]
        assert found.saturated_fraction[key] == [pytest.approx(flat.mean())]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("layer", "is_flat"),
    [
        (nn.Hardtanh(), lambda x: abs(x) >= 1),
        (nn.Hardtanh(-2.0, 3.0), lambda x: (x <= -2) | (x >= 3)),
        (nn.ReLU6(), lambda x: x >= 6),
        (nn.Hardsigmoid(), lambda x: abs(x) >= 3),
        (nn.Softsign(), lambda x: abs(x) > 4),
        (nn.ELU(), lambda x: x < np.log(0.02)),
        (nn.GELU(), lambda x: x != x),
    ],
    ids=repr,
)
def test_saturated_values(layer, is_flat, dtype):
    x = np.random.default_rng(0).uniform(-12, 12, (64, 5)).astype(dtype)
    model = nn.Sequential(copy.deepcopy(layer), nn.Linear(5, 1), seed=0, dtype=dtype)
    model.compile("mse", "sgd")
    found = Diagnostics(every=1)
    model.fit(x, x[:, 0], batch_size=None, callbacks=[found], verbose=0)
    assert [*found.saturated_fraction.values()] == [[pytest.approx(is_flat(x).mean())]]


@pytest.mark.parametrize("threads", [1, 3])
def test_padding_does_not_count(threads):
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(20, 6, 3)), rng.integers(1, 7, 20)
    valid = np.arange(6) < lengths[:, None]
    model = nn.Sequential(nn.Linear(3, 5, bias_init="ones"), nn.ReLU(), nn.GlobalAveragePooling1D(), nn.Linear(5, 1), seed=0)
    model.build((6, 3)).compile("mse", nn.optim.SGD(lr=0.0))
    model[0].weight[0] = 0
    model[0].bias[0] = -1  # a dead unit
    expected = np.maximum(x[valid] @ model[0].weight.T + model[0].bias, 0)
    found = Diagnostics(every=1)
    with nn.threads(threads):
        model.fit(x, np.zeros((20, 1)), lengths=lengths, batch_size=None, callbacks=[found], verbose=0)
    assert found.mean["layer 1 (ReLU)"] == [pytest.approx(expected.mean(), rel=1e-5)]
    assert found.std["layer 1 (ReLU)"] == [pytest.approx(expected.std(), rel=1e-5)]
    assert found.zero_fraction["layer 1 (ReLU)"] == [pytest.approx((expected == 0).mean())]
    assert found.dead_fraction["layer 1 (ReLU)"] == [pytest.approx(0.2)]


@pytest.mark.parametrize("every", [1, 3])
def test_looking_changes_nothing_and_does_not_depend_on_threads(every):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(512, 300)).astype("f4"), rng.normal(size=(512, 1)).astype("f4")
    results = []
    for threads, look in ((1, False), (1, True), (2, True), (3, True)):
        model = nn.Sequential(nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 300), nn.Tanh(), nn.Linear(300, 1), seed=0)
        model.compile("mse", "adam")
        found = Diagnostics(every)
        with nn.threads(threads):
            model.fit(x, y, epochs=3, batch_size=128, callbacks=[found] if look else [], verbose=0)
        results.append((model.get_weights(), found))
    for weights, found in results[1:]:
        for a, b in zip(weights, results[0][0], strict=True):
            np.testing.assert_array_equal(a, b)
        assert found.gradient_norm == results[1][1].gradient_norm
        assert found.mean == results[1][1].mean
        assert found.update_ratio == results[1][1].update_ratio


def test_each_epoch_begins_with_a_look():
    x, y = data(40)
    looks = []

    class Counts(Diagnostics):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            looks.append(self._looked[-1][0])

    model, found = net(), Counts(every=4)
    model.train_on_batch(x, y)
    model.fit(x, y, epochs=2, batch_size=8, callbacks=[found], verbose=0)  # 5 steps: the first and the last
    assert looks == [2, 2]
    assert np.isfinite(found.gradient_norm["0.weight"]).all()
    assert found.epoch == [0, 1]


def test_it_is_off_again_after_fit_and_after_an_error():
    class Fails(nn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise LookupError

    x, y = data(32)
    model, found = net(), Diagnostics(every=1)
    model.fit(x, y, callbacks=[found], verbose=0)
    assert model._plan.read_probe() is None
    with pytest.raises(LookupError):
        model.fit(x, y, callbacks=[Fails(), found], verbose=0)
    model.train_on_batch(x, y)
    assert model._plan.read_probe() is None


def test_the_figures_of_a_batch_that_needs_no_conversion():
    x, y = data(32)
    model = net()
    assert model._plan.start_probe(1, [1]) == {1: (0, 12)}
    model.train_on_batch(x, y)
    steps, parameters, units = model._plan.read_probe()
    assert steps == 1
    assert (parameters[:, 0] > 0).all()
    assert units.shape == (4 * 12 + 1,)
    assert units[-1] == 32


def test_figures_may_be_asked_for_at_any_time(monkeypatch):
    x, y = data(40)

    def run(callback, limit=None):
        if limit is not None:
            monkeypatch.setattr("nncore.callbacks.diagnostics._KEPT_BYTES", limit)
        net().fit(x, y, epochs=5, batch_size=8, callbacks=[callback], verbose=0)
        return [getattr(callback, name) for name in ("epoch", "gradient_norm", "update_ratio", "std", "dead_fraction")]

    class Asks(Diagnostics):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch % 2:
                assert len(self.std["layer 1 (ReLU)"]) == epoch + 1

    expected = run(Diagnostics(every=2))
    assert run(Asks(every=2)) == expected
    assert run(Diagnostics(every=2), 3000) == expected


def test_an_epoch_without_a_look_has_no_figures():
    x, y = data(32)

    class Forgets(nn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model._plan.read_probe()

    found = Diagnostics()
    net().fit(x, y, epochs=2, callbacks=[Forgets(), found], verbose=0)
    assert np.isnan(found.update_norm["0.weight"]).all()
    assert np.isnan(found.dead_fraction["layer 1 (ReLU)"]).all()


def test_plot():
    pytest.importorskip("matplotlib")
    x, y = data(32)
    model, found = net(), Diagnostics(every=1)
    with pytest.raises(nn.errors.EmptyDataError):
        found.plot()
    model.fit(x, y, epochs=3, callbacks=[found], verbose=0)
    figure = found.plot()
    panels = figure.axes
    assert figure.get_figwidth() < 6  # inches, which a phone shows legibly
    assert all(line.get_xdata().tolist() == [1, 2, 3] for axes in panels for line in axes.lines)  # as the progress bar counts
    for names, legend in ((found.gradient_norm, panels[1].get_legend()), (found.dead_fraction, panels[3].get_legend())):
        assert [text.get_text() for text in legend.texts] == [name for name in names if not name.endswith("bias")]
    assert [axes.get_title() for axes in panels] == ["gradient norm", "update / weight", "dead units", "saturated"]
    assert [axes.get_ylabel() for axes in panels] == ["norm", "ratio", "fraction", "fraction"]
    assert [axes.get_yscale() for axes in panels] == ["log", "log", "linear", "linear"]


def deep(kind, width=32, depth=10):
    layers = []
    for i in range(depth):
        scheme = {"sigmoid": "xavier_uniform", "leaky": "he_normal", "norm": "xavier_uniform"}[kind]
        layers.append(nn.Linear(2 if i == 0 else width, width, weight_init=scheme))
        if kind == "norm":
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.LeakyReLU() if kind == "leaky" else nn.Sigmoid())
    return nn.Sequential(*layers, nn.Linear(width, 1), nn.Sigmoid(), seed=0)


@pytest.mark.parametrize(("kind", "vanishes"), [("sigmoid", True), ("leaky", False), ("norm", False)])
def test_the_gradient_of_a_deep_sigmoid_net_vanishes(kind, vanishes):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (512, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(float)
    model, found = deep(kind), Diagnostics(every=1)
    model.compile("binary_crossentropy", nn.optim.SGD(lr=0.1))
    model.fit(x, y, epochs=1, batch_size=64, callbacks=[found], verbose=0)
    norms = [v[0] for name, v in found.gradient_norm.items() if name.endswith("weight") and _is_linear(model, name)]
    assert len(norms) == 11
    assert (norms[0] < 1e-3 * norms[-1]) == vanishes
    if not vanishes:
        assert norms[0] > 0.03 * norms[-1]


def _is_linear(model, name):
    return isinstance(model[int(name.partition(".")[0])], nn.Linear)


def test_dying_relus_are_counted_and_learn_again_as_leaky_ones():
    """All units of the second layer die; under LeakyReLU, with the same weights, the layers before it have a gradient again."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 10)).astype("f4")
    y = 2 * abs(x[:, 0]) - 5

    def two_layers(activation, lr):
        model = nn.Sequential(nn.Linear(10, 64), activation(), nn.Linear(64, 64), activation(), nn.Linear(64, 1), seed=0)
        model.compile("mse", nn.optim.Adam(lr=lr))
        return model

    victim, found = two_layers(nn.ReLU, 0.3), Diagnostics(every=1)
    victim.fit(x, y, epochs=20, batch_size=40, callbacks=[found], verbose=0)
    assert found.dead_fraction["layer 3 (ReLU)"][0] < 1
    assert found.dead_fraction["layer 3 (ReLU)"][-1] == 1
    losses = {}
    for activation in (nn.ReLU, nn.LeakyReLU):
        model, later = two_layers(activation, 1e-2), Diagnostics(every=1)
        model.load_state_dict(victim.state_dict())
        history = model.fit(x, y, epochs=120, batch_size=40, callbacks=[later], verbose=0)
        losses[activation] = history.history["loss"][-1]
        learns = max(later.gradient_norm["0.weight"]) > 0
        assert learns == (activation is nn.LeakyReLU)
        dead = max(values[-1] for values in later.dead_fraction.values())
        assert dead == (0 if activation is nn.LeakyReLU else 1)
    constant = np.var(y)
    assert losses[nn.ReLU] > 0.9 * constant
    assert losses[nn.LeakyReLU] < 0.5 * constant

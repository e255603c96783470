"""Quantized models: what they compute, against NumPy with the documented formulas; what they offer, and what they refuse."""

import copy
import gc
import pickle
from itertools import pairwise

import numpy as np
import pytest

import nncore as nn
from nncore import _core
from nncore.errors import ArgumentError, NncoreError, NonFiniteError, NotBuiltError, NotCompiledError, UnknownAttributeError

F = np.float32


def of_weight(w):
    """q and scale of a weight [out, in]."""
    scale = (np.abs(w).max(1) / F(127)).astype(F)
    return np.rint(w / np.where(scale > 0, scale, 1)[:, None]).astype(np.int64), scale


def linear(x, w, bias=None):
    """A quantized layer in NumPy, or the float32 one if a side is under 16."""
    if min(w.shape) < 16:
        y = (x.astype(np.float64) @ w.T.astype(np.float64)).astype(F)
        return y if bias is None else y + bias
    q, scale = of_weight(w)
    largest = np.abs(x).max(-1, keepdims=True)
    p = np.rint(x * (F(127) / np.where(largest > 0, largest, 1))).astype(np.int64)
    y = (p @ q.T).astype(F) * ((largest / F(127)) * scale)
    return y if bias is None else y + bias


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def recurrent(kind, x, state, lengths=None, suffix=""):
    """The outputs [N, T, H] of a recurrent layer whose weights are those of a float32 state dict."""
    w_ih, w_hh = state[f"weight_ih_l0{suffix}"], state[f"weight_hh_l0{suffix}"]
    b_ih, b_hh = state[f"bias_ih_l0{suffix}"], state[f"bias_hh_l0{suffix}"]
    hidden, steps = w_hh.shape[1], x.shape[1]
    h, c, y = np.zeros((len(x), hidden), F), np.zeros((len(x), hidden)), np.zeros((len(x), steps, hidden), F)
    for t in range(steps) if not suffix else reversed(range(steps)):
        a, z = linear(x[:, t], w_ih, b_ih).astype(np.float64), linear(h, w_hh, b_hh).astype(np.float64)
        if kind == "RNN":
            new = np.tanh(a + z)
        elif kind == "GRU":
            (ar, az, an), (zr, zz, zn) = np.split(a, 3, 1), np.split(z, 3, 1)
            n, u = np.tanh(an + sigmoid(ar + zr) * zn), sigmoid(az + zz)
            new = n + u * (h - n)
        else:
            i, f, g, o = np.split(a + z, 4, 1)
            changed = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            new = sigmoid(o) * np.tanh(changed)
        counts = np.ones(len(x), bool) if lengths is None else np.asarray(lengths) > t
        if kind == "LSTM":
            c = np.where(counts[:, None], changed, c)
        h = np.where(counts[:, None], new, h).astype(F)
        y[counts, t] = h[counts]
    return y


def mlp(**options):
    return nn.Sequential(
        nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 33, bias=False), nn.Tanh(), nn.Linear(33, 5), seed=3, **options
    )


def of_mlp(state, x):
    h = np.maximum(linear(x, state["0.weight"], state["0.bias"]), 0)
    h = np.tanh(linear(h, state["2.weight"]).astype(np.float64)).astype(F)
    return linear(h, state["4.weight"], state["4.bias"])


# What it computes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 100, 700])
def test_a_layer_has_the_bits_of_the_formula(rows, rng):
    model = nn.Sequential(nn.Linear(70, 50), seed=0)
    model[0].bias[...] = rng.normal(size=50)
    x = rng.normal(size=(rows, 70)).astype(F)
    wanted = linear(x, model[0].weight, model[0].bias)
    quantized = model.quantize("int8")
    assert quantized(x).tobytes() == wanted.tobytes()
    assert quantized.predict(x).tobytes() == wanted.tobytes()
    out = np.empty_like(wanted)
    assert quantized(x, out=out) is out
    assert out.tobytes() == wanted.tobytes()


def test_a_net_follows_the_formulas(rng):
    model, x = mlp(), rng.normal(size=(50, 40)).astype(F)
    found = model.quantize("int8")(x)
    np.testing.assert_allclose(found, of_mlp(model.state_dict(), x), rtol=2e-2, atol=2e-2)  # tanh's last bit may move a rounding
    assert np.median(np.abs(found - of_mlp(model.state_dict(), x))) < 1e-6
    assert np.abs(found - model(x)).max() < 0.05


def test_rows_do_not_depend_on_each_other_or_on_threads(rng):
    quantized, x = mlp().quantize("int8"), rng.normal(size=(533, 40)).astype(F)
    wanted = quantized(x)
    for n in (1, 2, 3, 7):
        _core.force_threads(n)
        assert quantized(x).tobytes() == wanted.tobytes()
    _core.force_threads(0)
    assert np.concatenate([quantized(x[i : i + 1]) for i in range(40)]).tobytes() == wanted[:40].tobytes()
    assert np.concatenate([quantized(x[i : i + 31]) for i in range(0, 533, 31)]).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("sides", [(784, 512, 256, 10), (1024, 900, 64)])
def test_the_columns_of_wide_layers_may_be_divided_among_threads(sides, rng):
    layers = [layer for a, b in pairwise(sides) for layer in (nn.Linear(a, b), nn.ReLU())]
    quantized = nn.Sequential(*layers, seed=0).quantize("int8")
    x = rng.normal(size=(3, sides[0])).astype(F)
    nn.set_num_threads(1)
    wanted = quantized(x)
    nn.set_num_threads(2)
    assert all(quantized(x).tobytes() == wanted.tobytes() for _ in range(300))
    nn.set_num_threads(0)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize(("features", "hidden", "steps"), [(20, 24, 7), (3, 33, 20), (40, 16, 1)])
def test_recurrent_layers_follow_the_formulas(kind, features, hidden, steps, rng):
    model = nn.Sequential(getattr(nn, kind)(features, hidden, return_sequences=True), seed=1).build((steps, features))
    x = rng.normal(size=(19, steps, features)).astype(F)
    wanted = recurrent(kind, x, {name[2:]: w for name, w in model.state_dict().items()})
    found = model.quantize("int8")(x)
    assert np.quantile(np.abs(found - wanted), 0.9) < 2e-6
    np.testing.assert_allclose(found, wanted, atol=2e-2)  # a rounding that the last bit of h decides
    assert np.abs(found - model(x)).max() < 0.05


def test_both_directions_and_lengths(rng):
    model = nn.Sequential(nn.GRU(18, 20, bidirectional=True, return_sequences=True), seed=1).build((9, 18))
    x, lengths = rng.normal(size=(11, 9, 18)).astype(F), rng.integers(1, 10, size=11)
    state = {name[2:]: w for name, w in model.state_dict().items()}
    found = model.quantize("int8").predict(x, lengths=lengths)
    for suffix, part in (("", found[..., :20]), ("_reverse", found[..., 20:])):
        wanted = recurrent("GRU", x, state, lengths, suffix)
        assert np.quantile(np.abs(part - wanted), 0.9) < 2e-6
        np.testing.assert_allclose(part, wanted, atol=2e-2)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_stream_gives_the_bits_of_the_sequence(kind, rng):
    cell = getattr(nn, kind)
    model = nn.Sequential(cell(20, 24, return_sequences=True), cell(24, 40, return_sequences=True), nn.Linear(40, 16), seed=0)
    quantized, x = model.build((6, 20)).quantize("int8"), rng.normal(size=(3, 6, 20)).astype(F)
    stream = quantized.stream(batch=3)
    steps = np.stack([stream.step(x[:, t]).copy() for t in range(6)], 1)
    assert steps.tobytes() == quantized(x).tobytes()
    stream.reset()
    assert stream.step(x[:, 0]).tobytes() == steps[:, 0].tobytes()


def test_sequences_of_other_lengths(rng):
    model = nn.Sequential(nn.LSTM(16, 16), nn.Linear(16, 2), seed=0)
    quantized = model.build((5, 16)).quantize("int8")
    for steps in (5, 9, 5, 30):
        x = rng.normal(size=(4, steps, 16)).astype(F)
        assert np.abs(quantized(x) - model(x)).max() < 0.05


def test_everything_else_stays_as_it_is(rng):
    """Layers around the products, and a weight with a side under 16, compute in float32, with the bits of the model (but SSE2)."""
    a, b = nn.Input((6,), name="a"), nn.Input((4, 8), name="b")
    left = nn.BatchNorm1d(12)(nn.Linear(6, 12)(a))
    right = nn.GlobalAveragePooling1D()(nn.LayerNorm(8)(b))
    model = nn.Model({"a": a, "b": b}, {"sum": nn.Linear(12, 3)(nn.PReLU()(left)), "mean": nn.Tanh()(right)}, seed=0)
    x = {"a": rng.normal(size=(9, 6)).astype(F), "b": rng.normal(size=(9, 4, 8)).astype(F)}
    quantized = model.quantize("int8")
    for name, y in model.predict(x).items():
        if _core.isa() == "baseline":  # SSE2: a float32 model rounds multiply-adds twice, one of lower precision does not
            np.testing.assert_allclose(quantized.predict(x)[name], y, rtol=1e-5, atol=1e-6)
        else:
            assert quantized.predict(x)[name].tobytes() == y.tobytes()
    assert quantized.state_dict().keys() == model.state_dict().keys()


def test_graphs_shared_layers_embeddings_and_time(rng):
    words = nn.Input((7,), name="words")
    shared = nn.Linear(16, 32, name="shared")
    h = nn.Embedding(30, 16)(words)
    first = nn.ReLU()(shared(h))
    second = shared(nn.Linear(32, 16, name="back")(first))
    model = nn.Model(words, [nn.LastStep()(second), nn.GlobalMaxPooling1D()(first)], seed=0)
    x = rng.integers(0, 30, size=(13, 7))
    quantized = model.quantize("int8")
    state, table = model.state_dict(), model.state_dict()["embedding.weight"]
    one = np.maximum(linear(table[x].reshape(-1, 16), state["shared.weight"], state["shared.bias"]), 0)
    two = linear(linear(one, state["back.weight"], state["back.bias"]), state["shared.weight"], state["shared.bias"])
    found = quantized(x)
    assert found[0].tobytes() == two.reshape(13, 7, 32)[:, -1].tobytes()
    assert found[1].tobytes() == one.reshape(13, 7, 32).max(1).tobytes()


def test_models_within_models(rng):
    inner = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), seed=1)
    model = nn.Sequential(inner, nn.Sequential(nn.Linear(32, 16), seed=2), nn.Softmax(), seed=0)
    quantized, x = model.quantize("int8"), rng.normal(size=(5, 20)).astype(F)
    state = model.state_dict()
    z = linear(np.maximum(linear(x, state["0.0.weight"], state["0.0.bias"]), 0), state["1.0.weight"], state["1.0.bias"])
    wanted = np.exp(z.astype(np.float64)) / np.exp(z.astype(np.float64)).sum(1, keepdims=True)
    np.testing.assert_allclose(quantized(x), wanted, rtol=1e-5)


def test_a_model_of_float64_becomes_one_of_float32(rng):
    model, x = mlp(dtype="float64"), rng.normal(size=(5, 40))
    quantized = model.quantize("int8")
    assert quantized.dtype == F
    assert np.abs(quantized(x) - model(x)).max() < 0.05


def test_layers_in_python(rng):
    class Scale(nn.PythonLayer):
        def forward(self, x, training):
            return 2 * x

        def backward(self, grad, x, y):
            return 2 * grad

        def output_shape(self, shape):
            return shape

    model = nn.Sequential(nn.Linear(16, 16), Scale(), nn.Linear(16, 16), seed=0)
    x, state = rng.normal(size=(9, 16)).astype(F), model.state_dict()
    wanted = linear(2 * linear(x, state["0.weight"], state["0.bias"]), state["2.weight"], state["2.bias"])
    assert model.quantize("int8")(x).tobytes() == wanted.tobytes()


def test_nan_and_infinity_in_data(rng):
    quantized, x = mlp().quantize("int8"), rng.normal(size=(6, 40)).astype(F)
    wanted = quantized(x)
    x[1, 3], x[4, 0] = np.nan, np.inf
    found = quantized(x)
    assert np.isnan(found[[1, 4]]).all()
    assert found[[0, 2, 3, 5]].tobytes() == wanted[[0, 2, 3, 5]].tobytes()


# What it offers -------------------------------------------------------------------------------------------------------


def test_the_model_stays_as_it_is(rng):
    model, x = mlp(), rng.normal(size=(8, 40)).astype(F)
    model.compile("mse", "adam")
    before, y = model.state_dict(), model(x)
    quantized = model.quantize("int8")
    assert model(x).tobytes() == y.tobytes()
    found = quantized(x)
    model.train_on_batch(x, np.zeros((8, 5)))
    assert quantized(x).tobytes() == found.tobytes()
    assert all((before[name] != value).any() for name, value in model.state_dict().items())


def test_evaluation_has_the_loss_and_metrics_of_the_model(rng):
    model = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 16), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam", metrics=["accuracy"], l2=0.1)
    x, y = rng.normal(size=(60, 30)).astype(F), rng.integers(0, 16, size=60)
    quantized = model.quantize("int8")
    p = quantized.predict(x)
    loss, accuracy = quantized.evaluate(x, y)
    np.testing.assert_allclose(loss, -np.log(p[np.arange(60), y].astype(np.float64)).mean(), rtol=1e-5)  # without the penalty
    assert accuracy == pytest.approx((p.argmax(1) == y).mean())
    assert quantized.metrics_names == ["loss", "accuracy"]
    np.testing.assert_allclose(quantized.test_on_batch(x, y), [loss, accuracy])
    quantized.compile("categorical_crossentropy", metrics=["mae"])
    found = quantized.evaluate(x, np.eye(16)[y], return_dict=True)
    assert found["mae"] == pytest.approx(np.abs(p - np.eye(16)[y]).mean(), rel=1e-5)


def test_batches_generators_masks_and_callbacks(rng):
    model = nn.Sequential(nn.LSTM(16, 20, return_sequences=True), nn.Linear(20, 16), seed=0).build((6, 16))
    model.compile("mse", "adam", metrics=["mae"])
    quantized = model.quantize("int8")
    x, y = rng.normal(size=(20, 6, 16)).astype(F), rng.normal(size=(20, 6, 16)).astype(F)
    wanted = quantized.predict(x)
    parts = [slice(0, 7), slice(7, 8), slice(8, 20)]
    assert quantized.predict([(x[part], y[part]) for part in parts]).tobytes() == wanted.tobytes()
    assert quantized.predict((x[part], y[part]) for part in parts).tobytes() == wanted.tobytes()
    found = quantized.evaluate([(x[part], y[part]) for part in parts], return_dict=True)
    assert found == pytest.approx(quantized.evaluate(x, y, return_dict=True), rel=1e-6)
    np.testing.assert_allclose(found["loss"], np.mean((wanted.astype(np.float64) - y) ** 2), rtol=1e-5)
    mask = np.arange(6) < rng.integers(1, 7, size=20)[:, None]
    assert quantized.predict(x, mask=mask)[mask].tobytes() == wanted[mask].tobytes()
    seen = []
    quantized.predict(x, batch_size=8, callbacks=[nn.callbacks.LambdaCallback(on_predict_batch_end=lambda b, logs: seen.append(b))])
    assert seen == [0, 1, 2]


def test_evaluation_needs_a_loss():
    with pytest.raises(NotCompiledError):
        mlp().quantize("int8").evaluate(np.zeros((2, 40)), np.zeros((2, 5)))


def test_copies_and_pickles(rng):
    model = nn.Sequential(nn.GRU(16, 20), nn.Linear(20, 16), seed=0).build((5, 16))
    model.compile("mse", "adam", metrics=["mae"])
    quantized, x = model.quantize("int8"), rng.normal(size=(3, 5, 16)).astype(F)
    for other in (copy.copy(quantized), copy.deepcopy(quantized), pickle.loads(pickle.dumps(quantized))):
        assert type(other) is type(quantized)
        assert other(x).tobytes() == quantized(x).tobytes()
        assert other.evaluate(x, np.zeros((3, 16))) == quantized.evaluate(x, np.zeros((3, 16)))
    assert len(pickle.dumps(quantized)) < 0.5 * len(pickle.dumps(model))


def test_the_state_dict_has_integers_and_scales(rng):
    model = nn.Sequential(nn.Linear(40, 20), nn.Linear(20, 3), seed=0)
    state = model.quantize("int8").state_dict()
    assert list(state) == ["0.weight", "0.weight_scale", "0.bias", "1.weight", "1.bias"]
    q, scale = of_weight(model[0].weight)
    np.testing.assert_array_equal(state["0.weight"], q)
    assert state["0.weight"].dtype == np.int8
    assert state["0.weight_scale"].tobytes() == scale.tobytes()
    assert state["1.weight"].tobytes() == model[1].weight.copy().tobytes()


def test_what_its_layers_show(rng):
    model = nn.Sequential(nn.Linear(40, 20), nn.LSTM(20, 16), seed=0).build((4, 40))
    quantized = model.quantize("int8")
    for name, own, other in (("weight", quantized.layers[0], model[0]), ("weight_hh_l0", quantized.layers[1], model[1])):
        q, scale = of_weight(getattr(other, name))
        np.testing.assert_array_equal(getattr(own, name), (q * scale[:, None]).astype(F))
        assert not getattr(own, name).flags.writeable
        with pytest.raises(ArgumentError, match="fixed"):
            setattr(own, name, np.zeros(getattr(own, name).shape))
    x = rng.normal(size=(3, 40)).astype(F)
    assert quantized.layers[0](x).tobytes() == linear(x, model[0].weight, model[0].bias).tobytes()
    with pytest.raises(NncoreError, match="inference"):
        quantized.layers[0](x, training=True)
    with pytest.raises(ArgumentError, match="fixed"):
        quantized.layers[0].reset_parameters()


def test_repr_and_summary():
    quantized = (
        nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.GRU(128, 16), nn.Linear(16, 2), seed=0).build((4, 64)).quantize("int8")
    )
    assert repr(quantized).startswith('QuantizedModel(  # compute="int8"\n  (0): Linear(')
    summary = str(quantized.summary(show=False))
    assert "int8" in summary.splitlines()[0]
    assert "0 Linear: int8\n2 GRU: int8" in summary
    assert "3 Linear" not in summary.split("memory")[1]
    assert "Trainable parameters: 0" in summary
    assert "Training keeps" not in summary
    assert quantized.summary(show=False).parameter_bytes < 0.5 * 4 * quantized.summary(show=False).total_parameters


def test_it_does_not_keep_the_float32_weights():
    """The buffers of its plan are the parameters alone: about a quarter, and no gradients."""
    model = nn.Sequential(nn.Linear(512, 512), nn.Linear(512, 512), seed=0)
    quantized = model.quantize("int8")
    buffers = quantized._plan.buffers()
    assert sum(each.nbytes for each in buffers.values()) < 0.27 * model._plan.buffers()["parameters"].nbytes
    assert all(layer._pending == {} for layer in quantized.layers)


# The report -----------------------------------------------------------------------------------------------------------


def test_the_report_has_the_numbers(rng):
    model = nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 16), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam", metrics=["accuracy"])
    x, y = rng.normal(size=(200, 40)).astype(F), rng.integers(0, 16, size=200)
    quantized = model.quantize("int8")
    report = quantized.report(x, y)
    a, b = model(x).astype(np.float64), quantized(x).astype(np.float64)
    assert report.rows == 200
    assert report.outputs[0].rms == pytest.approx(np.sqrt(np.mean((b - a) ** 2)) / np.sqrt(np.mean(a**2)))
    assert report.outputs[0].largest == pytest.approx(np.abs(b - a).max() / np.abs(a).max())
    assert report.outputs[0].agreement == pytest.approx((a.argmax(1) == b.argmax(1)).mean())
    w = model[0].weight.astype(np.float64)
    q, scale = of_weight(model[0].weight)
    first = report.weights[0]
    assert (first.name, first.shape, first.is_quantized) == ("0.weight", (64, 40), True)
    assert first.rms == pytest.approx(np.sqrt(np.mean((q * scale[:, None] - w) ** 2)) / np.sqrt(np.mean(w**2)), rel=1e-5)
    assert first.largest == pytest.approx(np.abs(q * scale[:, None] - w).max() / np.abs(w).max(), rel=1e-5)
    assert first.bytes_before == 4 * 64 * 40
    assert first.bytes_after < 0.5 * first.bytes_before
    assert report.bytes_before == 4 * sum(value.size for value in model.state_dict().values())
    assert report.metrics["loss"] == (pytest.approx(model.evaluate(x, y)[0]), pytest.approx(quantized.evaluate(x, y)[0]))
    assert report.metrics["accuracy"] == (pytest.approx(model.evaluate(x, y)[1]), pytest.approx(quantized.evaluate(x, y)[1]))
    for text in ("0.weight", "output", "loss", "accuracy", "int8", f"{report.bytes_before:,}"):
        assert text in repr(report)


def test_the_report_of_several_outputs_and_sequences(rng):
    x = nn.Input((6, 20), name="x")
    h = nn.LSTM(20, 32, return_sequences=True)(x)
    model = nn.Model(x, {"decision": nn.Sigmoid()(nn.Linear(32, 1)(nn.LastStep()(h))), "number": nn.Linear(32, 16)(h)}, seed=0)
    data, lengths = rng.normal(size=(30, 6, 20)).astype(F), rng.integers(1, 7, size=30)
    quantized = model.quantize("int8")
    report = quantized.report(data, lengths=lengths)
    wanted, found = model.predict(data, lengths=lengths), quantized.predict(data, lengths=lengths)
    decision, number = report.outputs
    assert (decision.name, number.name) == ("decision", "number")
    assert decision.agreement == pytest.approx(((wanted["decision"] > 0.5) == (found["decision"] > 0.5)).mean())
    assert number.agreement is None
    assert [w.is_quantized for w in report.weights] == [True, True, False, True]


def test_the_report_needs_the_model(rng):
    x = rng.normal(size=(4, 40)).astype(F)
    model = mlp()
    quantized = model.quantize("int8")
    wanted = quantized.report(x).outputs
    other = copy.deepcopy(model)
    del model
    gc.collect()
    with pytest.raises(ArgumentError, match="no longer exists"):
        quantized.report(x)
    assert quantized.report(x, model=other).outputs == wanted
    with pytest.raises(ArgumentError, match="other layers"):
        quantized.report(x, model=nn.Sequential(nn.Linear(40, 5)))
    with pytest.raises(ArgumentError, match="must be a model"):
        quantized.report(x, model=3)
    with pytest.raises(ArgumentError, match="not quantized"):
        quantized.report(x, model=quantized)


def test_averaged_weights_and_models_of_bfloat16(rng):
    model, x = mlp(compute="bfloat16"), rng.normal(size=(30, 40)).astype(F)
    model.compile("mse", nn.optim.Adam(lr=0.1, ema_momentum=0.9))
    model.fit(x, rng.normal(size=(30, 5)), epochs=2, verbose=0)
    with model.averaged_weights():
        state, quantized = model.state_dict(), model.quantize("int8")
    assert quantized.compute == "int8"
    assert np.median(np.abs(quantized(x) - of_mlp(state, x))) < 1e-6


def test_states_that_other_layers_give(rng):
    a, b = nn.Input((4, 16)), nn.Input((5, 16))
    _, ends = nn.GRU(16, 24, return_state=True)(a)
    model = nn.Model([a, b], nn.Linear(24, 16)(nn.GRU(16, 24, return_sequences=True)(b, ends)), seed=0)
    x = [rng.normal(size=(3, steps, 16)).astype(F) for steps in (4, 5)]
    assert 0 < np.abs(model.quantize("int8")(x) - model(x)).max() < 0.02


# What it refuses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("layer", ["linear", "gru"])
def test_weights_that_are_not_finite(bad, layer):
    model = nn.Sequential(nn.Linear(16, 20), nn.GRU(20, 16), seed=0).build((3, 16))
    (model[0].weight if layer == "linear" else model[1].weight_hh_l0)[3, 7] = bad
    with pytest.raises(
        NonFiniteError, match=rf"{'0' if layer == 'linear' else '1'}.*{'weight' if layer == 'linear' else 'weight_hh_l0'}.*\(3, 7\)"
    ):
        model.quantize("int8")
    assert model.layers[0].weight.shape == (20, 16)


@pytest.mark.parametrize("wrong", ["int4", "float16", 8, None, np.int16, object()])
def test_other_formats(wrong):
    with pytest.raises(ArgumentError, match="int8"):
        mlp().quantize(wrong)


def test_a_model_without_parameters():
    with pytest.raises(NotBuiltError):
        nn.Sequential(nn.Flatten(), nn.Linear(32, 16)).quantize("int8")
    early = nn.Sequential(nn.LSTM(16, 16), seed=0)  # only the number of steps is open
    x = np.ones((2, 4, 16), F)
    assert np.abs(early.quantize("int8")(x) - early(x)).max() < 0.02


@pytest.mark.parametrize(
    "name",
    ["fit", "train_on_batch", "forward", "backward", "apply_gradients", "zero_gradients", "gradients", "load_state_dict",
     "set_weights", "load_weights", "reset_parameters", "averaged_weights", "step", "optimizer", "parameters", "quantize", "clone"],
)  # fmt: skip
def test_what_is_for_training(name):
    quantized = mlp().quantize("int8")
    assert not hasattr(quantized, name)
    with pytest.raises(UnknownAttributeError, match=f"QuantizedModel has no '{name}': .{{20,}}"):
        getattr(quantized, name)
    assert name not in dir(quantized)


def test_every_public_name_of_models_is_offered_or_refused_with_a_reason():
    quantized = mlp().quantize("int8")
    for name in dir(nn.Sequential):
        if name[0] == "_" or hasattr(quantized, name):
            continue
        with pytest.raises(UnknownAttributeError, match=r"has no .*: .{5,}"):
            getattr(quantized, name)


def test_calls_that_are_for_training(rng):
    quantized, x = mlp().quantize("int8"), rng.normal(size=(2, 40)).astype(F)
    assert quantized(x, training=False).tobytes() == quantized(x).tobytes()
    with pytest.raises(ArgumentError, match="inference"):
        quantized(x, training=True)
    with pytest.raises(ArgumentError, match="optimizer"):
        quantized.compile("mse", "adam")
    with pytest.raises(ArgumentError, match="the whole"):
        quantized(nn.Input((40,)))
    with pytest.raises(NncoreError):
        nn.Sequential(quantized, nn.Linear(5, 2))
    with pytest.raises(ArgumentError, match="quantize"):
        type(quantized)()
    with pytest.raises(ArgumentError, match="compute"):
        nn.Sequential(nn.Linear(16, 16), compute="int8")
    with pytest.raises(UnknownAttributeError):
        quantized.trainable = False


def test_many_threads_predict_at_once(rng):
    from concurrent.futures import ThreadPoolExecutor

    quantized, x = mlp().quantize("int8"), rng.normal(size=(64, 40)).astype(F)
    wanted = quantized(x)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: quantized(x[: 1 + i % 64]), range(200)))
    assert all(y.tobytes() == wanted[: len(y)].tobytes() for y in found)

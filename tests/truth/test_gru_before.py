"""GRU(reset_after=False) against Keras, ONNX Runtime and NumPy; what it shows, keeps in files, and refuses."""

import os
import pickle

import numpy as np
import pytest

import nncore as nn

N, T, F, H = 4, 6, 3, 5


@pytest.fixture
def rng():
    return np.random.default_rng(23)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_numpy(x, state, h=None):
    """All outputs in float64; state: the parameters by role."""
    w, u, b, d = (np.float64(state[f"{role}_l0"]) for role in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, outputs = np.zeros((len(x), H)) if h is None else h, []
    for t in range(x.shape[1]):
        r, z = (sigmoid(x[:, t] @ w[i : i + H].T + b[i : i + H] + h @ u[i : i + H].T + d[i : i + H]) for i in (0, H))
        n = np.tanh(x[:, t] @ w[2 * H :].T + b[2 * H :] + (r * h) @ u[2 * H :].T + d[2 * H :])
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.stack(outputs, 1)


def drawn(rng, dtype="float64", steps=T, hidden=H, **options):
    layer = nn.GRU(F, hidden, reset_after=False, return_sequences=True, **options)
    model = nn.Sequential(layer, seed=0, dtype=dtype).build((steps, F))
    for value in model.parameters():
        value[...] = rng.normal(size=value.shape)
    return model


def own(model):
    return {name.removeprefix("0."): value for name, value in model.state_dict().items()}


def test_against_numpy_and_differences(rng):
    model, x = drawn(rng), rng.normal(size=(N, T, F))
    np.testing.assert_allclose(model.predict(x), by_numpy(x, own(model)), rtol=1e-12, atol=1e-14)
    nn.check_gradients(model, x, raise_on_error=True)
    after = nn.Sequential(nn.GRU(F, H, return_sequences=True), seed=0, dtype="float64").build((T, F))
    after.load_state_dict(model.state_dict())  # the names and shapes are the same
    assert np.abs(after.predict(x) - model.predict(x)).max() > 1e-2


def test_one_product_does_not_see_more_rows_than_there_are(rng):
    """More rows than a product takes at once, groups that are not full, more steps than a window, sizes of no whole vectors."""
    for rows, hidden, steps in [(1, 1, 1), (67, 37, 3), (130, 8, 2), (9, 64, 35)]:
        model, x = drawn(rng, "float32", steps, hidden), rng.normal(size=(rows, steps, F)).astype(np.float32)
        whole = model.predict(x)
        np.testing.assert_array_equal(model.forward(x, training=True), whole)
        np.testing.assert_array_equal(np.concatenate([model.predict(x[i : i + 1]) for i in range(rows)]), whole)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy and PyTorch
def test_against_keras(rng):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="Keras is the independent truth here")
    theirs = keras.layers.GRU(H, reset_after=False, return_sequences=True)
    x = rng.normal(size=(N, T, F)).astype(np.float32)
    theirs.build(x.shape)
    kernel, recurrent, bias = (rng.normal(size=w.shape).astype(np.float32) for w in theirs.weights)
    theirs.set_weights([kernel, recurrent, bias])
    order = np.r_[H : 2 * H, :H, 2 * H : 3 * H]  # z, r, h there
    ours = nn.GRU(F, H, reset_after=False)
    ours.load_state_dict(
        {
            "weight_ih_l0": kernel.T[order],
            "weight_hh_l0": recurrent.T[order],
            "bias_ih_l0": bias[order],
            "bias_hh_l0": np.zeros(3 * H, np.float32),
        }
    )
    np.testing.assert_allclose(ours(x)[0], np.asarray(theirs(x).detach()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_against_onnx_runtime(bidirectional, rng):
    onnx = pytest.importorskip("onnx", reason="ONNX Runtime is the independent truth here")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is the independent truth here")
    model = drawn(rng, "float32", bidirectional=bidirectional)
    state, order = own(model), np.r_[H : 2 * H, :H, 2 * H : 3 * H]
    suffixes = ["", "_reverse"][: 1 + bidirectional]

    def stacked(*roles):
        return np.stack([np.concatenate([state[f"{role}_l0{suffix}"][order] for role in roles]) for suffix in suffixes])

    tensors = {"W": stacked("weight_ih"), "R": stacked("weight_hh"), "B": stacked("bias_ih", "bias_hh")}
    node = onnx.helper.make_node(
        "GRU",
        ["X", "W", "R", "B", "lengths"],
        ["Y"],
        hidden_size=H,
        direction="bidirectional" if bidirectional else "forward",
        linear_before_reset=0,
    )
    floats, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32
    graph = onnx.helper.make_graph(
        [node],
        "gru",
        [
            onnx.helper.make_tensor_value_info("X", floats, [T, N, F]),
            onnx.helper.make_tensor_value_info("lengths", whole, [N]),
        ],
        [onnx.helper.make_tensor_value_info("Y", floats, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    x, lengths = rng.normal(size=(N, T, F)).astype(np.float32), np.array([6, 2, 5, 1], np.int32)
    (y,) = session.run(None, {"X": x.swapaxes(0, 1).copy(), "lengths": lengths})
    expected = y.transpose(2, 0, 1, 3).reshape(N, T, -1)
    np.testing.assert_allclose(model.predict(x, lengths=lengths), expected, rtol=1e-4, atol=1e-5)


def test_stateful_training_and_streams(rng):
    """States go on from batch to batch as in one long sequence, and from step to step."""
    x = rng.normal(size=(2, 2 * T, F))
    layer = nn.GRU(F, H, reset_after=False, return_sequences=True, stateful=True)
    model = nn.Sequential(layer, seed=0, dtype="float64").build((T, F))
    whole = by_numpy(x, own(model))
    first, second = (np.array(model.forward(x[:, part], training=True)) for part in (np.s_[:T], np.s_[T:]))
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=1e-12, atol=1e-14)
    plain = drawn(rng)
    stream = plain.stream(2)
    steps = [stream.step(x[:, t]).copy() for t in range(T)]
    np.testing.assert_allclose(np.stack(steps, 1), by_numpy(x[:, :T], own(plain)), rtol=1e-12, atol=1e-14)
    before = plain.state_dict()
    plain.compile(loss="mse", optimizer="sgd")
    plain.fit(x[:, :T], np.ones((2, T, H)), verbose=0)
    assert (plain.state_dict()["0.weight_hh_l0"] != before["0.weight_hh_l0"]).any()
    expected = by_numpy(x, {name.removeprefix("0."): value for name, value in before.items()})
    np.testing.assert_allclose(stream.step(x[:, T]), expected[:, T], rtol=1e-12, atol=1e-14)  # with the weights it began with


@pytest.mark.parametrize("hidden", [20, 64])
def test_quantized_outputs_are_near(hidden, rng):
    layer = nn.GRU(40, hidden, reset_after=False, return_sequences=True, bidirectional=True)
    model = nn.Sequential(layer, seed=0).build((12, 40))
    x, lengths = rng.normal(size=(21, 12, 40)).astype(np.float32), rng.integers(1, 13, 21)
    quantized = model.quantize("int8")
    ours, exact = quantized.predict(x, lengths=lengths), model.predict(x, lengths=lengths)
    assert 0 < np.abs(ours - exact).max() < 0.03
    alone = [quantized.predict(x[i : i + 1], lengths=lengths[i : i + 1]) for i in range(len(x))]
    np.testing.assert_array_equal(np.concatenate(alone), ours)


def test_what_it_shows_and_keeps(tmp_path, rng):
    layer = nn.GRU(F, H, reset_after=False)
    assert repr(layer) == "GRU(input_size=3, hidden_size=5, reset_after=False)"
    assert repr(nn.GRU(F, H)) == "GRU(input_size=3, hidden_size=5)"
    assert (layer.config()["reset_after"], nn.GRU(F, H).reset_after) == (False, True)
    model = nn.Sequential(layer, nn.Linear(H, 1), seed=0).build((T, F))
    assert "reset_after=False" in str(model.summary(show=False))
    x = rng.normal(size=(N, T, F)).astype(np.float32)
    model.save(tmp_path / "m.nncore")
    for other in (nn.load(tmp_path / "m.nncore"), pickle.loads(pickle.dumps(model)), model.clone()):
        assert other[0].reset_after is False
        other.load_state_dict(model.state_dict())
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
    older = pickle.loads(pickle.dumps(nn.GRU(F, H)).replace(b"reset_after", b"forgotten__"))
    assert older.reset_after is True
    with pytest.raises(nn.errors.ArgumentError, match="reset_after must be True or False"):
        nn.GRU(F, H, reset_after="no")
    with pytest.raises(AttributeError, match="reset_after is fixed"):
        layer.reset_after = True


def test_gradient_norms_per_step_and_diagnosis(rng):
    model, x = drawn(rng), rng.normal(size=(N, T, F))
    y = model.forward(x, training=True)
    model.backward(np.ones_like(y))
    (norms,) = model.step_gradient_norms().values()
    assert norms.shape == (T,)
    # The bias of a gate gets the sum of its gradients over rows and steps; of one row and one step, it is that gradient.
    single = drawn(rng, steps=1)
    single.backward(np.ones_like(single.forward(x[:1, :1], training=True)))
    (norms,) = single.step_gradient_norms().values()
    np.testing.assert_allclose(norms[0], np.linalg.norm(single.gradients["0.bias_ih_l0"]), rtol=1e-12)
    np.testing.assert_array_equal(single.gradients["0.bias_ih_l0"], single.gradients["0.bias_hh_l0"])

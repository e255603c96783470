"""Models of which only the number of time steps is open have their parameters before there are data, as PyTorch's have."""

import copy
import pickle

import numpy as np
import pytest

import nncore as nn

MODELS = {
    "gru": (lambda: [nn.GRU(3, 4), nn.Linear(4, 2)], (7, 3)),
    "lstm": (lambda: [nn.LSTM(3, 4, num_layers=2, bidirectional=True, dropout=0.1), nn.Linear(8, 2)], (7, 3)),
    "rnn": (lambda: [nn.RNN(3, 4, learn_initial_state=True, return_sequences=True), nn.LayerNorm(4), nn.PReLU(2)], (2, 3)),
    "dense first": (lambda: [nn.Dropout(0.1), nn.Linear(3, 5), nn.ReLU(), nn.GRU(5, 4)], (7, 3)),
    "pooling": (lambda: [nn.Linear(3, 4), nn.ReLU(), nn.GlobalAveragePooling1D(), nn.Linear(4, 2)], (7, 3)),
    "repeated": (lambda: [nn.Linear(3, 4), nn.RepeatVector(6), nn.GRU(4, 5, return_sequences=True), nn.Linear(5, 1)], (3,)),
    "embedding": (lambda: [nn.Embedding(10, 3), nn.Linear(3, 2)], (7,)),
    "embedding and gru": (lambda: [nn.Embedding(10, 3, padding_idx=0), nn.GRU(3, 4), nn.Linear(4, 2)], (7,)),
    "embedding and flatten": (lambda: [nn.Embedding(10, 3), nn.Flatten(), nn.Linear(12, 1)], (4,)),
    "gru and flatten": (lambda: [nn.GRU(3, 4, return_sequences=True), nn.Flatten(), nn.Linear(40, 1)], (10, 3)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def made(name, **options):
    return nn.Sequential(*MODELS[name][0](), **{"seed": 3, **options})


def samples(name, rng, rows=5):
    shape = MODELS[name][1]
    return rng.integers(0, 10, (rows, *shape)) if "embedding" in name else rng.normal(size=(rows, *shape)).astype(np.float32)


def test_state_dicts_of_torch_load_before_data(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is the independent truth here")
    theirs = torch.nn.GRU(3, 4, batch_first=True), torch.nn.Linear(4, 2)
    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2))
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    given = {f"{i}.{name}": value for i, part in enumerate(theirs) for name, value in part.state_dict().items()}
    assert shapes == {name: tuple(value.shape) for name, value in given.items()}
    model.load_state_dict(given)
    x = rng.normal(size=(5, 7, 3)).astype(np.float32)
    expected = theirs[1](theirs[0](torch.from_numpy(x))[1][0]).detach()
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-6)


@every_model
def test_the_same_weights_as_with_data(name, rng):
    model, x = made(name), samples(name, rng)
    before = model.state_dict()
    assert not model.built
    built = made(name).build(MODELS[name][1])
    assert list(before) == list(built.state_dict())
    for key, value in built.state_dict().items():
        np.testing.assert_array_equal(before[key], value)
    np.testing.assert_array_equal(model.predict(x), built.predict(x))
    assert model.built
    assert model.input_shapes == [MODELS[name][1]]


@every_model
def test_views_live_on(name, rng):
    model, x = made(name), samples(name, rng)
    views, named, gradients = model.parameters(), dict(model.named_parameters()), model.gradients
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    assert all(option.trainable for option in model.parameter_options())
    y = np.zeros((len(x), *made(name).build(MODELS[name][1]).output_shapes[0]))
    model.fit(x, y, verbose=0)
    for view, name_, now in zip(views, named, model.parameters(), strict=True):
        assert np.shares_memory(view, now)
        np.testing.assert_array_equal(named[name_], now)
        assert np.shares_memory(gradients[name_], model.gradients[name_])
    assert any(gradient.any() for gradient in gradients.values())


@every_model
def test_weights_set_before_data_are_those_of_the_model(name, rng):
    model, x = made(name), samples(name, rng)
    other = made(name, seed=4).build(MODELS[name][1])
    expected = other.predict(x)
    model.set_weights(other.get_weights())
    np.testing.assert_array_equal(model.predict(x), expected)


@pytest.mark.parametrize("how", ["copy", "pickle", "file", "weights"])
@every_model
def test_copies_and_files_before_data(name, how, tmp_path, rng):
    model, x = made(name, seed=None), samples(name, rng)
    if how == "copy":
        other = copy.deepcopy(model)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(model))
    elif how == "file":
        model.save(tmp_path / "m.safetensors")
        other = nn.load(tmp_path / "m.safetensors")
    else:
        model.save_weights(tmp_path / "m.safetensors")
        other = made(name, seed=None)
        other.load_weights(tmp_path / "m.safetensors")
    assert not other.built
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[key], value)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_attributes_of_layers():
    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2))
    assert model[0].weight_hh_l0.shape == (12, 4)
    model[1].weight = np.ones((2, 4))
    model[0].weight_ih_l0[...] = 0
    assert model.state_dict()["1.weight"].sum() == 8
    assert not model.state_dict()["0.weight_ih_l0"].any()


def test_summary_shows_time_as_open():
    table = nn.Sequential(nn.GRU(3, 4, return_sequences=True), nn.Linear(4, 2)).summary(show=False)
    assert table.is_open
    assert [row.output_shape for row in table.rows] == [(None, 4), (None, 2)]
    assert table.total_parameters == 3 * (4 * 3 + 4 * 4 + 4 + 4) + 10
    assert table.macs == 3 * (4 * 3 + 4 * 4) + 8  # of one step
    assert "input [*, time, 3]" in str(table)
    assert "[*, time, 2]" in str(table)
    assert "MACs/step" in str(table)
    known = nn.Sequential(nn.GRU(3, 4, return_sequences=True), nn.Linear(4, 2)).build((5, 3)).summary(show=False)
    assert not known.is_open
    assert known.macs == 5 * table.macs
    flattened = made("embedding and flatten").summary(show=False)
    assert [row.output_shape for row in flattened.rows] == [(4, 3), (12,), (1,)]


def test_streams_need_no_data():
    model = nn.Sequential(nn.LSTM(2, 3, return_sequences=True), nn.Linear(3, 1), seed=0)
    stream, x = model.stream(), np.ones((1, 4, 2), np.float32)
    steps = [stream.step(x[:, t]).copy() for t in range(4)]
    np.testing.assert_array_equal(np.stack(steps, 1), model.predict(x))


def test_what_needs_shapes_still_does():
    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2))
    model.compile(loss="mse", optimizer="sgd")
    for what in ("input_shapes", "output_shapes"):
        with pytest.raises(nn.errors.NotBuiltError, match=what):
            getattr(model, what)
    for use in (lambda: model.backward([[1.0, 1.0]]), model.apply_gradients, model.step_gradient_norms):
        with pytest.raises(nn.errors.NotBuiltError, match="build"):
            use()
    model.reset_states()
    with pytest.raises(nn.errors.ShapeError, match=r"\[\*, time, 3\]"):
        model(np.zeros((2, 7, 5)))
    assert not model.built
    assert model(np.zeros((2, 7, 3))).shape == (2, 2)


def test_layers_in_python():
    """They are asked for the shape of their result, unless they make weights in build, which may depend on the number of steps."""
    mean = nn.Lambda(lambda x: x.mean(axis=1), output_shape=lambda shape: shape[1:])
    model = nn.Sequential(nn.GRU(3, 4, return_sequences=True), mean, nn.Linear(4, 2), seed=0)
    assert list(model.state_dict())[-2:] == ["2.weight", "2.bias"]
    assert model(np.zeros((2, 7, 3))).shape == (2, 2)

    def fifth(shape):
        if shape[0] < 5:
            raise ValueError("too short")
        return shape[1:]

    model = nn.Sequential(nn.GRU(3, 4, return_sequences=True), nn.Lambda(lambda x: x[:, 4], output_shape=fifth), nn.Linear(4, 2))
    with pytest.raises(nn.errors.NotBuiltError):
        model.state_dict()
    with pytest.raises(ValueError, match="too short"):
        model(np.zeros((2, 3, 3)))
    assert model(np.zeros((2, 7, 3))).shape == (2, 2)

    class PerStep(nn.PythonLayer):
        def build(self, input_shape):
            self.add_weight("scale", (input_shape[0],), "ones")

        def forward(self, x):
            return x

    model = nn.Sequential(nn.GRU(3, 4, return_sequences=True), PerStep())
    with pytest.raises(nn.errors.NotBuiltError):
        model.state_dict()
    assert model(np.zeros((2, 7, 3))).shape == (2, 7, 4)
    assert model[1].scale.shape == (7,)


def test_layers_that_fit_for_no_number_of_steps_are_found_with_data():
    model = nn.Sequential(nn.GRU(3, 4, return_sequences=True), nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(nn.errors.NotBuiltError):
        model.state_dict()
    with pytest.raises(nn.errors.ShapeError, match=r"layer 2 \(Linear\)"):
        model(np.zeros((2, 7, 3)))


def test_layers_shared_before_data(rng):
    """Another model over the same layers, for another number of steps, does not stop the first one from taking data."""
    gru, head = nn.GRU(3, 4), nn.Linear(4, 2)
    first = nn.Sequential(gru, head, seed=0)
    weight = first[0].weight_hh_l0.copy()
    value = nn.Input((6, 3))
    second = nn.Model(value, head(gru(value)))
    np.testing.assert_array_equal(second.layers[0].weight_hh_l0, weight)
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(second.predict(x), first.predict(x))
    assert first(np.zeros((2, 9, 3))).shape == (2, 2)
    gru.weight_hh_l0 = np.zeros((12, 4))
    np.testing.assert_array_equal(second.predict(x), first.predict(x))


def test_files_without_values_take_no_memory(tmp_path):
    """A file may state any size; what it does not hold is not drawn before there are data."""
    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2))
    path, huge = tmp_path / "m.safetensors", tmp_path / "huge.safetensors"
    model.save(path)
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    with safetensors.safe_open(path, "np") as opened:
        metadata = opened.metadata()
    save_file({}, huge, {**metadata, "nncore": metadata["nncore"].replace('"hidden_size":4', '"hidden_size":100000')})
    loaded = nn.load(huge)
    assert not loaded.built
    with pytest.raises(nn.errors.NotBuiltError):
        loaded.state_dict()

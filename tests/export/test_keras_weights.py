"""Weights of Keras: what a Keras model computes is the truth, from lists, models and files, there and back."""

import os

import numpy as np
import pytest

import nncore as nn
from nncore.errors import (
    ArgumentError,
    NotBuiltError,
    ShapeError,
    StateDictError,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras, about NumPy and PyTorch


@pytest.fixture(scope="module")
def keras():
    torch = pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = pytest.importorskip("keras")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield found
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def h5py():
    return pytest.importorskip("h5py")


def randomized(model, seed=0):
    """Give every weight of a Keras model another value."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.uniform(0.1, 0.9, each.shape) * (1 if each.ndim == 1 else 2) - 0.3 * (each.ndim > 1) for each in model.get_weights()]
    )
    return model


def features(keras, dtype="float32"):
    """Return a Keras model of features, and the layers of nncore for it."""
    K = keras.layers
    theirs = keras.Sequential(
        [
            keras.Input((5,)),
            K.Dense(7, activation="relu"),
            K.BatchNormalization(epsilon=2e-3, momentum=0.9),
            K.Dense(6, use_bias=False),
            K.PReLU(),
            K.LayerNormalization(),
            K.Dropout(0.1),
            K.Dense(3, activation="softmax"),
        ]
    )
    ours = nn.Sequential(
        nn.Linear(5, 7),
        nn.ReLU(),
        nn.BatchNorm1d(7, eps=2e-3, momentum=0.1),
        nn.Linear(7, 6, bias=False),
        nn.PReLU(6),
        nn.LayerNorm(6, eps=1e-3),
        nn.Dropout(0.1),
        nn.Linear(6, 3),
        nn.Softmax(),
        dtype=dtype,
    )
    return randomized(theirs), ours


def sequences(keras):
    K = keras.layers
    theirs = keras.Sequential(
        [
            keras.Input((6,)),
            K.Embedding(9, 4),
            K.TimeDistributed(K.Dense(5)),
            K.Bidirectional(K.LSTM(3, return_sequences=True)),
            K.GRU(4, return_sequences=True),
            K.GRU(4, return_sequences=True),
            K.SimpleRNN(3, activation="relu", return_sequences=True),
            K.Bidirectional(K.GRU(2, use_bias=False)),
        ]
    )
    ours = nn.Sequential(
        nn.Embedding(9, 4),
        nn.Linear(4, 5),
        nn.LSTM(5, 3, bidirectional=True, return_sequences=True),
        nn.GRU(6, 4, num_layers=2, return_sequences=True),
        nn.RNN(4, 3, nonlinearity="relu", return_sequences=True),
        nn.GRU(3, 2, bidirectional=True, bias=False),
    ).build((6,))
    return randomized(theirs), ours


def given(keras, theirs, kind, folder):
    """Return weights of a Keras model in a form that can be loaded."""
    if kind == "list":
        return theirs.get_weights()
    if kind == "model":
        return theirs
    path = folder / f"m{kind}"
    if kind == ".weights.h5":
        theirs.save_weights(path)
    else:
        theirs.save(path)
    return path


KINDS = ["list", "model", ".weights.h5", ".keras", ".h5"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", [features, sequences])
def test_there_and_back(keras, h5py, tmp_path, kind, build):
    theirs, ours = build(keras)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, 5)).astype("float32") if build is features else rng.integers(0, 9, (8, 6))
    before = theirs.get_weights()
    ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x).detach()), atol=1e-5)
    back = ours.keras_weights()
    for a, b in zip(back, before, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)
        assert a.flags.c_contiguous
    theirs.set_weights(back)


def test_float64(keras):
    """Of LSTM and GRU; in Dense, Keras multiplies with the accuracy of float32 on PyTorch."""
    before, K = keras.config.dtype_policy(), keras.layers
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        cells = [K.Bidirectional(K.LSTM(4, return_sequences=True)), K.GRU(5)]
        theirs = randomized(keras.Sequential([keras.Input((6, 3)), *cells]))
        x = np.random.default_rng(0).normal(size=(8, 6, 3))
        want = np.asarray(theirs(x).detach())
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(before)
    ours = nn.Sequential(
        nn.LSTM(3, 4, bidirectional=True, return_sequences=True),
        nn.GRU(8, 5),
        dtype="float64",
    )
    ours.load_keras_weights(theirs)
    np.testing.assert_allclose(ours(x), want, rtol=1e-12)


@pytest.mark.parametrize("kind", ["GRU", "LSTM", "SimpleRNN"])
def test_a_step_of_sgd(keras, kind):
    """Keras has one bias for an LSTM and an RNN, of which the second here must stay as it is."""
    theirs = keras.Sequential([keras.Input((6, 3)), getattr(keras.layers, kind)(4), keras.layers.Dense(2)])
    randomized(theirs)
    ours = nn.Sequential(getattr(nn, kind.removeprefix("Simple"))(3, 4), nn.Linear(4, 2))
    ours.load_keras_weights(theirs)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 6, 3)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")
    theirs.compile("sgd", "mse")
    theirs.optimizer.learning_rate = 0.1
    theirs.train_on_batch(x, y)
    groups = None if kind == "GRU" else [{"params": "*.bias_hh*", "lr": 0.0}]
    ours.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1, groups=groups) if groups else nn.optim.SGD(lr=0.1))
    ours.train_on_batch(x, y)
    for a, b in zip(ours.keras_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_a_step_changes_the_statistics_as_in_keras(keras):
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    ours = nn.Sequential(nn.BatchNorm1d(3, eps=1e-3, momentum=0.01))
    ours.load_keras_weights(theirs)
    x = np.random.default_rng(0).normal(2, 3, (64, 3)).astype("float32")
    theirs(x, training=True)
    ours.forward(x, training=True)
    found, wanted = ours.keras_weights(), theirs.get_weights()
    np.testing.assert_allclose(found[2], wanted[2], atol=1e-6)
    # Keras' moving variance has the biased variance of the batch, and that here the unbiased one.
    np.testing.assert_allclose((found[3] - 0.99) * 63 / 64, wanted[3] - 0.99, atol=1e-5)


@pytest.mark.parametrize("kind", [".weights.h5", ".keras", "model"])
def test_many_layers_of_one_class_keep_their_order(keras, h5py, tmp_path, kind):
    theirs = keras.Sequential([keras.Input((3,)), *(keras.layers.Dense(3) for _ in range(12))])
    randomized(theirs)
    ours = nn.Sequential([nn.Linear(3, 3) for _ in range(12)])
    ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
    for i in range(12):
        np.testing.assert_array_equal(ours[i].weight, theirs.layers[i].get_weights()[0].T)


def branches(keras):
    """Return a Keras graph, and one of nncore whose layers have its names but are made in another order."""
    x = keras.Input((3,))
    a, b = keras.layers.Dense(3, name="a")(x), keras.layers.Dense(3, name="b")(x)
    theirs = keras.Model(x, keras.layers.Dense(2, name="c")(keras.layers.Add()([a, keras.layers.Activation("tanh")(b)])))
    y = nn.Input((3,))
    second, first = nn.Tanh()(nn.Linear(3, 3, name="b")(y)), nn.Linear(3, 3, name="a")(y)
    return randomized(theirs), nn.Model(y, nn.Linear(3, 2, name="c")(first + second))


@pytest.mark.parametrize("kind", ["model", ".weights.h5", ".keras", ".h5"])
def test_layers_of_a_graph_by_name(keras, h5py, tmp_path, kind):
    theirs, ours = branches(keras)
    ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x).detach()), atol=1e-5)


def test_names(keras):
    theirs, _ = branches(keras)
    ours = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    ours.load_keras_weights(theirs, names={"0": "b", "1": "a", "2": "c"})
    np.testing.assert_array_equal(ours[0].weight, theirs.get_layer("b").get_weights()[0].T)
    stacked = nn.Sequential(nn.LSTM(3, 3, num_layers=2))
    both = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.LSTM(3, return_sequences=True, name="u"), keras.layers.LSTM(3, name="v")]
    )
    randomized(both)
    stacked.load_keras_weights(both, names={"0": ["v", "u"]})
    np.testing.assert_array_equal(stacked[0].weight_hh_l0, both.get_layer("v").get_weights()[1].T)
    for names, message in (
        ({"0": "a"}, r"names has the keys \['0'\], but the layers with weights are \['0', '1', '2'\]"),
        ({"0": "a", "1": "b", "2": "no"}, "has no layer 'no'; it has 'b', 'a', 'c'"),
        (["a"], "names is a mapping"),
        ({"0": "a", "1": "b", "2": [["c"]]}, "names is a mapping"),
    ):
        with pytest.raises((ArgumentError, StateDictError), match=message):
            ours.load_keras_weights(theirs, names=names)
    with pytest.raises(ArgumentError, match="a list has the arrays in order"):
        ours.load_keras_weights(theirs.get_weights(), names={"0": "a"})


@pytest.mark.parametrize("kind", ["list", "model", ".weights.h5", ".keras"])
def test_dense_layers_of_other_names(keras, h5py, tmp_path, kind):
    """EinsumDense of the last dimension, and Conv1D of one step, are Linear."""
    K = keras.layers
    parts = [K.EinsumDense("abc,cd->abd", output_shape=(None, 6), bias_axes="d"), K.Conv1D(3, 1, activation="tanh")]
    theirs = randomized(keras.Sequential([keras.Input((4, 5)), *parts]))
    ours = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 3), nn.Tanh()).build((4, 5))
    if kind == ".weights.h5":  # which does not say which of two classes comes first
        with pytest.raises(StateDictError, match="does not say in which order"):
            ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
        ours.load_keras_weights(given(keras, theirs, kind, tmp_path), names={"0": parts[0].name, "1": parts[1].name})
    else:
        ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
    x = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(ours.predict(x), theirs.predict_on_batch(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_normalization(keras, h5py, tmp_path, kind, rng):
    """A Normalization that was adapted to data is a BatchNorm1d that training leaves as it is."""
    first = keras.layers.Normalization()
    first.adapt(rng.normal(size=(50, 5)).astype(np.float32) * 3 + 1)
    theirs = keras.Sequential([keras.Input((5,)), first, keras.layers.Dense(3)])
    ours = nn.Sequential(nn.BatchNorm1d(5, eps=0.0, affine=False, trainable=False), nn.Linear(5, 3)).build((5,))
    ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
    x = rng.normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_allclose(ours.predict(x), theirs.predict_on_batch(x), rtol=1e-5, atol=1e-6)
    if kind == "model":
        plain = nn.Sequential(nn.BatchNorm1d(5, affine=False), nn.Linear(5, 3)).build((5,))
        with pytest.warns(UserWarning, match=r"a Normalization of Keras is nn.BatchNorm1d\(n, eps=0.0, affine=False,"):
            plain.load_keras_weights(theirs)
        with pytest.raises(ShapeError, match="if it is a Normalization, make the layer nn.BatchNorm1d"):
            nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3)).build((5,)).load_keras_weights(theirs)


@pytest.mark.parametrize("case", ["kernel", "strides"])
def test_dense_layers_that_are_none(keras, case):
    """A kernel [out, in], and steps that are left out."""
    K = keras.layers
    layer = K.EinsumDense("abc,dc->abd", output_shape=(None, 5)) if case == "kernel" else K.Conv1D(5, 1, strides=2, use_bias=False)
    theirs, ours = keras.Sequential([keras.Input((4, 5)), layer]), nn.Sequential(nn.Linear(5, 5, bias=False)).build((4, 5))
    before = ours.layers[0].weight.copy()
    with pytest.raises(ArgumentError, match="its equation 'abc,dc->abd'" if case == "kernel" else "it takes other steps"):
        ours.load_keras_weights(theirs)
    np.testing.assert_array_equal(ours.layers[0].weight, before)


@pytest.mark.parametrize("kind", ["list", "model", ".keras"])
def test_models_in_models(keras, h5py, tmp_path, kind):
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(3)])
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), inner, keras.layers.Dense(2)])
    randomized(theirs)
    ours = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)), nn.Linear(3, 2))
    ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
    x = np.ones((2, 3), "float32")
    np.testing.assert_allclose(ours(x), np.asarray(theirs(x).detach()), rtol=1e-5)
    path = given(keras, theirs, ".weights.h5", tmp_path)
    with pytest.raises(StateDictError, match=r"does not say in which order .* come; give the \.keras file"):
        ours.load_keras_weights(path)


def test_cells(keras, h5py, tmp_path):
    K = keras.layers
    theirs = keras.Sequential([keras.Input((5, 2)), K.RNN([K.LSTMCell(3), K.LSTMCell(3)])])
    randomized(theirs)
    ours = nn.Sequential(nn.LSTM(2, 3, num_layers=2))
    for kind in ("list", ".weights.h5", ".keras"):
        ours.reset_parameters(seed=0)
        ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
        x = np.random.default_rng(0).normal(size=(4, 5, 2)).astype("float32")
        np.testing.assert_allclose(ours(x), np.asarray(theirs(x).detach()), atol=1e-5)


def test_a_layer_without_gamma_or_beta(keras, h5py, tmp_path):
    K = keras.layers
    for options in ({"center": False}, {"scale": False}):
        theirs = keras.Sequential([keras.Input((3,)), K.BatchNormalization(**options), K.LayerNormalization(**options)])
        randomized(theirs)
        ours = nn.Sequential(nn.BatchNorm1d(3, eps=1e-3, momentum=0.01), nn.LayerNorm(3, eps=1e-3))
        x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
        for kind in ("model", ".keras"):
            ours.load_keras_weights(given(keras, theirs, kind, tmp_path))
            np.testing.assert_allclose(ours(x), np.asarray(theirs(x).detach()), atol=1e-5)
        with pytest.raises(ShapeError, match=r"moving_mean .* is known from a \.keras file"):
            ours.load_keras_weights(given(keras, theirs, ".weights.h5", tmp_path))


@pytest.mark.parametrize("kind", ["model", ".keras", ".h5"])
def test_other_conventions_are_reported(keras, h5py, tmp_path, kind):
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(name="bn")])
    ours = nn.Sequential(nn.BatchNorm1d(3))
    with pytest.warns(
        UserWarning, match=r"eps is 1e-05 here and 0\.001 in Keras: make .* eps=0\.001; .* momentum is 0\.1 here and 0\.99"
    ):
        ours.load_keras_weights(given(keras, randomized(theirs), kind, tmp_path))
    np.testing.assert_array_equal(ours[0].running_mean, theirs.get_weights()[2])


@pytest.mark.parametrize("bias", [True, False])
def test_a_gru_that_resets_before_the_product(keras, h5py, tmp_path, bias, rng):
    """In one and both directions, in all forms and back."""
    K = keras.layers
    make = lambda **more: K.GRU(4, reset_after=False, use_bias=bias, **more)  # noqa: E731
    theirs = keras.Sequential([keras.Input((5, 3)), K.Bidirectional(make(return_sequences=True)), make()])
    options = {"bias": bias, "reset_after": False}
    for kind in KINDS:
        ours = nn.Sequential(nn.GRU(3, 4, bidirectional=True, return_sequences=True, **options), nn.GRU(8, 4, **options))
        ours.load_keras_weights(given(keras, randomized(theirs), kind, tmp_path))
        x = rng.normal(size=(6, 5, 3)).astype("f")
        np.testing.assert_allclose(ours.predict(x), np.asarray(theirs(x).detach()), atol=1e-5)
    written = ours.keras_weights()
    for one, other in zip(written, theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    ours.load_state_dict({name: rng.normal(size=value.shape) for name, value in ours.state_dict().items()})
    theirs.set_weights(ours.keras_weights())
    np.testing.assert_allclose(ours.predict(x), np.asarray(theirs(x).detach()), atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_a_gru_that_resets_elsewhere_is_refused(keras, h5py, tmp_path, bias, after):
    theirs = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2, reset_after=after, use_bias=bias)])
    ours = nn.Sequential(nn.GRU(3, 2, bias=bias, reset_after=not after))
    for kind in KINDS if bias else ["model", ".keras", ".h5"]:
        with pytest.raises(ArgumentError, match=f"product with the recurrent kernel, .* make the layer with reset_after={after}"):
            ours.load_keras_weights(given(keras, theirs, kind, tmp_path))


def test_other_activations_of_cells_are_refused(keras):
    theirs = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2, recurrent_activation="hard_sigmoid")])
    with pytest.raises(ArgumentError, match="its recurrent_activation is 'hard_sigmoid', where it is 'sigmoid' here"):
        nn.Sequential(nn.LSTM(3, 2)).load_keras_weights(theirs)
    theirs = keras.Sequential([keras.Input((4, 3)), keras.layers.SimpleRNN(2)])
    with pytest.raises(ArgumentError, match="its activation is 'tanh', where it is 'relu' here"):
        nn.Sequential(nn.RNN(3, 2, nonlinearity="relu")).load_keras_weights(theirs)


# Without Keras ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "shapes", "message"),
    [
        (
            [nn.Linear(3, 2)],
            [(2, 3), (2,)],
            r"layer '0' \(Linear\) takes kernel \(3, 2\), bias \(2,\); Keras' layer 'number 0' has \(2, 3\), ",
        ),
        ([nn.Linear(3, 2)], [(3, 2)], "1 arrays for the 2 that layer '0'"),
        ([nn.GRU(3, 2)], [(3, 6), (2, 6), (6,)], "reset_after=False"),
        ([nn.GRU(3, 2, reset_after=False)], [(3, 6), (2, 6), (2, 6)], "reset_after=True"),
        ([nn.LSTM(3, 2)], [(3, 8), (2, 8), (2, 8)], r"takes kernel \(3, 8\), recurrent_kernel \(2, 8\), bias \(8,\)"),
        ([nn.PReLU(3)], [(3, 4)], r"takes alpha \(3,\)"),
        ([nn.Maxout(3, 2)], [(3, 2)], r"layer 0 \(Maxout\) has no counterpart in Keras"),
        ([nn.GRU(3, 2, learn_initial_state=True)], [], "learn_initial_state=True has no counterpart"),
        ([nn.BatchNorm1d(3, track_running_stats=False)], [], "track_running_stats=False has no counterpart"),
    ],
)
def test_lists_that_do_not_fit(layers, shapes, message):
    model = nn.Sequential(*layers)
    model = model if model._network.has_parameters else model.build((3,))
    before = model.state_dict()
    with pytest.raises((ArgumentError, ShapeError, StateDictError), match=message):
        model.load_keras_weights([np.ones(shape) for shape in shapes])
    assert all((model.state_dict()[key] == value).all() for key, value in before.items())


def test_wrong_sources():
    model = nn.Sequential(nn.Linear(3, 2))
    for source in (None, 3, {"a": 1}):
        with pytest.raises(ArgumentError, match="load_keras_weights takes a file, a list of arrays"):
            model.load_keras_weights(source)
    with pytest.raises(NotBuiltError):
        nn.Sequential(nn.Flatten(), nn.Linear(3, 2), nn.Maxout(2, 2)).load_keras_weights([])
    with pytest.raises(ArgumentError, match="Maxout"):
        nn.Sequential(nn.Maxout(3, 2)).keras_weights()


def test_gates_and_biases():
    """The formulas of Keras, written down, with the arrays that keras_weights gives."""
    rng = np.random.default_rng(0)
    gru, x, h = nn.Sequential(nn.GRU(3, 4), dtype="float64"), rng.normal(size=(2, 1, 3)), rng.normal(size=(1, 2, 4))
    kernel, recurrent, (bias, recurrent_bias) = gru.keras_weights()
    inner, outer = x[:, 0] @ kernel + bias, h[0] @ recurrent + recurrent_bias
    z, r = (1 / (1 + np.exp(-inner[:, a:b] - outer[:, a:b])) for a, b in ((0, 4), (4, 8)))
    candidate = np.tanh(inner[:, 8:] + r * outer[:, 8:])
    np.testing.assert_allclose(gru[0](x, h)[1][0], z * h[0] + (1 - z) * candidate, atol=1e-12)

"""from_onnx: files that PyTorch, scikit-learn and Keras wrote compute what these compute, and can be trained further."""

import logging
import os
import warnings

import numpy as np
import onnx
import pytest

import nncore as nn


def quietly(function, *arguments, **options):
    """Exporters warn of many things that are none of this test's."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **options)
    finally:
        logging.disable(level)


def outputs_of(found):
    return list(found.values()) if isinstance(found, dict) else [found]


def close(got, want, tolerance=1e-5):
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        w = np.asarray(w)
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(w).max())))


def check(path, x, want, tolerance=1e-5):
    """Whether a file gives these outputs, also after to_onnx and back, and training goes on."""
    model = nn.from_onnx(path)
    given = x if len(x) > 1 else x[0]
    got = outputs_of(model.predict(given))
    close(got, want, tolerance)
    again = nn.from_onnx(model.to_onnx())
    for one, other in zip(outputs_of(again.predict(given)), got, strict=True):
        np.testing.assert_array_equal(one, other)
    trained = nn.from_onnx(path)
    y = [np.cos(3 * each) for each in got]
    trained.compile("mse", nn.optim.Adam(0.01))
    losses = [trained.train_on_batch(given, y if len(y) > 1 else y[0]) for _ in range(12)]
    losses = [float(next(iter(each.values())) if isinstance(each, dict) else np.ravel(each)[0]) for each in losses]
    assert losses[-1] < losses[0]
    return model


# PyTorch ------------------------------------------------------------------------------------------------------------------------


def torch_nets():
    """Name -> a module, its inputs, and the dimension of the batch."""
    torch = pytest.importorskip("torch")
    t = torch.nn
    torch.manual_seed(0)

    class Recurrent(t.Module):
        def __init__(self, cell, use, **options):
            super().__init__()
            self.use, self.rnn = use, cell(3, 5, **options)

        def forward(self, x):
            return self.use(*self.rnn(x))

    class Started(t.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = t.LSTM(3, 5, 2, batch_first=True), t.Linear(5, 2)

        def forward(self, x, h, c):
            y, (h, c) = self.rnn(x, (h, c))
            return self.head(y), h, c

    class Branches(t.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.table, self.norm = t.Linear(4, 8), t.Linear(8, 8), t.Embedding(6, 8), t.LayerNorm(8)

        def forward(self, x, i):
            h = torch.tanh(self.a(x))
            h = h + self.norm(self.b(h)) * torch.sigmoid(self.b(h))
            e = self.table(i)
            return torch.cat([h, e.mean(dim=1), torch.maximum(h, e.amax(dim=1)), h - 2 * e[:, -1]], dim=1)

    class Formulas(t.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = t.Linear(4, 6), t.Linear(6, 1)
            self.gain, self.shift = t.Parameter(torch.rand(6) + 0.5), t.Parameter(torch.rand(6))

        def forward(self, x):
            h = self.first(x)
            h = h * torch.sigmoid(h)
            centred = h - h.mean(-1, keepdim=True)
            h = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-3) * self.gain + self.shift
            h = torch.clamp(h, -1.5, 2.0) + torch.nn.functional.softplus(h) * torch.tanh(h)
            return self.last(h).squeeze(-1)

    def vectors(*layers):
        return t.Sequential(t.Linear(4, 8), *layers, t.Linear(8, 2))

    def both(y, h):
        return torch.cat([y[:, -1, :5], h[-1]], -1)

    def ends(y, h):
        return torch.cat((h[0][-2], h[0][-1]), dim=1)

    x, s, turned = torch.randn(3, 4), torch.randn(3, 4, 3), torch.randn(4, 3, 3)
    states = (torch.randn(2, 3, 5), torch.randn(2, 3, 5))
    rectifiers = [
        t.LeakyReLU(0.2),
        t.ELU(0.5),
        t.SELU(),
        t.CELU(0.7),
        t.PReLU(8),
        t.ReLU6(),
        t.Threshold(0.0, 0.0),
        t.Hardtanh(-2, 3),
    ]
    smooth = [t.GELU(), t.GELU("tanh"), t.SiLU(), t.Mish(), t.Softplus(), t.Softplus(2.0, 3.0), t.LogSigmoid(), t.Softsign()]
    hard = [t.Hardswish(), t.Hardsigmoid(), t.Hardshrink(0.05), t.Softshrink(0.1), t.Tanhshrink(), t.Tanh(), t.Sigmoid()]
    interleaved = [t.Linear(8, 8) if i % 2 else each for each in [*smooth, *hard[:5]] for i in range(2)]
    return {
        "mlp": (vectors(t.ReLU(), t.BatchNorm1d(8), t.Dropout(0.0), t.Linear(8, 8), t.Sigmoid()), (x,), 0),
        "activations": (vectors(*interleaved), (x,), 0),
        "rectifiers": (vectors(*(t.Linear(8, 8) if i % 2 else each for each in rectifiers for i in range(2))), (x,), 0),
        "gated": (t.Sequential(t.Linear(4, 12), t.GLU(), t.LogSoftmax(-1)), (x,), 0),
        "formulas": (Formulas(), (x,), 0),
        "branches": (Branches(), (x, torch.randint(0, 6, (3, 5))), 0),
        "sequences": (t.Sequential(t.Linear(3, 8), t.LayerNorm(8), t.Flatten(), t.Linear(32, 2), t.Softmax(1)), (s,), 0),
        "channels": (t.Sequential(t.BatchNorm1d(4), t.LayerNorm((4, 3)), t.PReLU(4), t.Flatten(), t.Linear(12, 2)), (s,), 0),
        "gru": (Recurrent(t.GRU, lambda y, h: y[:, -1], batch_first=True), (s,), 0),
        "gru of two directions": (Recurrent(t.GRU, both, batch_first=True, bidirectional=True), (s,), 0),
        "lstm of two layers": (Recurrent(t.LSTM, lambda y, h: (y, h[0][-1]), num_layers=2, batch_first=True), (s,), 0),
        "lstm of four blocks": (Recurrent(t.LSTM, lambda y, h: y, num_layers=2, bidirectional=True, batch_first=True), (s,), 0),
        "last states": (Recurrent(t.LSTM, ends, num_layers=2, bidirectional=True, batch_first=True), (s,), 0),
        "rnn": (Recurrent(t.RNN, lambda y, h: h.squeeze(0), nonlinearity="relu", bias=False, batch_first=True), (s,), 0),
        "time first": (Recurrent(t.GRU, lambda y, h: y[-1], bidirectional=True), (turned,), 1),
        "initial states": (Started(), (s, *states), 0),
    }


NETS = (
    "mlp",
    "activations",
    "rectifiers",
    "gated",
    "formulas",
    "branches",
    "sequences",
    "channels",
    "gru",
    "gru of two directions",
    "lstm of two layers",
    "lstm of four blocks",
    "last states",
    "rnn",
    "time first",
    "initial states",
)
DYNAMO = ("mlp", "formulas", "branches", "gru of two directions", "lstm of two layers")  # each takes seconds


def export(torch, module, x, batch, path, dynamo):
    names = [f"in{i}" for i in range(len(x))]
    axes = [1 if batch or (len(x) == 3 and i) else 0 for i in range(len(x))]
    if dynamo:
        pytest.importorskip("onnxscript")
        shapes = tuple({axis: torch.export.Dim.DYNAMIC} for axis in axes)
        shapes = None if len(x) == 2 else shapes
        quietly(torch.onnx.export, module, x, path, input_names=names, dynamo=True, dynamic_shapes=shapes, verbose=False)
    else:
        opened = {name: {axis: "batch"} for name, axis in zip(names, axes, strict=True)}
        quietly(torch.onnx.export, module, x, path, input_names=names, dynamo=False, dynamic_axes=opened)
    return axes


@pytest.mark.parametrize(("name", "dynamo"), [*((name, False) for name in NETS), *((name, True) for name in DYNAMO)])
def test_pytorch(name, dynamo, tmp_path):
    torch = pytest.importorskip("torch")
    module, x, batch = torch_nets()[name]
    module.eval()
    path = str(tmp_path / "m.onnx")
    axes = export(torch, module, x, batch, path, dynamo)

    def run():
        """Outputs with the batch first, and a dimension for each number of a sample."""
        with torch.no_grad():
            found = module(*x)
        found = list(found) if isinstance(found, tuple) else [found]
        found = [each.numpy().swapaxes(0, 1) if name == "initial states" and i else each.numpy() for i, each in enumerate(found)]
        return [each[:, None] if each.ndim == 1 else each for each in found]

    given = [each.numpy().swapaxes(0, axis) for each, axis in zip(x, axes, strict=True)]
    model = check(path, given, run())
    assert model.input_names == [f"in{i}" for i in range(len(x))]
    one_step(torch, module, x, model, given, run)


def one_step(torch, module, x, model, given, run):
    """Whether a step of gradient descent changes the outputs as in PyTorch."""
    before = outputs_of(model.predict(given if len(given) > 1 else given[0]))
    y = [np.cos(each) for each in before]
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    found = module(*x)
    found = list(found) if isinstance(found, tuple) else [found]
    found = [each[:, None] if each.ndim == 1 else each for each in found]
    found = [each.transpose(0, 1) if each.shape != b.shape else each for each, b in zip(found, before, strict=True)]
    sum(torch.nn.functional.mse_loss(each, torch.tensor(t)) for each, t in zip(found, y, strict=True)).backward()
    optimizer.step()
    module.eval()
    model.compile("mse", nn.optim.SGD(0.1))
    model.train_on_batch(given if len(given) > 1 else given[0], y if len(y) > 1 else y[0])
    close(outputs_of(model.predict(given if len(given) > 1 else given[0])), run(), 3e-5)


def test_float64_and_half_precision(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = (
        torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2)).double().eval()
    )
    x, path = torch.randn(3, 4, dtype=torch.float64), str(tmp_path / "m.onnx")
    export(torch, module, (x,), 0, path, False)
    model = check(path, [x.numpy()], [module(x).detach().numpy()], 1e-12)
    assert model.dtype == np.float64
    for kind in (torch.float16, torch.bfloat16):
        small = torch.nn.Sequential(torch.nn.Linear(4, 8)).to(kind)
        export(torch, small, (x.to(kind),), 0, path, False)
        model = nn.from_onnx(path)
        assert model.dtype == np.float32
        np.testing.assert_array_equal(model.layers[0].weight, small[0].weight.detach().float().numpy())


def test_names_of_layers_are_those_of_modules(tmp_path):
    torch = pytest.importorskip("torch")
    t, path = torch.nn, str(tmp_path / "m.onnx")
    export(torch, t.Sequential(t.Sequential(t.Linear(2, 3), t.ReLU()), t.Linear(3, 1)), (torch.randn(2, 2),), 0, path, False)
    assert sorted(nn.from_onnx(path).state_dict()) == ["0_0.bias", "0_0.weight", "1.bias", "1.weight"]


# scikit-learn -------------------------------------------------------------------------------------------------------------------


def sklearn_models():
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.linear_model import (
        LinearRegression,
        LogisticRegression,
        Perceptron,
        PoissonRegressor,
        RidgeClassifier,
        SGDClassifier,
    )
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Binarizer, MinMaxScaler, Normalizer, StandardScaler
    from sklearn.svm import SVR, LinearSVC, LinearSVR

    few = {"max_iter": 4, "random_state": 0}
    return {
        "three classes": (MLPClassifier((8,), **few), "classes"),
        "two classes": (MLPClassifier((8, 4), activation="tanh", **few), "two"),
        "text labels": (MLPClassifier((8,), activation="logistic", **few), "text"),
        "one number": (MLPRegressor(hidden_layer_sizes=(8, 4), activation="tanh", **few), "number"),
        "no activation": (MLPRegressor(hidden_layer_sizes=(8,), activation="identity", **few), "number"),
        "scaled": (make_pipeline(StandardScaler(), MLPClassifier((8,), **few)), "classes"),
        "scaled to a range": (make_pipeline(MinMaxScaler(), MLPRegressor(hidden_layer_sizes=(8,), **few)), "number"),
        "linear": (make_pipeline(StandardScaler(), LinearRegression()), "number"),
        "logistic": (make_pipeline(Normalizer(), LogisticRegression()), "classes"),
        "logistic of two": (make_pipeline(PCA(3), StandardScaler(with_mean=False), LogisticRegression()), "two"),
        "logistic of texts": (make_pipeline(Binarizer(threshold=0.2), LogisticRegression()), "text"),
        "one against the rest": (SGDClassifier(loss="log_loss", max_iter=20, tol=None, random_state=0), "classes"),
        "hinge": (LinearSVC(random_state=0), "classes"),
        "ridge": (make_pipeline(VarianceThreshold(), RidgeClassifier()), "classes"),
        "perceptron": (Perceptron(random_state=0), "classes"),
        "support vectors": (SVR(kernel="linear"), "number"),
        "linear support vectors": (LinearSVR(random_state=0), "number"),
        "counts": (PoissonRegressor(), "counts"),
    }


def has_probabilities(estimator):
    return type(estimator).__name__ in ("MLPClassifier", "LogisticRegression", "SGDClassifier", "DecisionTreeClassifier")


def written(estimator, x, kind, zipmap):
    skl2onnx = pytest.importorskip("skl2onnx")
    final = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    has_options = not zipmap and has_probabilities(final)
    options = {"options": {id(final): {"zipmap": False}}} if has_options else {}
    return quietly(skl2onnx.to_onnx, estimator, x[:1], **options)


@pytest.mark.parametrize(
    ("name", "zipmap"), [(name, i % 2 > 0) for i, name in enumerate(sklearn_models())] + [("logistic of two", False)]
)
def test_scikit_learn(name, zipmap, tmp_path, rng):
    estimator, kind = sklearn_models()[name]
    x, labels = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(0, 3, 60)
    y = {"classes": labels, "two": labels > 0, "text": np.array(["a", "b", "c"])[labels], "number": x[:, 0] - x[:, 1]}
    y = {**y, "counts": labels}[kind]
    quietly(estimator.fit, x, y)
    path = tmp_path / "m.onnx"
    onnx.save(written(estimator, x, kind, zipmap), path)
    if kind in ("number", "counts"):
        want = estimator.predict(x)[:, None]
    else:
        final = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        want = estimator.predict_proba(x) if has_probabilities(final) else estimator.decision_function(x)
    model = check(path, [x], [want])
    assert model.input_names == ["X"]


def test_scikit_learn_that_is_no_arithmetic(rng):
    """Each is refused with the node that is the reason."""
    pytest.importorskip("skl2onnx")
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, OneHotEncoder
    from sklearn.svm import SVR
    from sklearn.tree import DecisionTreeClassifier

    x, y = rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 3, 40)
    for first, text in (
        (SimpleImputer(), "Imputer 'Imputer': it replaces missing values; do that with the data"),
        (OneHotEncoder(handle_unknown="ignore"), "OneHotEncoder.*: it turns categories into numbers"),
        (Normalizer("l1"), "Normalizer 'Normalizer': norm='L1': of norms of rows nncore has 'L2'"),
    ):
        data = rng.integers(0, 3, (40, 1)) if isinstance(first, OneHotEncoder) else x
        estimator = make_pipeline(first, LogisticRegression()).fit(data, y)
        with pytest.raises(nn.errors.FileFormatError, match=text):
            nn.from_onnx(written(estimator, data, "classes", True))
    with pytest.raises(nn.errors.FileFormatError, match="TreeEnsembleClassifier.*trees are no layers"):
        nn.from_onnx(written(DecisionTreeClassifier().fit(x, y), x, "classes", True))
    with pytest.raises(nn.errors.FileFormatError, match="SVMRegressor.*kernel_type='RBF'"):
        nn.from_onnx(written(SVR().fit(x, y), x, "number", True))


# Keras --------------------------------------------------------------------------------------------------------------------------


def dotted(keras, layers):
    """Products of rows, and rows of one length."""
    a, b, s = layers.Input((4,), name="a"), layers.Input((4,), name="b"), layers.Input((5, 4), name="s")
    u = layers.UnitNormalization()(layers.Dense(4)(a))
    query = layers.Dense(4)(b)
    scores = layers.Dot(axes=(2, 1))([s, query])
    context = layers.Dot(axes=1)([s, layers.Softmax()(scores)])
    joined = layers.Concatenate()([layers.Dot(axes=1, normalize=True)([a, b]), layers.Dot(axes=1)([u, query]), context])
    return keras.Model([a, b, s], layers.Dense(2)(joined))


def keras_models(keras):
    layers = keras.layers
    a, b = layers.Input((4,), name="a"), layers.Input((3,), name="b")
    h = layers.PReLU()(layers.BatchNormalization()(layers.Dense(8, "relu")(a)))
    h = layers.Dense(8, "gelu")(layers.Dropout(0.3)(h))
    gate = layers.Dense(8, "silu")(b)
    h = layers.Concatenate()([h, layers.Multiply()([h, gate]), layers.Average()([h, gate]), layers.Maximum()([h, gate])])
    table = [layers.Input((5,), dtype="int32"), layers.Embedding(7, 4), layers.GlobalAveragePooling1D(), layers.Dense(2, "sigmoid")]
    dense = ("leaky_relu", "hard_sigmoid", "elu", "softplus", "softsign", "hard_silu", "mish", "relu6", "tanh", "log_sigmoid")
    return {
        "graph": keras.Model([a, b], layers.Dense(3, "softmax")(h)),
        "dot": dotted(keras, layers),
        "table": keras.Sequential(table),
        "activations": keras.Sequential([layers.Input((4,)), *(layers.Dense(6, each) for each in dense)]),
        "steps": keras.Sequential(
            [
                layers.Input((5, 3)),
                layers.Dense(4, "selu"),
                layers.BatchNormalization(),
                layers.Permute((2, 1)),
                layers.Reshape((10, 2)),
                layers.Flatten(),
                layers.Dense(2),
                layers.RepeatVector(3),
            ]
        ),
        "recurrent": keras.Sequential(
            [layers.Input((4, 3)), layers.GRU(4, return_sequences=True), layers.LSTM(3, return_sequences=True), layers.SimpleRNN(2)]
        ),
        "bidirectional": keras.Sequential(
            [layers.Input((3,), dtype="int32"), layers.Embedding(7, 2), layers.Bidirectional(layers.LSTM(3)), layers.Dense(1)]
        ),
    }


LOOPS = {"recurrent": [nn.GRU, nn.LSTM, nn.RNN], "bidirectional": [nn.LSTM, nn.LSTM]}  # which Keras writes step by step


@pytest.mark.parametrize("name", ["graph", "dot", "table", "activations", "steps", *LOOPS])
def test_keras(name, tmp_path, rng, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    keras = quietly(pytest.importorskip, "keras")
    if keras.backend.backend() != "torch":
        pytest.skip("the exporter of this test is that of the PyTorch backend")
    keras.utils.set_random_seed(0)
    model = quietly(keras_models, keras)[name]
    x = [rng.normal(size=(3, *each.shape[1:])).astype(np.float32) for each in model.inputs]
    x = [rng.integers(0, 7, each.shape) for each in x] if name in ("table", "bidirectional") else x
    want = model(x if len(x) > 1 else x[0]).detach().numpy()
    path = tmp_path / "m.onnx"
    quietly(model.export, str(path), format="onnx", verbose=False)
    found = [type(layer) for layer in check(path, x, [want]).layers if isinstance(layer, nn.Recurrent)]
    assert found == LOOPS.get(name, [])

"""Frozen layers and models, and layers that compute as at inference in training.

The truth is PyTorch with ``requires_grad=False`` and ``eval()`` of single modules, or a model without the layers in question.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest

import nncore as nn

LAYERS = ["Linear(5, 6)", "BatchNorm1d(6)", "ReLU()", "Linear(6, 6)", "BatchNorm1d(6)", "Tanh()", "Linear(6, 1)"]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(1.0, 2.0, size=(40, 5)), RNG.normal(size=(40, 1))


def ours(seed=0):
    return nn.Sequential(*[eval(f"nn.{each}") for each in LAYERS], seed=seed, dtype="float64")


def fit(model, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.fit(X, Y, epochs=3, batch_size=10, shuffle=False, verbose=0, **options)


def compiled(model, **options):
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.05, momentum=0.9), **options)
    return model


def torch_after_fit(start, frozen=(), at_inference=()):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(*[eval(each, vars(torch.nn)) for each in LAYERS]).double()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
    for i in frozen:
        theirs[i].requires_grad_(False)
    for i in (*frozen, *at_inference):
        theirs[i].eval()
    rule = torch.optim.SGD([p for p in theirs.parameters() if p.requires_grad], lr=0.05, momentum=0.9)
    for _ in range(3):
        for i in range(0, 40, 10):
            rule.zero_grad()
            torch.nn.functional.mse_loss(theirs(torch.tensor(X[i : i + 10])), torch.tensor(Y[i : i + 10])).backward()
            rule.step()
    return {name: value.numpy() for name, value in theirs.state_dict().items()}


def assert_close(model, expected):
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-9, atol=1e-12, err_msg=name)


def with_statistics(model):
    """Running statistics that are not those of the data."""
    for layer in model.layers:
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean, layer.running_var = np.linspace(-1, 1, 6), np.linspace(0.5, 2, 6)
    return model


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("frozen", "at_inference"), [((0, 1), ()), ((1,), ()), ((4,), (1,)), ((), (1, 4)), ((0, 1, 3, 4), ())])
def test_training_as_in_torch(frozen, at_inference, threads):
    model = with_statistics(ours())
    start = model.state_dict()
    for i in frozen:
        model[i].trainable = False
    for i in at_inference:
        model[i].training = False
    with nn.threads(threads):
        fit(compiled(model))
    assert_close(model, torch_after_fit(start, frozen, at_inference))


@pytest.mark.parametrize("way", ["before", "constructor", "model", "group"])
def test_every_way_to_freeze(way):
    layers = [eval(f"nn.{each}") for each in LAYERS]
    model = nn.Sequential(*layers, seed=0, dtype="float64")
    start = model.state_dict()
    groups = ()
    if way == "constructor":
        first = nn.Linear(5, 6, trainable=False)
        model = nn.Sequential(first, *copy.deepcopy(layers[1:]), seed=0, dtype="float64")
        model.load_state_dict(start)
    elif way == "group":
        groups = [{"params": "0.*", "trainable": False}]
    elif way == "model":
        model.trainable = False
        assert not model.trainable
        assert not any(layer.trainable for layer in model.layers)
        for layer in model.layers[1:]:
            layer.trainable = True
        assert model.trainable
    else:
        model[0].trainable = False
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.05, momentum=0.9, groups=groups))
    fit(model)
    for role in ("weight", "bias"):
        np.testing.assert_array_equal(model.state_dict()[f"0.{role}"], start[f"0.{role}"])
    assert not np.array_equal(model[3].weight, start["3.weight"])
    summary = model.summary(show=False)
    assert (summary.rows[0].trainable, summary.non_trainable_parameters) == (0, 36)


def test_a_frozen_model_trains_nothing():
    model = with_statistics(ours())
    model.trainable = False
    start = model.state_dict()
    fit(compiled(model))
    model.forward(X, training=True)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, start[name], err_msg=name)


def test_a_frozen_base_under_a_head():
    """The usual transfer: the base freezes like a layer, its statistics too, and the head alone learns."""
    base = with_statistics(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), seed=0, dtype="float64"))
    before, features = base.state_dict(), base(X).copy()
    base.trainable = False
    x = nn.Input((5,))
    model = compiled(nn.Model(x, nn.Linear(6, 1, name="head")(base(x)), seed=1, dtype="float64"))
    start = {name: model.state_dict()[f"head.{name}"] for name in ("weight", "bias")}
    fit(model)
    for name, value in base.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    alone = compiled(nn.Sequential(nn.Linear(6, 1), dtype="float64"))  # linear regression on the features
    alone.load_state_dict({f"0.{name}": value for name, value in start.items()})
    alone.fit(features, Y, epochs=3, batch_size=10, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_layer("head").weight, alone[0].weight, rtol=1e-12)


def test_frozen_after_compile_trains_on_with_a_warning():
    model = compiled(ours())
    start = model.state_dict()
    model[0].trainable = False
    row = model.summary(show=False).rows[0]
    assert (row.trainable, row.training) == (36, "")  # as compiled, because that is what training does
    for _ in range(2):  # every fit says so
        with pytest.warns(UserWarning, match=r"0\.trainable is False.*compile"):
            model.fit(X, Y, verbose=0)
    assert not np.array_equal(model[0].weight, start["0.weight"])
    compiled(model)
    kept = model[0].weight.copy()
    fit(model)
    np.testing.assert_array_equal(model[0].weight, kept)
    row = model.summary(show=False).rows[0]
    assert (row.trainable, row.training) == (0, "frozen")


def test_single_steps_warn_once():
    model = compiled(nn.Sequential(nn.Linear(5, 1), seed=0))
    x, y = X.astype(np.float32), Y.astype(np.float32)
    model.train_on_batch(x, y)
    model.trainable = False
    with pytest.warns(UserWarning, match=r"train_on_batch.*0\.trainable"):
        model.train_on_batch(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train_on_batch(x, y)
        assert model._trainer.optimizer_fields is not None  # the fast path is open again
    model.trainable = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train_on_batch(x, y)  # as it was compiled
    model[0].l2 = 0.5
    with pytest.warns(UserWarning, match=r"l2 of 0\.weight is 0\.5"):
        model.train_on_batch(x, y)


def test_set_and_set_back_is_no_change():
    model = compiled(ours())
    model.trainable = False
    model.trainable = True
    fit(model)


def test_a_change_during_fit_warns_at_once():
    class Freeze(nn.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[0].trainable = epoch == 0

    model = compiled(ours())
    with pytest.warns(UserWarning, match="during fit"):
        model.fit(X, Y, epochs=2, callbacks=[Freeze()], verbose=0)


def test_the_mode_of_a_layer_counts_at_once():
    model = nn.Sequential(nn.Linear(5, 30), nn.Dropout(0.5), nn.GaussianNoise(1.0), nn.BatchNorm1d(30), nn.Linear(30, 1), seed=0)
    plain = model(X.astype(np.float32)).copy()
    assert not np.allclose(model.forward(X, training=True), plain)
    plain = model(X.astype(np.float32)).copy()  # batch norm has moved
    model.training = False
    assert not model.training
    for _ in range(2):
        np.testing.assert_allclose(model.forward(X, training=True), plain, rtol=1e-6)
    model[1].training = True
    assert model.training
    a, b = model.forward(X, training=True).copy(), model.forward(X, training=True)
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(model(X.astype(np.float32)), plain, rtol=1e-6)  # the statistics have not moved


def test_monte_carlo_dropout_without_moving_statistics():
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1), seed=0)
    fit(compiled(model))
    before = model.state_dict()
    for layer in model.layers:
        layer.training = isinstance(layer, nn.Dropout)
    draws = np.stack([model(X, training=True).copy() for _ in range(20)])
    assert (draws.std(axis=0) > 0).all()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_fit_without_the_dropout_of_a_base():
    layers = [nn.Linear(5, 8), nn.Dropout(0.5), nn.Tanh(), nn.GaussianNoise(0.5), nn.Linear(8, 1)]
    model = nn.Sequential(*layers, seed=0, dtype="float64")
    plain = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1), dtype="float64")
    plain.set_weights(model.get_weights())
    model[1].training = model[3].training = False
    fit(compiled(model))
    fit(compiled(plain))
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    model[1].training = True
    noisy = copy.deepcopy(model)
    fit(noisy)
    assert not np.allclose(noisy[0].weight, model[0].weight)


def test_layers_in_python_and_recurrent_layers_know_their_mode():
    seen = []

    class Look(nn.PythonLayer):
        def forward(self, x, training=False):
            seen.append(training)
            return x

        def backward(self, dy, x, y):
            return dy

    model = nn.Sequential(Look(), nn.Linear(5, 1), seed=0).build((5,))
    compiled(model)
    model.train_on_batch(X, Y)
    model[0].training = False
    model.train_on_batch(X, Y)
    model.forward(X, training=True)
    assert seen == [True, False, False]
    rnn = nn.Sequential(nn.GRU(5, 4, num_layers=2, dropout=0.5), nn.Linear(4, 1), seed=0).build((8, 5))
    sequences = X.reshape(5, 8, 5)
    rnn[0].training = False
    np.testing.assert_allclose(rnn.forward(sequences, training=True), rnn(sequences), rtol=1e-6)
    alone = nn.Dropout(0.5)
    alone.training = False
    np.testing.assert_array_equal(alone(X, training=True), X)


def test_a_frozen_batch_norm_takes_a_single_row():
    model = ours()
    model[1].trainable = model[4].trainable = False
    compiled(model).train_on_batch(X[:1], Y[:1])
    model.forward(X[:1], training=True)


def test_other_lengths_keep_the_mode():
    model = nn.Sequential(nn.GRU(2, 3), nn.Dropout(0.9), nn.Linear(3, 1), seed=0).build((4, 2))
    model[1].training = False
    for steps in (4, 6, 4):
        x = RNG.normal(size=(3, steps, 2))
        np.testing.assert_allclose(model.forward(x, training=True), model(x), rtol=1e-6)
    model.build((9, 2))
    x = RNG.normal(size=(3, 9, 2))
    np.testing.assert_allclose(model.forward(x, training=True), model(x), rtol=1e-6)


def by_file(model, path):
    model.save(path / "m.safetensors")
    return nn.load(path / "m.safetensors")


WAYS = {
    "copy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "file": by_file,
}


@pytest.mark.parametrize("way", WAYS)
def test_copies_and_files_keep_what_is_frozen_and_how_it_was_compiled(way, tmp_path):
    model = with_statistics(ours())
    model[1].trainable = False
    model[4].training = False
    compiled(model)
    fit(model)
    again = WAYS[way](model, tmp_path)
    assert (again[1].trainable, again[4].trainable, again[1].training, again[4].training) == (False, True, True, False)
    for each in (model, again):
        fit(each)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], value, err_msg=name)
    model[4].trainable = model[1].trainable = True  # not compiled: training goes on as before, in the copy too
    again = WAYS[way](model, tmp_path)
    for each in (model, again):
        with pytest.warns(UserWarning, match="compile"):
            each.fit(X, Y, batch_size=10, verbose=0)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], value, err_msg=name)


@pytest.mark.parametrize("name", ["trainable", "training"])
def test_refusals(name):
    model = ours()
    for thing in (model, model[0]):
        with pytest.raises(nn.errors.ArgumentError, match=name):
            setattr(thing, name, "no")
    assert (model.trainable, model.training) == (True, True)


FOREIGN = {
    "learning_rate": "optimizer.lr",
    "lr": "optimizer.lr",
    "requires_grad": "trainable",
    "trainabel": "trainable",
    "stop_trainig": "stop_training",
    "frozen": "trainable",
    "batch_size": "fit",
    "loss": "compile",
    "dropout": "Dropout",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_settings_without_effect_are_refused(name):
    model = ours()
    with pytest.raises(AttributeError, match=FOREIGN[name]):
        setattr(model, name, 0.5)
    assert not hasattr(model, name)
    if name != "stop_trainig":
        with pytest.raises(AttributeError, match=name):
            setattr(model[0], name, 0.5)


def test_what_users_may_set():
    class Mine(nn.Sequential):
        def __init__(self):
            self.lr = 0.1
            super().__init__(nn.Linear(2, 1))

    class Scaled(nn.PythonLayer):
        def __init__(self):
            super().__init__()
            self.rate = 2.0

    model = Mine()
    model.epochs = 3
    assert (model.lr, model.epochs, Scaled().rate) == (0.1, 3, 2.0)
    plain = ours()
    plain.remark = "the second trial"
    assert plain.remark == "the second trial"

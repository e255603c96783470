"""Models in the place of layers of a Sequential: names, shared weights, shapes that are not known yet, copies and files; slices."""

import copy
import gc
import pickle

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 4)), RNG.normal(size=(24, 2))


def encoder():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.BatchNorm1d(5), seed=1)


def graph():
    x = nn.Input((5,), name="x")
    shared = nn.Linear(5, 5, name="shared")
    return nn.Model(x, shared(nn.ReLU()(shared(x))) + x, seed=2)


def nested():
    return nn.Sequential(encoder(), nn.Dropout(0.1), graph(), nn.Sequential(nn.ReLU(), nn.Linear(5, 2), seed=4), seed=3)


def flat(model):
    """The same layers one after another, without the graph."""
    return nn.Sequential(*copy.deepcopy(model.layers), seed=3)


KEYS = [
    "0.0.weight",
    "0.0.bias",
    "0.2.weight",
    "0.2.bias",
    "0.2.running_mean",
    "0.2.running_var",
    "0.2.num_batches_tracked",
    "2.shared.weight",
    "2.shared.bias",
    "3.1.weight",
    "3.1.bias",
]


def train(model, epochs=2, **options):
    model.compile("mse", nn.optim.Adam(lr=0.01))
    return model.fit(X, Y, epochs=epochs, batch_size=8, verbose=0, **options).history["loss"]


def test_names_are_those_of_torch():
    torch = pytest.importorskip("torch")
    inner = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.BatchNorm1d(5))
    theirs = torch.nn.Sequential(inner, torch.nn.ReLU(), torch.nn.Sequential(torch.nn.Linear(5, 2)))
    ours = nn.Sequential(encoder(), nn.ReLU(), nn.Sequential(nn.Linear(5, 2)), seed=0)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    theirs.eval()
    np.testing.assert_allclose(ours(X), theirs(torch.tensor(X, dtype=torch.float32)).detach().numpy(), rtol=1e-4, atol=1e-6)
    assert repr(nn.Sequential(nn.Sequential(nn.Linear(4, 5), nn.Tanh()), nn.ReLU())) == repr(
        torch.nn.Sequential(torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh()), torch.nn.ReLU())
    )
    assert (len(ours), len(theirs)) == (3, 3)


def test_parts_and_layers():
    first, last = encoder(), graph()
    model = nn.Sequential(first, nn.Tanh(), last)
    assert model[0] is first
    assert model[-1] is last
    assert [type(part).__name__ for part in model] == ["Sequential", "Tanh", "Model"]
    assert [type(layer).__name__ for layer in model.layers] == ["Linear", "Tanh", "BatchNorm1d", "Tanh", "Linear", "ReLU", "Add"]
    assert model.get_layer("2.shared") is last.get_layer("shared")
    assert list(nested().state_dict()) == KEYS
    text = str(nested().summary(show=False))
    assert "0.0 Linear" in text
    assert "2.shared Linear" in text
    assert nested().summary(show=False).total_parameters == sum(p.size for p in nested().parameters())


def test_a_nested_chain_computes_and_learns_what_a_flat_one_does():
    model = nn.Sequential(encoder(), nn.Dropout(0.1), nn.Sequential(nn.ReLU(), nn.Linear(5, 2), seed=4), seed=3)
    other = flat(model)
    np.testing.assert_array_equal(model(X), other(X))
    assert train(model) == train(other)
    for own, its in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(own, its)


def test_a_graph_in_a_chain_computes_what_the_two_do():
    head = nn.Sequential(nn.Linear(5, 2), seed=5)
    first, inner = encoder(), graph()
    model = nn.Sequential(first, inner, head)
    np.testing.assert_allclose(model(X), head(inner(first(X))), rtol=1e-6)
    nn.check_gradients(nn.Sequential(copy.deepcopy(inner), copy.deepcopy(head)), X[:, :1].repeat(5, 1) + RNG.normal(size=(24, 5)))
    x = nn.Input((4,))
    np.testing.assert_allclose(nn.Model(x, model(x))(X), model(X), rtol=1e-6)


@pytest.mark.parametrize("part", [0, 2])
def test_weights_are_shared(part):
    model = nested()
    inner = model[part]
    views = dict(inner.named_parameters())
    losses = train(model)
    assert losses[-1] < losses[0]
    for name, value in views.items():
        assert np.shares_memory(value, dict(inner.named_parameters())[name])
        np.testing.assert_array_equal(inner.state_dict()[name], model.state_dict()[f"{part}.{name}"])
    inner.load_state_dict({key: value + 1 for key, value in inner.state_dict().items()})
    for key, value in inner.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[f"{part}.{key}"], value)


def test_a_part_can_be_trained_by_itself_and_frozen():
    base = encoder()
    train_base = nn.Sequential(base, nn.Linear(5, 2), seed=0)
    base.trainable = False
    before = base.state_dict()
    train(train_base)
    assert all(np.array_equal(value, base.state_dict()[key]) for key, value in before.items())
    base.trainable = True
    base.compile("mse", "sgd")
    base.fit(X, RNG.normal(size=(24, 5)), verbose=0)
    assert not np.array_equal(train_base.state_dict()["0.0.weight"], before["0.weight"])


def test_shapes_that_are_not_known_yet():
    base = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), seed=1)
    model = nn.Sequential(base, nn.ReLU(), nn.Linear(4, 2), seed=2)
    assert not model.built
    x = RNG.normal(size=(3, 2, 3))
    assert model(x).shape == (3, 2)
    assert base.built
    np.testing.assert_array_equal(model.state_dict()["0.1.weight"], base.state_dict()["1.weight"])
    late = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(6, 4)), nn.Linear(4, 2)).build((2, 3))
    assert late(x).shape == (3, 2)


def test_sequences_of_any_length():
    base = nn.Sequential(nn.GRU(3, 4, return_sequences=True), nn.LayerNorm(4), seed=1)
    model = nn.Sequential(base, nn.LSTM(4, 2), nn.Linear(2, 1), seed=2)
    other = flat(model)
    assert list(model.state_dict())[:2] == ["0.0.weight_ih_l0", "0.0.weight_hh_l0"]
    x, lengths = RNG.normal(size=(5, 7, 3)), np.array([7, 1, 3, 5, 2])
    for steps in (7, 4):
        np.testing.assert_array_equal(model.predict(x[:, :steps]), other.predict(x[:, :steps]))
    np.testing.assert_array_equal(model.predict(x, lengths=lengths), other.predict(x, lengths=lengths))
    assert base.predict(x).shape == (5, 7, 4)
    model.compile("mse", "adam")
    model.fit(x, np.zeros((5, 1)), lengths=lengths, verbose=0)
    np.testing.assert_array_equal(base.state_dict()["0.weight_ih_l0"], model.state_dict()["0.0.weight_ih_l0"])


def copies(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    return {
        "deepcopy": copy.deepcopy(model),
        "copy": copy.copy(model),
        "pickle": pickle.loads(pickle.dumps(model)),
        "file": nn.load(tmp_path / "model.safetensors"),
    }


def test_copies_and_files(tmp_path):
    model = nested()
    train(model)
    for how, other in copies(model, tmp_path).items():
        assert repr(other) == repr(model), how
        assert list(other.state_dict()) == KEYS
        np.testing.assert_array_equal(other(X), model(X))
        assert [type(part).__name__ for part in other] == [type(part).__name__ for part in model]
        np.testing.assert_array_equal(other[0](X), model[0](X))
        assert other[0] is other[0]
        assert np.shares_memory(other[0].parameters()[0], other.parameters()[0])
        assert not np.shares_memory(other.parameters()[0], model.parameters()[0])
    others = copies(model, tmp_path)
    wanted = model.fit(X, Y, epochs=2, batch_size=8, verbose=0).history["loss"]
    for how, other in others.items():
        assert other.fit(X, Y, epochs=2, batch_size=8, verbose=0).history["loss"] == wanted, how
        np.testing.assert_array_equal(other[0].state_dict()["0.weight"], model[0].state_dict()["0.weight"])


def test_deep_nesting_and_models_that_are_not_built(tmp_path):
    deep = nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(4, 3), seed=1), graph_of(3), seed=1), nn.Linear(3, 2), seed=1)
    assert list(deep.state_dict())[:2] == ["0.0.0.weight", "0.0.0.bias"]
    for other in copies(deep, tmp_path).values():
        np.testing.assert_array_equal(other(X), deep(X))
        np.testing.assert_array_equal(other[0][0][0].weight, deep[0][0][0].weight)
    unbuilt = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4, 3), seed=1), nn.Linear(3, 2), seed=1)
    x = X.reshape(24, 2, 2)
    found = {how: other(x) for how, other in copies(unbuilt, tmp_path).items()}
    wanted = unbuilt(x)
    for how, value in found.items():
        np.testing.assert_array_equal(value, wanted, err_msg=how)


def graph_of(n):
    x = nn.Input((n,))
    return nn.Model(x, nn.Linear(n, n)(x) + x, seed=1)


def test_clone_and_reset():
    model = nested()
    train(model)
    clone = model.clone(seed=8)
    model.reset_parameters(seed=8)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(clone.state_dict()[key], value)
    np.testing.assert_array_equal(model[0].state_dict()["0.weight"], model.state_dict()["0.0.weight"])
    assert repr(clone) == repr(model)
    assert not np.shares_memory(clone.parameters()[0], model.parameters()[0])


def test_the_part_lives_as_long_as_the_model_and_no_longer():
    base = encoder()
    model = nn.Sequential(base, nn.Linear(5, 2), seed=0)
    wanted = model(X)
    del base
    gc.collect()
    np.testing.assert_array_equal(model(X), wanted)
    assert model[0](X).shape == (24, 5)
    kept = model[0]
    del model
    gc.collect()
    assert kept(X).shape == (24, 5)
    heads = [nn.Sequential(kept, nn.Linear(5, 2)) for _ in range(3)]
    assert len({id(head[0]) for head in heads}) == 1
    train(heads[0])
    np.testing.assert_array_equal(heads[1].state_dict()["0.0.weight"], heads[0].state_dict()["0.0.weight"])


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Sequential(*[encoder()] * 2), ArgumentError, "layers 0 and 1 are one object"),
        (lambda: (lambda m: nn.Sequential(m, m[0]))(encoder()), ArgumentError, "layers 0 and 1 are one object, Linear"),
        (lambda: nn.Sequential(encoder(), nn.Linear(4, 2)), ShapeError, r"layer 1 \(Linear\).*\[\*, 5\] from layer 0.2"),
        (lambda: nn.Sequential(encoder(), dtype="float64"), ArgumentError, "cannot be part of one of float64"),
        (lambda: nn.Sequential(two_inputs()), ArgumentError, "a model of 2 inputs and 1 outputs"),
    ],
)
def test_what_cannot_be_a_part_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def two_inputs():
    a, b = nn.Input((4,)), nn.Input((4,))
    return nn.Model([a, b], a + b)


def test_slices_say_that_they_copy():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2), nn.ReLU(), seed=0)
    part = model[:3]
    assert repr(part).splitlines()[0] == "Sequential(  # a copy of layers 0 to 2"
    assert repr(model[1:2]).splitlines()[0] == "Sequential(  # a copy of layer 1"
    assert repr(model[::-3]).splitlines()[0] == "Sequential(  # a copy of layers 3 and 0"
    assert not np.shares_memory(part[0].weight, model[0].weight)
    before = model.state_dict()
    train(part)
    assert all(np.array_equal(value, model.state_dict()[key]) for key, value in before.items())
    for empty in (slice(0, 0), slice(3, 1), slice(9, None)):
        with pytest.raises(ArgumentError, match="empty"):
            model[empty]
    big = nested()
    part = big[:3]
    np.testing.assert_array_equal(part[0](X), big[0](X))
    assert list(part.state_dict()) == KEYS[:9]
    assert not np.shares_memory(part[0].parameters()[0], big[0].parameters()[0])

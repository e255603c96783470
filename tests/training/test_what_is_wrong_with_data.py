"""Messages about data say which argument is wrong and what to pass instead."""

import re

import numpy as np
import pytest

import nncore as nn

X, Y = np.ones((6, 3)), np.ones((6, 1))


@pytest.fixture
def model():
    model = nn.Sequential(nn.Linear(3, 1), seed=0)
    model.compile("mse", "sgd")
    return model


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((X, Y[:5]), "y has 5 rows"),
        ((X[:, :2], Y), "x has shape"),
        ([(X, Y[:5])], "y has 5 rows"),
        ([(X[:, :2], Y)], "x has shape"),
        ((X, Y, np.ones(5)), "sample_weight"),
        ((X, np.array([["a"]] * 6)), "y has dtype"),
        ((X, Y, None, [1] * 6), "lengths"),
        (X, "(x, y)"),
        ("x", "(x, y)"),
        (5, "(x, y)"),
        ((X,), "(x, y)"),
        ({"a": X}, "(x, y)"),
    ],
)
def test_errors_of_validation_data_say_so(model, given, text):
    before = model.state_dict()
    with pytest.raises(nn.errors.NncoreError, match=f"^fit: validation_data: .*{re.escape(text)}") as caught:
        model.fit(X, Y, verbose=0, validation_data=given, epochs=1)
    assert str(caught.value).count("validation_data") == 1
    assert "pass y" not in str(caught.value)
    assert set(before) == set(model.state_dict())


def test_errors_of_training_data_do_not_speak_of_validation(model):
    with pytest.raises(nn.errors.ShapeError, match="^y has 5 rows"):
        model.fit(X, Y[:5], validation_data=(X, Y))


@pytest.mark.parametrize("name", ["fit", "evaluate"])
@pytest.mark.parametrize(
    "given", [(X, Y), [X, Y], (X.tolist(), Y.tolist()), [X], [X, Y, Y]], ids=["tuple", "list", "nested", "x", "weights"]
)
def test_x_and_y_in_one_argument(model, name, given):
    with pytest.raises(nn.errors.ArgumentError, match=rf"pass {name}\(x, y\), or a list of batches \[\(x, y\)\]"):
        getattr(model, name)(given)


def test_fit_on_batches_says_that_mask_needs_y(model):
    with pytest.raises(nn.errors.ArgumentError, match="mask"):
        model.fit([(X, Y)], mask=np.ones((6, 3)))


def test_a_loader_that_cannot_tell_its_length(model):
    class Loader:
        def __len__(self):
            raise RuntimeError("not known")

        def __iter__(self):
            return iter([(X, Y)])

    assert len(model.fit(Loader(), verbose=0).history["loss"]) == 1
    assert model.predict(Loader()).shape == (6, 1)
    model.evaluate(Loader())


@pytest.mark.parametrize("name", ["fit", "evaluate", "predict"])
def test_a_batch_of_several_inputs_has_one_list_for_them(name):
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    a, b = nn.Input((3,)), nn.Input((2,))
    model = nn.Model([a, b], nn.Linear(5, 1)(nn.Concatenate()([a, b])), seed=0)
    model.compile("mse", "sgd")
    loader = DataLoader(TensorDataset(torch.ones(4, 3), torch.ones(4, 2), torch.ones(4, 1)), batch_size=2)
    with pytest.raises(nn.errors.ShapeError, match=r"\(\[x1, x2\], y\)"):
        getattr(model, name)(loader)


def test_mask_of_a_batch_as_nested_lists():
    model = nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1), seed=0)
    x = np.random.default_rng(0).normal(size=(2, 4, 2))
    mask = [[1, 1, 0, 0], [0, 1, 1, 1]]
    right = np.concatenate([model.predict(x[:1, :2]), model.predict(x[1:, 1:])])
    np.testing.assert_allclose(model.predict(iter([(x, None, None, mask)])), right, rtol=1e-5)
    np.testing.assert_allclose(model.predict([(x, None, None, mask)]), right, rtol=1e-5)
    model.compile("mse", "sgd")
    assert model.evaluate([(x, np.zeros((2, 1)), None, mask)]) == pytest.approx(np.mean(right.astype(float) ** 2), rel=1e-5)


def test_sequences_of_one_feature_without_its_dimension():
    x = np.ones((4, 5))
    with pytest.raises(nn.errors.ShapeError, match=r"pass x\[\.\.\., None\]") as caught:
        nn.Sequential(nn.GRU(1, 2), nn.Linear(2, 1)).predict(x)
    assert "return_sequences" not in str(caught.value)
    with pytest.raises(nn.errors.ShapeError, match=r"x\[\.\.\., None\]"):
        nn.Sequential(nn.GRU(1, 2), nn.Linear(2, 1)).build((5, 1)).predict(x)
    with pytest.raises(nn.errors.ShapeError, match=r"x\[\.\.\., None\]"):
        nn.GRU(1, 2)(x)
    with pytest.raises(nn.errors.ShapeError, match="layer 1 .*set return_sequences=True in the recurrent layer before"):
        nn.Sequential(nn.GRU(1, 2), nn.GRU(2, 1)).predict(x[..., None])

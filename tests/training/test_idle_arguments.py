"""Arguments and calls that would do nothing are refused, or warn."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors

X, Y = np.linspace(-1, 1, 12).reshape(6, 2), np.ones((6, 1))
BATCHES = [(X[:3], Y[:3]), (X[3:], Y[3:])]


def linear(metrics=()):
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", nn.optim.SGD(lr=0.1), list(metrics))
    return model


@pytest.mark.parametrize("of", [list, iter], ids=["list", "generator"])
def test_a_size_of_ready_batches_is_refused(of):
    model = linear()
    before = model[0].weight.copy()
    for use in (
        lambda: model.evaluate(of(BATCHES), batch_size=7),
        lambda: model.predict(of(BATCHES), batch_size=7),
    ):
        with pytest.raises(errors.ArgumentError, match="batch_size is for arrays"):
            use()
    np.testing.assert_array_equal(model[0].weight, before)
    model.fit(of(BATCHES))
    assert model.step == 2


def test_validation_settings_without_validation_warn():
    with pytest.warns(UserWarning, match="validation_freq does nothing without validation|validation_freq do"):
        linear().fit(X, Y, validation_freq=2)
    with pytest.warns(UserWarning, match="validation_batch_size"):
        linear().fit(X, Y, validation_batch_size=2)
    linear().fit(X, Y, validation_freq=2, validation_batch_size=3, epochs=2, validation_data=(X, Y))
    linear().fit(X, Y, batch_size=2, validation_freq=1)


def test_too_few_batches_warn():
    model = linear()
    with pytest.warns(UserWarning, match="evaluate: the batches have run out after 2 of steps=3"):
        found = model.evaluate(BATCHES, steps=3)
    assert found == pytest.approx(model.evaluate(X, Y))
    with pytest.warns(UserWarning, match="predict: the batches have run out after 2 of steps=5"):
        assert model.predict(BATCHES, steps=5).shape == (6, 1)
    with pytest.warns(UserWarning, match="2 of validation_steps=4"):
        model.fit(X, Y, validation_data=BATCHES, validation_steps=4)
    assert model.evaluate(BATCHES, steps=1) == pytest.approx(model.evaluate(X[:3], Y[:3]))


@pytest.mark.parametrize("verbose", ["foo", 7, 1.5, None, X])
def test_verbose_is_checked(verbose):
    model = linear()
    for use in (model.evaluate, lambda x, y, verbose: model.predict(x, verbose=verbose)):
        with pytest.raises(errors.ArgumentError, match="verbose must be 'auto', 0, 1 or 2"):
            use(X, Y, verbose=verbose)


def test_verbose_of_keras_is_accepted():
    for verbose in ("auto", 0, 1, 2, False, True):
        assert linear().evaluate(X, Y, verbose=verbose) > 0
        assert linear().predict(X, verbose=verbose).shape == (6, 1)


def test_top_k_of_too_few_classes_warns():
    one = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    with pytest.warns(UserWarning, match="k=5 is always 1 over 2 classes"):
        one.compile("binary_crossentropy", "sgd", ["top_k_accuracy"])
    three = nn.Sequential(nn.Linear(2, 3), nn.Softmax())
    with pytest.warns(UserWarning, match="k=3 is always 1 over 3 classes"):
        three.compile("sparse_categorical_crossentropy", "sgd", [nn.metrics.TopKAccuracy(3)])
    three.compile("sparse_categorical_crossentropy", "sgd", [nn.metrics.TopKAccuracy(2)])
    with pytest.warns(UserWarning, match="k=2 of 2 classes"):
        assert nn.metrics.TopKAccuracy(2)([0, 1], [[0.3, 0.7], [0.2, 0.8]]) == 1.0


def test_load_needs_a_dict(tmp_path):
    linear().save(tmp_path / "m.safetensors")
    for given in (3, [nn.Linear], "Scale"):
        with pytest.raises(errors.ArgumentError, match="custom_objects must be a dict"):
            nn.load(tmp_path / "m.safetensors", custom_objects=given)


def test_the_history_is_a_dict_inside():
    history = linear().fit(X, Y)
    with pytest.raises(errors.ArgumentError, match=r"history\.history\['loss'\]"):
        history["loss"]
    for use in (lambda: history.plot("loss"), lambda: history.plot(ax=None)):
        with pytest.raises(errors.ArgumentError, match="plot"):
            use()


@pytest.mark.parametrize("name", ["optimizer", "gradients", "layers", "metrics", "built", "dtype"])
def test_what_cannot_be_set_says_so(name):
    model = linear()
    with pytest.raises(errors.UnknownAttributeError, match=rf"Sequential.{name} cannot be set"):
        setattr(model, name, "sgd")

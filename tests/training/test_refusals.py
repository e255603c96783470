"""What compile, fit and the rest refuse, in which words, and that the model stays as it was."""

import numpy as np
import pytest
from training.simple import assert_same, line, linear, weights

import nncore as nn
from nncore import errors


def test_a_model_of_open_shape_compiles_when_it_sees_data(rng):
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0)
    model.compile("mse", "sgd", ["mae"])
    assert not model.built
    x = rng.normal(size=(10, 2, 3))
    assert len(model.fit(x, x.sum((1, 2))).epoch) == 1
    other = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0)
    other.compile("mse", "sgd")
    other.backward(np.ones_like(other.forward(x)))
    other.apply_gradients()
    assert other.step == 1
    assert nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0).predict(x).shape == (10, 1)
    batch = nn.Sequential(nn.Flatten(), nn.Linear(6, 1), seed=0)
    batch.compile("mse", "sgd")
    assert batch.train_on_batch(x, np.ones(10)) > 0


def test_compiling_again_starts_the_optimizer_anew_and_keeps_the_weights(rng):
    x, y = line(rng, 20)
    model = linear(optimizer="adam")
    model.fit(x, y)
    kept = weights(model)
    model.compile("mae", "sgd")
    assert model.step == 0
    assert_same(model, kept)
    with pytest.raises(errors.UnknownNameError):
        model.compile("maee", "sgd")
    assert model.evaluate(x, y) == pytest.approx(np.abs(model.predict(x) - y).mean())  # still compiled as before


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("mean_square_error", "sgd"), errors.UnknownNameError, "unknown loss .* did you mean 'mean_squared_error'"),
        (("mse", "sdg"), errors.UnknownNameError, "unknown optimizer .* did you mean 'sgd'"),
        (("mse", "sgd", ["acuracy"]), errors.UnknownNameError, "unknown metric .* did you mean 'accuracy'"),
        (("adam", "mse"), errors.UnknownNameError, "'adam' is an optimizer, not a loss"),
        (("mse", "sgd", ["mae", "mae"]), errors.ArgumentError, "two metrics are called 'mae'"),
        (("mse", "sgd", ["mae", "log_loss"]), errors.ArgumentError, "log_loss needs probabilities of classes"),
        ((["mse", "mae"], "sgd"), errors.ArgumentError, "2 losses for 1 outputs"),
        ((nn.losses.Huber(reduction="none"), "sgd"), errors.ArgumentError, "reduction other than 'none'"),
        (("sparse_categorical_crossentropy", "sgd"), errors.ShapeError, "one output per class, but the model has 1"),
        (("categorical_crossentropy", "sgd"), errors.ShapeError, "several outputs, but the model has 1"),
    ],
)
def test_compile_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        nn.Sequential(nn.Linear(3, 1)).compile(*arguments)


@pytest.mark.parametrize(
    ("loss", "end", "text"),
    [
        ("binary_crossentropy", [], "takes probabilities, but the model ends in a linear layer; add Sigmoid"),
        ("sparse_categorical_crossentropy", [nn.ReLU()], "ends in relu; add Softmax"),
        (nn.losses.CategoricalCrossentropy(from_logits=True), [nn.Softmax()], "takes logits, but the model ends in softmax"),
    ],
)
def test_compile_warns_of_a_loss_that_does_not_suit_the_activation(loss, end, text):
    with pytest.warns(UserWarning, match=text) as seen:
        nn.Sequential(nn.Linear(3, 2), *end).compile(loss, "sgd")
    assert seen[0].filename == __file__


X, Y = np.ones((6, 3)), np.ones(6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: m.fit(X[:, :2], Y), errors.ShapeError, r"x has shape \(6, 2\), but layer 0 \(Linear\) takes \(N, 3\)"),
        (lambda m: m.fit(X, Y[:5]), errors.ShapeError, "y has 5 rows and x has 6"),
        (lambda m: m.fit(X, np.ones((6, 2))), errors.ShapeError, r"shape \(6, 2\), but the output of the model has shape \(6, 1\)"),
        (lambda m: m.fit(X[:0], Y[:0]), errors.EmptyDataError, "no rows"),
        (lambda m: m.evaluate(X[:0], Y[:0]), errors.EmptyDataError, "no rows"),
        (lambda m: m.fit(X, Y, epochs=-1), errors.ArgumentError, "epochs"),
        (lambda m: m.fit(X, Y, epochs=1.5), errors.ArgumentError, "epochs"),
        (lambda m: m.fit(X, Y, batch_size=0), errors.ArgumentError, "batch_size"),
        (lambda m: m.fit(X, Y, validation_split=1.5), errors.ArgumentError, "validation_split"),
        (lambda m: m.fit(X, Y, validation_split=1e-17), errors.EmptyDataError, "no row for validation"),
        (lambda m: m.fit(X, Y, validation_split=0.5, validation_data=(X, Y)), errors.ArgumentError, "not both"),
        (lambda m: m.fit(X, Y, validation_data=X), errors.ArgumentError, r"\(x, y\)"),
        (lambda m: m.fit(X, Y, validation_data=(X, Y[:2])), errors.ShapeError, "y has 2 rows"),
        (lambda m: m.fit(X, Y, verbose=3), errors.ArgumentError, "verbose"),
        (lambda m: m.fit(X, Y, sample_weight=[1.0]), errors.ShapeError, "one weight per row"),
        (lambda m: m.fit(X, Y, sample_weight=[0, 0, -1, 0, 0, 0]), errors.ArgumentError, "sample_weight is -1.0 at row 2"),
        (lambda m: m.fit(X, Y, sample_weight=[1, np.nan] * 3), errors.NonFiniteError, "sample_weight is nan at row 1"),
        (lambda m: m.fit(X, Y, class_weight="balanced"), errors.LabelError, "use sample_weight instead"),
        (lambda m: m.fit([(X, Y)], class_weight="balanced"), errors.ArgumentError, "batches carry their own"),
        (lambda m: m.predict(X.astype(complex)), errors.DTypeError, "complex128"),
    ],
)
def test_data_that_do_not_fit_leave_the_model_as_it_was(call, error, text):
    model = linear()
    kept = weights(model)
    with pytest.raises(error, match=text):
        call(model)
    assert_same(model, kept)
    assert model.step == 0
    model.fit(X, Y)


def test_before_compile():
    model = nn.Sequential(nn.Linear(3, 1))
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(errors.NotCompiledError, match="call model.compile"):
            call(X, Y)
    assert model.optimizer is None
    assert model.metrics_names == []
    assert model.predict(X).shape == (6, 1)

"""Public methods with wrong arguments: typed errors, after which the model is what it was."""

import contextlib
import copy
import io
import warnings

import numpy as np
import pytest
from constructors import INNER, WRONG
from misuse import CALLS, XT, YT, X, Y, plain, recurrent

import nncore as nn
from nncore.errors import ArgumentError, NncoreError, ShapeError, SizeError

VALUES = {
    **WRONG,
    "2**60": 2**60,
    "2**63": 2**63,
    "3": 3,
    "[3]": [3],
    "[nan] * 8": [float("nan")] * 8,
    "[inf] * 8": [float("inf")] * 8,
    "['a'] * 8": ["a"] * 8,
    "[True] * 8": [True] * 8,
    "[2**70] * 8": [2**70] * 8,
    "[object()] * 8": [object()] * 8,
    "ones(8, 2)": np.ones((8, 2)),
    "ragged": [[1], [1, 2]],
    "set": {1, 2},
}
FOR_EVER = {("fit epochs", "2**60")}  # which is a number of epochs like any other


def state_of(model):
    values = {name: value.copy() for name, value in model.state_dict().items()}
    return values, model.step, repr(model.optimizer), list(model.metrics_names)


def same(one, two):
    return one[1:] == two[1:] and all(np.array_equal(value, two[0][name]) for name, value in one[0].items())


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_refused_by_typed_errors_or_work(name):
    make, call = CALLS[name]
    model, wrong = make(), []
    threads = nn.get_num_threads()
    for shown, value in VALUES.items():
        if (name, shown) in FOR_EVER:
            continue
        if isinstance(value, np.ndarray):
            value = value.copy()  # which "call out" may fill
        before = state_of(model)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                call(model, value)
        except NncoreError as error:
            if INNER.search(str(error)):
                wrong.append(f"{shown}: the message names inner parts: {error}")
            if not same(before, state_of(model)):
                wrong.append(f"{shown}: refused, but the model is another one now")
        except Exception as error:
            wrong.append(f"{shown}: {type(error).__name__}: {error}")
        else:
            model = make()
        finally:
            nn.set_num_threads(threads)
    assert not wrong, f"{name}\n" + "\n".join(wrong)
    twin = make()
    x, y = (XT, YT) if make is recurrent else (X, Y)
    if make in (plain, recurrent):  # it trains as if nothing had been
        for each in (model, twin):
            each.fit(x, y, epochs=2)
        assert same(state_of(model), state_of(twin))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.fit(X, Y, epochs=2**70), SizeError, "fit: epochs is .* more than a size can count"),
        (lambda m: m.fit(X, Y, batch_size=2**63), SizeError, "fit: batch_size"),
        (lambda m: m.fit(X, Y, batch_size=True), ArgumentError, "fit: batch_size must be a whole number"),
        (
            lambda m: m.fit(X, Y, callbacks=3),
            ArgumentError,
            "callbacks: an object with hooks such as on_epoch_end is needed, not 3",
        ),
        (lambda m: m.fit(X, Y, callbacks=[3]), ArgumentError, "callbacks: .* not 3"),
        (lambda m: m.fit(X, Y, callbacks="x"), ArgumentError, "callbacks: .* not 'x'"),
        (lambda m: m.fit(X, Y, callbacks=nn.callbacks.EarlyStopping), ArgumentError, r"make an object of it, EarlyStopping\(\)"),
        (lambda m: m.predict(X, callbacks=object()), ArgumentError, "callbacks"),
        (lambda m: m.predict(iter([X]), steps=-1), ArgumentError, "predict: steps must be a whole number of at least 1"),
        (lambda m: m.predict(X, batch_size=-1), ArgumentError, "predict: batch_size must be"),
        (lambda m: m.evaluate(X, Y, batch_size=0), ArgumentError, "evaluate: batch_size must be"),
        (lambda m: m.compile("mse", "sgd", loss_weights=1), ArgumentError, "compile: loss_weights must be a list of numbers"),
        (lambda m: m.compile("mse", "sgd", loss_weights=["x"]), ArgumentError, "loss_weights of 'output' must be a finite number"),
        (lambda m: m.compile("mse", "sgd", loss_weights=[1, 2]), ArgumentError, "2 loss_weights for 1 outputs"),
        (lambda m: m.compile("mse", "sgd", check_finite="no"), ArgumentError, "check_finite must be True or False"),
        (lambda m: m[7], nn.errors.IndexRangeError, "Sequential has 3 layers, and none of number 7"),
        (lambda m: m["0"], ArgumentError, "the number of a layer must be a whole number"),
        (lambda m: m.set_weights(3), ArgumentError, "set_weights takes a list of arrays"),
        (lambda m: m.get_layer(np.ones(2)), ArgumentError, "get_layer: the name of a layer is text"),
        (lambda m: m.load_state_dict({}, strict="x"), ArgumentError, "strict must be True or False"),
    ],
)
def test_messages(call, error, message):
    model = plain()
    before = state_of(model)
    with pytest.raises(error, match=message):
        call(model)
    assert same(before, state_of(model))


@pytest.mark.parametrize("batch", [2**60, 2**62, 2**63, 2**70])
def test_a_stream_of_too_many_sequences_is_refused_at_once(batch):
    with pytest.raises(SizeError, match="stream: batch"):
        recurrent().stream(batch)
    with pytest.raises(SizeError, match="stream: batch"):
        nn.Sequential(nn.Linear(4, 1)).build((5, 4)).stream(batch)  # which carries no state


@pytest.mark.parametrize(
    ("lengths", "error"),
    [
        ([float("inf")] * 8, ShapeError),
        ([float("nan")] * 8, ArgumentError),
        ([-float("inf")] * 8, ShapeError),
        (["5"] * 8, nn.errors.DTypeError),
        ([object()] * 8, nn.errors.DTypeError),
        (np.full((8, 1), 5), ShapeError),
        ([[5]] * 8, ArgumentError),
        ([True] * 8, ArgumentError),
        ([2**70] * 8, nn.errors.NonFiniteError),
        ([2**62] * 8, ShapeError),
        (np.full(8, 2**64 - 1, np.uint64), ShapeError),
        ([1e300] * 8, ShapeError),
        ([2.5] * 8, ArgumentError),
        ([1j] * 8, nn.errors.DTypeError),
        (5, ShapeError),
        ("5", nn.errors.DTypeError),
        ({"input": [5] * 8}, ArgumentError),
    ],
)
def test_lengths_of_the_wrong_kind(lengths, error):
    model = recurrent()
    before = state_of(model)
    for call in (
        lambda: model.fit(XT, YT, lengths=lengths),
        lambda: model.evaluate(XT, YT, lengths=lengths),
        lambda: model.predict(XT, lengths=lengths),
        lambda: model.train_on_batch(XT, YT, lengths=lengths),
        lambda: model.forward(XT, lengths=lengths),
        lambda: model.layers[0](XT, lengths=lengths),
    ):
        with pytest.raises(error, match="lengths"):
            call()
    assert same(before, state_of(model))


def test_scalars_of_numpy_count_as_numbers():
    model, twin = plain(), plain()
    one, two = np.int64(2), np.uint8(3)
    model.fit(X, Y, epochs=one, batch_size=two, validation_split=np.float32(0.5), shuffle=np.bool_(True), verbose=np.int64(0))
    twin.fit(X, Y, epochs=2, batch_size=3, validation_split=0.5, shuffle=True, verbose=0)
    assert same(state_of(model), state_of(twin))
    assert nn.Sequential(nn.Linear(4, 2), seed=np.int64(3)).seed == 3
    model.predict(X, batch_size=np.int32(2))
    assert model[np.int64(0)] is model.layers[0]
    recurrent().stream(np.int64(2))


def test_seeds_and_steps_that_are_set():
    model = plain()
    model.seed = np.int64(3)
    assert model.seed == 3
    for wrong in ("x", None, 1.5, -1, object(), True, np.zeros(2)):
        with pytest.raises(NncoreError):
            model.seed = wrong
        with pytest.raises(NncoreError):
            model.step = wrong
    assert (model.seed, model.step) == (3, 0)


def test_a_metric_that_evaluates():
    model = plain()
    x, y = np.ones((20000, 4), np.float32), np.zeros((20000, 2), np.float32)  # more rows than the metric sees at once
    found = []

    def nested(y_true, y_pred):
        if not found:
            found.append(None)
            found[0] = model.evaluate(x, y)
        return 0.0

    model.compile("mse", "sgd", metrics=[nested])
    expected = nn.losses.MeanSquaredError()(y, model.predict(x))
    outer = model.evaluate(x, y)
    assert outer == found[0]
    assert outer[0] == pytest.approx(expected, rel=1e-5)


def test_copies_and_pickles_of_layers_after_misuse():
    layer = nn.Linear(4, 2)
    for wrong in ("x", None, [[1.0]], np.full((2, 4), 1j)):
        with pytest.raises(NncoreError):
            layer.weight = wrong
    nn.Sequential(layer)
    before = layer.weight.copy()
    for wrong in ("x", None, [[1.0]], np.full((2, 4), 1j), np.full((2, 4), "1")):
        with pytest.raises(NncoreError):
            layer.weight = wrong
        np.testing.assert_array_equal(layer.weight, before)
    np.testing.assert_array_equal(copy.deepcopy(layer)._pending["weight"], before)

"""Predictions of a model in bfloat16 follow its weights, of which it keeps copies: whoever changes them, in whatever way."""

import copy
import ctypes
import gc
import threading

import numpy as np
import pytest

import nncore as nn


def net(**options):
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), seed=0, compute="bfloat16", **options)


def fresh(model, x):
    """The prediction of a model that has no copies yet."""
    return copy.deepcopy(model).predict(x)


@pytest.fixture
def x(rng):
    return rng.normal(size=(3, 20)).astype(np.float32)


def assigned(model):
    model[0].weight = model[0].weight * 2


def through_the_layer(model):
    model[0].weight[...] *= 2


def through_a_part(model):
    model[0].weight.T[3:5] += 1


def through_parameters(model):
    model.parameters()[2] += 1


def by_name(model):
    dict(model.named_parameters())["2.weight"][0] = 7


def of_a_bias(model):
    model[2].bias += 1


def loaded(model):
    model.load_state_dict({name: 2 * value for name, value in model.state_dict().items()})


def set_at_once(model):
    model.set_weights([2 * value for value in model.get_weights()])


def drawn_again(model):
    model.reset_parameters(seed=9)


def drawn_for_one_layer(model):
    model[0].reset_parameters(seed=9)


def trained(model):
    model.compile("mse", "adam")
    model.fit(np.ones((8, 20)), np.ones((8, 16)), verbose=0)


def trained_by_batch(model):
    model.compile("mse", "adam")
    model.train_on_batch(np.ones((8, 20)), np.ones((8, 16)))


def trained_by_hand(model):
    model.compile("mse", nn.optim.SGD(lr=0.1))
    model.forward(np.ones((8, 20)), training=True)
    model.backward(np.ones((8, 16)))
    model.apply_gradients()


def trained_by_lbfgs(model):
    pytest.importorskip("scipy")
    model.compile("mse", nn.optim.LBFGS())
    model.fit(np.ones((8, 20)), np.ones((8, 16)), batch_size=None, epochs=2, verbose=0)


WAYS = [
    assigned, through_the_layer, through_a_part, through_parameters, by_name, of_a_bias, loaded, set_at_once, drawn_again,
    drawn_for_one_layer, trained, trained_by_batch, trained_by_hand, trained_by_lbfgs,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_change(x, way):
    model = net()
    before = model(x)
    assert (before == model.predict(x)).all()
    way(model)
    expected = fresh(model, x)
    assert (expected != before).any()
    for infer in (model, model.predict, model.predict_on_batch):
        np.testing.assert_array_equal(infer(x), expected)


def test_an_array_that_is_kept_costs_no_memory(x):
    model = net()
    kept = [model[0].weight]
    model.predict(x)
    before = nn._core.alloc_count()
    for _ in range(3):
        kept[0] *= 2
        model.predict(x)
    assert nn._core.alloc_count() == before


def test_a_bias_that_is_kept(x):
    model = net()
    bias = model[2].bias
    for _ in range(3):
        model(x)
        bias += 1
        np.testing.assert_array_equal(model(x), fresh(model, x))


def test_an_array_that_is_kept(x):
    model = net()
    weight = model[0].weight
    for factor in (2, 0.5, 3):
        model(x)
        weight *= factor
        np.testing.assert_array_equal(model(x), fresh(model, x))
    model(x)
    weight *= 2
    del weight  # the last change comes between two predictions, and then nothing tells of it
    np.testing.assert_array_equal(model(x), fresh(model, x))


@pytest.mark.parametrize(
    "view", [np.asarray, lambda w: w[1:], lambda w: w.T, lambda w: w.reshape(-1), memoryview, np.from_dlpack], ids=str
)
def test_another_array_of_the_same_memory(x, view):
    model = net()
    other = view(model[2].bias if view is memoryview else model[2].weight.T)
    before = model(x)
    gc.collect()
    np.asarray(other)[...] = 1
    np.testing.assert_array_equal(model(x), fresh(model, x))
    assert (model(x) != before).any()


def test_averaged_weights(x):
    model = net()
    model.compile("mse", nn.optim.SGD(lr=0.1, ema_momentum=0.9))
    model.fit(np.ones((40, 20)), np.ones((40, 16)), epochs=3, verbose=0)
    last = model(x)
    with model.averaged_weights():
        averaged = model(x)
        assert (averaged != last).any()
    np.testing.assert_array_equal(model(x), last)


def test_models_that_share_layers(x):
    encoder = net()
    whole = nn.Sequential(encoder, nn.Linear(16, 16, weight_init="orthogonal"), seed=1, compute="bfloat16")
    first, second = encoder(x), whole(x)
    whole.compile("mse", "adam")
    whole.fit(np.ones((8, 20)), np.ones((8, 16)), verbose=0)
    assert (encoder(x) != first).any()
    np.testing.assert_array_equal(encoder(x), fresh(encoder, x))
    encoder[0].weight *= 2
    np.testing.assert_array_equal(whole(x), fresh(whole, x))
    assert (whole(x) != second).any()
    del encoder
    gc.collect()
    whole.layers[0].weight *= 2
    np.testing.assert_array_equal(whole(x), fresh(whole, x))


def test_evaluation(x):
    model = net()
    model.compile("mse", "sgd")
    y = np.ones((3, 16), np.float32)
    before = model.evaluate(x, y, verbose=0)
    model[0].weight *= 2
    assert model.evaluate(x, y, verbose=0) == copy.deepcopy(model).evaluate(x, y, verbose=0) != before


def test_streams_take_the_weights_at_a_reset(rng):
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), seed=0, compute="bfloat16").build((4, 16))
    x = rng.normal(size=(1, 4, 16)).astype(np.float32)
    stream = model.stream()
    np.testing.assert_array_equal([stream.step(x[:, t]).copy() for t in range(4)], model.predict(x).swapaxes(0, 1))
    model[0].weight *= 2
    stream.reset()
    np.testing.assert_array_equal([stream.step(x[:, t]).copy() for t in range(4)], model.predict(x).swapaxes(0, 1))


def test_copies_are_kept_between_predictions(x):
    """What is written through an address counts when the weights are handed out again. A bias that is kept changes nothing."""
    model = net()
    address, bias = model[0].weight.ctypes.data, model[0].bias
    model(x)
    before = np.array(model(x))
    ctypes.c_float.from_address(address).value = np.nan
    for infer in (model, model.predict, model.predict_on_batch):
        np.testing.assert_array_equal(infer(x), before)
    bias += 1
    assert np.isfinite(model(x)).all()
    assert model[0].weight is not None
    assert np.isnan(model(x)).all()


def test_threads_that_predict_at_once(x):
    model = net()
    expected, wrong = model(x), []

    def predict():
        wrong.extend(None for _ in range(100) if (model.predict(x) != expected).any())

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        assert model[0].weight is not None  # counts as a change
    for thread in threads:
        thread.join()
    assert not wrong

"""Models that share layers: models called like layers, parts of models, and what training one does to the others."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import nncore as nn
from nncore import errors


def parts(dtype="float64"):
    encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2), seed=1, dtype=dtype)
    decoder = nn.Sequential(nn.Linear(2, 6), seed=2, dtype=dtype)
    return encoder, decoder


def autoencoder(dtype="float64"):
    encoder, decoder = parts(dtype)
    x = nn.Input((6,))
    model = nn.Model(x, decoder(encoder(x)), dtype=dtype)
    model.compile("mse", nn.optim.Adam(lr=0.01))
    return encoder, decoder, model


def same(a, b):
    np.testing.assert_array_equal(a, b)


def test_a_model_of_models_has_their_weights_and_they_have_its(rng):
    encoder, decoder = parts()
    before = [encoder.state_dict(), decoder.state_dict()]
    x, data = nn.Input((6,)), rng.normal(size=(40, 6))
    expected = decoder.predict(encoder.predict(data))
    model = nn.Model(x, decoder(encoder(x)), dtype="float64")
    for part, state in zip((encoder, decoder), before, strict=True):
        for name, value in part.state_dict().items():
            same(value, state[name])
    same(model.predict(data), expected)
    model.compile("mse", nn.optim.Adam(lr=0.01))
    model.fit(data, data, epochs=3, batch_size=8)
    assert not np.array_equal(model.predict(data), expected)
    same(model.predict(data), decoder.predict(encoder.predict(data)))  # running statistics included
    same(encoder[0].weight, model.get_layer("linear").weight)
    encoder[0].weight = np.zeros((8, 6))
    same(model.state_dict()["linear.weight"], np.zeros((8, 6)))
    same(encoder.state_dict()["0.weight"], np.zeros((8, 6)))


def test_it_trains_as_a_model_of_its_own_would(rng):
    _, _, model = autoencoder()
    alone = copy.deepcopy(model)
    data = rng.normal(size=(40, 6))
    one, two = (each.fit(data, data, epochs=3, batch_size=8) for each in (model, alone))
    assert one.history == two.history
    for name, value in alone.state_dict().items():
        same(model.state_dict()[name], value)


def test_parts_train_alone_as_well(rng):
    encoder, decoder, model = autoencoder()
    data, codes = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    twin = nn.Sequential(*copy.deepcopy(encoder.layers), seed=encoder.seed, dtype="float64")
    kept = decoder.state_dict()
    for each in (encoder, twin):
        each.compile("mse", nn.optim.SGD(lr=0.1, momentum=0.9))
        each.fit(data, codes, epochs=3, batch_size=8)
    for name, value in twin.state_dict().items():
        same(encoder.state_dict()[name], value)
    for name, value in decoder.state_dict().items():
        same(value, kept[name])
    same(model.predict(data), decoder.predict(encoder.predict(data)))
    x = model.forward(data)  # steps by hand use its own gradients
    model.backward(x - data)
    assert np.abs(model.gradients["linear.weight"]).max() > 0
    model.apply_gradients()
    same(model.predict(data), decoder.predict(encoder.predict(data)))


def test_a_part_of_a_model(rng):
    x = nn.Input((6,))
    code = nn.Tanh()(nn.Linear(6, 2)(x))
    full = nn.Model(x, nn.Linear(2, 6)(code), dtype="float64")
    part = nn.Model(x, code, dtype="float64")
    data = rng.normal(size=(40, 6))
    full.compile("mse", "adam")
    full.fit(data, data, epochs=2)
    weight, bias = full.state_dict()["linear.weight"], full.state_dict()["linear.bias"]
    np.testing.assert_allclose(part.predict(data), np.tanh(data @ weight.T + bias), rtol=1e-12)
    middle = nn.Model(full.outputs[0].node.inputs[0], full.outputs, dtype="float64")  # from the code on
    same(middle.predict(part.predict(data)), full.predict(data))


def test_one_encoder_called_twice_adds_up_its_gradients(rng):
    encoder, _ = parts()
    a, b = nn.Input((6,)), nn.Input((6,))
    model = nn.Model([a, b], encoder(a) - encoder(b), dtype="float64")
    assert len(model.parameters()) == len(encoder.parameters())
    x, y = rng.normal(size=(2, 9, 6))
    same(model.predict([x, y]), encoder.predict(x) - encoder.predict(y))
    grad = rng.normal(size=(9, 2))
    model.forward([x, y])
    model.backward(grad)
    total = {name: value.copy() for name, value in model.gradients.items()}
    parts_ = []
    for data, sign in ((x, 1), (y, -1)):
        encoder.forward(data)
        encoder.backward(sign * grad)
        parts_.append([value.copy() for value in encoder.gradients.values()])
    for got, one, two in zip(total.values(), *parts_, strict=True):
        np.testing.assert_allclose(got, one + two, rtol=1e-12, atol=1e-13)


def test_pools_of_pools_and_members_that_are_gone(rng):
    encoder, decoder, model = autoencoder()
    classifier = nn.Sequential(nn.Linear(2, 3), nn.Softmax(), dtype="float64")
    x = nn.Input((6,))
    both = nn.Model(x, [model(x), classifier(encoder(x))], dtype="float64")
    data = rng.normal(size=(30, 6))
    expected = [model.predict(data), classifier.predict(encoder.predict(data))]
    for got, truth in zip(both.predict(data), expected, strict=True):
        same(got, truth)
    del model, decoder
    gc.collect()
    more = nn.Model(x, nn.Linear(3, 1)(classifier(encoder(x))), dtype="float64")
    both.compile(["mse", "sparse_categorical_crossentropy"], "adam")
    both.fit(data, [data, rng.integers(0, 3, 30)], epochs=2)
    same(both.predict(data)[1], classifier.predict(encoder.predict(data)))
    weight, bias = more.parameters()[-2:]
    np.testing.assert_allclose(more.predict(data), both.predict(data)[1] @ weight.T + bias, rtol=1e-12)


def test_copies_share_what_they_are_copied_with(rng, tmp_path):
    encoder, _, model = autoencoder()
    data = rng.normal(size=(30, 6))
    model.fit(data, data, epochs=2)
    for copied_encoder, copied in (copy.deepcopy((encoder, model)), pickle.loads(pickle.dumps((encoder, model)))):
        same(copied.predict(data), model.predict(data))
        copied.fit(data, data, epochs=1)
        same(copied_encoder[0].weight, copied.get_layer("linear").weight)
        assert not np.shares_memory(copied_encoder[0].weight, encoder[0].weight)
    model.save(tmp_path / "model.safetensors")
    again = nn.load(tmp_path / "model.safetensors")
    for each in (model, again):
        each.fit(data, data, epochs=2)
    same(again.predict(data), model.predict(data))


def test_the_optimizer_of_a_part_goes_on_where_it_was(rng):
    encoder, decoder = parts()
    codes, data = rng.normal(size=(40, 2)), rng.normal(size=(40, 6))
    twin = copy.deepcopy(encoder)
    for each in (encoder, twin):
        each.compile("mse", "adam")
        each.fit(data, codes, epochs=2)
    x = nn.Input((6,))
    nn.Model(x, decoder(encoder(x)), dtype="float64")
    for each in (encoder, twin):
        each.fit(data, codes, epochs=2)
    for name, value in twin.state_dict().items():
        same(encoder.state_dict()[name], value)


def test_a_model_whose_shape_is_open_is_built_by_the_call():
    head = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    x = nn.Input((2, 3))
    model = nn.Model(x, head(x))
    assert head.input_shapes == [(2, 3)]
    assert np.shares_memory(head[1].weight, model.get_layer("linear").weight)
    with pytest.raises(errors.ArgumentError, match="cannot be built again"):
        head.build((6,))


def test_running_statistics_alone_are_shared_too(rng):
    norm = nn.Sequential(nn.BatchNorm1d(6, affine=False), dtype="float64")
    x, data = nn.Input((6,)), rng.normal(3, 2, size=(40, 6))
    model = nn.Model(x, nn.Linear(6, 1)(norm(x)), dtype="float64", seed=0)
    model.compile("mse", "sgd")
    model.fit(data, data[:, 0], epochs=3)
    same(norm[0].running_mean, model.state_dict()["batch_norm1d.running_mean"])
    assert abs(norm[0].running_mean).min() > 0.5  # of 3, after six batches
    head = model.get_layer("linear")
    np.testing.assert_allclose(model.predict(data), norm.predict(data) @ head.weight.T + head.bias, rtol=1e-10, atol=1e-12)


def test_a_part_that_is_frozen_in_the_whole(rng):
    """Two networks against each other: the judge learns alone, and not while the maker learns through it."""
    judge, maker = nn.Sequential(nn.Linear(5, 8), nn.LeakyReLU(), nn.Linear(8, 1)), nn.Sequential(nn.Linear(3, 5))
    loss, ones = nn.losses.BinaryCrossentropy(from_logits=True), np.ones((32, 1))
    judge.compile(loss, "adam")
    for layer in judge.layers:
        layer.trainable = False
    noise = nn.Input((3,))
    both = nn.Model(noise, judge(maker(noise)))
    both.compile(loss, "adam")
    z, real = rng.normal(size=(32, 3)), rng.normal(size=(32, 5))
    before = judge.state_dict(), maker.state_dict()
    both.train_on_batch(z, ones)
    for name, value in judge.state_dict().items():
        same(value, before[0][name])
    assert not np.array_equal(maker[0].weight, before[1]["0.weight"])
    with pytest.warns(UserWarning, match="trains as compiled"):  # as in Keras
        judge.train_on_batch(real, ones)
    assert not np.array_equal(judge[0].weight, before[0]["0.weight"])
    same(both.predict(z), judge.predict(maker.predict(z)))


def test_what_cannot_be_shared_is_refused(rng):
    encoder, decoder = parts()
    x = nn.Input((6,))
    kept = encoder.state_dict()
    with pytest.raises(errors.ArgumentError, match="belongs to a model of float64 and cannot be part of one of float32"):
        nn.Model(x, encoder(x))
    with pytest.raises(errors.ShapeError, match=r"Linear expects input of shape \[\*, 6\] but gets \[\*, 5\]"):
        encoder(nn.Input((5,)))
    with pytest.raises(errors.ArgumentError, match="already belongs to another model"):
        nn.Sequential(encoder[0], dtype="float64")
    y = nn.Input((6,))
    two = nn.Model([x, y], [nn.add([x, y]), nn.multiply([x, y])])
    with pytest.raises(errors.ArgumentError, match="is ndarray, which is no part of the network"):
        two([x, np.ones((1, 6))])
    assert [value.shape for value in two([x, x])] == [(6,), (6,)]
    for name, value in encoder.state_dict().items():
        same(value, kept[name])
    stop, data = threading.Event(), rng.normal(size=(4000, 6))
    encoder.compile("mse", "adam")
    thread = threading.Thread(
        target=lambda: encoder.fit(
            data,
            data[:, :2],
            epochs=10**6,
            callbacks=[nn.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(encoder, "stop_training", stop.is_set()))],
        )
    )
    thread.start()
    try:
        while not encoder.step:
            pass
        with pytest.raises(errors.ConcurrentUseError):
            nn.Model(x, decoder(encoder(x)), dtype="float64")
    finally:
        stop.set()
        thread.join()
    model = nn.Model(x, decoder(encoder(x)), dtype="float64")
    same(model.predict(data), decoder.predict(encoder.predict(data)))

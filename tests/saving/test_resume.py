"""Training that stopped and goes on, from a file or a copy, is training that never stopped: to the bit, wherever it stopped."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from saving.nets import BATCH, ROWS, assert_identical, data, net, numbers, put_together, set_tensor, take_apart

import nncore as nn

OPTIMIZERS = {
    "sgd": lambda: nn.optim.SGD(lr=0.05),
    "nesterov": lambda: nn.optim.SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: nn.optim.Adam(lr=0.01, clip_norm=1.0),
    "amsgrad": lambda: nn.optim.Adam(lr=0.01, betas=(0.8, 0.99), weight_decay=0.01, amsgrad=True),
    "adamw": lambda: nn.optim.AdamW(lr=0.01, clip_value=0.1),
    "rmsprop": lambda: nn.optim.RMSprop(lr=0.01, momentum=0.5, centered=True),
    "nadam": lambda: nn.optim.NAdam(lr=0.01, ema_momentum=0.9),
    "radam": lambda: nn.optim.RAdam(lr=0.01, groups=[{"params": "*.bias", "lr_scale": 0.5}]),
    "rprop": lambda: nn.optim.Rprop(step_sizes=(1e-6, 0.1)),
    "adagrad": lambda: nn.optim.Adagrad(lr=0.1, lr_decay=0.01, initial_accumulator_value=0.1),
}


def by_file(model, folder):
    model.save(folder / "model.safetensors")
    return nn.load(folder / "model.safetensors")


WAYS = {
    "file": by_file,
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def again(request, tmp_path):
    return lambda model: request.param(model, tmp_path)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_between_epochs(optimizer, epochs, dtype, again):
    x, y = data()
    straight = net(optimizer(), dtype.name)
    whole = straight.fit(x, y, epochs=5, batch_size=BATCH, validation_split=0.2)

    model = net(optimizer(), dtype.name)
    first = model.fit(x, y, epochs=epochs, batch_size=BATCH, validation_split=0.2)
    model = again(model)
    rest = model.fit(x, y, epochs=5, initial_epoch=epochs, batch_size=BATCH, validation_split=0.2)
    assert_identical(model, straight)
    for key, values in whole.history.items():
        assert first.history.get(key, []) + rest.history[key] == values, key
    assert model.evaluate(x, y) == straight.evaluate(x, y)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("stop", [1, 4, ROWS // BATCH])
def test_in_the_middle_of_an_epoch(optimizer, stop, dtype, again):
    x, y = data()
    batches = [slice(i, i + BATCH) for i in range(0, ROWS, BATCH)]
    straight, model = net(optimizer(), dtype.name), net(optimizer(), dtype.name)
    for i, rows in enumerate(batches):
        if i == stop:
            model = again(model)
        assert model.train_on_batch(x[rows], y[rows]) == straight.train_on_batch(x[rows], y[rows])
    assert_identical(model, straight)


def test_again_and_again(tmp_path):
    x, y = data()
    straight, model = net(), net()
    straight.fit(x, y, epochs=6, batch_size=BATCH)
    for epoch in range(6):
        model.fit(x, y, epochs=epoch + 1, initial_epoch=epoch, batch_size=BATCH)
        model = by_file(model, tmp_path)
    assert_identical(model, straight)


def test_loops_by_hand(again):
    x, _ = data()
    straight, model = net(), net()
    for i in range(4):
        if i == 2:
            model = again(model)
        for each in (straight, model):
            out = each.forward(x, training=True)
            each.backward(out - 0.1)
            each.apply_gradients()
    assert_identical(model, straight)


def test_what_was_compiled_counts_not_what_the_layers_say_since(again):
    """A layer that is frozen after compile trains until the next one, in the copy too."""
    x, y = data()
    straight, model = net(), net()
    for each in (straight, model):
        each[0].trainable = False
        each[4].l1 = 1.0
        with pytest.warns(UserWarning, match="compile"):
            each.fit(x, y, batch_size=BATCH)
    model = again(model)
    assert (model[0].trainable, model[4].l1) == (False, 1.0)
    for each in (straight, model):
        with pytest.warns(UserWarning, match="compile"):
            each.fit(x, y, batch_size=BATCH)
    assert_identical(model, straight)
    before = model[0].weight.copy()
    model.compile("sparse_categorical_crossentropy", "adam")
    model.fit(x, y)
    np.testing.assert_array_equal(model[0].weight, before)


def test_the_learning_rate_is_the_one_of_now(again):
    x, y = data()
    model = net(nn.optim.Adam(lr=0.1))
    model.fit(x, y)
    model.optimizer.lr = 0.003
    assert again(model).optimizer.lr == 0.003


def test_compiled_before_the_shape_is_known(again):
    x, y = data()
    straight, model = (nn.Sequential(nn.Flatten(), nn.Linear(4, 3), seed=1) for _ in range(2))
    for each in (straight, model):
        each.compile("mse", nn.optim.SGD(momentum=0.9))
    model = again(model)
    assert not model.built
    for each in (straight, model):
        each.fit(x, np.eye(3)[y])
    assert_identical(model, straight)


def test_built_anew_after_compile(again):
    """The optimizer starts anew for another shape; what it has not been told yet stays so."""
    model = nn.Sequential(nn.Linear(4, 2), seed=1)
    model.compile("mse", "adam")
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    model.build((3, 4))
    other = again(model)
    x, y = np.ones((2, 3, 4)), np.zeros((2, 3, 2))
    assert other.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert_identical(other, model)


def test_without_training(tmp_path):
    x, y = data()
    model = net()
    model.fit(x, y)
    model.save(tmp_path / "whole")
    model.save(tmp_path / "bare", include_training=False)
    bare = nn.load(tmp_path / "bare")
    assert (tmp_path / "bare").stat().st_size < (tmp_path / "whole").stat().st_size
    np.testing.assert_array_equal(bare.predict(x), model.predict(x))
    with pytest.raises(nn.errors.NotCompiledError):
        bare.fit(x, y)


def test_saving_changes_nothing(tmp_path):
    x, y = data()
    straight, model = net(), net()
    for each in (straight, model):
        each.fit(x, y, batch_size=BATCH)
    model.save(tmp_path / "model")
    assert_identical(model, straight)
    written = (tmp_path / "model").read_bytes()
    nn.load(tmp_path / "model").save(tmp_path / "twin")
    assert (tmp_path / "twin").read_bytes() == written


# That the comparison can fail: drop one thing from the file, and training must take another course ------------------------------


def set_state(key, value):
    def change(header, document, body):
        document["training"]["state"][key] = value

    return change


def change_seed(header, document, body):
    document["model"]["seed"] += 1


def change_rate(header, document, body):
    document["training"]["optimizer"]["arguments"]["lr"] *= 1.0000001


def drop_options(header, document, body):
    document["training"]["state"]["options"][0] = [False, 1.0, None, 0.0, 0.0, 0.0]


def overwrite(name, value):
    return lambda header, document, body: set_tensor(header, body, name, value)


def forget_moments(header, document, body):
    document["training"]["state"] = None
    dropped = [name for name in header if name.startswith("training.")]
    size = min(header[name]["data_offsets"][0] for name in dropped)
    assert size == max(end for name in header if name[0].isdigit() for end in header[name]["data_offsets"])
    del body[size:]
    for name in dropped:
        del header[name]


def forget_steps(header, document, body):
    state = document["training"]["state"]
    state["step"] = state["progress"]["start"] = 0


DROPPED = {
    "step": forget_steps,
    "seed": change_seed,
    "lr": change_rate,
    "options": drop_options,
    "moment0": overwrite("training.moment0.4.weight", 0.0),
    "moment1": overwrite("training.moment1.0.bias", 0.0),
    "running_mean": overwrite("1.running_mean", 0.0),
    "running_var": overwrite("1.running_var", 1.0),
    "num_batches_tracked": overwrite("5.num_batches_tracked", 0),
    "weight": overwrite("7.bias", 0.0),
    "state": forget_moments,
}


@pytest.mark.parametrize("drop", [None, *DROPPED], ids=str)
def test_dropping_anything_is_noticed(drop, tmp_path):
    x, y = data()
    model, path = net(), tmp_path / "model.safetensors"
    model.fit(x, y, epochs=2, batch_size=BATCH)
    model.save(path)
    if drop:
        parts = take_apart(path)
        DROPPED[drop](*parts)
        put_together(path, *parts)
    other = nn.load(path)
    for each in (model, other):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if drop == "options" else "error")  # they differ from what the layers say
            each.fit(x, y, epochs=2, batch_size=BATCH)
    one, two = numbers(model), numbers(other)
    same = all(np.asarray(one[name]).tobytes() == np.asarray(two[name]).tobytes() for name in one)
    assert same == (drop is None)

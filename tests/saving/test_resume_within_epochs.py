"""``fit(resume=True)``: training that stopped at any step, in the middle of a shuffled epoch too, goes on to the same bits.

What counts as the same: weights, moments, running statistics and steps; the history of every epoch; and what callbacks decided,
which here changes the learning rate and ends training.
"""

import copy
import pickle

import numpy as np
import pytest
from saving.nets import BATCH, ROWS, assert_identical, data, net, numbers, put_together, set_tensor, take_apart

import nncore as nn
from nncore import callbacks, errors

STEPS = 5  # of an epoch of the rows that train, the last one smaller
EPOCHS = 6


class Stop(callbacks.Callback):
    """End training after so many steps, wherever that is."""

    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        if self.model.step >= self.steps:
            self.model.stop_training = True


def watchers():
    """Callbacks that count, and whose counting changes training."""
    return [
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=0.2, cooldown=1),
        callbacks.EarlyStopping("val_loss", patience=4, min_delta=0.05),
        callbacks.LossTolerance(0.2, 6),
    ]


def fit(model, resume=False, extra=(), epochs=EPOCHS, **options):
    x, y = data()
    options = {"batch_size": BATCH, "validation_split": 0.2, **options}
    return model.fit(x, y, epochs=epochs, callbacks=[*watchers(), *extra], resume=resume, **options)


def by_file(model, folder):
    model.save(folder / "model")
    return nn.load(folder / "model")


WAYS = {
    "file": by_file,
    "deepcopy": lambda model, _: copy.deepcopy(model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "itself": lambda model, _: model,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stop", [1, 3, STEPS, STEPS + 1, 3 * STEPS - 1])
@pytest.mark.parametrize("shuffle", [True, False])
def test_from_any_step(stop, way, shuffle, tmp_path):
    straight, model = net(), net()
    whole = fit(straight, shuffle=shuffle)
    fit(model, extra=[Stop(stop)], shuffle=shuffle)
    assert model.step == stop
    model = WAYS[way](model, tmp_path)
    rest = fit(model, resume=True, shuffle=shuffle)
    assert_identical(model, straight)
    assert model.optimizer.lr == straight.optimizer.lr
    assert rest.epoch == whole.epoch[stop // STEPS :]
    for key, values in whole.history.items():
        assert rest.history[key] == values[stop // STEPS :], key
    np.testing.assert_array_equal(rest.step_losses, whole.step_losses[stop:])
    assert len(set(whole.history["learning_rate"])) > 1, "no callback did anything; their state was not tested"


def test_one_step_at_a_time(tmp_path):
    straight, model = net(), net()
    fit(straight)
    steps = 0
    while model.step < straight.step:
        steps += 1
        fit(model, resume=steps > 1, extra=[Stop(steps)])
        model = by_file(model, tmp_path)
    assert_identical(model, straight)


def test_a_checkpoint_in_the_middle_of_an_epoch(tmp_path):
    """What a run that was killed left behind; the checkpoint stands before those whose counting it saves."""
    straight, killed = net(), net()
    whole = fit(straight)
    x, y = data()
    options = {"epochs": 3, "batch_size": BATCH, "validation_split": 0.2}
    keep = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=4)
    killed.fit(x, y, callbacks=[keep, *watchers()], **options)
    killed.fit(
        x, y, callbacks=[callbacks.ModelCheckpoint(tmp_path / "end-{epoch}"), *watchers()], resume=True, **(options | {"epochs": 4})
    )
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["1-4", "2-3", "3-2", *(f"end-{epoch}" for epoch in range(4, 4 + len(found) - 3))]
    for name in found:
        model = nn.load(tmp_path / name)
        rest = fit(model, resume=True)
        assert_identical(model, straight)
        assert rest.history.get("loss", []) == whole.history["loss"][len(whole.epoch) - len(rest.epoch) :]


def test_after_each_epoch_with_the_best_weights(tmp_path):
    """EarlyStopping keeps weights of an earlier epoch: they are in the file."""
    x, y = data()

    def stopper():
        return callbacks.EarlyStopping("val_loss", patience=2, min_delta=1.0, restore_best_weights=True)

    options = {"epochs": 6, "batch_size": BATCH, "validation_split": 0.2}
    straight = net()
    straight.fit(x, y, callbacks=[callbacks.ModelCheckpoint(tmp_path / "{epoch}"), stopper()], **options)
    model = nn.load(tmp_path / "2")
    last = stopper()
    model.fit(x, y, callbacks=[last], resume=True, **options)
    assert last.stopped_epoch == 2
    assert last.best_epoch == 0
    assert_identical(model, straight)


def test_an_interrupt():
    straight, model = net(), net()
    whole = fit(straight)

    def interrupt(batch, logs):
        if model.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, extra=[callbacks.LambdaCallback(on_train_batch_end=interrupt)])
    rest = fit(model, resume=True)
    assert_identical(model, straight)
    assert rest.history["val_loss"] == whole.history["val_loss"][1:]


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_after_the_only_step_of_an_epoch(way, tmp_path):
    """A file has no losses of single steps, but the epoch has its loss all the same."""

    def interrupt(batch, logs):
        raise KeyboardInterrupt

    (x, y), plain, model = data(), net(), net()
    expected = plain.fit(x, y, batch_size=None, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=None, epochs=2, callbacks=[callbacks.LambdaCallback(on_train_batch_end=interrupt)])
    model = WAYS[way](model, tmp_path)
    found = model.fit(x, y, batch_size=None, epochs=2, resume=True)
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-12)
    assert_identical(model, plain)


def test_while_validating(tmp_path):
    """All steps of the epoch are done; what is left of it is the validation."""
    straight, model = net(), net()
    whole = fit(straight)
    keep = callbacks.LambdaCallback(on_test_begin=lambda logs: model.save(tmp_path / f"{model.step}"))
    fit(model, extra=[keep])
    again = nn.load(tmp_path / f"{2 * STEPS}")
    rest = fit(again, resume=True)
    assert_identical(again, straight)
    assert rest.history["val_loss"] == whole.history["val_loss"][1:]
    assert rest.history["loss"] == whole.history["loss"][1:]


@pytest.mark.parametrize("stop", [2, 5, 8])
def test_batches_that_can_be_iterated_again(stop, tmp_path):
    x, y = data()
    batches = [(x[i : i + 10], y[i : i + 10]) for i in range(0, ROWS, 10)]
    straight, model = net(), net()
    whole = straight.fit(batches, epochs=2)
    model.fit(batches, epochs=2, callbacks=[Stop(stop)])
    model = by_file(model, tmp_path)
    rest = model.fit(batches, epochs=2, resume=True)
    assert_identical(model, straight)
    assert rest.history == {key: values[stop // 5 :] for key, values in whole.history.items()}


def test_fewer_steps_per_epoch_than_are_done():
    """A place behind the end of the epoch is refused before anything is trained or taken."""
    (x, y), model = data(), net()

    def endless():
        while True:
            yield x[:BATCH], y[:BATCH]

    model.fit(endless(), steps_per_epoch=6, callbacks=[Stop(4)])
    assert model.step == 4
    with pytest.raises(errors.ArgumentError, match="after 4 steps of an epoch, and now an epoch has 3"):
        model.fit(endless(), steps_per_epoch=3, epochs=2, resume=True)
    assert model.step == 4
    model.fit(endless(), steps_per_epoch=5, epochs=2, resume=True)
    assert model.step == 10


def test_nothing_to_resume():
    one, two = net(), net()
    fit(one, epochs=2)
    fit(two, epochs=2, resume=True)
    assert_identical(one, two)
    steps = two.step
    assert fit(two, epochs=2, resume=True).epoch == []  # all epochs are done
    assert two.step == steps


def test_refusals(tmp_path):
    x, y = data()
    model = net()
    fit(model, extra=[Stop(3)])
    for options in ({"batch_size": 4}, {"shuffle": False}, {"validation_split": 0.0}):
        with pytest.raises(errors.ArgumentError, match="stopped after 3 steps of an epoch of 40 rows in batches of 8, shuffled"):
            fit(model, resume=True, **options)
    with pytest.raises(errors.ArgumentError, match="batches that come ready-made"):
        model.fit([(x, y)], resume=True)
    with pytest.raises(errors.ArgumentError, match="leave initial_epoch out"):
        fit(model, resume=True, initial_epoch=1)
    model.train_on_batch(x, y)
    for each in (model, by_file(model, tmp_path)):
        with pytest.raises(errors.ArgumentError, match="4 updates have been made since epoch 1 began, but fit made"):
            fit(each, resume=True)
    model.compile("sparse_categorical_crossentropy", "adam")
    assert model.fit(x, y, epochs=2, resume=True).epoch == [0, 1]  # compile starts anew


def test_a_state_that_no_file_can_hold(tmp_path):
    class Odd(callbacks.Callback):
        stateful = ("thing",)
        thing = object()

    x, y = data()
    model = net()
    model.fit(x, y, callbacks=[Odd()])
    with pytest.raises(errors.ArgumentError, match="training.callback0.thing: a callback's state is <object"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", include_training=False)


def test_states_of_every_kind(tmp_path):
    class Odd(callbacks.Callback):
        stateful = ("a", "b", "c", "d", "e")

        def __init__(self):
            self.a, self.b, self.c = float("inf"), [1, 2.5, float("nan"), "x", None], {"f4": 1}.get("no")
            self.d, self.e = np.arange(6.0, dtype=np.float32).reshape(2, 3), [np.ones(2), np.zeros((0, 3), np.int64)]

    x, y = data()
    model = net()
    model.fit(x, y, callbacks=[Odd()])
    again = by_file(model, tmp_path)
    state = {}
    other = Odd()
    other.set_state = state.update
    again.fit(x, y, epochs=1, resume=True, callbacks=[other])
    np.testing.assert_equal(state, Odd().get_state())


def test_a_schedule_goes_on_where_it_stood():
    """Its place is the number of updates; a model that forgets it takes another course."""

    def trained(step=None):
        model = net(nn.optim.SGD(lr=lambda step: 0.1 / (1 + step)))
        x, y = data()
        options = {"epochs": 3, "batch_size": BATCH}
        if step is None:
            model.fit(x, y, **options)
            return model
        model.fit(x, y, callbacks=[Stop(9)], **options)
        model = copy.deepcopy(model)
        model._trainer.progress.start += step  # the place in the epoch stays right
        model.step += step
        model.fit(x, y, resume=True, **options)
        return model

    straight = trained()
    assert_identical(trained(0), straight)
    assert not np.array_equal(trained(-7)[0].weight, straight[0].weight)


def graph():
    a, b = nn.Input((4,), name="a"), nn.Input((2,), name="b")
    joined = nn.ReLU()(nn.BatchNorm1d(6)(nn.Concatenate()([nn.Linear(4, 4)(a), b])))
    model = nn.Model([a, b], [nn.Linear(6, 1)(nn.Dropout(0.2)(joined)), nn.Softmax()(nn.Linear(6, 3)(joined))], seed=4)
    model.compile(["mse", "sparse_categorical_crossentropy"], "adam", [["mae"], ["accuracy"]])
    return model


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batches", [False, True])
def test_several_inputs_and_outputs(way, batches, tmp_path):
    x, y = data()
    inputs = {"b": x[:, :2], "a": x}
    if batches:
        given = [({"a": x[i : i + 8], "b": x[i : i + 8, :2]}, [x[i : i + 8, 0], y[i : i + 8]]) for i in range(0, ROWS, 8)]
        train = lambda model, **more: model.fit(given, epochs=3, validation_data=given, **more)  # noqa: E731
    else:
        options = {"epochs": 3, "batch_size": BATCH, "validation_split": 0.2, "groups": y}
        train = lambda model, **more: model.fit(inputs, [x[:, 0], y], **options, **more)  # noqa: E731
    straight, model = graph(), graph()
    whole = train(straight)
    assert len(whole.history) == 11
    train(model, callbacks=[Stop(7)])
    model = WAYS[way](model, tmp_path)
    rest = train(model, resume=True)
    assert_identical(model, straight)
    assert rest.history == {key: values[1:] for key, values in whole.history.items()}


# That the comparison can fail: drop one thing from the file of a training that stopped within an epoch ---------------------------


def progress(key, value):
    def change(header, document, body):
        place = document["training"]["state"]["progress"]
        assert place[key] != value
        place[key] = value

    return change


def counted(i, key, value):
    def change(header, document, body):
        state = document["training"]["state"]["progress"]["callbacks"][i]["state"]
        assert state[key] != value
        state[key] = value

    return change


def overwrite(name, value):
    return lambda header, document, body: set_tensor(header, body, name, value)


def change_seed(header, document, body):
    document["model"]["seed"] += 1


def forget_step(header, document, body):
    """The number of updates, with the place in the epoch left right."""
    state = document["training"]["state"]
    state["step"] -= STEPS
    state["progress"]["start"] -= STEPS


def forget_place(header, document, body):
    """As if an epoch began here."""
    state = document["training"]["state"]
    state["progress"].update(start=state["step"], epoch=state["progress"]["epoch"] + 1)
    dropped = [name for name in header if name.startswith("training.epoch.")]
    blocks = sorted((header[name]["data_offsets"], name) for name in dropped)
    for (begin, end), name in reversed(blocks):
        del body[begin:end]
        del header[name]
        for other in header.values():
            if "data_offsets" in other and other["data_offsets"][0] >= end:
                other["data_offsets"] = [at - (end - begin) for at in other["data_offsets"]]


def change_rate(header, document, body):
    document["training"]["optimizer"]["arguments"]["lr"] *= 2


DROPPED = {
    "weights": overwrite("7.bias", 0.0),
    "moment0": overwrite("training.moment0.4.weight", 0.0),
    "moment1": overwrite("training.moment1.0.bias", 0.0),
    "running_mean": overwrite("1.running_mean", 0.0),
    "running_var": overwrite("1.running_var", 1.0),
    "num_batches_tracked": overwrite("5.num_batches_tracked", 0),
    "step": forget_step,
    "seed": change_seed,
    "rate": change_rate,
    "place": forget_place,
    "epoch": progress("epoch", 0),
    "metrics": overwrite("training.epoch.sums0", 0.0),
    "losses": overwrite("training.epoch.sums1", 1.0),
    "wait of the rate": counted(0, "wait", 0),
    "best of the rate": counted(0, "best", 100.0),
    "wait of the stop": counted(1, "wait", 7),
    "best of the stop": counted(1, "best", 100.0),
    "tolerance": counted(2, "no_improvement_count", 9),
}


@pytest.mark.parametrize("drop", [None, *DROPPED], ids=str)
def test_dropping_anything_is_noticed(drop, tmp_path):
    straight, model = net(), net()
    whole = fit(straight)
    fit(model, extra=[Stop(2 * STEPS + 2)])
    path = tmp_path / "model"
    model.save(path)
    if drop:
        parts = take_apart(path)
        DROPPED[drop](*parts)
        put_together(path, *parts)
    other = nn.load(path)
    rest = fit(other, resume=True)
    one, two = numbers(straight), numbers(other)
    same = all(np.asarray(one[name]).tobytes() == np.asarray(two[name]).tobytes() for name in one)
    same &= rest.history == {key: values[2:] for key, values in whole.history.items()} and rest.epoch == whole.epoch[2:]
    assert same == (drop is None)

"""Generators and other iterables of batches, steps per epoch, and when validation is due."""

import numpy as np
import pytest
from training.simple import line, linear

import nncore as nn
from nncore import errors


class Loader:
    """Neither a list nor a generator; what a data loader is."""

    def __init__(self, x, y, size=4, form=tuple):
        self.parts = [form((x[i : i + size], y[i : i + size])) for i in range(0, len(x), size)]

    def __iter__(self):
        return iter(self.parts)


def forever(x, y, size=4):
    while True:
        for i in range(0, len(x), size):
            yield x[i : i + size], y[i : i + size]


@pytest.fixture
def xy(rng):
    return line(rng, 12)


def test_steps_per_epoch_goes_on_where_the_last_epoch_ended(xy):
    plain, model = linear(), linear()
    plain.fit(*xy, epochs=2, batch_size=4, shuffle=False)
    history = model.fit(forever(*xy), epochs=3, steps_per_epoch=2)
    assert len(history.step_losses) == 6
    assert history.epoch == [0, 1, 2]
    np.testing.assert_allclose(model[0].weight, plain[0].weight)
    np.testing.assert_allclose(history.history["loss"], history.step_losses.reshape(3, 2).mean(axis=1))


@pytest.mark.parametrize(("steps", "epochs", "done"), [(3, 4, [0]), (2, 2, [0, 1]), (5, 1, [0])])
def test_running_dry_ends_training_with_a_warning(xy, steps, epochs, done):
    model = linear()
    if steps * epochs <= 3:
        pytest.fail("there are enough")
    with pytest.warns(UserWarning, match=f"run out.*{steps} are needed"):
        history = model.fit(Loader(*xy), epochs=epochs, steps_per_epoch=steps)
    assert history.epoch == done
    assert len(history.step_losses) == 3


def test_exactly_enough_is_no_reason_to_warn(xy):
    assert len(linear().fit(iter(Loader(*xy)), epochs=3, steps_per_epoch=1).step_losses) == 3


def test_a_generator_of_validation_batches_lasts_for_one_epoch(xy):
    one, two = linear(), linear()
    found = one.fit(*xy, validation_data=iter(Loader(*xy)), initial_epoch=4, epochs=5)
    assert found.history["val_loss"] == pytest.approx(two.fit(*xy, validation_data=xy).history["val_loss"])


def test_a_tuple_of_batches_is_one_of_samples_for_nobody(xy):
    model, parts = linear(), tuple(map(tuple, Loader(*xy)))
    np.testing.assert_array_equal(model.predict(parts), model.predict(xy[0]))
    assert model.evaluate(parts) == pytest.approx(model.evaluate(*xy))


def test_the_only_input_and_output_may_stand_in_lists(xy):
    """As in Keras, where a model with one input takes [x]."""
    x, y = xy
    model, w = linear(), np.linspace(0, 1, 12)
    expected, outputs = model.evaluate(x, y, sample_weight=w), model.predict(x)
    one, two = linear(), linear()
    plain = one.fit(x, y, sample_weight=w, validation_data=(x, y)).history
    assert two.fit([x], (y,), sample_weight=[w], validation_data=([x], [y])).history == plain
    for found in (model.predict([x]), model([x]), model.forward((x,)), model.predict_on_batch([x]), model.predict([([x], [y])])):
        np.testing.assert_array_equal(found, outputs)
    for found in (
        model.evaluate([x], [y], sample_weight=[w]),
        model.test_on_batch((x,), [y], w),
        model.evaluate(iter([([x], [y], [w])])),
        model.evaluate([([x], [y], w)]),
    ):
        assert found == expected
    np.testing.assert_array_equal(model.predict([x[0]]), outputs[:1])  # a list of one row is one row
    assert model.evaluate(x[:1], [y[0]]) == model.evaluate(x[:1], [y[:1]]) == model.evaluate(x[:1], y[:1])


def test_lengths_and_names_of_an_input_in_a_list(rng):
    x, y, lengths = rng.normal(size=(4, 6, 3)), rng.normal(size=(4, 6, 1)), [1, 2, 6, 3]
    model = nn.Sequential(nn.GRU(3, 2, return_sequences=True), nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    np.testing.assert_array_equal(model.predict([x], lengths=lengths), model.predict(x, lengths=lengths))
    assert model.evaluate([x], [y], lengths=lengths) == model.evaluate(x, y, lengths=lengths)
    pandas = pytest.importorskip("pandas")
    frame, rows = pandas.DataFrame(x[:, 0], columns=["a", "b", "c"]), linear()
    rows.fit([frame], y[:, 0])
    assert rows.feature_names == ["a", "b", "c"]
    with pytest.raises(errors.ArgumentError, match="another order"):
        rows.predict([frame[["b", "a", "c"]]])


def test_params_say_how_many_steps(xy):
    seen = []

    class Look(nn.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.params["steps"])

    linear().fit(forever(*xy), steps_per_epoch=2, callbacks=[Look()])
    linear().fit(Loader(*xy).parts, callbacks=[Look()])
    linear().fit(Loader(*xy), callbacks=[Look()])
    assert seen == [2, 3, 0]


def test_class_weights_of_batches(rng):
    x, y = rng.normal(size=(12, 3)), rng.integers(2, size=12)
    models = []
    for _ in range(2):
        models.append(nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), seed=1, dtype="float64"))
        models[-1].compile("binary_crossentropy", "adam")
    weights = {0: 0.5, 1: 3.0}
    one = models[0].fit(x, y, batch_size=4, shuffle=False, class_weight=weights)
    two = models[1].fit(Loader(x, y), class_weight=weights)
    np.testing.assert_array_equal(one.step_losses, two.step_losses)
    np.testing.assert_array_equal(models[0][0].weight, models[1][0].weight)
    with pytest.raises(errors.ArgumentError, match="class_weight='balanced' need y"):
        models[0].fit(Loader(x, y), class_weight="balanced")


@pytest.mark.parametrize("form", [tuple, list])
def test_evaluate_and_predict_batches(xy, form):
    x, y = xy
    model = linear(metrics=["mae", "r2"])
    loader = Loader(x, y, 5, form)
    np.testing.assert_allclose(model.evaluate(loader), model.evaluate(x, y))
    np.testing.assert_allclose(model.evaluate(loader, steps=2), model.evaluate(x[:10], y[:10]))
    if form is tuple:
        np.testing.assert_array_equal(model.predict(loader), model.predict(x))
        np.testing.assert_array_equal(model.predict(loader, steps=1), model.predict(x[:5]))
    np.testing.assert_array_equal(model.predict(x[i : i + 1] for i in range(12)), model.predict(x))
    weighted = [(x[:6], y[:6], np.arange(6.0)), (x[6:], y[6:], np.zeros(6))]
    np.testing.assert_allclose(model.evaluate(weighted), model.evaluate(x, y, sample_weight=[*range(6), *[0] * 6]))


def test_validation_batches(xy):
    x, y = xy
    plain, model, flowing = linear(), linear(), linear()
    expected = plain.fit(x, y, epochs=2, batch_size=4, shuffle=False, validation_data=(x[:8], y[:8])).history
    given = {"epochs": 2, "validation_steps": 2}
    for each, validation in ((model, Loader(*xy)), (flowing, Loader(x[:8], y[:8]).parts)):
        history = each.fit(Loader(*xy), validation_data=validation, **given).history
        np.testing.assert_allclose(history["val_loss"], expected["val_loss"])
    batches = forever(x[:8], y[:8])  # goes on, and by luck begins anew
    np.testing.assert_allclose(
        linear().fit(Loader(*xy), validation_data=batches, **given).history["val_loss"], expected["val_loss"]
    )


@pytest.mark.parametrize(
    ("freq", "validated"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (5, [4]), (9, []), ([1, 4], [0, 3]), ({2}, [1])]
)
def test_validation_freq(freq, validated, xy, tmp_path):
    model, seen = linear(), []
    look = nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch) if "val_loss" in logs else None)
    log = nn.callbacks.CSVLogger(tmp_path / "log")
    history = model.fit(*xy, epochs=5, validation_data=xy, validation_freq=freq, callbacks=[look, log])
    assert seen == validated
    assert len(history.history.get("val_loss", [])) == len(validated)
    header, *lines = (tmp_path / "log").read_text().splitlines()
    assert header == "epoch,loss,val_loss"
    assert [i for i, text in enumerate(lines) if not text.endswith(",NA")] == validated
    if validated:
        pytest.importorskip("matplotlib")
        drawn = history.plot().axes[0].lines[1]
        assert list(drawn.get_xdata()) == [epoch + 1 for epoch in validated]  # pictures count from 1


def test_validation_batch_size_only_cuts(xy):
    one, two = linear(), linear()
    sizes = []
    look = nn.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: sizes.append(batch))
    history = one.fit(*xy, validation_data=xy, validation_batch_size=5, callbacks=[look])
    assert sizes == [0, 1, 2]
    assert history.history == two.fit(*xy, validation_data=xy).history


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"steps_per_epoch": 2}, "steps_per_epoch is for batches"),
        ({"validation_steps": 2}, "validation_steps is for validation_data that are batches"),
        ({"validation_steps": 2, "validation_data": ([[0.0] * 3], [0.0])}, "that are batches, not for arrays"),
        ({"validation_data": iter([([[0.0] * 3], [0.0])]), "epochs": 2}, "lasts for one epoch"),
        ({"validation_data": iter(())}, "there are no batches"),
        ({"validation_freq": 0}, "validation_freq must be a whole number"),
        ({"validation_freq": [0]}, "each epoch of validation_freq"),
        ({"validation_batch_size": 0}, "validation_batch_size"),
        ({"groups": [1] * 12}, "pass validation_split too"),
        ({"resume": "yes"}, "resume must be True or False"),
        ({"validation_data": []}, "there are no batches"),
    ],
)
def test_refusals(options, text, xy):
    model = linear()
    with pytest.raises((errors.ArgumentError, errors.EmptyDataError), match=text):
        model.fit(*xy, **options)
    for call in (
        lambda: model.evaluate(*xy, steps=2),
        lambda: model.predict(xy[0], steps=2),
        lambda: model.evaluate(Loader(*xy), sample_weight=[1]),
        lambda: model.evaluate(xy[0]),
    ):
        with pytest.raises(errors.ArgumentError):
            call()
    for call in (lambda: model.evaluate([]), lambda: model.predict(iter(()))):
        with pytest.raises(errors.EmptyDataError, match="no batches"):
            call()


def test_validation_piece_by_piece_is_that_of_the_whole(xy, monkeypatch):
    one, two = linear(metrics=["mae"]), linear(metrics=["mae"])
    expected = one.fit(*xy, epochs=2, validation_split=0.5).history
    monkeypatch.setattr("nncore.training.validation._COPIED", 256)
    found = two.fit(*xy, epochs=2, validation_split=0.5).history
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-14)


def test_predict_takes_lists_of_arrays_as_a_torch_loader_makes_them(xy):
    torch = pytest.importorskip("torch")
    x, y = (torch.tensor(np.asarray(each)) for each in xy)
    model = linear()
    model.fit(*xy)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=7)
    np.testing.assert_allclose(model.predict(loader), model.predict(x), rtol=1e-6)
    np.testing.assert_allclose(model.predict(iter([list(x[:7].numpy())])), model.predict(x[:7]), rtol=1e-6)  # a list of rows

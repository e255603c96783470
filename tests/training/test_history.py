"""What fit returns."""

import sys

import numpy as np
import pytest
from training.simple import line, linear

import nncore as nn
from nncore import errors


def test_history(rng):
    x, y = line(rng, 20)
    model = linear(metrics=["mae"])
    history = model.fit(x, y, epochs=3, initial_epoch=1, validation_split=0.25)
    assert history is model.history
    assert history.epoch == [1, 2]
    keys = ["loss", "mae", "val_loss", "val_mae", "learning_rate"]
    assert {key: len(values) for key, values in history.history.items()} == dict.fromkeys(keys, 2)
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert len(history.step_losses) == 2
    assert repr(history).startswith("History(2 epochs: loss=")
    assert model.fit(x, y, epochs=0).history == {}


def test_plot(rng):
    matplotlib = pytest.importorskip("matplotlib")
    x, y = line(rng, 20)
    model = linear(metrics=["mae"])
    history = model.fit(x, y, epochs=3, validation_split=0.25)
    figure = history.plot()
    assert isinstance(figure, matplotlib.figure.Figure)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "mae"]
    for axes in figure.axes:
        assert axes.get_xlabel() == "epoch"
        assert [line.get_linestyle() for line in axes.lines[:2]] == ["-", "--"]
        assert [line.get_label() for line in axes.lines[:2]] == ["training", "validation"]
        assert all(tick == round(tick) for tick in axes.get_xticks())
        assert [line.get_xdata().tolist() for line in axes.lines[:2]] == [[1, 2, 3]] * 2
    best = int(np.argmin(history.history["val_loss"]))
    assert figure.axes[0].lines[2].get_label() == f"best: epoch {best + 1}"  # as the progress bar counts
    assert figure.axes[0].lines[2].get_xydata().tolist() == [[best + 1, history.history["val_loss"][best]]]


def test_plots_have_two_columns_and_show_one_epoch(rng):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = linear(metrics=["mae", "mse", "r2"])
    figure = model.fit(*line(rng, 20), epochs=1).plot()
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {each.get_marker() for axes in figure.axes for each in axes.lines} == {"o"}
    assert pyplot.gcf() is figure  # plt.show() shows it
    pyplot.close("all")


def test_an_empty_history_has_no_plot():
    pytest.importorskip("matplotlib")
    with pytest.raises(errors.EmptyDataError, match="no epoch"):
        nn.History().plot()


def test_plot_without_matplotlib_names_the_extra(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    history = linear().fit(*line(rng, 20))
    with pytest.raises(errors.MissingExtraError, match=r"nncore\[plot\]"):
        history.plot()


def test_learning_rate_is_that_of_the_last_step(rng):
    x, y = line(rng, 20)
    assert linear().fit(x, y, epochs=2).history["learning_rate"] == [0.1, 0.1]
    decay = lambda step: 0.1 * 0.5**step  # noqa: E731
    rates = linear(optimizer=nn.optim.SGD(lr=decay)).fit(x, y, epochs=3, batch_size=5).history["learning_rate"]
    np.testing.assert_allclose(rates, [0.1 * 0.5**3, 0.1 * 0.5**7, 0.1 * 0.5**11])

    class Halve(nn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert "learning_rate" not in logs
            self.model.optimizer.lr /= 2

    for batches in ({"batch_size": 5}, {"batch_size": None}):
        assert linear().fit(x, y, epochs=3, callbacks=Halve(), **batches).history["learning_rate"] == [0.1, 0.05, 0.025]
    assert linear().fit([(x, y)], epochs=2, callbacks=Halve()).history["learning_rate"] == [0.1, 0.05]


def test_epochs_of_validation(rng):
    x, y = line(rng, 20)
    history = linear().fit(x, y, epochs=5, validation_data=(x, y), validation_freq=[2, 3], initial_epoch=1)
    assert history.epoch == [1, 2, 3, 4]
    assert history.epochs_of("loss") == [1, 2, 3, 4]
    assert history.epochs_of("val_loss") == [1, 2]
    assert history.epochs_of("nothing") == []
    late = linear().fit(x, y, epochs=3, validation_data=(x, y), validation_freq=3)
    assert late.epochs_of("val_loss") == [2]


@pytest.mark.parametrize("kept", [0, 1, 7, 16, 1000, "all"])
@pytest.mark.parametrize("form", ["arrays", "one call each", "batches", "full batches"])
def test_step_losses_are_thinned_evenly(kept, form, rng):
    x, y = line(rng, 40)
    hook = nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    given = {
        "arrays": ((x, y), {"batch_size": 4, "shuffle": False}),
        "one call each": ((x, y), {"batch_size": 4, "shuffle": False, "callbacks": hook}),
        "batches": (([(x[i : i + 4], y[i : i + 4]) for i in range(0, 40, 4)],), {}),
        "full batches": ((x, y), {"batch_size": None}),
    }
    data, options = given[form]
    whole = linear().fit(*data, epochs=9, step_losses="all", **options)
    count = 9 if form == "full batches" else 90
    np.testing.assert_array_equal(whole.steps, np.arange(count))
    assert len(set(whole.step_losses)) == count
    history = linear().fit(*data, epochs=9, step_losses=kept, **options)
    most = count if kept == "all" else kept
    assert min(most // 2, count) <= len(history.step_losses) <= most
    np.testing.assert_array_equal(history.step_losses, whole.step_losses[history.steps])
    every = 1 << max(0, int(np.ceil(np.log2(count / max(most, 1)))))
    np.testing.assert_array_equal(history.steps, np.arange(0, count, every)[:most])


def test_step_losses_take_constant_memory():
    """Every second of 2**16 and more losses is dropped, however the steps are divided into epochs."""
    for steps in (1, 1000, 100_000):
        history, total = nn.History(), 0
        for _ in range(300_000 // steps + 1500):
            history.record_steps(np.arange(total, total + steps, dtype=float))
            total += steps
        kept = history.step_losses
        assert 2**15 <= len(kept) <= 2**16
        np.testing.assert_array_equal(kept, history.steps)
        np.testing.assert_array_equal(np.diff(kept), kept[1])
        assert total - kept[1] <= kept[-1] < total


@pytest.mark.parametrize("wrong", [-1, 1.5, "every", True])
def test_step_losses_must_be_a_number(wrong, rng):
    with pytest.raises(errors.ArgumentError, match="step_losses must be 'all' or the number of losses to keep"):
        linear().fit(*line(rng, 4), step_losses=wrong)


NOT_FINITE = {
    "arrays": ({"batch_size": 5, "shuffle": False}, "step 2 of epoch 1"),
    "all rows": ({"batch_size": None}, "step 1 of epoch 1"),
    "batch by batch": (
        {"batch_size": 5, "shuffle": False, "callbacks": nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)},
        "step 2 of epoch 1",
    ),
    "ready-made batches": ({}, "step 2 of epoch 1"),
}


@pytest.mark.parametrize("form", NOT_FINITE)
def test_first_loss_that_is_not_finite_is_reported_once(form, rng):
    x, y = line(rng, 20)
    x[7] = np.nan
    options, where = NOT_FINITE[form]
    data = (x, y) if options else ([(x[i : i + 5], y[i : i + 5]) for i in range(0, 20, 5)],)
    with pytest.warns(UserWarning, match="the loss is nan") as seen:
        linear().fit(*data, epochs=3, verbose=0, **options)
    assert [str(each.message) for each in seen] == [
        f"fit: the loss is nan in {where}; compile(check_finite=True) finds such values in the data, and "
        "nn.callbacks.TerminateOnNaN() stops training"
    ]
    assert seen[0].filename == __file__


def test_a_loss_that_diverges_is_reported_in_its_epoch(rng):
    x, y = line(rng, 20)
    history, epoch = None, None
    model = linear(optimizer=nn.optim.SGD(lr=30.0), check_finite=True)
    with pytest.warns(UserWarning, match=r"the loss is inf in step \d of epoch \d+; nn.callbacks.TerminateOnNaN\(\) stops") as seen:
        history = model.fit(x, y, epochs=100, batch_size=5, verbose=0)
    epoch = next(e for e, loss in zip(history.epoch, history.history["loss"], strict=True) if not np.isfinite(loss))
    step = int(np.flatnonzero(~np.isfinite(history.step_losses))[0])
    assert len(seen) == 1
    assert f"step {step % 4 + 1} of epoch {epoch + 1};" in str(seen[0].message)


def test_terminate_on_nan_needs_no_warning(rng, capsys):
    x, y = line(rng, 20)
    x[7] = np.nan
    assert linear().fit(x, y, epochs=3, callbacks=nn.callbacks.TerminateOnNaN()).epoch == [0]
    assert "the loss is nan, training stops" in capsys.readouterr().err


def test_lbfgs_reports_a_loss_that_is_not_finite(rng):
    pytest.importorskip("scipy")
    x, y = line(rng, 20)
    x[7] = np.nan
    with pytest.warns(UserWarning, match="fit: the loss is nan in step 1 of epoch 1; ") as seen:
        history = linear(optimizer=nn.optim.LBFGS()).fit(x, y, epochs=3, verbose=0)
    assert len(seen) == 1
    assert list(history.history) == ["loss"]


class Loader:
    """Batches with a length, as a DataLoader has."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize("empty", [[], (), Loader([]), iter([])], ids=["list", "tuple", "loader", "generator"])
def test_empty_validation_data_are_refused_before_the_first_step(empty, rng):
    model = linear()
    with pytest.raises(errors.EmptyDataError, match="fit: validation_data: there are no batches"):
        model.fit(*line(rng, 20), validation_data=empty, validation_steps=2 if iter(empty) is empty else None)
    assert model.step == 0


def test_a_generator_of_validation_batches_loses_none(rng):
    x, y = line(rng, 12)
    batches = [(x[i : i + 3], y[i : i + 3]) for i in range(0, 12, 3)]
    model = linear(optimizer=nn.optim.SGD(lr=0.0))
    found = model.fit(x, y, epochs=2, validation_data=iter(batches), validation_steps=2).history["val_loss"]
    np.testing.assert_allclose(found, [model.evaluate(batches[:2]), model.evaluate(batches[2:])])

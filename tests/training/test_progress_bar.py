"""The progress of training on the screen: bars in terminals of any width and in notebooks, and a line per epoch."""

import io
import os
import re
import sys
import types

import numpy as np
import pytest

import nncore as nn
from nncore.training.progress_bar import _time, in_notebook

X, Y = np.arange(20.0).reshape(10, 2) / 20, np.arange(10.0)


def small():
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
    return model


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def fileno(self):
        return 2


def last_line(terminal):
    return re.split(r"[\r\n]+", terminal.getvalue().strip())[-1]


@pytest.mark.parametrize(
    ("width", "metrics", "left", "gone"),
    [
        (200, ["mae"], ["step/s", "<", "|"], []),
        (100, ["mae"], ["<", "|"], ["step/s"]),
        (90, ["mae"], ["15/15", "|"], ["step/s", "<"]),
        (80, ["mae"], ["100%", "|"], ["step/s", "<", "15/15"]),
        (72, ["mae"], ["100%"], ["step/s", "<", "|"]),
    ],
)
@pytest.mark.parametrize("batches", [False, True])
def test_metrics_stay_where_the_terminal_is_narrow(width, metrics, left, gone, batches, monkeypatch):
    pytest.importorskip("tqdm")
    terminal, known = Terminal(), not batches
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("os.get_terminal_size", lambda file=None: os.terminal_size((width, 30)))
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd", metrics)
    data = ((X, Y),) if known else (Endless([(X, Y)] * 5),)
    history = model.fit(*(data[0] if known else data), epochs=3, batch_size=2, validation_data=(X, Y), verbose="auto")
    line = last_line(terminal)
    assert len(line) <= width
    assert "epoch 3/3" in line
    for name, values in history.history.items():
        assert (f"{name} {values[-1]:.4g}" in line) == (name != "learning_rate"), line
    if known:
        assert all(each in line for each in left)
        assert not any(each in line for each in gone)


@pytest.mark.parametrize("width", range(4, 100, 6))
@pytest.mark.parametrize("batches", [False, True])
def test_no_number_is_cut_where_the_terminal_is_too_narrow(width, batches, monkeypatch):
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("os.get_terminal_size", lambda file=None: os.terminal_size((width, 30)))
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0)
    model.compile("binary_crossentropy", "sgd", ["accuracy", "roc_auc"])
    data = (Endless([(X, Y > 4)] * 2),) if batches else (X, Y > 4)
    values = model.fit(*data, epochs=2, validation_data=(X, Y > 4), verbose=1).history
    whole = {f"{name} {numbers[-1]:.4g}" for name, numbers in values.items()} - {"learning_rate"}
    line = last_line(terminal)
    assert len(line) <= width
    numbers = re.findall(r"[a-z_]+ \d[^ ]*", re.sub(r"^epoch \d+/?\d*:?", "", line))
    assert set(numbers) <= whole, line
    assert ("…" in line) == (len(numbers) < 6), line


class Endless:
    """An iterable that does not know its length, so that a bar has no end."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


class Shell:
    pass


@pytest.fixture
def notebook(monkeypatch):
    """A kernel of a notebook, as IPython describes it, and what its bars are told."""
    told = []

    class Bar:
        def __init__(self, **options):
            told.append(("total", options["total"]))

        def set_description(self, text, refresh):
            told.append(text)

        def set_postfix_str(self, text, refresh):
            told.append(text)

        def update(self, steps):
            told.append(steps)

        def close(self):
            told.append("closed")

    class tqdm_notebook(Bar):
        __module__ = "tqdm.notebook"

    shell = type("ZMQInteractiveShell", (Shell,), {})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=tqdm_notebook))
    return told


def test_a_notebook_shows_a_bar(notebook, capsys):
    pytest.importorskip("tqdm")
    assert in_notebook()
    small().fit(X, Y, epochs=2, batch_size=5)
    assert notebook[0] == ("total", 4)
    assert "epoch 2/2" in notebook
    assert sum(each for each in notebook if isinstance(each, int)) == 4
    assert re.fullmatch(r"loss [\d.]+  mae [\d.]+", notebook[-2])
    assert notebook[-1] == "closed"
    assert capsys.readouterr() == ("", "")
    notebook.clear()
    small().fit(X, Y, verbose=0)
    assert notebook == []


def test_what_is_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    assert "IPython" not in sys.modules
    for shell in (None, type("TerminalInteractiveShell", (Shell,), {"config": {}})()):
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert not in_notebook()
    other = type("Shell", (Shell,), {"config": {"IPKernelApp": {}}})()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: other))
    assert in_notebook()


def test_lines_have_the_time_of_the_epoch(capsys):
    import time

    slow = nn.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: time.sleep(0.03))
    small().fit(X, Y, epochs=2, callbacks=[nn.callbacks.ProgressBar(lines=True), slow])
    lines = capsys.readouterr().err.splitlines()
    for epoch, line in enumerate(lines, 1):
        found = re.fullmatch(rf"epoch {epoch}/2  loss [\d.]+  mae [\d.]+  ([\d.]+) s", line)
        assert 0.03 <= float(found[1]) < 9
    assert len(lines) == 2
    assert [_time(t) for t in (0.123, 12.3, 61, 3723)] == ["0.12 s", "12 s", "1:01 min", "1:02:03"]


def test_a_bar_does_not_compute_what_takes_all_rows(monkeypatch, rng):
    """The area under the curve is computed at the end of each epoch, and not whenever the bar moves."""
    pytest.importorskip("tqdm")
    asked = []
    compute = nn.metrics.RocAuc._ranks
    monkeypatch.setattr(nn.metrics.RocAuc, "_ranks", lambda self, *given: asked.append(1) or compute(self, *given))
    monkeypatch.setattr("nncore.training.progress_bar._INTERVAL", 0.0)
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0)
    model.compile("bce", "sgd", ["accuracy", "roc_auc"])
    hook = nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    model.fit(X, Y > 4, epochs=3, batch_size=2, callbacks=hook, verbose=1)
    assert len(asked) == 3
    assert "roc_auc" in last_line(terminal)


def test_html(rng):
    model = nn.Sequential(nn.Linear(2, 3, name="a<b"), nn.Dropout(0.5), nn.Linear(3, 1), seed=0)
    shown = model._repr_html_()
    assert shown == model.summary(show=False)._repr_html_()
    assert shown.count("<tr>") == 5  # the head, three layers, the total
    assert "<td>[*, 3]</td><td>9</td><td>6</td><td>12</td>" in shown
    assert "a&lt;b" in shown or "<td>0</td>" in shown
    assert "<td>p=0.5</td>" in shown
    unbuilt = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
    assert unbuilt._repr_html_() == f"<pre>{unbuilt!r}</pre>"
    model.compile("mse", "sgd")
    assert "Loss: MeanSquaredError" in model._repr_html_()
    x = nn.Input((2,), name="x")
    assert "Connected to" in nn.Model(x, nn.Linear(2, 1)(x))._repr_html_()
    history = small().fit(X, Y, epochs=3)
    losses = history.history["loss"]
    row = [losses[0], losses[-1], min(losses), max(losses)]
    assert f"<tr><td>loss</td>{''.join(f'<td>{value:.4g}</td>' for value in row)}</tr>" in history._repr_html_()
    assert "History: 3 epochs" in history._repr_html_()
    assert "<tbody></tbody>" in nn.History()._repr_html_()


def test_a_printed_summary_is_not_shown_twice_in_a_notebook(notebook, capsys):
    assert small().summary()._repr_html_() is None
    assert "Trainable parameters" in capsys.readouterr().out
    assert small().summary(show=False)._repr_html_().startswith("<div>")


def test_figures_show_themselves_in_notebooks():
    pytest.importorskip("matplotlib")
    history = small().fit(X, Y, epochs=2)
    assert history.plot()._repr_png_().startswith(b"\x89PNG")
    found = nn.callbacks.Diagnostics()
    small().fit(X, Y, epochs=2, callbacks=found)
    assert found.plot()._repr_png_().startswith(b"\x89PNG")


def test_a_rate_that_changes_is_drawn():
    pytest.importorskip("matplotlib")
    model = small()
    titles = [axes.get_ylabel() for axes in model.fit(X, Y, epochs=3).plot().axes]
    assert titles == ["loss", "mae"]
    halve = nn.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    assert [axes.get_ylabel() for axes in model.fit(X, Y, epochs=3, callbacks=halve).plot().axes] == [
        "loss",
        "mae",
        "learning rate",
    ]

"""nn.diagnose: planted faults are named, healthy nets are not accused, and the model stays as it was."""

import ast
import copy
import json
import re
import textwrap

import numpy as np
import pytest
from insight.planted import FAULTS, HEALTHY, SEEDS, digits, friedman, given, mlp, recurrent, tones

import nncore as nn
from nncore.errors import ArgumentError, DTypeError, EmptyDataError, NotCompiledError, ShapeError
from nncore.insight import CODES

#: One data set and one seed of each; tests/insight/confusion.py runs all.
ONE_OF_EACH = [(name, i % 3, i % SEEDS) for i, name in enumerate(FAULTS)]


@pytest.mark.parametrize(("name", "data", "seed"), ONE_OF_EACH)
def test_a_planted_fault_is_named(name, data, seed):
    code, make, data_sets = FAULTS[name]
    report = nn.diagnose(**make(data_sets[data], seed))
    assert code in [each.code for each in report.verdicts[:2]]
    text, found = str(report), json.loads(json.dumps(report.to_dict()))
    assert max(map(len, text.splitlines())) <= 100
    for each, kept in zip(report.verdicts, found["verdicts"], strict=True):
        assert each.code in CODES
        assert f"[{each.code}]" in text
        assert each.text.endswith(".")
        assert kept["severity"] in ("serious", "warning", "note")
        for path in re.findall(r"\bnn((?:\.\w+)+)", each.code_line + each.advice):
            there = nn
            for part in path[1:].split("."):
                there = getattr(there, part)


@pytest.mark.parametrize(("name", "seed"), [(name, i % SEEDS) for i, name in enumerate(HEALTHY)])
def test_a_healthy_net_is_not_accused(name, seed):
    report = nn.diagnose(**HEALTHY[name](seed))
    assert report.healthy
    assert [each for each in report.verdicts if each.severity == "serious"] == []
    assert "healthy" in [each.code for each in report.verdicts]


def test_every_code_is_planted():
    assert {code for code, _, _ in FAULTS.values()} | {"healthy"} == {*CODES}


@pytest.mark.parametrize("steps_before", [0, 7])
def test_the_model_stays_as_it_was_to_the_bit(steps_before):
    x, y = digits()
    model = mlp(x, y, 0, between=lambda units: [nn.BatchNorm1d(units), nn.Dropout(0.3)], compiled={"l2": 1e-3})
    if steps_before:
        model.fit(x[:224], y[:224], epochs=1, verbose=0)
    twin = copy.deepcopy(model)
    built = model.built
    nn.diagnose(model, x, y)
    assert model.built == built
    assert model.step == twin.step
    for _ in range(3):
        assert model.train_on_batch(x[:64], y[:64]) == twin.train_on_batch(x[:64], y[:64])
    for name, value in twin.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], value)


def test_reports_are_the_same_each_time():
    x, y = friedman()
    first, second = (nn.diagnose(**given(mlp(x, y, 0), x, y)).to_dict() for _ in range(2))
    assert first == second


def test_evidence_is_that_of_the_run():
    """The loss of a constant answer is the entropy of the classes, or the variance of numbers."""
    x, y = digits()
    share = np.bincount(y) / len(y)
    assert nn.diagnose(mlp(x, y, 0), x, y).chance == pytest.approx(-(share * np.log(share)).sum(), rel=0.01)
    x, y = friedman()
    report = nn.diagnose(mlp(x, y, 0), x, y)
    assert report.chance == pytest.approx(y.var(), rel=0.1)
    assert report.after < 0.3 * report.before
    assert report.steps == 600


def test_forms_of_data():
    x, y = digits()
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 640, 32)]
    assert nn.diagnose(mlp(x, y, 0), batches).rows == 640
    pandas = pytest.importorskip("pandas")
    assert nn.diagnose(mlp(x, y, 0), pandas.DataFrame(x), pandas.Series(y)).healthy
    a, b = nn.Input((64,), "a"), nn.Input((64,), "b")
    h = nn.ReLU()(nn.Linear(128, 32)(nn.concatenate([a, b])))
    model = nn.Model([a, b], [nn.Softmax(name="digit")(nn.Linear(32, 10)(h)), nn.Linear(32, 1, name="size")(h)], seed=0)
    model.compile(["sparse_categorical_crossentropy", "mse"], nn.optim.Adam(lr=3e-3))
    given = {"b": x, "a": x[:, ::-1]}, {"size": x.sum(1) / 20, "digit": y}
    assert nn.diagnose(model, *given).healthy
    batches = [tuple({name: value[i::20] for name, value in each.items()} for each in given) for i in range(20)]
    assert nn.diagnose(model, batches).rows == len(x)


def test_lengths():
    x, y = tones()
    lengths = np.random.default_rng(0).integers(15, 31, len(x))
    assert nn.diagnose(recurrent(x, y, 0), x, y, lengths=lengths).healthy


def test_a_loss_that_is_no_number_is_never_healthy():
    x, y = friedman()
    model = nn.Sequential(nn.Linear(10, 1), nn.Exp(), nn.Exp(), nn.Exp(), seed=0)
    model.compile("mse", nn.optim.SGD(lr=1.0))
    assert not nn.diagnose(model, 5 * x, y).healthy


def test_what_is_shown():
    pytest.importorskip("matplotlib")
    x, y = digits()
    report = nn.diagnose(mlp(x, y, 0, (16,) * 12, nn.Sigmoid), x, y)
    assert repr(report).startswith("Report(vanishing_gradient")
    assert "vanishing_gradient" in report._repr_html_()
    figure = report.plot()
    assert [axes.get_xlabel() for axes in figure.axes] == ["step", "norm", "per cent"]
    assert str(report.verdicts[0]).startswith("serious [vanishing_gradient] layer 0 (Linear): ")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"model": nn.Sequential(nn.Linear(64, 10))}, NotCompiledError, "diagnose: compile the model first"),
        ({"y": np.zeros(3)}, ShapeError, "x has 100 rows, but 'output' has 3"),
        ({"x": np.empty((0, 64)), "y": np.empty(0)}, EmptyDataError, "no rows"),
        ({"y": None}, ArgumentError, "pass y"),
        ({"y": ["a"] * 100}, DTypeError, "diagnose: y: 'output'"),
        ({"x": 3.0}, ArgumentError, "one entry per row"),
        ({"x": [1, 2, 3], "y": None}, ArgumentError, "pass y"),
        ({"x": [({"input": 1}, 2), (3, 4)], "y": None}, ArgumentError, "do not have one form"),
        (
            {"x": [(np.zeros((5, 64)), np.zeros(5)), (np.zeros((5, 3)), np.zeros(5))], "y": None},
            ArgumentError,
            "do not have one form",
        ),
        ({"steps": 3}, ArgumentError, "steps"),
        ({"batch_size": 0}, ArgumentError, "batch_size"),
        ({"validation_data": 3}, ArgumentError, "validation_data"),
        ({"x": [[1.0, 2.0], [3.0]]}, ShapeError, "different lengths"),
        ({"x": np.zeros((100, 3), "f4")}, ShapeError, "64"),
    ],
)
def test_what_is_refused(change, error, text):
    x, y = digits()
    arguments = {"model": mlp(x, y, 0), "x": x[:100], "y": y[:100]} | change
    with pytest.raises(error, match=text):
        nn.diagnose(**arguments)


def sequences(rng):
    return rng.normal(size=(300, 12, 3)).astype("f4")


def compiled(*layers, loss, optimizer=None, **kwargs):
    model = nn.Sequential(*layers, seed=0)
    model.compile(loss, optimizer or nn.optim.Adam(lr=3e-3), **kwargs)
    return model


def of_sequences(rng):
    x = sequences(rng)
    model = compiled(nn.GRU(3, 16, return_sequences=True), nn.Linear(16, 3), loss="mse")
    return {"model": model, "x": x, "y": x, "lengths": rng.integers(4, 13, 300)}


def of_tags(rng):
    x = sequences(rng)
    model = compiled(nn.GRU(3, 16, return_sequences=True), nn.Linear(16, 2), nn.Softmax(), loss="sparse_categorical_crossentropy")
    return {"model": model, "x": x, "y": (x[:, :, 0] > 0).astype(int)}


def of_counts(rng):
    x = rng.normal(size=(600, 6))
    model = compiled(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1), nn.Softplus(), loss="poisson", optimizer=nn.optim.Adam(lr=1e-2))
    return {"model": model, "x": x, "y": rng.poisson(np.exp(1 + 0.7 * x[:, 0]))}


def of_a_weak_relation(rng):
    x = rng.normal(size=(600, 6))
    model = compiled(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2), nn.Softmax(), loss="sparse_categorical_crossentropy")
    return {"model": model, "x": x, "y": (x[:, 0] + 2 * rng.normal(size=600) > 0).astype(int)}


def of_a_loss_below_zero(rng):
    x = rng.normal(size=(400, 4))
    model = compiled(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2), loss=nn.losses.GaussianNLL())
    y = 0.05 * x[:, :1] + 0.01 * rng.normal(size=(400, 1))
    model.fit(x, y, epochs=60, verbose=0)
    return {"model": model, "x": x, "y": y}


def of_a_stateful_net(rng):
    x = sequences(rng)
    model = compiled(nn.GRU(3, 16, stateful=True), nn.Linear(16, 1), loss="mse")
    return {"model": model, "x": x, "y": x[:, -1, :1]}


@pytest.mark.parametrize("make", [of_sequences, of_tags, of_counts, of_a_weak_relation, of_a_loss_below_zero, of_a_stateful_net])
def test_other_sorts_of_nets_are_not_accused(make, rng):
    report = nn.diagnose(**make(rng))
    assert report.healthy, str(report)
    assert np.isfinite(report.after)


def test_frames_of_numbers_and_truth_values(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": rng.normal(size=200), "b": rng.random(200) > 0.5})
    y = (frame["a"] + frame["b"]).to_numpy()
    model = compiled(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1), loss="mse", optimizer=nn.optim.Adam(lr=1e-2))
    assert nn.diagnose(model, frame, y).healthy


def test_a_net_that_stays_at_chance_is_not_called_one_that_learns(rng):
    """The last layer passes nothing on and no gradient back. A plain net learns."""
    x, y = digits()
    model = compiled(nn.Linear(64, 10), nn.Hardshrink(1e9), nn.Softmax(), loss="sparse_categorical_crossentropy")
    report = nn.diagnose(model, x, y)
    assert not report.healthy
    assert report.verdicts[0].evidence["loss / chance"] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("values", [(0, 1), (-1, 1), (2, 5), (1, 2, 3)])
def test_classes_as_numbers(values, rng):
    """The line says how the classes become 0, 1, ..."""
    x, _ = friedman()
    y = np.array(values)[np.digitize(x[:, 0], np.quantile(x[:, 0], np.linspace(0, 1, len(values) + 1)[1:-1]))]
    verdict = next(v for v in nn.diagnose(mlp(x, y.astype("f4"), 0), x, y).verdicts if v.code == "loss_mismatch")
    here = {"y": y}
    first, _, _ = verdict.code_line.rpartition("nn.Sequential")
    exec(first, here)
    np.testing.assert_array_equal(np.unique(here["y"]), range(len(values)))


def test_one_hot_classes_keep_their_form(rng):
    x, y = digits()
    model = compiled(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), loss="mse")
    verdict = next(v for v in nn.diagnose(model, x, np.eye(10)[y]).verdicts if v.code == "loss_mismatch")
    assert '"categorical_crossentropy"' in verdict.code_line


def test_numbers_that_are_infinite_in_the_dtype_are_dropped_by_the_line(rng):
    x, y = friedman()
    wide = x.astype("f8")
    wide[3, 0] = 1e39
    (verdict,) = nn.diagnose(mlp(x, y, 0), wide, y).verdicts
    here = {"X": wide, "y": y, "np": np}
    with np.errstate(over="ignore"):
        exec(verdict.code_line, here)
    assert len(here["X"]) == len(here["y"]) == len(x) - 1


def test_weights_that_are_no_numbers(rng):
    x, y = friedman()
    model = mlp(x, y, 0)
    model.build((10,))
    model[0].weight[0, 0] = np.nan
    (verdict,) = nn.diagnose(model, x, y).verdicts
    assert (verdict.code, verdict.severity) == ("exploding_gradient", "serious")
    assert "earlier training" in verdict.text


def test_targets_that_are_equal(rng):
    x, y = friedman()
    (first, *_) = nn.diagnose(mlp(x, y, 0), x, np.full_like(y, 2.0)).verdicts
    assert first.code == "labels_unrelated"
    assert "All targets are equal" in first.text


def test_rows_that_were_repeated_before_the_split(rng):
    x, y = friedman()
    drawn = rng.integers(0, len(x), 1600)
    x, y = x[drawn], y[drawn]
    report = nn.diagnose(mlp(x, y, 0), x[:1200], y[:1200], validation_data=(x[1200:], y[1200:]))
    assert report.verdicts[0].code == "leakage"


def test_the_usual_weights_of_a_wide_layer_of_few_inputs_are_no_bad_start(rng):
    x = rng.normal(size=(300, 2))
    model = compiled(nn.Linear(2, 256), nn.ReLU(), nn.Linear(256, 1), nn.Sigmoid(), loss="binary_crossentropy")
    assert "bad_init" not in [each.code for each in nn.diagnose(model, x, x[:, 0] * x[:, 1] > 0).verdicts]


def test_noise_that_a_large_net_could_learn_by_heart_is_no_underfitting(rng):
    x = rng.normal(size=(1000, 10))
    model = compiled(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 1), loss="mse", optimizer=nn.optim.Adam(lr=1e-3))
    assert nn.diagnose(model, x, 0.4 * x[:, :1] + rng.normal(size=(1000, 1))).healthy


def test_validation_rows_that_are_too_easy(rng):
    x, y = friedman()
    noisy = y + 2 * rng.normal(size=len(y))
    report = nn.diagnose(mlp(x, y, 0, (4,)), x[:600], noisy[:600], validation_data=(x[600:], y[600:]))
    (found,) = [each for each in report.verdicts if each.code == "leakage"]
    assert found.severity == "warning"
    assert found.evidence["of validation rows"] < 0.5 * found.evidence["loss"]


@pytest.mark.parametrize("seed", range(4))
def test_a_weak_relation_in_few_rows_is_no_fault(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 6))
    model = compiled(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), loss="mse", optimizer=nn.optim.Adam(lr=1e-3), l2=1e-2)
    assert nn.diagnose(model, x, 0.4 * x[:, :1] + rng.normal(size=(300, 1))).healthy


def test_the_line_for_a_rare_class_among_several_compiles(rng):
    x = rng.normal(size=(1500, 4))
    y = np.where(rng.random(1500) < 0.94, 0, rng.integers(1, 3, 1500)) * (x[:, 0] > -1)
    model = compiled(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(), loss="sparse_categorical_crossentropy")
    (found,) = [each for each in nn.diagnose(model, x, y).verdicts if each.code == "class_imbalance"]
    line = found.code_line.replace("...", '"sparse_categorical_crossentropy", "adam"')
    assert "macro" in line
    exec(line, {"model": model, "nn": nn, "X": x, "y": y})
    assert "f1" in model.history.history


def test_a_line_of_code_that_names_many_columns_has_breaks_where_python_allows_them(rng):
    x = rng.normal(size=(400, 30))
    x = np.concatenate([x, 2 * x], 1)
    model = compiled(nn.Linear(60, 8), nn.ReLU(), nn.Linear(8, 1), loss="mse")
    report = nn.diagnose(model, x, x[:, :1], steps=60)
    (found,) = [each for each in report.verdicts if each.code == "inputs_duplicated"]
    shown = str(found).split("  do: ")[1].split("\n", 1)[1]
    assert len(found.code_line) > 120
    assert max(map(len, str(report).splitlines())) <= 100
    assert ast.dump(ast.parse(textwrap.dedent(shown))) == ast.dump(ast.parse(found.code_line))


def test_indices_that_are_the_same_in_every_row(rng):
    x, y = np.full((300, 6), 7), rng.integers(0, 2, 300)
    model = compiled(nn.Embedding(20, 4), nn.GRU(4, 4), nn.Linear(4, 1), nn.Sigmoid(), loss="binary_crossentropy")
    first = nn.diagnose(model, x, y, steps=60).verdicts[0]
    assert (first.code, first.severity, first.evidence["constant"]) == ("inputs_constant", "serious", 6)
    x[:, 1:] = rng.integers(0, 20, (300, 5))  # as in texts that begin with the same sign
    assert "inputs_constant" not in [each.code for each in nn.diagnose(model, x, y, steps=60).verdicts]


@pytest.mark.parametrize("seed", range(3))
def test_a_unit_that_saturates_because_there_is_one_only(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 6, 800)
    x = (rng.random((6, 200)) < 0.3)[y] + 0.3 * rng.normal(size=(800, 200))
    layers = nn.Linear(200, 1), nn.Tanh(), nn.Linear(1, 6), nn.Softmax()
    model = compiled(*layers, loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(lr=1e-2))
    assert nn.diagnose(model, x, y).verdicts[0].code == "underfitting"


def test_sums_of_columns_say_of_which(rng):
    x, y = friedman()
    report = nn.diagnose(mlp(np.zeros((1, 11)), y, 0), np.column_stack([x, x[:, 2] + 2 * x[:, 5]]), y)
    (found,) = [each for each in report.verdicts if each.code == "inputs_duplicated"]
    assert found.evidence["alike"] == [2, 5, 10]
    assert found.code_line == "X = np.delete(X, [10], axis=-1)  # 10: told by 2, 5"


@pytest.mark.parametrize("columns", [30, 60, 100, 300])
def test_the_text_of_a_report_fits_its_terminal_and_says_the_same(columns, monkeypatch):
    x, y = digits()
    report = nn.diagnose(mlp(1e4 * x, y, 0, optimizer=nn.optim.SGD(lr=1e6)), 1e4 * x, y, steps=60)
    monkeypatch.setenv("COLUMNS", "10000")
    whole = str(report)
    monkeypatch.setenv("COLUMNS", str(columns))
    text = str(report)
    code = [line for each in report.verdicts for line in (each.code_line, *each.code_line.split("; "))]
    assert text.replace(";", "").split() == whole.replace(";", "").split()
    assert max(len(line) for line in text.splitlines() if line.strip() not in code) <= min(100, max(40, columns))
    for each in report.verdicts:  # statements are whole
        assert each.code_line in text or all(f"      {line}\n" in text + "\n" for line in each.code_line.split("; "))


@pytest.mark.parametrize("lr", [0.0, 1e-8, 1e12])
def test_learning_rates_far_off(lr):
    x, y = digits()
    report = nn.diagnose(mlp(x, y, 0, optimizer=nn.optim.SGD(lr=lr)), x, y)
    assert report.verdicts[0].code == ("lr_too_high" if lr > 1 else "lr_too_low")

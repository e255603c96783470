"""Pictures that explain: what they draw is what the core computes."""

import numpy as np
import pytest
from insight.planted import digits, mlp, recurrent, tones

import nncore as nn
from nncore.errors import ArgumentError, NotCompiledError, ShapeError

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("layer", [nn.Tanh(), nn.GELU(), nn.LeakyReLU(0.2), nn.Softplus(), nn.Hardswish(), nn.ELU(0.5)])
def test_activation_and_its_derivative(layer):
    figure = nn.insight.plot_activation(layer, -3, 3)
    curve, slope = figure.axes[0].lines
    x, y = curve.get_data()
    np.testing.assert_allclose(y, np.asarray(layer(x.reshape(-1, 1))).ravel(), rtol=1e-6, atol=1e-7)
    middle = np.abs(np.diff(y, 2)) < 1e-4  # not at a corner
    numeric = (y[2:] - y[:-2]) / (x[2:] - x[:-2])
    np.testing.assert_allclose(slope.get_ydata()[1:-1][middle], numeric[middle], atol=1e-3)


@pytest.mark.parametrize("what", [nn.Softmax(), nn.Linear(1, 1), "relu", None])
def test_what_is_no_activation_of_single_numbers(what):
    with pytest.raises(ArgumentError, match="plot_activation: an activation of single numbers"):
        nn.insight.plot_activation(what)


def test_decision_boundary_passes_the_threshold():
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0).build((2,))
    model[0].weight, model[0].bias = [[1.0, 0.0]], [-1.0]  # the line x1 = 1
    x = np.random.default_rng(0).normal(1, 1, (60, 2))
    axes = nn.insight.plot_decision_boundary(model, x, x[:, 0] > 1).axes[0]
    (line,) = [
        path
        for each in axes.collections
        for path in each.get_paths()
        if len(path.vertices) > 50 and np.ptp(path.vertices[:, 0]) < 0.05
    ]
    np.testing.assert_allclose(line.vertices[:, 0], 1.0, atol=1e-3)
    low, high = axes.get_xlim()
    assert low < x[:, 0].min()
    assert x[:, 0].max() < high
    assert [text.get_text() for text in axes.get_legend().texts] == ["False", "True"]


def test_decision_boundary_of_classes_and_estimators():
    x = np.random.default_rng(0).normal(size=(60, 2))
    y = (x[:, 0] > 0) * 1 + (x[:, 1] > 0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(), seed=0).build((2,))
    fitted = nn.estimators.SoftmaxRegression(random_state=0).fit(x, y)
    for each, answer in ((model, model.predict(x[:1]).argmax()), (fitted, fitted.predict(x[:1])[0])):
        mesh = nn.insight.plot_decision_boundary(each, x, y, resolution=300).axes[0].collections[0]
        corners = mesh.get_coordinates()
        i = int(((corners[:-1, :-1] - x[0]) ** 2).sum(-1).argmin())
        assert mesh.get_array().ravel()[i] == answer
    with pytest.raises(ShapeError, match=r"\[N, 2\]"):
        nn.insight.plot_decision_boundary(model, np.zeros((4, 3)))


def test_gradient_of_a_sequence_is_that_of_the_model():
    x, y = tones()
    model = recurrent(x, y, 0, nn.RNN)
    axes = nn.insight.plot_sequence_gradient(model, x, y).axes[0]
    (line,) = axes.lines
    values = line.get_ydata()
    assert len(values) == x.shape[1]
    plain = model[:-1]
    plain.forward(x[:64], training=True)
    plain.backward(np.random.default_rng(0).standard_normal((64, 3)).astype("f4"))
    np.testing.assert_allclose(values, plain.step_gradient_norms()["0.0"], rtol=1e-5)
    x, y = digits()
    with pytest.raises(ArgumentError, match="no recurrent layers"):
        nn.insight.plot_sequence_gradient(mlp(x, y, 0), x, y)
    with pytest.raises(NotCompiledError):
        nn.insight.plot_sequence_gradient(nn.Sequential(nn.GRU(1, 2)), x, y)


@pytest.mark.parametrize("lr", [1e-3, 1e30])
def test_the_picture_of_a_report_has_room_for_many_layers_and_says_what_is_lost(lr):
    x, y = digits()
    report = nn.diagnose(mlp(x, y, 0, (16,) * 30, optimizer=nn.optim.SGD(lr=lr)), x, y, steps=60)
    figure = report.plot()
    losses, gradients, units = figure.axes
    assert figure.get_figheight() >= 0.2 * len(report.gradients)
    assert losses.get_xlim() == (0, report.steps)
    lost = int((~np.isfinite(report.losses)).sum())
    assert [text.get_text() for text in losses.texts] == ([f"no finite number in {lost} of {report.steps} steps"] if lost else [])
    assert bool(lost) == (lr > 1)
    if not lost:
        ends = np.log10(gradients.get_xlim())
        np.testing.assert_allclose(ends, ends.round(), atol=1e-9)
    assert [text.get_text() for text in gradients.get_yticklabels()] == list(report.gradients)
    assert [text.get_text() for text in units.get_yticklabels()] == list(report.units)


def test_a_report_without_training_says_so():
    x, y = digits()
    x = np.where(np.arange(64) == 3, np.nan, x)
    (losses, *_) = nn.diagnose(mlp(x, y, 0), x, y).plot().axes
    assert [text.get_text() for text in losses.texts] == ["nothing was trained"]


def test_nine_classes_look_different():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 2)), np.arange(90) % 9
    model = nn.Sequential(nn.Linear(2, 9), nn.Softmax(), seed=0).build((2,))
    drawn = nn.insight.plot_decision_boundary(model, x, y).axes[0].collections[1:]
    looks = {(tuple(each.get_facecolor()[0]), each.get_paths()[0].vertices.tobytes()) for each in drawn}
    assert len(drawn) == len(looks) == 9

"""Forward outputs of every activation, and whole training runs, against the NumPy implementation in reference.py."""

import warnings

import numpy as np
import pytest
from truth import nets, reference

import nncore as nn

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
N, BATCH, EPOCHS = 53, 16, 50  # four steps an epoch, the last of five rows: 200 in all


def test_every_activation_has_a_reference():
    assert set(reference.ACTIVATIONS) == set(nets.names("activation"))


@pytest.mark.parametrize("code", nets.names("activation"))
@pytest.mark.parametrize("place", ["epilogue", "alone"])
def test_forward(code, place, dtype, rng):
    x = rng.uniform(-4, 4, (37, 9)).astype(np.float32)
    ops = [nets.linear("a", 0, 9, 70), nets.activation(code, 1)] if place == "epilogue" else [nets.activation(code, 0)]
    net = nets.assemble([(9,)], ops, dtype=dtype)
    z = x.astype(np.float64)
    if place == "epilogue":
        weight, bias = (np.array(p.value, np.float64) for p in net.parameters())
        z = z @ weight.T + bias
        if code == "step":  # where rounding decides on which side a number lies, either result is right
            assert np.abs(z - nets.VALUES["threshold"]).min() > 1e-6
    expected = reference.ACTIVATIONS[code](z, *nets.attributes("activation", code))
    x = x.astype(dtype)
    rtol = 1e-13 if dtype == np.float64 else 3e-6
    for got in (net.forward([x], False)[0], net.forward([x], True)[0]):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol)
    out = np.empty_like(got)
    assert net.predict([x], [out], 0) == len(x)
    np.testing.assert_array_equal(out, got)


def data(rng, features, classes):
    x = rng.normal(size=(N, features)).astype(np.float32)
    y = np.abs(x @ rng.normal(size=(features, classes))).argmax(1)
    return x, y


def run(model, x, y):
    history = model.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0)
    return np.asarray(history.step_losses)


RUNS = [
    ("sigmoid", "sigmoid", lambda: nn.optim.SGD(lr=0.5), lambda: reference.SGD(0.5), None),
    (
        "sigmoid",
        "tanh",
        lambda: nn.optim.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
        lambda: reference.SGD(0.1, 0.9, True, 1e-3),
        None,
    ),
    ("softmax", "relu", lambda: nn.optim.Adam(lr=5e-3), lambda: reference.Adam(5e-3), None),
    (
        "softmax",
        "tanh",
        lambda: nn.optim.Adam(lr=5e-3, amsgrad=True, clip_norm=0.1),
        lambda: reference.Adam(5e-3, amsgrad=True),
        0.1,
    ),
]


@pytest.mark.parametrize(("end", "hidden", "ours", "theirs", "clip"), RUNS)
def test_losses_of_200_steps(end, hidden, ours, theirs, clip, dtype, rng):
    layer = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}[hidden]
    columns = 1 if end == "sigmoid" else 3
    last = nn.Sigmoid() if end == "sigmoid" else nn.Softmax(dim=-1)
    model = nn.Sequential(nn.Linear(6, 20), layer(), nn.Linear(20, 9), layer(), nn.Linear(9, columns), last, seed=3, dtype=dtype)
    x, y = data(rng, 6, max(columns, 2))
    loss = "binary_crossentropy" if end == "sigmoid" else "sparse_categorical_crossentropy"
    weights = [np.array(p, np.float64) for p in model.parameters()]
    model.compile(loss=loss, optimizer=ours())
    got = run(model, x, y)
    target = y[:, None] if end == "sigmoid" else y
    expected = reference.train(weights, [hidden, hidden], end, x.astype(np.float64), target, BATCH, len(got), theirs(), clip)
    assert len(got) == 200
    assert expected[-8:].mean() < expected[:8].mean() - 0.01  # it learns, so that the comparison means something
    np.testing.assert_allclose(got, expected, rtol=TOLERANCE[dtype.name])
    for p, w in zip(model.parameters(), weights, strict=True):
        np.testing.assert_allclose(p, w, rtol=1e-8 if dtype == np.float64 else 2e-2, atol=1e-9 if dtype == np.float64 else 2e-4)


def test_wrong_references_are_noticed(rng):
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1), nn.Sigmoid(), seed=3, dtype="float64")
    x, y = data(rng, 6, 2)
    weights = [np.array(p) for p in model.parameters()]
    model.compile(loss="binary_crossentropy", optimizer=nn.optim.SGD(lr=0.1, momentum=0.9))
    got = run(model, x, y)
    for wrong in (
        reference.SGD(0.1, 0.9, nesterov=True),
        reference.SGD(0.1, 0.9, weight_decay=1e-6),
        reference.SGD(0.1000001, 0.9),
    ):
        copies = [w.copy() for w in weights]
        expected = reference.train(copies, ["tanh"], "sigmoid", x.astype(np.float64), y[:, None], BATCH, len(got), wrong)
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(got, expected, rtol=TOLERANCE["float64"])


def test_the_textbook_example_learns_xor():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([0, 1, 1, 0])
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid(), seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=0.05), metrics=["accuracy"])
        history = model.fit(x, y, epochs=300, batch_size=4, verbose=0)
    assert history.history["accuracy"][-1] == 1.0
    np.testing.assert_array_equal(model.predict(x)[:, 0] > 0.5, y)

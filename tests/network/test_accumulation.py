"""backward(accumulate=True): the gradients of parts of a batch add up to that of the whole batch."""

import copy

import numpy as np
import pytest
from own_parts import PyLinear, PyTanh
from plan.random_nets import Case

import nncore as nn


def in_parts(model, x, grad, cuts):
    model.zero_gradients()
    inputs = []
    for part in np.split(np.arange(len(x)), cuts):
        model.forward(x[part], training=True)
        inputs.append(model.backward(grad[part], accumulate=True).copy())
    return {name: g.copy() for name, g in model.gradients.items()}, np.concatenate(inputs)


def at_once(model, x, grad):
    model.forward(x, training=True)
    dx = model.backward(grad)
    return {name: g.copy() for name, g in model.gradients.items()}, dx


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-12 * max(1, abs(value).max()), err_msg=name)


@pytest.mark.parametrize("threads", [1, 3])
def test_against_torch(threads, rng):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 70), torch.nn.Tanh(), torch.nn.Linear(70, 3)).double()
    ours = nn.Sequential(nn.Linear(5, 70), nn.Tanh(), nn.Linear(70, 3), dtype="float64")
    ours.load_state_dict(theirs.state_dict())
    x, grad = rng.normal(size=(30, 5)), rng.normal(size=(30, 3))
    with nn.threads(threads):
        found, dx = in_parts(ours, x, grad, [7, 20])
    tx = torch.tensor(x, requires_grad=True)
    for part in (slice(0, 7), slice(7, 20), slice(20, 30)):
        theirs(tx[part]).backward(torch.tensor(grad[part]))
    assert_close(found, {name: p.grad.numpy() for name, p in theirs.named_parameters()})
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-10, atol=1e-14)


LAYERS = {
    "embedding": lambda: [nn.Embedding(9, 5, padding_idx=0), nn.Flatten(), nn.Linear(30, 2)],
    "recurrent": lambda: [
        nn.Reshape((3, 2)),
        nn.LSTM(2, 5, num_layers=2, bidirectional=True, learn_initial_state=True),
        nn.Linear(10, 2),
    ],
    "gru": lambda: [nn.Reshape((3, 2)), nn.GRU(2, 17), nn.Linear(17, 2)],
    "norms": lambda: [nn.Linear(6, 300), nn.LayerNorm(300), nn.PReLU(300), nn.Linear(300, 2)],
    "maxout": lambda: [nn.Maxout(6, 40, pieces=3), nn.Linear(40, 2)],
    "python": lambda: [PyLinear(8), PyTanh(), nn.Linear(8, 2)],
    "wide": lambda: [nn.Linear(6, 500), nn.ReLU(), nn.Linear(500, 400), nn.Tanh(), nn.Linear(400, 2)],
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("threads", [1, 2])
def test_parts_add_up_to_the_whole(kind, threads, rng):
    model = nn.Sequential(*LAYERS[kind](), seed=1, dtype="float64").build((6,))
    x = rng.integers(0, 9, (20, 6)) if kind == "embedding" else rng.normal(size=(20, 6))
    grad = rng.normal(size=(20, 2))
    expected, dx = at_once(model, x, grad)
    with nn.threads(threads):
        found, dx_found = in_parts(model, x, grad, [1, 9, 17])
    assert_close(found, expected)
    np.testing.assert_allclose(dx_found, dx, rtol=1e-10, atol=1e-12)


def test_layers_used_several_times(rng):
    x = nn.Input((4,))
    shared, norm, own = nn.Linear(4, 4), nn.LayerNorm(4), PyLinear(4)
    h = nn.Tanh()(shared(norm(shared(own(norm(shared(own(x))))))))
    model = nn.Model(x, h, seed=0, dtype="float64")
    data, grad = rng.normal(size=(12, 4)), rng.normal(size=(12, 4))
    expected, _ = at_once(model, data, grad)
    assert_close(in_parts(model, data, grad, [5, 8])[0], expected)


@pytest.mark.parametrize("seed", range(25))
def test_random_nets(seed, rng):
    """Of nets whose samples depend on each other (batch norm) the truth is the sum over the parts, added by NumPy."""
    case = Case(seed)
    case.dtype = "float64"
    model = case.model()
    x, grad = np.asarray(case.x, np.float64), np.asarray(case.grad, np.float64)
    twin = copy.deepcopy(model)
    cuts = [len(x) // 2]
    total = {name: np.zeros_like(value) for name, value in twin.gradients.items()}
    twin.step = model.step = 0
    for part in np.split(np.arange(len(x)), cuts):
        for name, value in at_once(twin, x[part], grad[part])[0].items():
            total[name] += value
    assert_close(in_parts(model, x, grad, cuts)[0], total)


def test_without_accumulate_gradients_are_replaced(rng):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), dtype="float64", seed=0)
    x, grad = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    expected, _ = at_once(model, x, grad)
    model.backward(grad, accumulate=True)
    assert_close({n: g.copy() for n, g in model.gradients.items()}, {n: 2 * g for n, g in expected.items()})
    model.backward(grad)
    assert_close({n: g.copy() for n, g in model.gradients.items()}, expected)
    model.zero_gradients()
    assert not any(g.any() for g in model.gradients.values())


def test_a_loop_with_accumulation_is_the_large_step(rng):
    """Mean squared error of 24 rows in batches of 8, with Adam and clipping, against PyTorch's step on all rows."""
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()
    ours = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1), dtype="float64")
    ours.load_state_dict(theirs.state_dict())
    ours.compile(loss="mse", optimizer=nn.optim.Adam(lr=0.01, clip_norm=0.5))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    x, y = rng.normal(size=(24, 4)), 3 * rng.normal(size=(24, 1))
    for _ in range(5):
        ours.zero_gradients()
        for part in (slice(0, 8), slice(8, 16), slice(16, 24)):
            ours.backward(2 * (ours.forward(x[part], training=True) - y[part]) / 24, accumulate=True)
        ours.apply_gradients()
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(theirs(torch.tensor(x)), torch.tensor(y)).backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.step()
    assert ours.step == 5
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name], value.numpy(), rtol=1e-9, err_msg=name)


def test_parts_of_other_lengths(rng):
    """Sequences of another number of time steps between two parts: the gradients so far stay."""
    model = nn.Sequential(nn.GRU(2, 5), nn.Linear(5, 1), dtype="float64", seed=0).build((4, 2))
    parts = [(rng.normal(size=(3, steps, 2)), rng.normal(size=(3, 1))) for steps in (4, 7, 4)]
    total = {name: np.zeros_like(g) for name, g in model.gradients.items()}
    for x, grad in parts:
        for name, value in at_once(model, x, grad)[0].items():
            total[name] += value
    model.zero_gradients()
    for x, grad in parts:
        model.forward(x, training=True)
        model.backward(grad, accumulate=True)
    assert_close(dict(model.gradients), total)


def test_a_loop_whose_number_of_time_steps_is_not_known_yet(rng):
    """The parameters are there, so their gradients can be set to 0 before the first batch."""
    model = nn.Sequential(nn.GRU(2, 5), nn.Linear(5, 1), dtype="float64", seed=0)
    x, grad = rng.normal(size=(6, 4, 2)), rng.normal(size=(6, 1))
    model.zero_gradients()
    expected, _ = at_once(nn.Sequential(nn.GRU(2, 5), nn.Linear(5, 1), dtype="float64", seed=0), x, grad)
    assert_close(in_parts(model, x, grad, [3])[0], expected)


def test_refusals():
    model = nn.Sequential(nn.Linear(3, 2))
    model.forward(np.ones((2, 3)))
    with pytest.raises(nn.errors.ArgumentError, match="accumulate"):
        model.backward(np.ones((2, 2)), accumulate=2)
    with pytest.raises(nn.errors.NotBuiltError):
        nn.Sequential(nn.Flatten(), nn.Linear(3, 2)).zero_gradients()
    assert model.backward([[1, 1], [1, 1]], accumulate=True).shape == (2, 3)  # what needs conversion

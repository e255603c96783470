"""Models that are graphs against PyTorch: forward, backward, and 200 steps of training."""

import numpy as np
import pytest
from graph import graphs

import nncore as nn

torch = pytest.importorskip("torch")

STEPS = 200
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


def twins(model):
    """The parameters as leaves of PyTorch."""
    return {name: torch.tensor(value, requires_grad=True) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("kind", graphs.GRAPHS)
def test_forward_and_backward(kind, dtype, rng):
    make, theirs = graphs.GRAPHS[kind]
    model = make(dtype=dtype.name)
    x = graphs.inputs_of(model, rng)
    p, tx = twins(model), [torch.tensor(each, requires_grad=True) for each in x]
    expected = theirs(torch, p, *tx)
    outputs = graphs.as_list(model.forward(graphs.only(x)))
    tolerance = TOLERANCE[dtype.name]
    for own, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(own, other.detach().numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(graphs.as_list(model.predict(graphs.only(x)))[0], outputs[0])
    grads = [rng.normal(size=each.shape).astype(dtype) for each in outputs]
    dx = model.backward(graphs.only(grads))
    sum((each * torch.tensor(g)).sum() for each, g in zip(expected, grads, strict=True)).backward()
    for own, other in zip(dx if isinstance(dx, list) else [dx], tx, strict=True):
        np.testing.assert_allclose(own, other.grad.numpy(), rtol=tolerance, atol=10 * tolerance)
    for name, gradient in model.gradients.items():
        np.testing.assert_allclose(gradient, p[name].grad.numpy(), rtol=tolerance, atol=10 * tolerance, err_msg=name)


@pytest.mark.parametrize("kind", graphs.GRAPHS)
def test_training(kind, dtype, rng):
    make, theirs = graphs.GRAPHS[kind]
    model = make(dtype=dtype.name)
    names, weights = graphs.losses_of(model), [0.5, 2.0][: len(model.output_names)]
    x, y = graphs.inputs_of(model, rng), graphs.targets_of(model, rng)
    p = twins(model)
    model.compile(names, nn.optim.Adam(lr=0.01), loss_weights=weights)
    optimizer = torch.optim.Adam(p.values(), lr=0.01)
    tx, ty = [torch.tensor(each) for each in x], [torch.tensor(each) for each in y]
    for step in range(STEPS):
        first = step * 10 % graphs.ROWS
        rows = slice(first, first + 10)
        optimizer.zero_grad()
        outputs = theirs(torch, p, *(each[rows] for each in tx))
        parts = zip(weights, names, outputs, ty, strict=True)
        loss = sum(w * graphs.torch_loss(torch, name, out, t[rows]) for w, name, out, t in parts)
        loss.backward()
        optimizer.step()
        own = model.train_on_batch(graphs.only([each[rows] for each in x]), graphs.only([each[rows] for each in y]))
        own = own[0] if isinstance(own, list) else own
        assert own == pytest.approx(loss.item(), rel=1e-3 if dtype == np.float32 else 1e-9)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, p[name].detach().numpy(), rtol=0, atol=TOLERANCE[dtype.name], err_msg=name)


def test_batch_norm_that_is_shared_follows_both_batches(rng):
    a, b = nn.Input((3,)), nn.Input((3,))
    norm = nn.BatchNorm1d(3)
    model = nn.Model([a, b], norm(a) * nn.Tanh()(norm(b)), dtype="float64")
    theirs = torch.nn.BatchNorm1d(3, dtype=torch.float64)
    x = graphs.inputs_of(model, rng)
    tx = [torch.tensor(each, requires_grad=True) for each in x]
    expected = theirs(tx[0]) * torch.tanh(theirs(tx[1]))
    np.testing.assert_allclose(model.forward(x, training=True), expected.detach().numpy(), rtol=1e-10)
    grad = rng.normal(size=expected.shape)
    dx = model.backward(grad)
    expected.backward(torch.tensor(grad))
    for own, other in zip(dx, tx, strict=True):
        np.testing.assert_allclose(own, other.grad.numpy(), rtol=1e-9, atol=1e-12)
    state = model.state_dict()
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(state[f"batch_norm1d.{name}"], value.numpy(), rtol=1e-10)
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(model.gradients[f"batch_norm1d.{name}"], parameter.grad.numpy(), rtol=1e-9, atol=1e-12)

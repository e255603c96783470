"""Whole training runs against PyTorch: same weights, data, order and optimizer, so the same loss at each of 200 steps."""

import numpy as np
import pytest

import nncore as nn

torch = pytest.importorskip(
    "torch", reason="PyTorch is the independent truth here; test_against_numpy.py covers part of it without"
)

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
N, FEATURES, BATCH, EPOCHS = 53, 7, 16, 50  # four steps an epoch, the last of five rows: 200 in all


def build(layers, dtype, shape=(FEATURES,)):
    """The same network twice, with the same weights. layers: expressions that mean the same in both libraries."""
    ours = nn.Sequential(*[eval(f"nn.{e}") for e in layers], seed=5, dtype=dtype).build(shape)
    theirs = torch.nn.Sequential(*[eval(e, vars(torch.nn)) for e in layers]).to(getattr(torch, dtype.name))
    theirs.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in ours.state_dict().items()})
    return ours, theirs


def train_torch(model, loss, optimizer, x, y, clip_norm=None, clip_value=None):
    losses = []
    for _ in range(EPOCHS):
        for first in range(0, N, BATCH):
            optimizer.zero_grad()
            value = loss(model(x[first : first + BATCH]), y[first : first + BATCH])
            value.backward()
            if clip_norm:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            if clip_value:
                torch.nn.utils.clip_grad_value_(model.parameters(), clip_value)
            optimizer.step()
            losses.append(value.item())
    return np.array(losses)


def compare(layers, loss, optimizer, target, dtype, rng, clip=None):
    """Train both; loss and optimizer are (ours, theirs). Returns the losses."""
    ours, theirs = build(layers, dtype)
    x = rng.normal(size=(N, FEATURES)).astype(np.float32).astype(dtype)
    y = target(x, rng)
    ours.compile(loss=loss[0], optimizer=optimizer[0])
    got = np.asarray(ours.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0).step_losses)
    y_torch = torch.from_numpy(y) if y.dtype.kind == "i" else torch.from_numpy(y.astype(dtype))
    expected = train_torch(theirs, loss[1], optimizer[1](theirs.parameters()), torch.from_numpy(x), y_torch, **(clip or {}))
    assert len(got) == len(expected) == 200
    assert np.isfinite(expected).all()
    assert_losses(got, expected, dtype)
    rtol, atol = (1e-7, 1e-9) if dtype == np.float64 else (1e-2, 1e-3)
    np.testing.assert_allclose(ours.predict(x), theirs(torch.from_numpy(x)).detach().numpy(), rtol=rtol, atol=atol)
    return got


def assert_losses(got, expected, dtype):
    """Relative; near 0 a float32 loss is the square of what rounding leaves, so there in terms of the largest one."""
    rtol = TOLERANCE[dtype.name]
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=0 if dtype == np.float64 else 0.1 * rtol * expected.max())


def binary(x, rng):
    return (np.sin(2 * x[:, :1]) + x[:, 1:2] > 0).astype(x.dtype)


def classes(x, rng):
    return (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0.3)


def numbers(x, rng):
    return np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], 1).astype(x.dtype)


SIGMOID_NET = ["Linear(7, 10)", "Sigmoid()", "Linear(10, 10)", "Sigmoid()", "Linear(10, 1)", "Sigmoid()"]
TANH_NET = ["Linear(7, 16)", "Tanh()", "Linear(16, 2)"]
BCE = ("binary_crossentropy", torch.nn.BCELoss())
MSE = ("mse", torch.nn.MSELoss())


def nll(p, y):
    return torch.nn.functional.nll_loss(torch.log(p), y)


def test_sigmoid_net_with_sgd(dtype, rng):
    sgd = nn.optim.SGD(lr=1.0), lambda p: torch.optim.SGD(p, lr=1.0)
    got = compare(SIGMOID_NET, BCE, sgd, binary, dtype, rng)
    assert got[-4:].mean() < got[:4].mean()


def test_relu_net_with_adam(dtype, rng):
    layers = ["Linear(7, 32)", "ReLU()", "Linear(32, 16)", "ReLU()", "Linear(16, 3)", "Softmax(dim=-1)"]
    adam = nn.optim.Adam(lr=3e-3), lambda p: torch.optim.Adam(p, lr=3e-3)
    got = compare(layers, ("sparse_categorical_crossentropy", nll), adam, classes, dtype, rng)
    assert got[-4:].mean() < 0.7 * got[:4].mean()


def test_logits_and_label_smoothing(dtype, rng):
    layers = ["Linear(7, 32)", "Tanh()", "Linear(32, 3)"]
    ours = nn.losses.SparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    adam = nn.optim.Adam(lr=3e-3), lambda p: torch.optim.Adam(p, lr=3e-3)
    compare(layers, (ours, torch.nn.CrossEntropyLoss(label_smoothing=0.1)), adam, classes, dtype, rng)


def test_without_bias_and_with_views(dtype, rng):
    layers = ["Flatten()", "Linear(7, 12, bias=False)", "Identity()", "Tanh()", "Linear(12, 2, bias=False)", "Flatten(1, -1)"]
    sgd = nn.optim.SGD(lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)
    compare(layers, MSE, sgd, numbers, dtype, rng)


def test_linear_on_lines(dtype, rng):
    """[N, T, F], as PyTorch's Linear takes it, trained on the mean over lines."""
    layers = ["Linear(4, 9)", "Tanh()", "Linear(9, 2)", "Softmax(dim=-1)"]
    ours, theirs = build(layers, dtype, (5, 4))
    x = rng.normal(size=(N, 5, 4)).astype(np.float32).astype(dtype)
    y = (x.sum(-1) > 0).astype(np.int64)
    ours.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(lr=1e-2))
    got = np.asarray(ours.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0).step_losses)

    def loss(p, t):
        return nll(p.reshape(-1, 2), t.reshape(-1))

    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2)
    expected = train_torch(theirs, loss, optimizer, torch.from_numpy(x), torch.from_numpy(y))
    assert_losses(got, expected, dtype)


@pytest.mark.parametrize(
    "activation",
    [
        "LeakyReLU(0.1)",
        "ELU(0.7)",
        "SELU()",
        "GELU()",
        "GELU(approximate='tanh')",
        "SiLU()",
        "Softplus(beta=2.0)",
        "Softsign()",
        "Hardtanh(-0.8, 1.2)",
        "ReLU6()",
        "Hardsigmoid()",
        "Hardswish()",
        "Mish()",
        "CELU(0.5)",
        "LogSigmoid()",
        "Hardshrink(0.1)",
        "Softshrink(0.1)",
        "Tanhshrink()",
        "Threshold(-0.2, 0.1)",
        "Softmax(dim=-1)",
        "LogSoftmax(dim=-1)",
    ],
)
def test_activations(activation, dtype, rng):
    layers = ["Linear(7, 16)", activation, "Linear(16, 16)", activation, activation, "Linear(16, 2)"]
    lr = 1e-4 if activation.startswith("LogSoftmax") else 0.02
    sgd = nn.optim.SGD(lr=lr), lambda p: torch.optim.SGD(p, lr=lr)
    compare(layers, MSE, sgd, numbers, dtype, rng)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mae", torch.nn.L1Loss()),
        (nn.losses.Huber(0.3), torch.nn.HuberLoss(delta=0.3)),
        ("half_squared_error", lambda p, y: 0.5 * ((p - y) ** 2).sum(1).mean()),
        ("hinge", lambda p, y: torch.relu(1 - p * torch.where(y > 0, 1.0, -1.0).to(p)).mean()),
        (nn.losses.MeanSquaredError(reduction="sum"), lambda p, y: ((p - y) ** 2).mean(1).sum()),
    ],
)
def test_losses(name, theirs, dtype, rng):
    sgd = nn.optim.SGD(lr=0.01), lambda p: torch.optim.SGD(p, lr=0.01)

    def target(x, rng):
        values = numbers(x, rng)
        return np.sign(values) if name == "hinge" else values

    compare(TANH_NET, (name, theirs), sgd, target, dtype, rng)


# (ours, theirs), the arguments of both being the same; clipping, which PyTorch does apart, stands third.
OPTIMIZERS = [
    ("SGD", {"lr": 0.05, "momentum": 0.9}, {}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}, {}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, {}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.01}, {}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}, {}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}, {"clip_norm": 0.5}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.01}, {"clip_value": 0.05}),
    ("SGD", {"lr": 0.05}, {"clip_norm": 0.5, "clip_value": 0.05}),
    ("Adam", {"lr": 5e-3}, {}),
    ("Adam", {"lr": 5e-3, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.01}, {}),
    ("Adam", {"lr": 5e-3, "amsgrad": True}, {}),
    ("Adam", {"lr": 5e-3, "amsgrad": True, "weight_decay": 0.01}, {"clip_norm": 0.1}),
    ("Adam", {"lr": 5e-3}, {"clip_value": 0.01}),
    ("AdamW", {"lr": 5e-3}, {}),
    ("AdamW", {"lr": 5e-3, "weight_decay": 0.1, "amsgrad": True}, {"clip_norm": 0.1}),
    ("RMSprop", {"lr": 1e-3}, {}),
    ("RMSprop", {"lr": 1e-3, "alpha": 0.9, "momentum": 0.5}, {}),
    ("RMSprop", {"lr": 1e-3, "centered": True, "eps": 1e-4}, {}),
    ("RMSprop", {"lr": 1e-3, "centered": True, "momentum": 0.5, "weight_decay": 0.01, "eps": 1e-4}, {"clip_norm": 0.5}),
    ("Adagrad", {"lr": 0.05}, {}),
    ("Adagrad", {"lr": 0.05, "lr_decay": 0.01, "weight_decay": 0.01, "initial_accumulator_value": 0.1}, {}),
    ("Adadelta", {"lr": 1.0, "weight_decay": 0.01}, {}),
    ("Adamax", {"lr": 5e-3, "weight_decay": 0.01}, {}),
    ("NAdam", {"lr": 5e-3, "weight_decay": 0.01}, {"clip_norm": 0.1}),
    ("NAdam", {"lr": 5e-3, "weight_decay": 0.1, "decoupled_weight_decay": True}, {}),
    ("RAdam", {"lr": 5e-3, "weight_decay": 0.01}, {}),
    ("RAdam", {"lr": 5e-3, "weight_decay": 0.1, "decoupled_weight_decay": True}, {}),
    ("Rprop", {"lr": 1e-3, "step_sizes": (1e-6, 0.01)}, {}),
]


@pytest.fixture
def scalars_as_precise(dtype):
    """NAdam of PyTorch keeps a scalar in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype.name))
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("scalars_as_precise")
@pytest.mark.parametrize(("name", "arguments", "clip"), OPTIMIZERS, ids=lambda v: v if isinstance(v, str) else ",".join(v))
def test_optimizers(name, arguments, clip, dtype, rng):
    ours = getattr(nn.optim, name)(**arguments, **clip)
    compare(TANH_NET, MSE, (ours, lambda p: getattr(torch.optim, name)(p, **arguments)), numbers, dtype, rng, clip)


def test_every_optimizer_is_compared():
    """Except Lion, which PyTorch does not have, and L-BFGS, which is SciPy's."""
    assert {name.lower() for name, _, _ in OPTIMIZERS} | {"lion", "lbfgs"} == {op["name"] for op in nn._core.OPS["optimizer"]}


def test_wide_net_whose_update_follows_the_gradient(dtype, rng):
    layers = ["Linear(7, 200)", "Tanh()", "Linear(200, 190)", "Tanh()", "Linear(190, 2)"]
    adam = nn.optim.Adam(lr=1e-3), lambda p: torch.optim.Adam(p, lr=1e-3)
    compare(layers, MSE, adam, numbers, dtype, rng)


def test_schedule(dtype, rng):
    ours, theirs = build(TANH_NET, dtype)
    x = rng.normal(size=(N, FEATURES)).astype(np.float32).astype(dtype)
    y = numbers(x, rng)
    ours.compile(loss="mse", optimizer=nn.optim.Adam(lr=lambda step: 0.01 / (1 + 0.05 * step)))
    got = np.asarray(ours.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0).step_losses)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + 0.05 * step))
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    expected = train_torch(theirs, torch.nn.MSELoss(), optimizer, torch.from_numpy(x), torch.from_numpy(y))
    assert_losses(got, expected, dtype)

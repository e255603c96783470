"""Each optimizer's trajectory over 200 steps against a NumPy version of its algorithm and, where installed, against torch.optim."""

import numpy as np
import pytest

from nncore import _core
from nncore._core import kernels

OPTIMIZERS = {record["name"]: record for record in _core.OPS["optimizer"]}
STEPS = 200
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
SIZE = 203  # whole vectors and a tail on every instruction set


def sgd(w, state, g, lr, step, attr, _decay):
    momentum, dampening, nesterov, inside = attr
    if momentum:
        g, lr = (lr * g, 1) if inside else (g, lr)
        state["b"] = g if step == 1 else momentum * state["b"] + (1 - dampening) * g
        g = g + momentum * state["b"] if nesterov else state["b"]
    return w - lr * g


def adagrad(w, state, g, lr, step, attr, _decay):
    lr_decay, eps, initial = attr
    state["s"] = state.get("s", initial) + g * g
    return w - lr / (1 + (step - 1) * lr_decay) * g / (np.sqrt(state["s"]) + eps)


def rmsprop(w, state, g, lr, _step, attr, _decay):
    alpha, eps, momentum, centered = attr
    v = state["v"] = alpha * state.get("v", 0) + (1 - alpha) * g * g
    if centered:
        a = state["a"] = alpha * state.get("a", 0) + (1 - alpha) * g
        v = v - a * a
    d = g / (np.sqrt(v) + eps)
    if momentum:
        d = state["b"] = momentum * state.get("b", 0) + d
    return w - lr * d


def adam(w, state, g, lr, step, attr, _decay):
    beta1, beta2, eps, amsgrad, hat = attr
    eps = eps / np.sqrt(1 - beta2**step) if hat else eps
    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    if amsgrad:
        v = state["top"] = np.maximum(state.get("top", 0), v)
    return w - lr * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + eps)


def adamw(w, state, g, lr, step, attr, decay):
    return adam(w * (1 - lr * decay), state, g, lr, step, attr, decay)


def adadelta(w, state, g, lr, _step, attr, _decay):
    rho, eps = attr
    v = state["v"] = rho * state.get("v", 0) + (1 - rho) * g * g
    d = g * np.sqrt(state.get("u", 0) + eps) / np.sqrt(v + eps)
    state["u"] = rho * state.get("u", 0) + (1 - rho) * d * d
    return w - lr * d


def adamax(w, state, g, lr, step, attr, _decay):
    beta1, beta2, eps = attr
    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    u = state["u"] = np.maximum(beta2 * state.get("u", 0), np.abs(g) + eps)
    return w - lr / (1 - beta1**step) * m / u


def nadam(w, state, g, lr, step, attr, decay):
    beta1, beta2, eps, momentum_decay, decoupled = attr
    w = w * (1 - lr * decay) if decoupled else w
    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    mu = beta1 * (1 - 0.5 * 0.96 ** (momentum_decay * np.arange(1, step + 2)))
    now, following = mu[:-1].prod(), mu.prod()
    direction = (1 - mu[-2]) / (1 - now) * g + mu[-1] / (1 - following) * m
    return w - lr * direction / (np.sqrt(v / (1 - beta2**step)) + eps)


def radam(w, state, g, lr, step, attr, decay):
    beta1, beta2, eps, decoupled = attr
    w = w * (1 - lr * decay) if decoupled else w
    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    last = 2 / (1 - beta2) - 1
    rho = last - 2 * step * beta2**step / (1 - beta2**step)
    direction = m / (1 - beta1**step)
    if rho > 5:
        rect = np.sqrt((rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho))
        direction = direction * rect * np.sqrt(1 - beta2**step) / (np.sqrt(v) + eps)
    return w - lr * direction


def lion(w, state, g, lr, _step, attr, decay):
    beta1, beta2 = attr
    direction = np.sign(beta1 * state.get("m", 0) + (1 - beta1) * g)
    state["m"] = beta2 * state.get("m", 0) + (1 - beta2) * g
    return w * (1 - lr * decay) - lr * direction


def rprop(w, state, g, lr, step, attr, _decay):
    eta_minus, eta_plus, least, most = attr
    turn = g * state.get("p", np.zeros_like(g))
    factor = np.where(turn > 0, eta_plus, np.where(turn < 0, eta_minus, 1))
    size = state["s"] = np.clip(state.get("s", lr if step == 1 else 0) * factor, least, most)
    g = state["p"] = np.where(turn < 0, 0, g)
    return w - np.sign(g) * size


def lbfgs(w, state, g, _lr, _step, _attr, _decay):
    return w


ALGORITHMS = {f.__name__: f for f in (sgd, adagrad, rmsprop, adam, adamw, adadelta, adamax, nadam, radam, lion, rprop, lbfgs)}
DECOUPLED = {("adamw", None), ("lion", None), ("nadam", 4), ("radam", 3)}


def is_decoupled(name, attr):
    return any(name == own and (flag is None or attr[flag]) for own, flag in DECOUPLED)


# name, learning rate, attr, the arguments that torch gives the same meaning
CONFIGURATIONS = [
    ("sgd", 0.05, (0, 0, 0, 0), {}),
    ("sgd", 0.05, (0.9, 0, 0, 0), {"momentum": 0.9}),
    ("sgd", 0.05, (0.9, 0.3, 0, 0), {"momentum": 0.9, "dampening": 0.3}),
    ("sgd", 0.05, (0.9, 0, 1, 0), {"momentum": 0.9, "nesterov": True}),
    ("sgd", 0.05, (0.9, 0.3, 0, 1), None),
    ("sgd", 0.05, (0.9, 0, 1, 1), None),
    ("adagrad", 0.1, (0, 1e-10, 0), {}),
    ("adagrad", 0.1, (0.05, 1e-6, 0.4), {"lr_decay": 0.05, "eps": 1e-6, "initial_accumulator_value": 0.4}),
    ("rmsprop", 0.01, (0.99, 1e-8, 0, 0), {}),
    ("rmsprop", 0.01, (0.9, 1e-6, 0.8, 0), {"alpha": 0.9, "eps": 1e-6, "momentum": 0.8}),
    ("rmsprop", 0.01, (0.9, 1e-4, 0, 1), {"alpha": 0.9, "eps": 1e-4, "centered": True}),
    ("rmsprop", 0.01, (0.9, 1e-4, 0.8, 1), {"alpha": 0.9, "eps": 1e-4, "momentum": 0.8, "centered": True}),
    ("adam", 0.01, (0.9, 0.999, 1e-8, 0, 0), {}),
    ("adam", 0.01, (0.9, 0.999, 0.1, 0, 1), None),
    ("adam", 0.01, (0.8, 0.95, 1e-6, 1, 0), {"betas": (0.8, 0.95), "eps": 1e-6, "amsgrad": True}),
    ("adamw", 0.01, (0.9, 0.999, 1e-8, 0, 0), {}),
    ("adamw", 0.01, (0.9, 0.99, 1e-8, 1, 0), {"betas": (0.9, 0.99), "amsgrad": True}),
    ("adadelta", 1.0, (0.9, 1e-6), {}),
    ("adadelta", 0.5, (0.8, 1e-4), {"rho": 0.8, "eps": 1e-4}),
    ("adamax", 0.01, (0.9, 0.999, 1e-8), {}),
    ("adamax", 0.02, (0.8, 0.95, 1e-3), {"betas": (0.8, 0.95), "eps": 1e-3}),
    ("nadam", 0.01, (0.9, 0.999, 1e-8, 4e-3, 0), {}),
    ("nadam", 0.01, (0.8, 0.95, 1e-6, 0.5, 0), {"betas": (0.8, 0.95), "eps": 1e-6, "momentum_decay": 0.5}),
    ("nadam", 0.01, (0.9, 0.999, 1e-8, 4e-3, 1), {"decoupled_weight_decay": True}),
    ("radam", 0.01, (0.9, 0.999, 1e-8, 0), {}),
    ("radam", 0.01, (0.8, 0.9, 1e-6, 0), {"betas": (0.8, 0.9), "eps": 1e-6}),
    ("radam", 0.01, (0.9, 0.99, 1e-8, 1), {"betas": (0.9, 0.99), "decoupled_weight_decay": True}),
    ("lion", 0.01, (0.9, 0.99), None),
    ("lion", 0.003, (0.5, 0.8), None),
    ("rprop", 0.01, (0.5, 1.2, 1e-6, 50), {}),
    ("rprop", 0.1, (0.3, 1.5, 1e-3, 0.4), {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.4)}),
    ("lbfgs", 1.0, (), None),
]
TORCH_NAMES = {"sgd": "SGD", "adagrad": "Adagrad", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
TORCH_NAMES |= {"adadelta": "Adadelta", "adamax": "Adamax", "nadam": "NAdam", "radam": "RAdam", "rprop": "Rprop"}


def identify(value):
    return "-".join(map(str, value)) if isinstance(value, tuple) else None


configurations = pytest.mark.parametrize(("name", "lr", "attr", "torch_arguments"), CONFIGURATIONS, ids=identify)


def moments_of(name, attr, like):
    """Every buffer the op may use, filled as the plan fills them."""
    initial = attr[2] if name == "adagrad" else 0
    return [np.full_like(like, initial) for _ in range(OPTIMIZERS[name]["moments"])]


class Problem:
    """A noisy bowl: the gradient depends on where the parameters are, so that a wrong step shows in every later one."""

    def __init__(self, rng):
        self.start = rng.normal(size=SIZE)
        self.target = rng.normal(size=SIZE)
        self.noise = rng.normal(size=(STEPS + 1, SIZE))

    def gradient(self, w, step):
        return (w - self.target) + 0.3 * self.noise[step]


def trajectory(problem, name, attr, dtype, isa, lr_of_step, **penalties):
    w = problem.start.astype(dtype)
    moments = moments_of(name, attr, w)
    for step in range(1, STEPS + 1):
        g = problem.gradient(w, step).astype(dtype)
        kernels.optimizer_step(name, w, g, moments, lr=lr_of_step(step), step=step, attr=attr, isa=isa, **penalties)
    return w


def assert_close(w, expected, dtype, name=""):
    """Rounding may turn the sign of a direction that is almost 0, and Lion's step with it: a single element of it may be off."""
    off = np.count_nonzero(np.abs(w - expected) > TOLERANCE[dtype.name] * np.abs(expected).max())
    assert off <= (1 if name == "lion" and dtype == np.float32 else 0)


def test_every_registered_optimizer_has_an_algorithm():
    assert ALGORITHMS.keys() == OPTIMIZERS.keys() == {configuration[0] for configuration in CONFIGURATIONS}


@configurations
def test_trajectory(name, lr, attr, torch_arguments, isa, dtype, rng):
    problem = Problem(rng)

    def lr_of_step(step):
        return lr / (1 + 0.01 * step)

    w, state = problem.start, {}
    for step in range(1, STEPS + 1):
        w = ALGORITHMS[name](w, state, problem.gradient(w, step), lr_of_step(step), step, attr, 0)
    assert_close(trajectory(problem, name, attr, dtype, isa, lr_of_step), w, dtype, name)


@configurations
def test_penalties_and_clipping(name, lr, attr, torch_arguments, isa, dtype, rng):
    """In the promised order: scale, the layer's penalties, clip, weight decay, update."""
    scale, clip, l1, l2, decay = 0.7, 0.6, 0.02, 0.03, 0.05
    problem = Problem(rng)
    problem.start[::7] = 0  # where sign(w) is 0
    w, state = problem.start, {}
    for step in range(1, STEPS + 1):
        g = np.clip(problem.gradient(w, step) * scale + l1 * np.sign(w) + 2 * l2 * w, -clip, clip)
        g = g if is_decoupled(name, attr) else g + decay * w
        w = ALGORITHMS[name](w, state, g, lr, step, attr, decay)
    penalties = {"grad_scale": scale, "clip_value": clip, "l1": l1, "l2": l2, "weight_decay": decay}
    assert_close(trajectory(problem, name, attr, dtype, isa, lambda _: lr, **penalties), w, dtype, name)


@configurations
def test_each_penalty_alone(name, lr, attr, torch_arguments, isa, rng):
    w0, g0 = rng.normal(size=SIZE), rng.normal(size=SIZE)
    for arguments, g, decay in [
        ({"grad_scale": 0.5}, 0.5 * g0, 0),
        ({"clip_value": 0.4}, np.clip(g0, -0.4, 0.4), 0),
        ({"l1": 0.1}, g0 + 0.1 * np.sign(w0), 0),
        ({"l2": 0.1}, g0 + 0.2 * w0, 0),
        ({"weight_decay": 0.1}, g0 if is_decoupled(name, attr) else g0 + 0.1 * w0, 0.1),
    ]:
        w = w0.copy()
        kernels.optimizer_step(name, w, g0, moments_of(name, attr, w), lr=lr, step=1, attr=attr, isa=isa, **arguments)
        np.testing.assert_allclose(
            w, ALGORITHMS[name](w0, {}, g, lr, 1, attr, decay), rtol=1e-12, atol=1e-13, err_msg=str(arguments)
        )


@configurations
@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_torch_agrees(name, lr, attr, torch_arguments, decay, dtype, rng):
    torch = pytest.importorskip("torch", reason="compares with torch.optim")
    if torch_arguments is None:
        pytest.skip("torch.optim has no such update")
    problem = Problem(rng)
    tensor = torch.tensor(problem.start.astype(dtype), requires_grad=True)
    torch_arguments = {**torch_arguments, **({} if name == "rprop" else {"weight_decay": decay})}
    decay = 0 if name == "rprop" else decay
    optimizer = getattr(torch.optim, TORCH_NAMES[name])([tensor], lr=lr, **torch_arguments)
    before = torch.get_default_dtype()
    torch.set_default_dtype(tensor.dtype)  # that of NAdam's scalars
    try:
        for step in range(1, STEPS + 1):
            tensor.grad = torch.tensor(problem.gradient(tensor.detach().numpy(), step).astype(dtype))
            optimizer.step()
    finally:
        torch.set_default_dtype(before)
    w = trajectory(problem, name, attr, dtype, None, lambda _: lr, weight_decay=decay)
    assert_close(w, tensor.detach().numpy(), dtype)


@pytest.mark.parametrize("mistake", ["no bias correction", "decay coupled", "eps inside the root", "step off by one"])
def test_the_comparison_catches_mistakes(mistake, rng):
    problem, lr, attr, decay = Problem(rng), 0.01, (0.9, 0.999, 1e-8, 0, 0), 0.05
    w, state = problem.start, {}
    for step in range(1, STEPS + 1):
        g, count, shrink = problem.gradient(w, step), step, lr * decay
        if mistake == "no bias correction":
            count = 10**9
        if mistake == "step off by one":
            count = step + 1
        if mistake == "decay coupled":
            g, shrink = g + decay * w, 0
        if mistake == "eps inside the root":
            state["v"] = state.get("v", 0) + 1e-8
        w = adam(w * (1 - shrink), state, g, lr, count, attr, 0)
    dtype = np.dtype("float64")
    right = trajectory(problem, "adamw", attr, dtype, None, lambda _: lr, weight_decay=decay)
    with pytest.raises(AssertionError):
        assert_close(right, w, dtype)


@configurations
@pytest.mark.parametrize("step", [1, 2])
def test_any_split_of_the_span_gives_the_same_bits(name, lr, attr, torch_arguments, step, isa, dtype, rng):
    g = rng.normal(size=SIZE).astype(dtype)
    w = rng.normal(size=SIZE).astype(dtype)
    moments = [np.abs(m + rng.normal(size=SIZE)).astype(dtype) for m in moments_of(name, attr, w)]
    for penalties in ({}, {"l1": 0.1, "l2": 0.1, "clip_value": 0.5, "grad_scale": 0.9}):
        whole_w, whole_m = w.copy(), [m.copy() for m in moments]
        kernels.optimizer_step(name, whole_w, g, whole_m, lr=lr, step=step, attr=attr, isa=isa, **penalties)
        parts_w, parts_m = w.copy(), [m.copy() for m in moments]
        for first, last in [(0, 1), (1, 18), (18, 101), (101, SIZE)]:
            part = slice(first, last)
            own = [m[part] for m in parts_m]
            kernels.optimizer_step(name, parts_w[part], g[part], own, lr=lr, step=step, attr=attr, isa=isa, **penalties)
        np.testing.assert_array_equal(parts_w, whole_w)
        np.testing.assert_array_equal(parts_m, whole_m)


@configurations
def test_nan_stays_where_it_is(name, lr, attr, torch_arguments, isa, dtype, rng):
    g = rng.normal(size=SIZE).astype(dtype)
    g[5] = np.nan
    for penalties in ({}, {"clip_value": 1.0, "l1": 0.1}):
        w = rng.normal(size=SIZE).astype(dtype)
        kernels.optimizer_step(name, w, g, moments_of(name, attr, w), lr=lr, step=2, attr=attr, isa=isa, **penalties)
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(w)), [] if name == "lbfgs" else [5])


def test_centered_rmsprop_survives_a_constant_gradient(isa, dtype):
    """Where the variance of the gradient is 0, rounding must not give the root of a negative number."""
    w, g, attr = np.zeros(SIZE, dtype), np.linspace(-3, 3, SIZE).astype(dtype), (0.9, 1e-3, 0, 1)
    moments = moments_of("rmsprop", attr, w)
    for step in range(1, 600):
        kernels.optimizer_step("rmsprop", w, g, moments, lr=1e-6, step=step, attr=attr, isa=isa)
    assert np.isfinite(w).all()

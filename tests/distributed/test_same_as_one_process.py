"""Training by several ranks is that of one process with the same batches, to rounding, and the same bits on all ranks."""

import pytest
from mpi_programs import succeed

STEPS = """
import numpy as np
import nncore as nn
from checks import RANKS, data, digest, like_one_process, net, same_everywhere, say

x, y = data()
weights = np.random.default_rng(1).uniform(0.1, 3, len(x))
cases = {
    "plain": ({}, {}),
    "shuffled in time": ({}, dict(shuffle=False)),
    "adam": (dict(optimizer="adam"), {}),
    "weights": ({}, dict(sample_weight=weights)),
    "class weights": ({}, dict(class_weight="balanced")),
    "several batches in a step": ({}, dict(accumulate=3)),
    "penalties and clipping": (dict(optimizer=nn.optim.SGD(lr=0.1, clip_norm=0.5), l1=1e-3, l2=1e-3), {}),
    "moving average": (dict(optimizer=nn.optim.Adam(ema_momentum=0.9)), {}),
    "validation": ({}, dict(validation_split=0.25)),
    "one row": ({}, dict(batch_size=1)),
    "all rows": ({}, dict(batch_size=None)),
    "batch norm": (dict(middle=[lambda: nn.BatchNorm1d(32)]), {}),
    "dropout and noise": (dict(middle=[lambda: nn.Dropout(0.3), lambda: nn.GaussianNoise(0.1)]), {}),
    "float64": (dict(dtype="float64"), {}),
}
for what, (compiled, fitted) in cases.items():
    fitted = {"epochs": 2, "batch_size": 48, "verbose": 0} | fitted
    like_one_process(what, lambda d: net(d, **compiled), lambda m: m.fit(x, y, **fitted))
    say(what)
"""


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_steps(ranks, tmp_path):
    assert "float64" in succeed(STEPS, ranks, tmp_path)


NUMPY = """
import numpy as np
import nncore as nn
from checks import RANKS, digest, like_one_process, same_everywhere, say

rng = np.random.default_rng(0)
x, y, weight = rng.normal(size=(50, 4)), rng.normal(size=(50, 2)), rng.uniform(0.5, 2, 50)
model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2), seed=0, dtype="float64")
model.compile("mse", nn.optim.SGD(lr=0.1, momentum=0.9), l2=0.01, distributed=RANKS)
p = {name: value.copy() for name, value in model.state_dict().items()}
history = model.fit(x, y, sample_weight=weight, epochs=2, batch_size=16, shuffle=False, verbose=0)

# The same in NumPy, on whole batches.
velocity, losses = {}, []
for start in [0, 16, 32, 48] * 2:
    xs, ys, ws = x[start : start + 16], y[start : start + 16], weight[start : start + 16, None]
    n = len(xs)
    z = xs @ p["0.weight"].T + p["0.bias"]
    mean, var = z.mean(axis=0), z.var(axis=0)
    hat = (z - mean) / np.sqrt(var + 1e-5)
    h = np.tanh(hat * p["1.weight"] + p["1.bias"])
    out = h @ p["3.weight"].T + p["3.bias"]
    losses.append((ws * (out - ys) ** 2).sum() / (2 * n) + 0.01 * ((p["0.weight"] ** 2).sum() + (p["3.weight"] ** 2).sum()))
    d = ws * (out - ys) / n
    g = {"3.weight": d.T @ h + 0.02 * p["3.weight"], "3.bias": d.sum(axis=0)}
    d = d @ p["3.weight"] * (1 - h * h)
    g |= {"1.weight": (d * hat).sum(axis=0), "1.bias": d.sum(axis=0)}
    d = d * p["1.weight"]
    d = (d - d.mean(axis=0) - hat * (d * hat).mean(axis=0)) / np.sqrt(var + 1e-5)
    g |= {"0.weight": d.T @ xs + 0.02 * p["0.weight"], "0.bias": d.sum(axis=0)}
    for name, gradient in g.items():
        velocity[name] = 0.9 * velocity.get(name, 0) + gradient
        p[name] = p[name] - 0.1 * velocity[name]
    p["1.running_mean"] = 0.9 * p["1.running_mean"] + 0.1 * mean
    p["1.running_var"] = 0.9 * p["1.running_var"] + 0.1 * var * n / (n - 1)
for name, value in model.state_dict().items():
    if name != "1.num_batches_tracked":
        np.testing.assert_allclose(value, p[name], rtol=1e-10, atol=1e-13, err_msg=name)
np.testing.assert_allclose(history.step_losses, losses, rtol=1e-12)
same_everywhere(digest(model), "NumPy")

# A model whose shapes the first batch tells, and that each rank draws from its own seed.
lazy = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), seed=RANKS.rank)
assert not lazy.built
lazy.compile("mse", "sgd", distributed=RANKS)
lazy.fit([(x[:10], x[:10, :3])], epochs=2, verbose=0)
same_everywhere(digest(lazy), "lazy")


# Metrics of numbers, far from 0; each rank has other first targets.
def numbers(distributed):
    found = nn.Sequential(nn.Linear(4, 2, bias_init=nn.init.constant(1e4)), seed=0, dtype="float64")
    found.compile("mse", "sgd", ["mae", "rmse", "mape", "r2"], weighted_metrics=["r2"], distributed=distributed)
    return found


far = 1e4 + y
given = dict(epochs=2, batch_size=16, sample_weight=weight, validation_split=0.3, verbose=0)
trained, _ = like_one_process("metrics of numbers", numbers, lambda m: m.fit(x, far, **given), 1e-9)
found = RANKS.evaluate(trained, x, far, sample_weight=weight, return_dict=True)
for key, w in (("r2", np.ones(50)), ("weighted_r2", weight)):
    mean = np.average(far, axis=0, weights=w)
    left = (w @ (trained.predict(x) - far) ** 2) / (w @ (far - mean) ** 2)
    np.testing.assert_allclose(found[key], (1 - left).mean(), rtol=1e-9, err_msg=key)
say("NumPy")
"""


def test_numpy(tmp_path):
    assert "NumPy" in succeed(NUMPY, 3, tmp_path)

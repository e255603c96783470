"""What fit takes besides arrays that all ranks have: shards, batches of each rank, sequences, graphs; and loops written by hand."""

import pytest
from mpi_programs import succeed

DATA = """
import numpy as np
import nncore as nn
from checks import RANKS, close, data, digest, histories_close, like_one_process, net, same_everywhere, say

x, y = data()
R, S = RANKS.rank, RANKS.size
often = dict(epochs=2, batch_size=48, verbose=0)
bn = dict(middle=[lambda: nn.BatchNorm1d(32)])


def compare(what, one, several, before, after):
    close(one, several, what)
    histories_close(before, after, what)
    same_everywhere(digest(several), what)
    say(what)


# Each rank has a shard of its own: the batches of one process are what the ranks have of each.
shards = nn.distributed.MPI(sharded=True)
for sizes in ([203 - 10 * (S - 1)] + [10] * (S - 1), [203] + [0] * (S - 1)):
    cut, per = np.cumsum([0, *sizes]), 48 // S
    own = slice(cut[R], cut[R + 1])
    steps = max(-(-size // per) for size in sizes)
    joined = []
    for start in range(0, steps * per, per):
        parts = [np.arange(cut[r], cut[r + 1])[start : start + per] for r in range(S)]
        joined.append(np.concatenate(parts))
    one, several = net(), net(shards)
    weights = np.linspace(0.5, 2, len(x))
    after = several.fit(x[own], y[own], sample_weight=weights[own], shuffle=False, validation_data=(x[own], y[own]), **often)
    before = one.fit([(x[i], y[i], weights[i]) for i in joined], epochs=2, verbose=0, validation_data=(x, y))
    compare(f"shards {sizes[-1]}", one, several, before, after)
before, after = net(shards), net(shards)
for model in (before, after):
    model.fit(x[own], y[own], **often)
assert digest(before) == digest(after)

# Each rank has batches of its own, and some have more than others.
counts = [4 + 3 * r for r in range(S)]
batches = [[np.arange(10 * i, 10 * i + 10) for i in range(n)] for n in counts]
for accumulate in (1, 2):
    one, several = net(**bn), net(RANKS, **bn)
    after = several.fit([(x[i], y[i]) for i in batches[R]], epochs=2, verbose=0, accumulate=accumulate)
    joined = [np.concatenate([b[s] for b in batches if s < len(b)]) for s in range(max(counts))]
    if accumulate == 1:
        before = one.fit([(x[i], y[i]) for i in joined], epochs=2, verbose=0)
        for model in (one, several):
            model.set_weights([w if name != "0.bias" else 0 * w for name, w in model.state_dict().items()])
        compare("batches", one, several, before, after)
    same_everywhere(digest(several), "batches")

# Metrics that see all rows.
class Right:
    def __init__(self):
        self.right = self.rows = 0

    def update_state(self, y_true, y_pred, weight=None):
        self.right += float((y_pred.argmax(1) == y_true).sum())
        self.rows += len(y_true)

    def result(self):
        return self.right / max(self.rows, 1)


def median(y_true, y_pred):
    return float(np.median(y_pred[np.arange(len(y_true)), y_true]))


seen = [Right(), median, "roc_auc", nn.metrics.F1(average="macro"), "confusion_matrix"]
like_one_process("metrics", lambda d: net(d, metrics=seen), lambda m: m.fit(x, y, validation_split=0.25, **often))
model = net(RANKS, metrics=seen)  # evaluate and predict are of this process alone
assert model.evaluate(x[:50], y[:50]) and (R or model.predict(x).shape == (203, 3))
for ranks, rows in ((RANKS, slice(0, 203)), (shards, own)):
    found = ranks.evaluate(model, x[rows], y[rows], return_dict=True)
    for key, value in model.evaluate(x, y, return_dict=True).items():
        np.testing.assert_allclose(found[key], value, rtol=1e-6, err_msg=key)
    np.testing.assert_allclose(ranks.predict(model, x[rows]), model.predict(x), atol=1e-6)
say("metrics")

# Other nets.
rng = np.random.default_rng(0)
xs, steps, ys = rng.normal(size=(50, 7, 4)).astype("f4"), rng.integers(1, 8, 50), rng.normal(size=(50, 7, 2)).astype("f4")


def compiled(model, distributed, loss="mse", **more):
    model.compile(loss, nn.optim.SGD(lr=0.05), distributed=distributed, **more)
    return model


def sequence(d):
    return compiled(nn.Sequential(nn.LSTM(4, 8, return_sequences=True), nn.Linear(8, 2), seed=0), d)


def planes(d):
    return compiled(nn.Sequential(nn.BatchNorm1d(7), nn.Flatten(), nn.Linear(28, 2), seed=0), d)


def stateful(d):
    return compiled(nn.Sequential(nn.GRU(4, 6, stateful=True), nn.Linear(6, 2), seed=0), d)


def graph(d):
    value = nn.Input((8,))
    hidden = nn.Tanh()(nn.Linear(8, 16)(value))
    model = nn.Model(value, [nn.Linear(16, 3)(hidden), nn.Linear(16, 1)(hidden)], seed=3)
    return compiled(model, d, [nn.losses.SparseCategoricalCrossentropy(from_logits=True), "mse"], loss_weights=[1, 0.3])


def frozen(d):
    model = net(None)
    model[0].trainable = False
    return compiled(model, d, nn.losses.SparseCategoricalCrossentropy(from_logits=True))


class Square(nn.PythonLayer):
    def forward(self, x):
        return x * x

    def backward(self, grad, x, y):
        return 2 * x * grad


cases = {
    "sequences": (sequence, lambda m: m.fit(xs, ys, lengths=steps, epochs=2, batch_size=16, verbose=0)),
    "planes": (planes, lambda m: m.fit(xs, ys[:, 0], epochs=2, batch_size=16, verbose=0)),
    "stateful": (stateful, lambda m: m.fit(xs, ys[:, 0], epochs=2, batch_size=12, shuffle=False, verbose=0)),
    "graph": (graph, lambda m: m.fit(x, [y, x[:, :1]], validation_split=0.2, **often)),
    "frozen": (frozen, lambda m: m.fit(x, y, **often)),
    "own layers": (lambda d: net(d, middle=[Square]), lambda m: m.fit(x, y, **often)),
}
for what, (make, fit) in cases.items():
    like_one_process(what, make, fit)
    say(what)
like_one_process("bfloat16", lambda d: net(d, compute="bfloat16"), lambda m: m.fit(x, y, **often), tolerance=2e-2)
like_one_process("L-BFGS", lambda d: net(d, optimizer=nn.optim.LBFGS()), lambda m: m.fit(x, y, epochs=3, verbose=0), tolerance=1e-3)

# By hand.
one, several = net(), net(RANKS, seed=R)  # all begin with the weights of rank 0
one.set_weights(RANKS.exchange(several.get_weights())[0])
for first in range(0, 96, 48):
    rows = np.arange(first, first + 48)
    before = one.train_on_batch(x[rows], y[rows], return_dict=True)
    after = several.train_on_batch(x[rows[R::S]], y[rows[R::S]], return_dict=True)
    np.testing.assert_allclose([*after.values()], [*before.values()], rtol=1e-5)
    for model, own in ((one, rows), (several, rows[R::S])):
        p = np.exp(model.forward(x[own], training=True))
        model.backward((p / p.sum(axis=1, keepdims=True) - np.eye(3)[y[own]]) / 48)
        model.apply_gradients()
close(one, several, "by hand")
same_everywhere(digest(several), "by hand")
say("by hand")
"""

APART = """
import numpy as np
import nncore as nn
from checks import RANKS, data, digest, net, same_everywhere, say

x, y = data(240)
R, S = RANKS.rank, RANKS.size
bn = dict(middle=[lambda: nn.BatchNorm1d(32)])
for how in (dict(sync_every=3), dict(sync_every=100), dict(batch_norm="local"), dict(sync_every=2, sharded=True)):
    ranks = nn.distributed.MPI(**how)
    model = net(ranks, optimizer="adam", **bn)
    history = model.fit(x, y, epochs=2, batch_size=48, verbose=0, validation_data=(x, y))
    same_everywhere(digest(model), how)
    same_everywhere(repr(history.history), how)

# Local SGD is what each rank does alone, averaged: here without momentum, on the rows that it has.
model = net(nn.distributed.MPI(sync_every=5), optimizer=nn.optim.SGD(lr=0.1))
history = model.fit(x, y, epochs=1, batch_size=48, verbose=0, shuffle=False)
alone = []
for r in range(S):
    other = net(optimizer=nn.optim.SGD(lr=0.1))
    own = np.concatenate([np.array_split(np.arange(i, i + 48), S)[r] for i in range(0, 240, 48)])
    found = other.fit(x[own], y[own], epochs=1, batch_size=48 // S, verbose=0, shuffle=False)
    alone.append((other.get_weights(), found.step_losses))
for i, weight in enumerate(model.get_weights()):
    np.testing.assert_allclose(weight, np.mean([w[i] for w, _ in alone], axis=0), atol=1e-6)
np.testing.assert_allclose(history.step_losses, np.mean([losses for _, losses in alone], axis=0), rtol=1e-5)
say("apart")
"""


@pytest.mark.parametrize("ranks", [2, 3])
def test_kinds_of_training(ranks, tmp_path):
    assert succeed(DATA, ranks, tmp_path).split("\n")[-2] == "by hand"


def test_ranks_apart(tmp_path):
    assert "apart" in succeed(APART, 2, tmp_path)

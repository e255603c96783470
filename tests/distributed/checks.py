"""What programs of several ranks compare: with one process, and with one another. All ranks call these functions."""

import hashlib

import numpy as np

import nncore as nn

RANKS = nn.distributed.MPI()


def data(n=203, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    return x, rng.integers(0, classes, n)


def net(distributed=None, *, optimizer=None, middle=(), seed=1, metrics=("accuracy",), dtype="float32", compute="float32", **more):
    model = nn.Sequential(
        nn.Linear(8, 32), nn.Tanh(), *[each() for each in middle], nn.Linear(32, 3), seed=seed, dtype=dtype, compute=compute
    )
    loss = nn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss, optimizer or nn.optim.SGD(lr=0.1, momentum=0.9), list(metrics), distributed=distributed, **more)
    return model


def digest(model):
    return hashlib.sha256(b"".join(each.tobytes() for each in model.get_weights())).hexdigest()


def same_everywhere(value, what):
    found = RANKS.exchange(value)
    assert all(each == found[0] for each in found), (what, found)


def close(one, other, what, tolerance=2e-6):
    for name, value in one.state_dict().items():
        apart = np.abs(value - other.state_dict()[name]).max()
        assert apart <= tolerance * max(1, np.abs(value).max()), (what, name, apart, RANKS.rank)


def histories_close(one, other, what, tolerance=1e-5):
    assert one.history.keys() == other.history.keys(), what
    for key, values in one.history.items():
        np.testing.assert_allclose(other.history[key], values, rtol=tolerance, atol=tolerance, err_msg=f"{what} {key}")
    np.testing.assert_allclose(other.step_losses, one.step_losses, rtol=tolerance, atol=tolerance, err_msg=what)


def like_one_process(what, make, fit, tolerance=2e-6, ranks=RANKS):
    """Train the model that ``make(distributed)`` returns by one process and by all, with ``fit(model)``, and compare."""
    alone, together = make(None), make(ranks)
    before, after = fit(alone), fit(together)
    close(alone, together, what, tolerance)
    histories_close(before, after, what, 10 * tolerance)
    same_everywhere(digest(together), what)
    same_everywhere(repr(after.history), what)
    return together, after


def say(text):
    if RANKS.rank == 0:
        print(text, flush=True)

"""Logs in the middle of an epoch: dicts for every purpose, whose values are computed only when they are read."""

import copy
import json
import pickle

import numpy as np
import pytest

import nncore as nn
from nncore import callbacks
from nncore.training.logs import LazyLogs

VALUES = {"loss": 0.25, "accuracy": 0.5, "roc_auc": 0.75}


def made():
    """Return lazy logs, and the list of the keys that have been computed."""
    computed = []

    def compute(key):
        computed.append(key)
        return VALUES[key]

    return LazyLogs(VALUES, compute, ["roc_auc"]), computed


READS = {
    "item": (lambda logs: logs["loss"], 0.25, ["loss"]),
    "get": (lambda logs: logs.get("loss"), 0.25, ["loss"]),
    "get of nothing": (lambda logs: logs.get("nothing", 7), 7, []),
    "in": (lambda logs: ("loss" in logs, "nothing" in logs), (True, False), []),
    "length": (len, 3, []),
    "truth": (bool, True, []),
    "names": (lambda logs: sorted(logs), sorted(VALUES), []),
    "setdefault": (lambda logs: logs.setdefault("accuracy", 1), 0.5, ["accuracy"]),
    "pop": (lambda logs: logs.pop("accuracy"), 0.5, ["accuracy"]),
    "pop of nothing": (lambda logs: logs.pop("nothing", 3), 3, []),
    "popitem": (lambda logs: logs.popitem(), ("roc_auc", 0.75), [*VALUES]),
    "keys": (lambda logs: list(logs.keys()), [*VALUES], [*VALUES]),
    "values": (lambda logs: list(logs.values()), [*VALUES.values()], [*VALUES]),
    "items": (lambda logs: list(logs.items()), [*VALUES.items()], [*VALUES]),
    "dict": (dict, VALUES, [*VALUES]),
    "copy": (lambda logs: logs.copy(), VALUES, [*VALUES]),
    "copy.copy": (copy.copy, VALUES, [*VALUES]),
    "deepcopy": (copy.deepcopy, VALUES, [*VALUES]),
    "pickle": (lambda logs: pickle.loads(pickle.dumps(logs)), VALUES, [*VALUES]),
    "stars": (lambda logs: (lambda **given: given)(**logs), VALUES, [*VALUES]),
    "braces": (lambda logs: {"a": 1, **logs}, {"a": 1, **VALUES}, [*VALUES]),
    "or": (lambda logs: logs | {"a": 1}, {**VALUES, "a": 1}, [*VALUES]),
    "ror": (lambda logs: {"a": 1} | logs, {"a": 1, **VALUES}, [*VALUES]),
    "update": (lambda logs: {}.update(logs) or VALUES, VALUES, [*VALUES]),
    "equal": (lambda logs: logs == VALUES, True, [*VALUES]),
    "equal from the right": (lambda logs: VALUES == logs, True, [*VALUES]),  # noqa: SIM300
    "unequal": (lambda logs: logs != {}, True, [*VALUES]),
    "repr": (repr, repr(VALUES), [*VALUES]),
    "json": (json.dumps, json.dumps(VALUES), [*VALUES]),
    "format": (lambda logs: "{loss:.2f}".format(**logs), "0.25", [*VALUES]),
    "format_map": (lambda logs: "{loss:.2f}".format_map(logs), "0.25", ["loss"]),
    "percent": (lambda logs: "%(loss).2f" % logs, "0.25", ["loss"]),  # noqa: UP031
    "cheap": (lambda logs: dict(logs.cheap()), {"loss": 0.25, "accuracy": 0.5}, ["loss", "accuracy"]),
}


@pytest.mark.parametrize("how", READS)
def test_reading_computes_what_is_read(how):
    read, expected, computes = READS[how]
    logs, computed = made()
    assert read(logs) == expected
    assert sorted(computed) == sorted(computes)
    read(logs) if "pop" not in how else None
    assert len(computed) == len(set(computed))  # nothing is computed twice


def test_logs_are_a_dict_that_can_be_changed():
    logs, computed = made()
    logs["mine"] = 1
    logs |= {"more": 2}
    logs["roc_auc"] = 0.0
    del logs["accuracy"]
    assert isinstance(logs, dict)
    with pytest.raises(KeyError):
        logs["accuracy"]
    assert logs == {"loss": 0.25, "roc_auc": 0.0, "mine": 1, "more": 2}
    assert computed == ["loss"]
    for plain in (copy.copy(logs), copy.deepcopy(logs), logs.copy(), pickle.loads(pickle.dumps(logs))):
        assert type(plain) is dict


class Counting:
    """A metric in Python that counts how often its value is asked for."""

    name = "counting"
    asked = 0

    def __deepcopy__(self, memo):
        return self

    def reset_state(self):
        self.batches = 0

    def update_state(self, y_true, y_pred, sample_weight):
        self.batches += 1

    def result(self):
        type(self).asked += 1
        return float(self.batches)


def fitted(callback, rows=40, metrics=None):
    x = np.linspace(-1, 1, rows)[:, None]
    Counting.asked = 0
    model = nn.Sequential(nn.Linear(1, 1), seed=0)
    model.compile("mse", "sgd", metrics or [Counting(), "mae"])
    model.fit(x, x, batch_size=4, epochs=2, validation_data=(x, x), validation_batch_size=8, callbacks=callback, verbose=0)
    return model


def test_hooks_that_read_nothing_compute_nothing():
    seen = []
    hooks = {name: (lambda *_, name=name: seen.append(name)) for name in ("on_train_batch_end", "on_train_chunk_end")}
    fitted(callbacks.LambdaCallback(**hooks, on_test_batch_end=lambda batch, logs: seen.append(logs["loss"])))
    assert len(seen) == 2 * (10 + 10 + 5)
    assert Counting.asked == 4  # two epochs, with their validations


def test_logs_that_a_callback_keeps_are_those_of_their_moment(rng):
    kept, read = [], []

    class Keeps(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept.append(logs)

        def on_test_batch_end(self, batch, logs=None):
            kept.append(logs)

    model = fitted([Keeps()])
    hooks = dict.fromkeys(("on_train_batch_end", "on_test_batch_end"), lambda batch, logs: read.append(dict(logs)))
    again = fitted(callbacks.LambdaCallback(**hooks))
    assert kept == read
    assert [logs["counting"] for logs in kept[:15]] == [*range(1, 11), *range(1, 6)]
    np.testing.assert_array_equal(model[0].weight, again[0].weight)


def test_a_mutated_log_stays_with_its_hook():
    """As in Keras, the hooks of one moment share their logs; the next moment has new ones."""

    class Writes(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert "mine" not in logs
            logs["mine"] = batch

    seen = []
    fitted([Writes(), callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["mine"]))])
    assert seen == [*range(10)] * 2

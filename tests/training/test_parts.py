"""fit, evaluate and predict on data in parts: the results are those of arrays, whatever the parts are."""

import os
import subprocess
import sys
import threading
import time

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from training.simple import assert_same, weights

import nncore as nn
from nncore import errors

ROWS, NAMES = 1000, ["c0", "c1", "c2", "c3"]


@pytest.fixture
def xy(rng):
    return rng.normal(size=(ROWS, 4)), rng.integers(3, size=ROWS)


@pytest.fixture
def folder(xy, tmp_path):
    """A folder of two files, of six and four row groups."""
    tmp_path = tmp_path / "rows"
    tmp_path.mkdir()
    table = pa.table({name: xy[0][:, i] for i, name in enumerate(NAMES)} | {"y": xy[1], "w": np.abs(xy[0][:, 0])})
    pq.write_table(table[:600], tmp_path / "0.parquet", row_group_size=110)
    pq.write_table(table[600:], tmp_path / "1.parquet", row_group_size=110)
    return tmp_path


@pytest.fixture(autouse=True)
def no_reader_is_left():
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "nncore-reader"] == []


def net(inputs=4, metrics=("accuracy",), **options):
    """Batch norm and dropout, so that order and number of steps count."""
    first = [nn.Flatten(), nn.Linear(4, 8)] if inputs is None else [nn.Linear(inputs, 8)]
    model = nn.Sequential(*first, nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3), nn.Softmax(), seed=3)
    model.compile("sparse_categorical_crossentropy", nn.optim.Adam(lr=1e-2), list(metrics), **options)
    return model


def same(one, other):
    assert_same(one, weights(other))
    assert one.step == other.step


@pytest.mark.parametrize("buffer", [None, 1, 64, 200, 5000])
@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"class_weight": {0: 2.0, 2: 0.5}}], ids=str)
def test_without_shuffling_the_bits_are_those_of_arrays(xy, folder, buffer, options):
    plain, model = net(), net()
    arguments = {"epochs": 2, "batch_size": 32, "shuffle": False, **options}
    expected = plain.fit(*xy, **arguments, validation_data=xy, sample_weight=np.abs(xy[0][:, 0]))
    parts = nn.data.parquet(folder, features=NAMES, target="y", sample_weight="w", buffer=buffer)
    history = model.fit(parts, **arguments, validation_data=nn.data.parquet(folder, features=NAMES, target="y", buffer=70))
    same(model, plain)
    np.testing.assert_array_equal(history.step_losses, expected.step_losses)
    np.testing.assert_allclose(history.history["val_loss"], expected.history["val_loss"], rtol=1e-12)
    assert history.history["loss"] == expected.history["loss"]
    assert history.history["val_accuracy"] == expected.history["val_accuracy"]


def test_what_fits_into_the_buffer_is_shuffled_like_arrays(xy, folder):
    plain, model = net(), net()
    plain.fit(*xy, epochs=2)
    model.fit(nn.data.parquet(folder, features=NAMES, target="y"), epochs=2)
    same(model, plain)


def test_shuffling_in_a_small_buffer_repeats_and_uses_every_row_once(xy, folder):
    seen = []
    models = [net(), net(), net()]
    for model, buffer in zip(models, (128, 128, 256), strict=True):
        parts = nn.data.parquet(folder, features=NAMES, target="y", buffer=buffer)
        seen.append(model.fit(parts, epochs=2).step_losses)
    same(models[0], models[1])
    assert len(seen[0]) == 2 * -(-ROWS // 32)
    assert not np.array_equal(seen[0], seen[2])
    constant = nn.Sequential(nn.Linear(4, 1, weight_init="zeros"), seed=0)  # the mean of the targets, at a rate of 0
    constant.compile("mae", nn.optim.SGD(lr=0.0))
    rows = nn.data.parquet(folder, features=NAMES, target="w", buffer=64)
    np.testing.assert_allclose(constant.fit(rows).history["loss"], [np.abs(xy[0][:, 0]).mean()], rtol=1e-6)


def test_training_learns_from_sorted_row_groups(rng, tmp_path):
    """Classes that follow one another in the file: without the order of the row groups the last one would win."""
    y = np.repeat(np.arange(3), 400)
    x = np.eye(3)[y] * 2 + rng.normal(size=(1200, 3))
    pq.write_table(pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}), tmp_path / "x", row_group_size=40)
    model = nn.Sequential(nn.Linear(3, 3), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", nn.optim.Adam(lr=0.02), ["accuracy"])
    model.fit(nn.data.parquet(tmp_path / "x", target="y", buffer=240), epochs=10)
    assert model.evaluate(x, y)[1] > 0.8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_evaluate_and_predict(xy, folder, dtype):
    x, y = xy
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(), seed=0, dtype=dtype)
    model.compile("sparse_categorical_crossentropy", "adam", ["accuracy"])
    dataset = ds.dataset(folder)
    given = nn.data.parquet(folder, features=NAMES, target="y", buffer=77)
    assert model.evaluate(given, return_dict=True) == pytest.approx(model.evaluate(x, y, return_dict=True), rel=1e-12)
    np.testing.assert_array_equal(model.predict(given), model.predict(x))
    model.fit(given, batch_size=100)
    assert model.feature_names == NAMES
    np.testing.assert_array_equal(model.predict(dataset), model.predict(x))  # the columns of training, by name
    assert model.evaluate(dataset, "y")[1] == model.evaluate(x, y)[1]
    weighted = model.evaluate(dataset, "y", sample_weight="w")
    assert weighted == pytest.approx(model.evaluate(x, y, sample_weight=np.abs(x[:, 0])), rel=1e-6)


def test_hooks_of_batches_are_called(xy, folder):
    class Count(nn.callbacks.Callback):
        def __init__(self):
            self.calls = []

        def on_test_batch_end(self, batch, logs=None):
            self.calls.append(batch)

        on_predict_batch_end = on_test_batch_end

        def on_train_batch_end(self, batch, logs=None):
            self.calls.append(logs["loss"])

    model, arrays = net(), net()
    given = nn.data.parquet(folder, features=NAMES, target="y", buffer=130)
    counts = [Count() for _ in range(4)]
    model.fit(given, shuffle=False, batch_size=50, callbacks=counts[0])
    arrays.fit(*xy, shuffle=False, batch_size=50, callbacks=counts[1])
    assert counts[0].calls == counts[1].calls
    model.evaluate(given, batch_size=50, callbacks=counts[2])
    assert counts[2].calls == list(range(len(counts[2].calls)))
    assert len(counts[2].calls) >= 20


def test_datasets_and_frames_of_dask_as_they_are(xy, folder):
    plain, dataset = net(), ds.dataset(folder)
    arguments = {"epochs": 2, "shuffle": False, "verbose": 0}
    plain.fit(*xy, **arguments, validation_data=xy)
    columns = dataset.to_table(columns=[*NAMES, "y"])
    frame = dd.from_pandas(columns.to_pandas(), npartitions=6)
    arrays = [part.to_dask_array(lengths=True) for part in (frame[NAMES], frame["y"])]
    for x, y, validation in [
        (columns, "y", columns),
        (ds.dataset(columns), "y", (dataset, "y")),
        (columns.to_reader(100), "y", xy),
        (frame, "y", frame),
        (frame[NAMES], frame["y"], (frame[NAMES], frame["y"])),
        (*arrays, arrays),
    ]:
        model = net()
        once = hasattr(x, "read_next_batch")
        model.fit(x, y, **arguments | ({"epochs": 1} if once else {}), validation_data=validation)
        if once:
            with pytest.raises(errors.EmptyDataError, match="read to their end"):
                model.fit(x, y)
            with pytest.raises(errors.ArgumentError, match="only once"):
                model.fit(columns.to_reader(100), y, epochs=2)
        else:
            same(model, plain)


def test_a_model_without_shapes_is_built_from_the_first_rows(xy, folder):
    plain, model, evaluated = net(None), net(None), net(None)
    plain.fit(*xy, shuffle=False)
    model.fit(nn.data.parquet(folder, features=NAMES, target="y", buffer=64), shuffle=False)
    same(model, plain)
    assert evaluated.evaluate(nn.data.parquet(folder, features=NAMES, target="y"))[1] <= 1
    calls = []

    def chunks():
        calls.append(1)
        yield xy[0][:300], xy[1][:300]
        yield xy[0][300:], xy[1][300:]

    computed = net(None)
    computed.fit(nn.data.parts(chunks), shuffle=False)
    same(computed, plain)
    assert len(calls) == 1, "what is computed is not computed twice to see its shape"


def test_several_inputs_and_outputs(xy, folder):
    def build():
        left, right = nn.Input((2,), name="left"), nn.Input((2,), name="right")
        h = nn.Concatenate()([nn.Linear(2, 4)(left), nn.Linear(2, 4)(right)])
        outputs = {"kind": nn.Softmax()(nn.Linear(8, 3)(h)), "size": nn.Linear(8, 1)(h)}
        model = nn.Model([left, right], outputs, seed=0)
        model.compile({"kind": "sparse_categorical_crossentropy", "size": "mse"}, "adam")
        return model

    plain, model = build(), build()
    x = {"left": xy[0][:, :2], "right": xy[0][:, 2:]}
    y = {"kind": xy[1], "size": np.abs(xy[0][:, 0])}
    plain.fit(x, y, class_weight={"kind": {1: 3.0}})
    groups = {"features": {"left": NAMES[:2], "right": NAMES[2:]}, "target": {"kind": "y", "size": "w"}}
    model.fit(nn.data.parquet(folder, **groups), class_weight={"kind": {1: 3.0}})
    same(model, plain)
    assert model.feature_names == {"left": NAMES[:2], "right": NAMES[2:]}
    np.testing.assert_array_equal(model.predict(ds.dataset(folder))["kind"], plain.predict(x)["kind"])


def test_sequences_in_lists_and_their_lengths(rng, tmp_path):
    x, lengths, y = rng.normal(size=(60, 5, 2)), rng.integers(1, 6, 60), rng.integers(3, size=60)
    pq.write_table(pa.table({"s": x.tolist(), "n": lengths, "y": y}), tmp_path / "x", row_group_size=7)

    def build():
        model = nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 3), nn.Softmax(), seed=0)
        model.compile("sparse_categorical_crossentropy", "adam")
        return model

    plain, model = build(), build()
    plain.fit(x, y, lengths=lengths, shuffle=False)
    model.fit(nn.data.parquet(tmp_path / "x", features="s", lengths="n", target="y", buffer=32), shuffle=False)
    same(model, plain)
    given = nn.data.parquet(tmp_path / "x", features="s", lengths="n", buffer=13)
    np.testing.assert_allclose(model.predict(given), plain.predict(x, lengths=lengths), rtol=1e-6)


def test_steps_are_known_where_rows_are(folder):
    class Look(nn.callbacks.Callback):
        def on_train_begin(self, logs=None):
            steps.append(self.params["steps"])

    steps = []
    for data in (nn.data.parquet(folder, features=NAMES, target="y"), dd.from_pandas(pd.read_parquet(folder), 3)[[*NAMES, "y"]]):
        net().fit(data, None if isinstance(data, nn.data.Parts) else "y", callbacks=[Look()])
    assert steps == [-(-ROWS // 32), 0]


# Resuming ------------------------------------------------------------------------------------------------------------------------


class Stop(nn.callbacks.Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = self.model.step >= self.step


@pytest.mark.parametrize("step", [1, 9, 31, 32, 33, 50])
def test_training_resumes_to_the_bit(folder, tmp_path, step):
    """In the middle of a block, between two, and between epochs; through a file."""

    def data():
        return nn.data.parquet(folder, features=NAMES, target="y", buffer=160)

    plain, model = net(), net()
    expected = plain.fit(data(), epochs=3)
    model.fit(data(), epochs=3, callbacks=[Stop(step)])
    assert model.step == step
    model.save(tmp_path / "model")
    loaded = nn.load(tmp_path / "model")
    history = loaded.fit(data(), epochs=3, resume=True)
    same(loaded, plain)
    assert history.history["loss"][-1] == expected.history["loss"][-1]
    if step % 32:
        with pytest.raises(errors.ArgumentError, match="an epoch of 1000 rows in batches of 32, shuffled, and now"):
            model.fit(data(), epochs=3, resume=True, batch_size=16)


def test_backup_and_restore(folder, tmp_path):
    data = nn.data.parquet(folder, features=NAMES, target="y", buffer=160)
    plain, model, again = net(), net(), net()
    plain.fit(data, epochs=2)

    class Break(nn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.step == 45:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(data, epochs=2, callbacks=[nn.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=10), Break()])
    again.fit(data, epochs=2, callbacks=[nn.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=10)])
    same(again, plain)


# What goes wrong -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"validation_split": 0.2}, "validation_split needs arrays"),
        ({"steps_per_epoch": 3}, "steps_per_epoch is for ready-made batches"),
        ({"batch_size": None}, "all rows at once"),
        ({"class_weight": "balanced"}, "balanced.*pass a dict"),
        ({"y": [1, 2]}, "are parts of these data"),
        ({"sample_weight": "w"}, "are parts of these data"),
        ({"validation_data": "parts", "validation_steps": 2}, "validation_steps"),
    ],
)
def test_arguments_that_need_arrays(arguments, match, folder):
    data = nn.data.parquet(folder, features=NAMES, target="y")
    arguments = {k: data if v == "parts" else v for k, v in arguments.items()}
    model = net()
    before = weights(model)
    with pytest.raises(errors.ArgumentError, match=match):
        model.fit(data, **arguments)
    assert_same(model, before)
    assert model.feature_names is None


def test_targets_must_be_named(folder):
    without = nn.data.parquet(folder, features=NAMES)
    for call in (net().fit, net().evaluate):
        with pytest.raises(errors.ArgumentError, match="the targets are missing; name their column"):
            call(without)
    with pytest.raises(errors.ArgumentError, match="fit: validation_data: .*targets are missing"):
        net().fit(nn.data.parquet(folder, features=NAMES, target="y"), validation_data=without)
    model = nn.Sequential(nn.Linear(4, 3), seed=0)
    model.compile("mse", nn.optim.LBFGS())
    with pytest.raises(errors.ArgumentError, match="an optimizer of batches"):
        model.fit(nn.data.parquet(folder, features=NAMES, target="y"))


def test_columns_of_training_are_checked(folder):
    model = net()
    model.fit(nn.data.parquet(folder, features=NAMES, target="y"))
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(errors.ArgumentError, match="column 0 is 'c1' and was 'c0'; put them into the order of features="):
            call(nn.data.parquet(folder, features=["c1", "c0", "c2", "c3"], target="y"))
    with pytest.raises(errors.ArgumentError, match="no column called 'c3'"):
        model.predict(ds.dataset(folder).to_table(columns=NAMES[:3]).to_reader())


def test_a_label_that_is_too_large_is_found_with_its_row_group(xy, tmp_path):
    y = xy[1].copy()
    y[130] = 7
    pq.write_table(pa.table({"a": xy[0][:, 0], "y": y}), tmp_path / "x", row_group_size=100)
    model = net(1)
    with pytest.raises(errors.LabelError, match=r"row group 1 of .*x: row 30 of y is 7|row group 1 of .*x: y is 7 at row 30"):
        model.fit(nn.data.parquet(tmp_path / "x", target="y"), shuffle=False)
    assert model.step == 0


def test_no_rows(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.float64()), "y": pa.array([], pa.int64())}), tmp_path / "x")
    data = nn.data.parquet(tmp_path / "x", target="y")
    for call in (net(1).fit, net(1).evaluate, net(1).predict, net(None).fit):
        with pytest.raises(errors.EmptyDataError):
            call(data)


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt(), StopIteration()], ids=repr)
def test_an_error_of_the_source_is_raised_in_fit(xy, error, ahead):
    def chunks():
        yield xy[0][:500], xy[1][:500]
        raise error

    model = net()
    wanted = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(wanted, match=str(error) or None) as caught:
        model.fit(nn.data.parts(chunks, buffer=64, read_ahead=ahead), shuffle=False)
    assert any("chunks" in str(entry.name) for entry in caught.traceback), "the traceback leads to the source"
    assert 0 < model.step < 16
    model.fit(*xy)  # the model is usable


class Broken(Exception):
    pass


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_test_batch_end", "on_epoch_end"])
def test_no_thread_is_left_when_a_callback_raises(folder, hook):
    def fail(*_):
        raise Broken

    data = nn.data.parquet(folder, features=NAMES, target="y", buffer=64)
    with pytest.raises(Broken) as caught:
        net(None).fit(data, validation_data=data, callbacks=[nn.callbacks.LambdaCallback(**{hook: fail})])
    assert [thread.name for thread in threading.enumerate() if thread.name == "nncore-reader"] == []
    del caught
    model = net()
    model.fit(data, epochs=50, callbacks=[nn.callbacks.EarlyStopping("loss", patience=0, min_delta=10)])


def test_reading_goes_on_while_the_model_trains(xy):
    """The next rows are read during training, in one thread, and never more than one block ahead."""
    log = []

    def chunks():
        for i in range(0, ROWS, 100):
            log.append(("read", i // 100, threading.current_thread().name))
            yield xy[0][i : i + 100], xy[1][i : i + 100]

    watch = nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: (time.sleep(0.005), log.append(("step", batch, ""))))
    net().fit(nn.data.parts(chunks, buffer=100), shuffle=False, batch_size=100, callbacks=[watch])
    assert {name for kind, _, name in log if kind == "read"} == {"nncore-reader"}
    for step in range(1, 9):
        done = log[: log.index(("step", step, ""))]
        read = sum(kind == "read" for kind, *_ in done)
        assert read in (step + 1, step + 2), f"{read} chunks were read before step {step} ended"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_ctrl_c_ends_the_reader(tmp_path):
    program = (
        "import numpy as np, nncore as nn, threading, time, os, signal\n"
        "def chunks():\n"
        "    while True:\n"
        "        yield np.ones((100, 2)), np.ones(100)\n"
        "model = nn.Sequential(nn.Linear(2, 1), seed=0)\n"
        "model.compile('mse', 'adam')\n"
        "threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "start = time.monotonic()\n"
        "try:\n"
        "    model.fit(nn.data.parts(chunks, buffer=1000), shuffle=False)\n"
        "except KeyboardInterrupt:\n"
        "    print(model.step > 0, time.monotonic() - start < 5, [t.name for t in threading.enumerate() if 'reader' in t.name])\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True)
    assert found.stdout.split("\n")[0] == "True True []"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_training_neither_hangs_nor_disturbs(xy):
    """A child that is forked while data are read can train; the reader of its parent is an error there, and no wait."""
    statuses = []

    def fork(epoch, logs):
        child = os.fork()
        if not child:
            code = 1
            try:
                small = net()
                small.fit(nn.data.parts(xy[0][:64], xy[1][:64]), verbose=0)
                try:
                    next(open_reader[0])
                except errors.ConcurrentUseError:
                    code = 0
            finally:
                os._exit(code)
        statuses.append(os.waitpid(child, 0)[1])

    data = nn.data.parts(*xy, buffer=64)
    open_reader = [data.blocks(np.dtype("float32"))]
    next(open_reader[0])
    with open_reader[0]:
        net().fit(data, epochs=2, callbacks=[nn.callbacks.LambdaCallback(on_epoch_begin=fork)])
    assert statuses == [0, 0]


def test_dask_on_a_cluster(xy, folder):
    """Partitions are computed by the workers, once per epoch, and asked for from the thread that reads."""
    distributed = pytest.importorskip("distributed")
    plain, model, computed = net(), net(), []

    def noting(part):
        if len(part) > 10:  # not the sample from which Dask infers the types
            computed.append(threading.current_thread().name)
        return part

    plain.fit(*xy, shuffle=False, epochs=2)
    with (
        dask.config.set({"distributed.admin.tick.interval": "1s"}),
        distributed.Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client,
    ):
        frame = dd.from_pandas(pd.read_parquet(folder), 4)[[*NAMES, "y"]]
        with client.as_current():
            model.fit(frame.map_partitions(noting), "y", shuffle=False, epochs=2)
    same(model, plain)
    assert len(computed) == 2 * 4
    assert not {name for name in computed if "nncore" in name}, "the workers compute, not the thread that waits"

"""CSVLogger and TensorBoard."""

import csv

import numpy as np
import pytest
from callbacks.scripts import X, Y, small

import nncore as nn
from nncore import callbacks
from nncore.errors import ArgumentError


def rows(path, **options):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, **options))


def test_csv_has_what_the_history_has(tmp_path):
    path = tmp_path / "log.csv"
    history = small().fit(X, Y, epochs=3, validation_split=0.2, callbacks=[callbacks.CSVLogger(path)])
    header, *lines = rows(path)
    assert header == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [int(line[0]) for line in lines] == [0, 1, 2]
    for column, key in enumerate(header[1:], 1):
        assert [float(line[column]) for line in lines] == history.history[key]


def test_csv_appends_without_a_second_header(tmp_path):
    path, model = tmp_path / "log.csv", small()
    for start in (0, 2):
        model.fit(X, Y, epochs=start + 2, initial_epoch=start, callbacks=[callbacks.CSVLogger(path, ";", append=True)])
    assert [line[0] for line in rows(path, delimiter=";")] == ["epoch", "0", "1", "2", "3"]
    model.fit(X, Y, callbacks=[callbacks.CSVLogger(path)])
    assert [line[0] for line in rows(path)] == ["epoch", "0"]


def test_csv_while_training_and_after_an_error(tmp_path):
    path, seen = tmp_path / "log.csv", []
    logger = callbacks.CSVLogger(path)

    def look(epoch, logs):
        seen.append(len(rows(path)))
        if epoch == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        small().fit(X, Y, epochs=5, callbacks=[logger, callbacks.LambdaCallback(on_epoch_end=look)])
    assert seen == [2, 3, 4]
    assert logger._file is None


def test_csv_of_arrays(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "sgd", ["confusion_matrix"])
    model.fit(X, Y > 4, callbacks=[callbacks.CSVLogger(tmp_path / "log")])
    header, line = rows(tmp_path / "log")
    assert header == ["epoch", "confusion_matrix", "loss"]
    assert np.shape(eval(line[1])) == (2, 2)


class Writer:
    def __init__(self):
        self.scalars, self.flushed = [], 0

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, float(value), step))

    def flush(self):
        self.flushed += 1


def test_tensorboard():
    writer, model = Writer(), small()
    history = model.fit(X, Y, epochs=2, batch_size=5, validation_split=0.2, callbacks=[callbacks.TensorBoard(writer)])
    found = {}
    for tag, value, step in writer.scalars:
        found.setdefault(tag, {})[step] = value
    tags = {"loss/train": "loss", "mae/train": "mae", "loss/validation": "val_loss", "mae/validation": "val_mae"}
    assert found.keys() == {*tags, "learning_rate"}
    for tag, key in tags.items():
        assert list(found[tag].values()) == history.history[key]
        assert list(found[tag]) == [0, 1]
    assert writer.flushed == 2


@pytest.mark.parametrize(("freq", "steps"), [("batch", [1, 2, 3, 4, 5, 6, 7, 8]), (3, [3, 6])])
def test_tensorboard_of_batches(freq, steps):
    writer, model = Writer(), small()
    model.optimizer.lr = lambda step: 0.01 * (1 + step)
    model.fit(X, Y, epochs=2, batch_size=3, callbacks=[callbacks.TensorBoard(writer, freq)])
    assert [step for tag, _, step in writer.scalars if tag == "loss/batch"] == steps
    assert [value for tag, value, _ in writer.scalars if tag == "learning_rate"] == [0.05, 0.09]


def test_a_real_summary_writer(tmp_path):
    module = pytest.importorskip("torch.utils.tensorboard")
    with module.SummaryWriter(tmp_path) as writer:
        small().fit(X, Y, epochs=2, callbacks=[callbacks.TensorBoard(writer)])
    assert any(path.stat().st_size for path in tmp_path.iterdir())


def test_refusals(tmp_path):
    with pytest.raises(ArgumentError, match="writer is a SummaryWriter"):
        callbacks.TensorBoard(str(tmp_path))
    with pytest.raises(ArgumentError, match="update_freq"):
        callbacks.TensorBoard(Writer(), "epochs")
    with pytest.raises(ArgumentError, match="separator"):
        callbacks.CSVLogger(tmp_path / "log", ";;")

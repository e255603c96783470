"""Training steps of the headline nets on one thread, against the NumPy written out in peers/with_numpy.py; what metrics add."""

import numpy as np
import peers
import pytest
from workloads import WORKLOADS

import nncore as nn


@pytest.mark.parametrize("name", [n for n in WORKLOADS if "2048" not in n])
@pytest.mark.parametrize("form", ["train_on_batch", "fit"])
def bench_step(versus, name, form):
    work = WORKLOADS[name]
    ours, theirs = peers.NncoreTrainer(work, 1, fit=form == "fit"), peers.numpy_trainer(work)
    steps = work.batches if form == "fit" else 1
    versus(lambda: ours.run(steps), lambda: theirs.run(steps))


@pytest.mark.parametrize("metric", ["accuracy", "top_k_accuracy", "balanced_accuracy"])
def bench_metric_of_many_classes(versus, metric):
    """A step with 10,000 classes and a metric, against the same step without."""
    x, y = np.zeros((32, 16), np.float32), np.arange(32)
    models = []
    for own in ([metric], []):
        model = nn.Sequential(nn.Linear(16, 10_000), nn.Softmax(), seed=0)
        model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=own)
        models.append(model)
    versus(lambda: models[0].train_on_batch(x, y), lambda: models[1].train_on_batch(x, y))

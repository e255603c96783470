"""Inference on one thread, one row and many, against NumPy."""

import numpy as np
import peers
import pytest
from workloads import INFERENCE, WORKLOADS


@pytest.mark.parametrize("name", INFERENCE)
def bench_one_row(versus, name):
    work = WORKLOADS[name]
    ours, theirs = peers.nncore_predictor(work, 1), peers.numpy_predictor(work)
    versus(lambda: np.ravel(ours.call()), lambda: np.ravel(theirs.call()))


@pytest.mark.parametrize("name", INFERENCE)
def bench_one_row_into_an_array(versus, name):
    work = WORKLOADS[name]
    ours, theirs = peers.nncore_predictor(work, 1, "into"), peers.numpy_predictor(work)
    versus(lambda: np.ravel(ours.call()), lambda: np.ravel(theirs.call()))


@pytest.mark.parametrize("name", INFERENCE)
def bench_predict_one_row(versus, name):
    work = WORKLOADS[name]
    ours, theirs = peers.nncore_predictor(work, 1, "predict"), peers.numpy_predictor(work)
    versus(lambda: np.ravel(ours.call()), lambda: np.ravel(theirs.call()))


@pytest.mark.parametrize("name", INFERENCE)
def bench_many_rows(versus, name):
    """`predict` on all rows of the workload: its checks and its output array are part of it."""
    work = WORKLOADS[name]
    model, x = peers.nncore_model(work), work.data()[0]
    theirs = peers.numpy_forward(work, x)
    versus(lambda: model.predict(x), theirs)

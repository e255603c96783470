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


@pytest.mark.parametrize("ranks", [2, 3])
def test_steps(ranks, tmp_path):
    assert "float64" in succeed(STEPS, ranks, tmp_path)

"""Training steps of the headline nets on one thread, against the NumPy that is written out in peers/with_numpy.py."""

import peers
import pytest
from workloads import WORKLOADS


@pytest.mark.parametrize("name", [n for n in WORKLOADS if "2048" not in n])
@pytest.mark.parametrize("form", ["train_on_batch", "fit"])
def bench_step(versus, name, form):
    work = WORKLOADS[name]
    ours, theirs = peers.NncoreTrainer(work, 1, fit=form == "fit"), peers.numpy_trainer(work)
    steps = work.batches if form == "fit" else 1
    versus(lambda: ours.run(steps), lambda: theirs.run(steps))

"""Data in parts that several ranks read: the training of one process on the same parts, and of shards."""

from mpi_programs import succeed

PARTS = """
import threading
import numpy as np
import nncore as nn
from checks import RANKS, data, digest, like_one_process, net, same_everywhere, say

x, y = data()
weights = np.random.default_rng(1).uniform(0.1, 3, len(x))
held = data(41, seed=2)


def chunks():
    for i in range(0, len(x), 23):
        yield x[i : i + 23], y[i : i + 23], weights[i : i + 23]


cases = {
    "in order": dict(shuffle=False),
    "shuffled": {},
    "accumulated": dict(accumulate=2),
    "class weights": dict(class_weight={0: 2.0, 1: 0.5}),
    "validated": dict(validation_data=nn.data.parts(*held, buffer=20)),
}
for what, more in cases.items():
    for parts in (nn.data.parts(x, y, buffer=64), nn.data.parts(chunks, buffer=64)):
        like_one_process(what, lambda ranks: net(ranks), lambda model: model.fit(parts, epochs=3, batch_size=32, **more))

stopping = nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(now[0], "stop_training", now[0].step == 9))
whole, resumed = net(RANKS), net(RANKS)
parts = nn.data.parts(x, y, buffer=64)
whole.fit(parts, epochs=3, batch_size=32)
now = [resumed]
resumed.fit(parts, epochs=3, batch_size=32, callbacks=[stopping])
assert resumed.step == 9
resumed.fit(parts, epochs=3, batch_size=32, resume=True)
assert digest(resumed) == digest(whole)

for key, value in whole.evaluate(x, y, return_dict=True).items():
    np.testing.assert_allclose(RANKS.evaluate(whole, parts, return_dict=True)[key], value, rtol=1e-6)
np.testing.assert_allclose(RANKS.predict(whole, parts), whole.predict(x), atol=1e-6)

own = slice(0, 120) if RANKS.rank == 0 else slice(120, None)  # not as many rows on each
sharded = nn.distributed.MPI(sharded=True)
model = net(sharded)
history = model.fit(nn.data.parts(x[own], y[own], buffer=32), epochs=4, batch_size=32)
same_everywhere(digest(model), "sharded")
mine = nn.data.parts(x[own], y[own], buffer=32)
np.testing.assert_allclose(sharded.evaluate(model, mine), model.evaluate(x, y), rtol=1e-6)
np.testing.assert_allclose(sharded.predict(model, mine), model.predict(x), atol=1e-6)
assert history.history["loss"][-1] < history.history["loss"][0]
assert [t.name for t in threading.enumerate() if t.name == "nncore-reader"] == []
say("done")
"""


def test_ranks_read_the_same_parts(tmp_path):
    assert "done" in succeed(PARTS, 2, tmp_path, limit=120)

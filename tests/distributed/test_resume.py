"""Stopping and resuming: to the bit with as many ranks, and with another number, too. Rank 0 alone writes and prints."""

from mpi_programs import succeed

TRAIN = """
import os, sys
import numpy as np
import nncore as nn
from checks import RANKS, data, digest, net, same_everywhere, say

x, y = data()
R = RANKS.rank
parts = dict(optimizer="adam", middle=[lambda: nn.BatchNorm1d(32), lambda: nn.Dropout(0.2)])
often = dict(batch_size=48, verbose=0)

whole = net(RANKS, **parts)
history = whole.fit(x, y, epochs=4, **often)

# Every rank passes the callbacks; rank 0 writes. In the middle of an epoch, and between two.
first = net(RANKS, **parts)
folder = "of_rank_0"
keep = [nn.callbacks.ModelCheckpoint(folder + "/{epoch}-{batch}.safetensors", save_freq=3), nn.callbacks.CSVLogger("log.csv")]
first.fit(x, y, epochs=2, callbacks=[*keep, nn.callbacks.ModelCheckpoint(folder + "/last.safetensors")], **often)
RANKS.exchange(None)
assert len(os.listdir(folder)) == 4, os.listdir(folder)
for name in ("1-3", "2-1", "last"):
    again = nn.load(f"{folder}/{name}.safetensors")
    assert again.distributed is None
    again.distributed = RANKS
    rest = again.fit(x, y, epochs=4, resume=True, **often)
    assert digest(again) == digest(whole), name
    assert rest.history["loss"][1:] == history.history["loss"][-len(rest.history["loss"]) + 1:], name
    alone = nn.load(f"{folder}/{name}.safetensors")  # by one process
    alone.fit(x, y, epochs=4, resume=True, **often)
    for one, other in zip(alone.get_weights(), whole.get_weights()):
        assert one.shape == other.shape and np.abs(one - other).max() < 0.1
same_everywhere(digest(whole), "whole")

# The file need not be where the other ranks look.
backup = nn.callbacks.BackupAndRestore(f"backup{R}.safetensors", delete_checkpoint=False)
net(RANKS, **parts).fit(x, y, epochs=2, callbacks=[backup], **often)
assert os.path.exists(f"backup{R}.safetensors") == (R == 0)
again = net(RANKS, **parts)
rest = again.fit(x, y, epochs=4, callbacks=[nn.callbacks.BackupAndRestore(f"backup{R}.safetensors")], **often)
assert rest.epoch == [2, 3] and digest(again) == digest(whole)


# What one rank decides, all do, at the same step.
class Stop(nn.callbacks.Callback):
    def __init__(self, at, rank):
        self.at, self.rank = at, rank

    def on_train_batch_end(self, batch, logs=None):
        if RANKS.rank == self.rank and batch == self.at:
            self.model.stop_training = True


model = net(RANKS)
model.fit(x, y, epochs=3, callbacks=[Stop(2, RANKS.size - 1)] if R == RANKS.size - 1 else [], **often)
same_everywhere((digest(model), model.step), "stop")
assert model.step == 3
model.fit(x, y, epochs=3, resume=True, **often)
straight = net(RANKS)
straight.fit(x, y, epochs=3, **often)
assert digest(model) == digest(straight)

early = nn.callbacks.EarlyStopping("val_loss", patience=1, verbose=1, restore_best_weights=True)
model = net(RANKS, optimizer=nn.optim.SGD(lr=2.0))
model.fit(x, y, epochs=40, callbacks=[early, nn.callbacks.ReduceLROnPlateau(patience=0, verbose=1)], validation_split=0.3, **often)
assert model.step < 40 * 3
same_everywhere((digest(model), model.step, model.optimizer.lr), "early")
limited = net(RANKS)
limited.fit(x, y, epochs=10**6, callbacks=[nn.callbacks.TimeLimit(0.1 * (1 + R))], **often)
same_everywhere((digest(limited), limited.step), "time")
print("printed by", R, file=sys.stderr)
say(digest(whole))
"""


def test_resume(tmp_path):
    assert len(succeed(TRAIN, 2, tmp_path).strip()) == 64
    assert (tmp_path / "log.csv").read_text().count("\n") == 3  # the header and two epochs, once

"""Loops by hand, saving and loading, state dicts, streams, data of many kinds."""

import copy
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import numpy as np

import nncore as nn
from nncore.typing import ArrayLike, Arrays

rng = np.random.default_rng(0)
x, y = rng.normal(size=(60, 5)).astype(np.float32), rng.integers(3, size=60)
model = nn.Sequential([nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax()], seed=0, dtype="float32")
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])

# By hand.
for _ in range(2):
    p = model.forward(x, training=True)
    assert_type(p, np.ndarray)
    dx = model.backward((p - np.eye(3)[y]) / len(x))
    assert_type(dx, np.ndarray)
    model.gradients["0.weight"][...] *= 0.5
    model.apply_gradients()
print({name: float(np.abs(g).max()) for name, g in model.gradients.items()}, model.step)
for name, parameter in model.named_parameters():
    print(name, parameter.shape)
print(sum(each.size for each in model.parameters()))

# State dicts.
state = model.state_dict()
assert_type(state, dict[str, np.ndarray])
twin = copy.deepcopy(model)
assert_type(twin, nn.Sequential)
found = twin.load_state_dict(state, strict=False)
print(found.missing_keys, found.unexpected_keys)
twin.load_state_dict({name: value.tolist() for name, value in state.items()})
twin.set_weights(model.get_weights())

# Files.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "model.safetensors")
    model.save(path)
    model.save(str(path), include_training=False)
    print(nn.load(path)[0].weight.shape, len(nn.load(path)))
    model = nn.load(path)
    again = nn.load(str(path), custom_objects={"my_rate": lambda step: 0.1})
    print(again.predict(x).argmax(axis=-1), again[2].bias, again.state_dict().keys())
    again.save_weights(path)
    again.load_weights(path, strict=True)
pickled: nn.Sequential = pickle.loads(pickle.dumps(model))

# Quantized models.
small = twin.quantize("int8")
assert_type(small, nn.QuantizedModel)
report = small.report(x, y)
print(small.predict(x).shape, report, report.outputs[0].rms, report.weights[0].name, small.evaluate(x, y), small.layers[0])


# Data.
def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    while True:
        yield x[:16], y[:16]


def score(net: nn.Model, x: Arrays, y: ArrayLike) -> float:
    return float(net.evaluate(x, y, return_dict=True)["accuracy"])


model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0)
model.fit([(x[:16], y[:16]), (x[16:32], y[16:32])], verbose=0, validation_data=(x, y))
model.fit(x.tolist(), y.tolist(), verbose=0, validation_split=0.2, groups=np.arange(60) // 5, shuffle=False)
model.fit(
    x,
    y,
    sample_weight=np.ones(60),
    class_weight={0: 1.0, 1: 2.0, 2: 1.0},
    batch_size=None,
    initial_epoch=0,
    verbose="auto",
    validation_split=0.2,
    validation_freq=[1, 3],
)
model.fit(x, y, epochs=1, resume=False, class_weight="balanced", verbose=2, callbacks=())
print(score(model, x, y), model.predict(batches(), steps=2).shape, model.stop_training, model.history)
print(model.history.history["loss"], [metric.name for metric in model.metrics])

# The average of the weights.
model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(ema_momentum=0.99))
model.fit(x, y, verbose=0)
with model.averaged_weights():
    model.evaluate(x, y)

# Sequences and streams.
tagger = nn.Sequential(nn.GRU(2, 8, return_sequences=True), nn.Linear(8, 3), seed=0).build((5, 2))
assert_type(tagger, nn.Sequential)
tagger.compile(loss=nn.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="adam", metrics=["accuracy"])
sequences, tags, lengths = rng.normal(size=(6, 5, 2)), rng.integers(3, size=(6, 5)), [5, 1, 3, 2, 4, 5]
tagger.fit(sequences, tags, lengths=lengths, verbose=0)
print(tagger.predict(sequences, lengths=lengths).shape)
print(tagger.predict(sequences, mask=[[False, True, True, False, True]] * len(lengths)).shape)
stream = tagger.stream(batch=2)
step = stream.step(np.ones((2, 2), np.float32))
assert_type(step, np.ndarray)
print(step.shape, stream.result)
stream.reset()
tagger.reset_states()
tagger.forward(sequences, lengths=np.array(lengths))
print(tagger.step_gradient_norms().keys() if isinstance(tagger.step_gradient_norms(), dict) else tagger.step_gradient_norms())

# C.
c_file = tagger.to_c(name="tagger", time_steps=7, workspace="caller", exp="fast")
assert_type(c_file, nn.export.CFile)
print(c_file.source[:80], c_file.flash + c_file.ram, [each.name for each in c_file.inputs])

try:
    nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3))
except nn.errors.ShapeError as error:
    print(error)

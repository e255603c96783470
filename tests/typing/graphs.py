"""Models that are graphs: several inputs and outputs, merging, shared layers, states of recurrent layers."""

from typing import assert_type

import numpy as np

import nncore as nn

x = nn.Input((8,), name="x")
z = nn.Input([3], name="z")
assert_type(x, nn.Value)
h = nn.ReLU()(nn.Linear(11, 16)(nn.concatenate([x, z])))
assert_type(h, nn.Value)
h = h + nn.ReLU()(nn.Linear(16, 16)(h))
gate = nn.Sigmoid()(nn.Linear(3, 16, name="gate")(z))
h = gate * h
h = 1 - h / 2 + 0.5 * h - h
outputs = {"price": nn.Linear(16, 1)(h), "kind": nn.Softmax()(nn.Linear(16, 4)(h))}
model = nn.Model([x, z], outputs, seed=0)
assert_type(nn.Add(name="sum")([h, gate]), nn.Value)
assert_type(nn.maximum([h, gate], name="largest"), nn.Value)

model.compile(
    loss={"price": "mse", "kind": "sparse_categorical_crossentropy"},
    loss_weights={"price": 1.0, "kind": 0.5},
    metrics={"price": ["mae"], "kind": ["accuracy"]},
    optimizer=nn.optim.Adam(lr=1e-3),
)
rng = np.random.default_rng(0)
data = {"x": rng.normal(size=(20, 8)), "z": rng.normal(size=(20, 3))}
targets = {"price": rng.normal(size=20), "kind": rng.integers(0, 4, 20)}
history = model.fit(data, targets, epochs=2, validation_split=0.2, verbose=0, class_weight={"kind": "balanced"})
assert_type(history, nn.History)
model.fit(
    [data["x"], data["z"]],
    [targets["price"], targets["kind"]],
    sample_weight={"price": np.ones(20)},
    validation_data=(data, targets),
    verbose=0,
)
model.fit(data, targets, sample_weight=[np.ones(20), None], class_weight=[None, "balanced"], verbose=0)
print(model.summary(), model.predict(data)["kind"].shape)
print(model.evaluate(data, targets, return_dict=True)["kind_loss"] + 0.0, model.metrics_names)
print(model.input_names, model.output_names, model.inputs[0].shape, model.outputs[0], model.get_layer("gate").weight.shape)
out = model.forward(data, training=True)
model.backward({name: np.ones_like(value) for name, value in out.items()})
model.compile(
    loss=["mse", "sparse_categorical_crossentropy"], optimizer="adam", metrics=[["mae"], ["accuracy"]], loss_weights=[1, 2]
)

# Models made of models.
encoder = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
decoder = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 6))
whole = nn.Input((6,))
code = encoder(whole)
assert_type(code, nn.Value)
autoencoder = nn.Model(whole, decoder(code))
autoencoder.compile(loss="mse", optimizer="adam")
rows = rng.normal(size=(20, 6))
autoencoder.fit(rows, rows, verbose=0)
codes = encoder.predict(rows)
assert_type(codes, np.ndarray)
print(autoencoder.predict(rows).mean(), autoencoder(rows).shape)

# Encoder and decoder of sequences.
source, target = nn.Input((20, 8)), nn.Input((12, 5))
_, state = nn.LSTM(8, 16, return_state=True)(source)
decoded, last = nn.LSTM(5, 16, return_sequences=True, return_state=True)(target, state)
translator = nn.Model([source, target], nn.Linear(16, 5)(decoded))
series = nn.Input((12, 3))
steps = nn.GRU(3, 16, return_sequences=True)(series)
tagger = nn.Model(series, {"tag": nn.Linear(16, 4)(steps), "total": nn.Linear(8, 1)(nn.GRU(16, 8)(steps))}, seed=0)
print(translator.output_shapes, tagger.output_names, nn.Model(inputs=series, outputs=[steps]).dtype)

"""What a beginner writes: the first program of the README, and what the results are."""

from typing import assert_type

import numpy as np

import nncore as nn

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (200, 2))
y = (X[:, 0] * X[:, 1] > 0).astype(int)

model = nn.Sequential(
    nn.Linear(2, 10), nn.Tanh(),
    nn.Linear(10, 10), nn.Tanh(),
    nn.Linear(10, 1), nn.Sigmoid(),
    seed=0,
)  # fmt: skip
model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=1e-2), metrics=["accuracy"])
history = model.fit(X, y, epochs=2, batch_size=32, validation_split=0.2, verbose=0)

assert_type(history, nn.History)
losses: list[float] = history.history["loss"]
epochs: list[int] = history.epoch
steps: np.ndarray = history.step_losses
rates: list[float] = history.history["learning_rate"]
print(history, losses[-1], epochs[-1], steps.mean(), history.steps[-1], rates[0], history.epochs_of("val_loss"))
model.fit(X, y, step_losses="all", verbose=0)
model.fit(X, y, step_losses=100, verbose=0)

predicted = model.predict([[0.5, 0.5], [-0.5, 0.5]])
assert_type(predicted, np.ndarray)
print(predicted.round(2), predicted.shape, (predicted > 0.5).sum())
labels: list[int] = (model.predict(X)[:, 0] > 0.5).astype(int).tolist()

loss, accuracy = model.evaluate(X, y)
print(f"{loss:.3f} {accuracy:.3f}")
found = model.evaluate(X, y, return_dict=True)
print(f"{found['accuracy']:.3f}", {name: round(value, 3) for name, value in found.items()})
for name, value in found.items():
    print(name.upper(), value + 1.0)

output = model(X[:3])
assert_type(output, np.ndarray)
print(model.predict_on_batch(X[:1]).item())

first_loss = model.train_on_batch(X[:32], y[:32])
print(first_loss)
print(model.train_on_batch(X[:32], y[:32], return_dict=True)["loss"] + 0.0)
print(model.test_on_batch(X[:32], y[:32], return_dict=True)["loss"] + 0.0)

print(model)
print(model.summary())
print(len(model), model.layers, model.input_shapes, model.output_shapes, model.seed, model.dtype, model.step, model.built)
if __name__ == "__main__":
    nn.show_config()
    nn.set_num_threads(nn.get_num_threads())
    with nn.threads(1):
        print(nn.get_num_threads(), nn.__version__)

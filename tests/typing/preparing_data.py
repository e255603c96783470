"""Preparing data: padding, windows, validation in time, names of columns."""

from typing import assert_type

import numpy as np

import nncore as nn

rng = np.random.default_rng(0)

padded = nn.pad_sequences([[1, 2, 3], [4]], maxlen=3, padding="post", value=0)
assert_type(padded, np.ndarray)
x, lengths = nn.pad_sequences([rng.normal(size=(n, 2)) for n in (3, 5, 1)], return_lengths=True)
assert_type(x, np.ndarray)
assert_type(lengths, np.ndarray)

reader = nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 1), seed=0)
reader.compile(loss="mse", optimizer="adam")
reader.fit(x, np.zeros(3), lengths=lengths, verbose=0)
reader.predict([(x, np.zeros(3), None, lengths)])

series = np.cumsum(rng.normal(size=(60, 2)), axis=0)
windows = nn.make_windows(series, 10)
assert_type(windows, np.ndarray)
before, after = nn.make_windows(series, 10, horizon=1)
assert_type(before, np.ndarray)
assert_type(after, np.ndarray)
before, labels = nn.make_windows(series, 10, targets=rng.integers(2, size=60), stride=2)
assert_type(labels, np.ndarray)

reader.fit(before, labels, validation_split=0.25, validation="last", groups=None, verbose=0)
reader.feature_names = ["a", "b"]
names: list[str] = list(reader.feature_names)
print(names, windows.shape, after.shape)

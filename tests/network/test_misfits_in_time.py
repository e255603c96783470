"""Layers of recurrent models that do not fit for any number of time steps are refused when the model is made."""

import pytest

import nncore as nn


@pytest.mark.parametrize(
    "layers",
    [
        [nn.LSTM(3, 4), nn.Linear(5, 2)],
        [nn.LSTM(3, 4), nn.LSTM(4, 2)],
        [nn.LSTM(3, 4), nn.ReLU(), nn.GRU(4, 2)],
        [nn.LSTM(3, 4, return_sequences=True), nn.LSTM(5, 2)],
        [nn.GRU(3, 4, bidirectional=True), nn.Linear(4, 2)],
        [nn.RNN(3, 4), nn.BatchNorm1d(5)],
        [nn.RNN(3, 4, return_sequences=True), nn.LayerNorm(5), nn.GRU(4, 2)],
        [nn.Linear(4, 3), nn.LSTM(4, 2)],
        [nn.Embedding(10, 3), nn.LSTM(4, 2)],
        [nn.GRU(3, 4, return_sequences=True), nn.GlobalAveragePooling1D(), nn.Linear(5, 1)],
        [nn.GRU(3, 4, return_sequences=True), nn.GlobalAveragePooling1D(), nn.GRU(4, 1)],
    ],
)
def test_what_cannot_fit_is_refused_at_once(layers):
    with pytest.raises(nn.errors.ShapeError, match=r"layer \d \(\w+\)") as error:
        nn.Sequential(*layers)
    assert "not known" not in str(error.value)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.LSTM(3, 4), nn.Linear(4, 2)],
        [nn.LSTM(3, 4, return_sequences=True), nn.LSTM(4, 2)],
        [nn.LSTM(3, 4, return_sequences=True), nn.BatchNorm1d(7)],  # over 7 steps
        [nn.LSTM(3, 4, return_sequences=True), nn.Flatten(), nn.Linear(28, 2)],
        [nn.LSTM(3, 4), nn.RepeatVector(3), nn.LSTM(4, 2)],
        [nn.LSTM(3, 4), nn.Reshape(2, 2), nn.LSTM(2, 2)],
        [nn.Embedding(10, 3), nn.LSTM(3, 2)],
        [nn.Permute(2, 1), nn.LSTM(3, 2), nn.Linear(2, 1)],
        [nn.LSTM(3, 4, return_sequences=True), nn.PReLU(7), nn.LSTM(4, 2)],
    ],
)
def test_what_may_fit_is_made(layers):
    nn.Sequential(*layers)

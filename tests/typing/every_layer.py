"""Every layer with its common arguments, a name, and the attributes that it has."""

from typing import assert_type

import numpy as np

import nncore as nn

# Affine layers and their parameters.
linear = nn.Linear(4, 8)
named = nn.Linear(4, 8, bias=False, weight_init="he_normal", bias_init="zeros", l1=1e-4, l2=1e-4, max_norm=3.0, name="hidden")
assert_type(linear, nn.Linear)
assert_type(named.name, str | None)
nn.Linear(in_features=4, out_features=8, trainable=False, name=None)
nn.Linear(4, 8, weight_init=nn.init.he_uniform(nonlinearity="leaky_relu", negative_slope=0.2), bias_init=nn.init.constant(0.1))
nn.Linear(4, 8, weight_init=nn.init.xavier_normal)  # the function itself
nn.Linear(4, 8, weight_init=lambda shape, rng: rng.normal(size=shape))
nn.Maxout(4, 8, pieces=3, bias=True, weight_init="lecun_uniform", name="maxout")
nn.Embedding(100, 16, padding_idx=0, max_norm=1.0, weight_init="normal", l2=1e-5, name="words")
nn.PReLU(num_parameters=4, init=0.1, trainable=False, name="prelu")

# Normalisation and noise.
nn.BatchNorm1d(8, eps=1e-3, momentum=None, affine=True, track_running_stats=False, trainable=False, name="norm")
nn.LayerNorm(8, eps=1e-6, elementwise_affine=True, bias=False, name="norm")
nn.LayerNorm((3, 4))
nn.LayerNorm([3, 4])
nn.Dropout(0.2, name="drop")
nn.Dropout(p=0.2)
nn.GaussianNoise(0.1, name="noise")

# Activations.
activations: list[nn.Layer] = [
    nn.Identity(name="a"),
    nn.Step(threshold=0.5, name="b"),
    nn.Sigmoid(name="c"),
    nn.Tanh(name="d"),
    nn.ReLU(name="e"),
    nn.LeakyReLU(0.2, name="f"),
    nn.LeakyReLU(negative_slope=0.2),
    nn.ELU(alpha=1.5, name="g"),
    nn.SELU(name="h"),
    nn.GELU(approximate="tanh", name="i"),
    nn.SiLU(name="j"),
    nn.Softplus(beta=2, threshold=10, name="k"),
    nn.Softsign(name="l"),
    nn.Hardtanh(-2.0, 2.0, name="m"),
    nn.Softmax(name="n"),
    nn.Softmax(dim=-1),
    nn.LogSoftmax(dim=1, name="o"),
    nn.ReLU6(name="p"),
    nn.Hardsigmoid(name="q"),
    nn.Hardswish(name="r"),
    nn.Mish(name="s"),
    nn.CELU(alpha=0.5, name="t"),
    nn.Exp(name="u0"),
    nn.LogSigmoid(name="u"),
    nn.Hardshrink(lambd=0.1, name="v"),
    nn.Softshrink(0.1, name="w"),
    nn.Tanhshrink(name="x"),
    nn.Threshold(0.1, 0.0, name="y"),
]
for activation in activations:
    result = activation(np.ones((2, 4)))
    assert_type(result, np.ndarray)

# Shapes and arithmetic.
nn.Flatten(start_dim=1, end_dim=-1, name="flat")
nn.Reshape(3, -1, name="grid")
nn.Reshape((3, -1))
nn.Permute(2, 1, name="swap")
nn.Permute((0, 2, 1))
nn.RepeatVector(3, name="steps")
nn.Slice(2, None, name="rest")
nn.Slice(None, None, -1, axis=1)
nn.Take([3, 1, 0], name="chosen")
nn.Take(np.arange(3), axis=1)
assert_type(nn.Input((4,))[:, 1:3], nn.Value)
nn.GLU(dim=-1, name="gate")
nn.Reshape(shape=(3, -1))
nn.Rescaling(1 / 255, offset=-0.5, name="pixels")
merges: list[nn.Layer] = [
    nn.Add(name="a"),
    nn.Subtract(name="b"),
    nn.Average(name="c"),
    nn.Multiply(name="d"),
    nn.Maximum(name="e"),
    nn.Minimum(name="f"),
    nn.Concatenate(axis=-1, name="g"),
]
for merge in merges:
    assert_type(merge([np.ones((2, 4)), np.ones((2, 4))]), np.ndarray)
assert_type(nn.add([np.ones((2, 4)), np.ones((2, 4))]), np.ndarray)
assert_type(nn.concatenate([[[1.0, 2.0]], [[3.0]]], axis=-1, name="joined"), np.ndarray)

# Recurrent layers, called alone.
sequences = np.ones((3, 7, 4))
rnn = nn.RNN(4, 6, nonlinearity="relu", name="rnn")
gru = nn.GRU(4, 6, num_layers=2, dropout=0.1, bidirectional=True, return_sequences=True, name="gru")
lstm = nn.LSTM(input_size=4, hidden_size=6, bias=True, batch_first=True, learn_initial_state=True, truncate=3, l2=1e-4, name="lstm")
output, h_n = rnn(sequences)
assert_type(output, np.ndarray)
print(h_n.shape)
output, h_n = gru(sequences, lengths=[7, 1, 3])
print(output.shape, h_n[0])
output, (h_n, c_n) = lstm(sequences, (np.zeros((1, 3, 6)), np.zeros((1, 3, 6))), training=True)
assert_type(output, np.ndarray)
assert_type(c_n, np.ndarray)
print(rnn.weight_hh_l0.shape, lstm.h_0_l0.shape, gru.weight_ih_l1_reverse.mean(), gru.directions, gru.hidden_size)
rnn.load_state_dict(rnn.state_dict())
nn.GRU(4, 6, stateful=True, return_state=True, recurrent_dropout=0.2)

# Parameters: of a layer whose class is known, and of one out of a model.
model = nn.Sequential(linear, nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
assert_type(linear.weight, np.ndarray)
print(linear.bias.shape, linear.weight.T @ np.ones(8), linear.in_features + 1, linear.trainable)
linear.weight = np.zeros((8, 4))
linear.bias = [0.0] * 8
linear.trainable = False
linear.l2 = 1e-3
linear.name = "first"
print(model[0].weight.shape, model[0].bias.shape, model[-1].grads["weight"], model[1].running_mean)
model[0].weight = np.zeros((8, 4))
model[0].weight[...] = 1.0
model[0].trainable = True
for layer in model:
    print(layer, layer.config(), layer.name)
    if isinstance(layer, nn.Linear):
        print(layer.out_features, layer.weight.shape)
layers: list[nn.Layer] = list(model)
head: nn.Layer = model[3]
rest: nn.Sequential = model[1:]
if named.bias is None:
    print("no bias")

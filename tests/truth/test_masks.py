"""Masks of time steps: left padding, holes, any pattern. The truth is each sequence alone, without its masked steps.

Keras carries the state over masked steps, which is the same. It repeats the last output there, where nncore gives zeros, as it does
in the padding of lengths.
"""

import numpy as np
import pytest

import nncore as nn

N, T, F, H = 7, 9, 3, 5
CELLS = ["RNN", "GRU", "LSTM"]


@pytest.fixture(params=["left", "right", "holes", "whole"])
def mask(request, rng):
    if request.param == "holes":
        mask = rng.random((N, T)) < 0.6
        mask[np.arange(N), rng.integers(0, T, N)] = True
        return mask
    if request.param == "whole":
        return np.ones((N, T), bool)
    lengths = rng.integers(1, T + 1, N)
    steps = np.arange(T)
    return steps < lengths[:, None] if request.param == "right" else steps >= T - lengths[:, None]


@pytest.fixture
def x(rng, mask):
    """Samples with NaN at the masked steps: what lies there must not matter."""
    x = rng.normal(size=(N, T, F))
    x[~mask] = np.nan
    return x


def network(cell="GRU", sequences=True, **options):
    layer = getattr(nn, cell)(F, H, return_sequences=sequences, **options)
    width = H * (2 if options.get("bidirectional") else 1)
    return nn.Sequential(layer, nn.Linear(width, 2), seed=0, dtype="float64").build((T, F))


def alone(model, x, mask):
    """The outputs of each row without its masked steps, one row at a time."""
    return [model.predict(x[i : i + 1, mask[i]])[0] for i in range(len(x))]


def lstm_of_keras(x, mask, w, u, b):
    """The LSTM of Keras in NumPy: where a step is masked, h and c stay as they are. Gates i, f, g, o; return_sequences=False."""
    h, c = np.zeros((len(x), H)), np.zeros((len(x), H))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(np.nan_to_num(x[:, t]) @ w.T + h @ u.T + b, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-each)) for each in (i, f, o))
        after = f * c + i * np.tanh(g)
        now = mask[:, t, None]
        h, c = np.where(now, o * np.tanh(after), h), np.where(now, after, c)
    return h


def test_the_arithmetic_of_keras(x, mask):
    model = nn.Sequential(nn.LSTM(F, H), seed=0, dtype="float64")
    weights = model.state_dict()
    bias = weights["0.bias_ih_l0"] + weights["0.bias_hh_l0"]
    expected = lstm_of_keras(x, mask, weights["0.weight_ih_l0"], weights["0.weight_hh_l0"], bias)
    np.testing.assert_allclose(model.predict(x, mask=mask), expected, rtol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_each_sequence_gives_the_bits_of_its_steps_alone(cell, layers, bidirectional, x, mask):
    for sequences in (False, True):
        model = network(cell, sequences, num_layers=layers, bidirectional=bidirectional)
        expected = alone(model, x, mask)
        for got in (model.predict(x, mask=mask), model.forward(x, mask=mask), model.predict(x, mask=mask.tolist())):
            for i in range(N):
                np.testing.assert_array_equal(got[i, mask[i]] if sequences else got[i], expected[i])


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_by_itself_against_torch(cell, x, mask):
    torch = pytest.importorskip("torch", reason="PyTorch is the independent truth here")
    layer = getattr(nn, cell)(F, H, bidirectional=True)
    theirs = getattr(torch.nn, cell)(F, H, bidirectional=True, batch_first=True)
    layer.load_state_dict(theirs.state_dict())
    x = x.astype(np.float32)
    output, ends = layer(x, mask=mask)
    assert not output[~mask].any()
    for i in range(N):
        expected, last = theirs(torch.from_numpy(x[i : i + 1, mask[i]]))
        np.testing.assert_allclose(output[i, mask[i]], expected[0].detach(), rtol=1e-4, atol=1e-6)
        for end, each in zip(ends if cell == "LSTM" else [ends], last if cell == "LSTM" else [last], strict=True):
            np.testing.assert_allclose(end[:, i], each[:, 0].detach(), rtol=1e-4, atol=1e-6)
    single, end = layer(x[0], mask=mask[0])
    np.testing.assert_array_equal(single, output[0])
    numbers, _ = layer(x, mask=mask.astype(np.int64))
    np.testing.assert_array_equal(numbers, output)


def test_gradients_by_hand_are_those_of_the_rows_alone(x, mask, rng):
    model = network("LSTM", num_layers=2, bidirectional=True)
    y = model.forward(x, training=True, mask=mask)
    dy = rng.normal(size=y.shape)
    dx = model.backward(np.where(mask[..., None], dy, np.nan))
    gradients = {name: value.copy() for name, value in model.gradients.items()}
    assert not dx[~mask].any()
    total = {name: np.zeros_like(value) for name, value in gradients.items()}
    for i in range(N):
        model.forward(x[i : i + 1, mask[i]], training=True)
        np.testing.assert_allclose(dx[i, mask[i]], model.backward(dy[i : i + 1, mask[i]])[0], rtol=1e-10, atol=1e-13)
        for name, value in model.gradients.items():
            total[name] += value
    for name, value in gradients.items():
        np.testing.assert_allclose(value, total[name], rtol=1e-9, atol=1e-12, err_msg=name)
    model.build((T, F))
    plain = model.forward(np.nan_to_num(x), training=True)
    model.backward(dy)  # a pass without a mask has no memory of the one before
    assert plain.shape == y.shape


def steps_in_front(mask, *arrays):
    """The arrays rearranged by hand, and the lengths."""
    moved = []
    for array in arrays:
        to = np.zeros_like(array)
        for i in range(N):
            to[i, : mask[i].sum()] = array[i, mask[i]]
        moved.append(to)
    return *moved, mask.sum(axis=1)


@pytest.mark.parametrize("loss", ["mse", "sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_training_and_evaluation_are_those_of_lengths(loss, x, mask, rng):
    """The same data with the valid steps in front, and lengths, give the same bits: targets of steps, and weights of steps."""
    classes = rng.integers(0, 2, (N, T))
    y = rng.normal(size=(N, T, 2)) if loss == "mse" else classes if loss.startswith("sparse") else np.eye(2)[classes]
    weight = rng.random((N, T))
    x_front, y_front, weight_front, lengths = steps_in_front(mask, x, y, weight)
    y, weight = y.copy(), weight.copy()
    y[~mask] = -7  # no class, and no distribution
    weight[~mask] = np.nan

    masked, plain = network(), network()
    for model in (masked, plain):
        kind = nn.losses.get(loss)
        kind = kind if loss == "mse" else type(kind)(from_logits=True)
        model.compile(loss=kind, optimizer=nn.optim.SGD(lr=0.1), metrics=["mae" if loss == "mse" else "accuracy"])
    options = {"epochs": 2, "batch_size": 3, "verbose": 0}
    one = masked.fit(x, y, mask=mask, sample_weight=weight, **options)
    other = plain.fit(x_front, y_front, lengths=lengths, sample_weight=weight_front, **options)
    np.testing.assert_array_equal(one.step_losses, other.step_losses)
    assert one.history == other.history
    assert masked.evaluate(x, y, mask=mask) == plain.evaluate(x_front, y_front, lengths=lengths)
    assert masked.train_on_batch(x, y, mask=mask) == plain.train_on_batch(x_front, y_front, lengths=lengths)
    assert masked.test_on_batch(x, y, mask=mask) == plain.test_on_batch(x_front, y_front, lengths=lengths)
    assert masked.evaluate([(x, y, None, mask)]) == plain.evaluate([(x_front, y_front, None, lengths)])


def test_the_loss_is_a_mean_over_valid_steps(x, mask, rng):
    model, y = network(), rng.normal(size=(N, T, 2))
    model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
    found = np.concatenate(alone(model, x, mask)) - np.concatenate([y[i, mask[i]] for i in range(N)])
    loss, mae = model.evaluate(x, y, mask=mask)
    assert loss == pytest.approx(np.mean(found**2), rel=1e-12)
    assert mae == pytest.approx(np.mean(np.abs(found)), rel=1e-12)


def test_masks_travel_in_batches(x, mask, rng):
    torch = pytest.importorskip("torch", reason="masks as PyTorch's loaders give them")
    y = rng.normal(size=(N, T, 2))
    model, twin = network(), network()
    for each in (model, twin):
        each.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    expected = twin.predict(x, mask=mask)
    np.testing.assert_array_equal(model.predict([(x[:4], None, None, mask[:4]), (x[4:], None, None, mask[4:])]), expected)
    numbers = torch.from_numpy(mask.astype(np.int64))  # as tokenizers make them
    np.testing.assert_array_equal(model.predict([(x[:4], None, None, numbers[:4]), (x[4:], None, None, numbers[4:])]), expected)
    loader = [(torch.from_numpy(x), torch.from_numpy(y), None, torch.from_numpy(mask))]
    one = model.fit(loader, validation_data=(x, y, None, mask), verbose=0)
    other = twin.fit(x, y, mask=mask, batch_size=None, validation_data=(x, y, None, mask), verbose=0)
    assert one.history == other.history


def test_prediction_hooks_see_outputs_in_their_places(x, mask):
    seen = []

    class Look(nn.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            seen.append(logs["outputs"].copy())

    model = network()
    expected = model.predict(x, mask=mask)
    np.testing.assert_array_equal(model.predict(x, mask=mask, batch_size=2, callbacks=[Look()]), expected)
    np.testing.assert_array_equal(np.concatenate(seen), expected)


def test_indices_of_an_embedding(mask, rng):
    """Left padding with an index that is none: -1 is out of range, and no error where it is masked."""
    tokens = rng.integers(1, 10, (N, T))
    tokens[~mask] = -1
    model = nn.Sequential(nn.Embedding(10, F), nn.GRU(F, H), seed=0, dtype="float64").build((T,))
    got = model.predict(tokens, mask=tokens != -1)
    for i in range(N):
        np.testing.assert_array_equal(got[i], model.predict(tokens[i : i + 1, mask[i]])[0])
    if not mask.all():
        with pytest.raises(nn.errors.IndexRangeError):
            model.predict(tokens)


def test_several_inputs_and_pooling(x, mask, rng):
    """The mask is for all inputs with time steps; others are left alone."""
    source, other, plain = nn.Input((T, F)), nn.Input((T, F)), nn.Input((T,))
    merged = nn.Concatenate()([nn.GRU(F, H, return_sequences=True)(source), other])
    pooled = nn.GlobalAveragePooling1D()(merged)
    model = nn.Model([source, other, plain], nn.Concatenate()([pooled, plain]), seed=0, dtype="float64")
    values = [x, x[::-1][:N].copy(), rng.normal(size=(N, T))]
    values[1][...] = np.where(mask[..., None], rng.normal(size=x.shape), np.nan)
    got = model.predict(values, mask=mask)
    states, _ = model.layers[0](x, mask=mask) if model.layers[0].input_size == F else (None, None)
    for i in range(N):
        np.testing.assert_allclose(got[i, H : H + F], values[1][i, mask[i]].mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(got[i, :H], states[i, mask[i]].mean(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(got[i, H + F :], values[2][i])


def test_what_is_refused(rng):
    x, y, mask = rng.normal(size=(N, T, F)), rng.normal(size=(N, 2)), np.ones((N, T), bool)
    model = network(sequences=False)
    model.compile(loss="mse", optimizer="sgd")
    before = model.state_dict()
    empty = mask.copy()
    empty[2] = False
    cases = [
        (mask[:, :-1], nn.errors.ShapeError, r"mask has shape \(7, 8\), but \(7, 9\) is needed"),
        (mask[0], nn.errors.ShapeError, r"\[N, time\]"),
        (empty, nn.errors.ShapeError, "row 2 has no valid step"),
        (2 * mask, nn.errors.ArgumentError, "bools, or of 0 and 1"),
        ({"input": mask}, nn.errors.ArgumentError, r"one array \[N, time\]"),
    ]
    for given, error, message in cases:
        for use in (
            lambda: model.fit(x, y, mask=given, verbose=0),  # noqa: B023
            lambda: model.evaluate(x, y, mask=given),  # noqa: B023
            lambda: model.predict(x, mask=given),  # noqa: B023
            lambda: model.forward(x, mask=given),  # noqa: B023
            lambda: model.train_on_batch(x, y, mask=given),  # noqa: B023
            lambda: model.test_on_batch(x, y, mask=given),  # noqa: B023
        ):
            with pytest.raises(error, match=message):
                use()
    for lengths in (2 * mask, mask[:, 1:].astype(int)):  # two dimensions, but no mask of this shape
        with pytest.raises(nn.errors.ShapeError, match="lengths has shape"):
            model.predict(x, lengths=lengths)
    with pytest.raises(nn.errors.ArgumentError, match="lengths or mask, not both"):
        model.predict(x, mask=mask, lengths=[T] * N)
    with pytest.raises(nn.errors.ShapeError, match="time"):
        nn.Sequential(nn.Linear(F, 1)).predict(x[:, 0], mask=mask)
    with pytest.raises(nn.errors.ShapeError, match="Flatten"):
        nn.Sequential(nn.Flatten(), nn.Linear(T * F, 1)).build((T, F)).predict(x, mask=mask)
    bad = np.where(np.arange(T) == 4, np.nan, 1.0) * np.ones((N, 1))
    steps = network()
    steps.compile(loss="mse", optimizer="sgd")
    with pytest.raises(nn.errors.NonFiniteError, match="row 0, step 4"):  # the place in the user's array
        steps.fit(x, rng.normal(size=(N, T, 2)), mask=np.arange(T) * np.ones((N, 1)) > 2, sample_weight=bad, verbose=0)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_sequences_joined_in_time_are_refused(x, mask):
    source = nn.Input((T, F))
    states = nn.GRU(F, H, return_sequences=True)(source)
    model = nn.Model(source, nn.Concatenate(axis=1)([states, states]), seed=0)
    if np.array_equal(mask, np.arange(T) < mask.sum(axis=1)[:, None]):
        model.predict(x, mask=mask)
        return
    with pytest.raises(nn.errors.ShapeError, match="joins sequences in time"):
        model.predict(x, mask=mask)

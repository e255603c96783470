"""ONNX's own reference cases of RNN, GRU and LSTM, from the `onnx` package, and its reference classes on further data.

ONNX keeps the gates in another order (z r h and i o f c; ours, which are PyTorch's, are r z n and i f g o), adds up both biases in
one tensor, and puts time first. Its cases of GRU have the reset before the product (``linear_before_reset=0``, the default), as
``GRU(reset_after=False)`` has. Left out, as nncore has no such layer: peepholes (`test_lstm_with_peepholes`). No case has other
activations, a clip, or sequence_lens.
"""

import warnings

import numpy as np
import onnx
import pytest

import nncore as nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from onnx.backend.test.case.node import collect_testcases
    from onnx.backend.test.case.node.gru import GRUHelper
    from onnx.backend.test.case.node.lstm import LSTMHelper
    from onnx.backend.test.case.node.rnn import RNNHelper

    CASES = {case.name: case for op in ("RNN", "GRU", "LSTM") for case in collect_testcases(op)}

HELPERS = {"RNN": RNNHelper, "GRU": GRUHelper, "LSTM": LSTMHelper}
GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}  # where ONNX has what we have first, second, ...
LEFT_OUT = {"test_lstm_with_peepholes"}
EXPECTED = {
    "RNN": {"defaults", "with_initial_bias", "seq_length", "batchwise", "reverse", "bidirectional"},
    "GRU": {"defaults", "with_initial_bias", "seq_length", "batchwise", "reverse", "bidirectional"},
    "LSTM": {"defaults", "with_initial_bias", "batchwise", "reverse", "bidirectional"},
}


def reordered(kind, blocks):
    """[gates * hidden, ...] of one direction in our order."""
    return np.concatenate([np.split(blocks, len(GATES[kind]))[i] for i in GATES[kind]])


def layer_for(kind, W, R, B, direction, linear_before_reset):
    """A layer with these weights. A reverse one is the second half of a bidirectional layer."""
    hidden = R.shape[-1]
    extra = {"reset_after": bool(linear_before_reset)} if kind == "GRU" else {}
    layer = getattr(nn, kind)(
        W.shape[-1], hidden, bidirectional=direction != "forward", batch_first=False, bias=B is not None, **extra
    )
    state = {}
    for d, suffix in enumerate(("", "_reverse")[: layer.directions]):
        own = min(d, len(W) - 1)
        state[f"weight_ih_l0{suffix}"] = reordered(kind, W[own])
        state[f"weight_hh_l0{suffix}"] = reordered(kind, R[own])
        if B is not None:
            state[f"bias_ih_l0{suffix}"], state[f"bias_hh_l0{suffix}"] = (reordered(kind, half) for half in np.split(B[own], 2))
    layer.load_state_dict(state)
    return layer


def run(kind, inputs, direction="forward", layout=0, linear_before_reset=0):
    """Y, Y_h and, LSTM, Y_c as ONNX has them."""
    x, states = inputs["X"], [inputs[name] for name in ("initial_h", "initial_c") if name in inputs]
    if layout:
        x, states = x.swapaxes(0, 1), [each.swapaxes(0, 1) for each in states]
    if direction == "reverse":
        states = [np.concatenate([each, each]) for each in states]
    layer = layer_for(kind, inputs["W"], inputs["R"], inputs.get("B"), direction, linear_before_reset)
    y, last = layer(x, (states if kind == "LSTM" else states[0]) if states else None)
    last = list(last) if kind == "LSTM" else [last]
    y = y.reshape(*y.shape[:2], layer.directions, -1).transpose(0, 2, 1, 3)  # [time, directions, N, hidden]
    if direction == "reverse":
        y, last = y[:, 1:], [each[1:] for each in last]
    if layout:
        y, last = y.transpose(2, 0, 1, 3), [each.swapaxes(0, 1) for each in last]
    return [y, *last]


def test_no_case_is_forgotten():
    known = {f"test_{'simple_' if kind == 'RNN' else ''}{kind.lower()}_{what}" for kind in EXPECTED for what in EXPECTED[kind]}
    known = {"test_rnn_seq_length" if name == "test_simple_rnn_seq_length" else name for name in known}
    assert set(CASES) <= known | LEFT_OUT


@pytest.mark.parametrize("name", sorted(set(CASES) - LEFT_OUT))
def test_reference_case(name):
    case = CASES[name]
    (node,) = case.model.graph.node
    ((given, expected),) = case.data_sets
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert set(attributes) <= {"hidden_size", "direction", "layout"}
    assert set(node.input) <= {"X", "W", "R", "B"}
    direction, layout = attributes.get("direction", b"forward").decode(), attributes.get("layout", 0)
    inputs = dict(zip(node.input, given, strict=True))
    wanted = dict(zip((output for output in node.output if output), expected, strict=True))
    got = dict(zip(("Y", "Y_h", "Y_c"), run(node.op_type, inputs, direction, layout), strict=False))
    assert wanted
    for output, value in wanted.items():
        assert got[output].shape == value.shape
        np.testing.assert_allclose(got[output], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("kind", "extra"), [*((kind, {}) for kind in HELPERS), ("GRU", {"linear_before_reset": 1})])
def test_reference_class(kind, extra, direction, bias, states, layout):
    """The reference on random data: several sequences and steps, biases, initial states, both layouts."""
    rng = np.random.default_rng(8)
    features, hidden, rows, steps, gates = 3, 5, 4, 7, len(GATES[kind])
    directions = 2 if direction == "bidirectional" else 1
    shapes = {"X": (steps, rows, features), "W": (directions, gates * hidden, features), "R": (directions, gates * hidden, hidden)}
    if bias:
        shapes["B"] = (directions, 2 * gates * hidden)
    if states:
        shapes["initial_h"] = (directions, rows, hidden)
    if states and kind == "LSTM":
        shapes["initial_c"] = (directions, rows, hidden)
    inputs = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if layout:
        inputs |= {name: inputs[name].swapaxes(0, 1) for name in ("X", "initial_h", "initial_c") if name in inputs}
    wanted = HELPERS[kind](**inputs, direction=direction, layout=layout, **extra).step()
    got = run(kind, inputs, direction, layout, **extra)
    for one, other in zip(got, wanted, strict=False):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)

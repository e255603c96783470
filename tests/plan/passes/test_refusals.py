"""What the plan refuses, with which words, and that a refusal leaves the network as it was."""

import time

import numpy as np
import pytest
from truth import nets

import nncore as nn
from nncore import _core
from nncore.errors import NotBuiltError, NotCompiledError, ShapeError, SizeError
from nncore.records import LossSpec, Op


def test_shape_errors_name_the_layer_and_both_shapes():
    with pytest.raises(ShapeError, match=r"layer 2 \(Linear\).*\[\*, 5\].*\[\*, 4\].*layer 1 \(ReLU\)"):
        nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(ShapeError, match=r"second.*\[\*, 7\].*\[\*, 2, 4\].*first"):
        nets.assemble([(2, 3)], [nets.linear("first", 0, 3, 4), nets.linear("second", 1, 7, 1)])
    with pytest.raises(ShapeError, match=r"only.*\[\*, 7\].*\[\*\].*the input"):
        nets.assemble([()], [nets.linear("only", 0, 7, 1)])
    with pytest.raises(ShapeError, match=r"flatten.*start_dim=2.*end_dim=1.*\[\*, 2, 3\]"):
        nets.assemble([(2, 3)], [nets.flatten(0, 2, 1)])
    with pytest.raises(ShapeError, match=r"flatten.*start_dim=0"):
        nets.assemble([(2, 3)], [nets.flatten(0, 0, 1)])
    with pytest.raises(ShapeError, match="input 1 has dimension 0 of size 0"):
        nets.assemble([(2,), (0, 3)], [nets.linear("a", 0, 2, 1)])
    with pytest.raises(ShapeError, match="9 dimensions"):
        nets.assemble([(1,) * 9], [])


@pytest.mark.parametrize(
    ("message", "inputs", "ops", "outputs"),
    [
        ("a: in_features=0", [(2,)], [nets.linear("a", 0, 0, 1)], [1]),
        ("a: in_features=2 and out_features=-1", [(2,)], [nets.linear("a", 0, 2, -1)], [1]),
        ("dropout: p=1.5", [(2,)], [nets.dropout(0, 1.5)], [1]),
        ("dropout: p=nan", [(2,)], [nets.dropout(0, float("nan"))], [1]),
        ("a: reads value 1 before", [(2,)], [nets.linear("a", 1, 2, 1)], [1]),
        ("a: reads value -1 before", [(2,)], [nets.linear("a", -1, 2, 1)], [1]),
        ("output 0 names value 5", [(2,)], [nets.linear("a", 0, 2, 1)], [5]),
        ("output 0 names value -1", [(2,)], [nets.linear("a", 0, 2, 1)], [-1]),
        ("outputs 0 and 1 are the same value", [(2,)], [nets.linear("a", 0, 2, 1)], [1, 1]),
        ("outputs 0 and 1 are the same numbers", [(2,)], [nets.linear("a", 0, 2, 1), nets.flatten(1)], [1, 2]),
        ("outputs 0 and 1 are the same numbers", [(2,)], [nets.linear("a", 0, 2, 1), nets.activation("identity", 1)], [2, 1]),
        ("at least one input and one output", [(2,)], [nets.linear("a", 0, 2, 1)], []),
        ("at least one input and one output", [], [], [0]),
        ("no activation 'rely'", [(2,)], [Op("activation", "r", (0,), code="rely")], [1]),
        (r"takes \(negative_slope\), got 0 values", [(2,)], [Op("activation", "r", (0,), code="leaky_relu")], [1]),
    ],
)
def test_what_makes_no_sense_is_refused(message, inputs, ops, outputs):
    net = nets.mlp()
    before = nets.snapshot(net)
    with pytest.raises(ValueError, match=message):
        net.assemble(inputs, ops, outputs, "float32")
    nets.assert_same_bits(nets.snapshot(net), before)


def test_an_op_needs_an_input():
    with pytest.raises(ValueError, match="a: 0 inputs"):
        nets.assemble([(2,)], [nets.linear("a", 0, 2, 1)._replace(inputs=())])


@pytest.mark.parametrize(
    ("inputs", "ops"),
    [
        ([(2**40,)], [nets.linear("huge", 0, 2**40, 2**40)]),
        ([(2**62,)], [nets.linear("huge", 0, 2**62, 1)]),
        ([(2**33, 2**33)], []),
        ([(2**31, 2)], [nets.linear("huge", 0, 2, 2**40)]),
        ([(2**21, 2**21, 2**21)], [nets.flatten(0)]),
        ([(4,)], [nets.linear("a", 0, 4, 2**60)]),
        ([(4,)], [nets.linear("a", 0, 4, 2**57)] + [nets.linear("b", 0, 4, 2**57)] * 16),
    ],
)
def test_absurd_sizes_are_refused_at_once(inputs, ops, dtype):
    start = time.process_time()
    with pytest.raises(SizeError, match="address space|flattened"):
        nets.assemble(inputs, ops, dtype=dtype)
    assert time.process_time() - start < 0.1


def test_absurd_sizes_through_the_layers():
    with pytest.raises(SizeError, match=r"layer 0 \(Linear\)"):
        nn.Sequential(nn.Linear(2**40, 2**40))
    with pytest.raises(SizeError, match="Linear: in_features"):
        nn.Sequential(nn.Linear(2**70, 2))
    with pytest.raises(SizeError, match="huge: size .* 64 bits"):
        nets.assemble([(2,)], [nets.linear("huge", 0, 2**70, 2)])


def test_long_names_do_not_break_the_message():
    with pytest.raises(ShapeError) as caught:
        nets.assemble([(3,)], [nets.linear("é" * 399, 0, 4, 1)])
    assert str(caught.value).startswith("éé")


def test_what_is_not_built_or_compiled_says_so(rng):
    x, y = nets.problem(rng, 4)
    net = _core.Plan()
    for call in (lambda: net.forward([x], False), lambda: net.shapes(), lambda: net.parameters(), lambda: net.buffers()):
        with pytest.raises(NotBuiltError, match="build"):
            call()
    net = nets.mlp()
    for call in (lambda: nets.train(net, x, y), lambda: nets.evaluate(net, x, y), lambda: net.apply_gradients(0.1)):
        with pytest.raises(NotCompiledError, match="compile"):
            call()
    with pytest.raises(NotBuiltError, match="forward"):
        net.backward([np.zeros((4, 3), np.float32)])
    nets.compile_net(net, LossSpec("sparse_categorical_crossentropy", attributes=(0.0,)))
    net.forward([x], True)
    nets.train(net, x, y)
    with pytest.raises(NotBuiltError, match="forward"):
        net.backward([np.zeros((4, 3), np.float32)])

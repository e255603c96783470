"""The recurrent kernels against their formulas in float64, and against themselves where bits must agree."""

import itertools

import numpy as np
import pytest
from ops.recurrent.recurrences import CELLS, GATES, PRODUCTS, make_case, packed, reference, run

from nncore._core import kernels


@pytest.fixture(params=CELLS)
def cell(request):
    return request.param


def close(found, expected, dtype):
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance, err_msg=name)


def equal(found, expected):
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


#: Hidden sizes around the whole vectors of each instruction set, and those that need several widths of panels.
HIDDEN = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20, 31, 33, 48, 64, 65, 80, 100]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_against_the_formulas(cell, reverse, isa, dtype, rng):
    for hidden in HIDDEN:
        rows, steps = rng.integers(1, 12, 2)
        lengths = rng.integers(1, steps + 1, rows) if rng.integers(2) else None
        optional = {name: bool(rng.integers(4)) for name in ("initial", "final", "sequence", "mask")}
        case = make_case(rng, cell, rows, steps, hidden, dtype, reverse=reverse, lengths=lengths, **optional)
        close(run(case, isa, gap=rng.integers(0, 4), time_major=bool(rng.integers(2))), reference(case), dtype)


@pytest.mark.parametrize("rows", [1, 2, 5, 13, 63, 64, 65, 130])
def test_any_number_of_rows(cell, rows, isa, dtype, rng):
    lengths = rng.integers(1, 4, rows)
    case = make_case(rng, cell, rows, 3, 19, dtype, lengths=lengths, reverse=bool(rows % 2))
    close(run(case, isa), reference(case), dtype)


def test_without_bias_and_gradients(cell, isa, dtype, rng):
    case = make_case(rng, cell, 3, 4, 10, dtype, initial=False, final=False, sequence=False)
    case["arrays"]["b"] = None
    found = run(case, isa)
    close(found, reference(case), dtype)
    assert not found["dgates"].any()


def part(case, rows):
    """The case of some of the rows."""
    batched = {name: value if name in ("w", "b") or value is None else value[rows] for name, value in case["arrays"].items()}
    lengths = None if case["lengths"] is None else case["lengths"][rows]
    return case | {"arrays": batched, "lengths": lengths, "shape": (len(batched["a"]), *case["shape"][1:])}


@pytest.mark.parametrize("lengths", [False, True], ids=["whole", "lengths"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_rows_are_independent_to_the_bit(cell, reverse, lengths, isa, dtype, rng):
    rows, steps = 23, 5
    case = make_case(
        rng, cell, rows, steps, 37, dtype, reverse=reverse, lengths=rng.integers(1, steps + 1, rows) if lengths else None
    )
    whole = run(case, isa)
    for cut in (slice(0, 1), slice(1, 4), slice(4, 12), slice(12, 23)):
        equal(run(part(case, cut), isa), {name: value[cut] for name, value in whole.items()})


def test_lengths_are_sequences_alone(cell, isa, dtype, rng):
    """In both directions: what lies beyond a length has no part in anything, and comes out as zeros."""
    steps = 6
    lengths = np.array([6, 1, 3, 5])
    for reverse in (False, True):
        case = make_case(rng, cell, 4, steps, 21, dtype, reverse=reverse, lengths=lengths)
        whole = run(case, isa)
        for n, length in enumerate(lengths):
            alone = part(case, slice(n, n + 1))
            cut = {k: alone["arrays"][k][:, :length] for k in ("a", "dy")}
            alone = alone | {"arrays": alone["arrays"] | cut, "lengths": None, "shape": (1, int(length), 21)}
            found = run(alone, isa)
            equal({k: whole[k][n, :length] for k in ("y", "dgates", "dh")}, {k: found[k][0] for k in ("y", "dgates", "dh")})
            equal({k: whole[k][n] for k in ("h_n", "dh0")}, {k: found[k][0] for k in ("h_n", "dh0")})
            assert not whole["y"][n, length:].any()
            assert not whole["dgates"][n, length:].any()
            assert np.isfinite(whole["h"][n]).all()


def test_inference_and_training_agree_to_the_bit(cell, isa, dtype, rng):
    case = make_case(rng, cell, 9, 7, 50, dtype)
    assert len(run(case, isa, training=False)) == (3 if cell == "lstm" else 2)
    equal(run(case, isa), run(case, isa, training=False))


def test_stream_of_single_steps_to_the_bit(cell, isa, dtype, rng):
    """One step per call, the state handed on in place, gives the bits of the whole sequence."""
    for rows, hidden in itertools.product((1, 3), (8, 45, 64)):
        case = make_case(rng, cell, rows, 8, hidden, dtype)
        forward, _ = packed(case, isa)
        whole = run(case, isa, training=False)
        state = {"h": case["arrays"]["h0"].copy()}
        if cell == "lstm":
            state["c"] = case["arrays"]["c0"].copy()
        y = np.empty((rows, 1, hidden), dtype)
        for t in range(8):
            gates = np.ascontiguousarray(case["arrays"]["a"][:, t : t + 1])
            if cell == "gru":
                gates = np.concatenate([gates, np.full((rows, 1, hidden), np.nan, dtype)], 2)
            ends = {f"{name}{end}": value for name, value in state.items() for end in ("0", "_n")}
            kernels.recurrent_forward(cell, gates, forward, y=y, isa=isa, **ends)
            np.testing.assert_array_equal(y[:, 0], whole["y"][:, t])
        np.testing.assert_array_equal(state["h"], whole["h_n"])


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_pieces_of_time_to_the_bit(cell, reverse, isa, dtype, rng):
    """A run of steps cut in two, states and their gradients handed on, with lengths that count from the first step."""
    rows, steps, hidden, middle = 5, 9, 18, 4
    case = make_case(rng, cell, rows, steps, hidden, dtype, reverse=reverse, lengths=rng.integers(1, steps + 1, rows))
    whole, packs, arrays = run(case, isa), packed(case, isa), case["arrays"]
    pieces = [(0, middle), (middle, steps)]
    first, second = pieces[::-1] if reverse else pieces
    how = {"reverse": reverse, "lengths": case["lengths"], "isa": isa}
    states = {"h": arrays["h0"]} | ({"c": arrays["c0"]} if cell == "lstm" else {})
    saved = {}
    for begin, end in (first, second):
        gates = np.full((rows, end - begin, GATES[cell] * hidden), np.nan, dtype)
        gates[:, :, : arrays["a"].shape[2]] = arrays["a"][:, begin:end]
        ends = {f"{name}_n": np.empty((rows, hidden), dtype) for name in states}
        kept = {name: np.empty((rows, end - begin + 1, hidden), dtype) for name in states}
        starts = {f"{name}0": value for name, value in states.items()}
        kernels.recurrent_forward(cell, gates, packs[0], first_step=begin, **starts, **ends, **kept, **how)
        states = {name: ends[f"{name}_n"] for name in states}
        saved[begin, end] = gates, kept
    equal({f"{name}_n": value for name, value in states.items()}, {f"{name}_n": whole[f"{name}_n"] for name in states})
    flow = {name: arrays[f"d{name}_n"] for name in states}
    for begin, end in (second, first):
        gates, kept = saved[begin, end]
        back = {f"d{name}0": np.empty((rows, hidden), dtype) for name in states}
        dy = np.ascontiguousarray(arrays["dy"][:, begin:end])
        ends = {f"d{name}_n": value for name, value in flow.items()}
        kernels.recurrent_backward(cell, gates, packs[1], first_step=begin, dy=dy, **ends, **back, **kept, **how)
        flow = {name: back[f"d{name}0"] for name in states}
        np.testing.assert_array_equal(gates, whole["dgates"][:, begin:end])
    equal({f"d{name}0": value for name, value in flow.items()}, {f"d{name}0": whole[f"d{name}0"] for name in flow})


def test_one_initial_state_for_all_rows(cell, isa, dtype, rng):
    case = make_case(rng, cell, 4, 3, 12, dtype)
    for name in ("h0", "c0"):
        if case["arrays"][name] is not None:
            case["arrays"][name] = np.broadcast_to(case["arrays"][name][:1], (4, 12))
    close(run(case, isa), reference(case), dtype)


def test_no_initial_state_is_zeros_to_the_bit(cell, isa, dtype, rng):
    case = make_case(rng, cell, 5, 4, 35, dtype, initial=False)
    none = run(case, isa)
    case["arrays"]["h0"] = np.zeros((5, 35), dtype)
    if cell == "lstm":
        case["arrays"]["c0"] = np.zeros((5, 35), dtype)
    equal(run(case, isa), none)


def test_packing_in_any_ranges_of_rows(cell, isa, dtype, rng):
    for hidden in (3, 16, 37, 70):
        case = make_case(rng, cell, 1, 1, hidden, dtype)
        whole = packed(case, isa)
        forward, backward = (np.full_like(form, np.nan) for form in whole)
        cuts = [0, *sorted(rng.integers(0, hidden + 1, 3)), hidden]
        for first, last in list(itertools.pairwise(cuts))[::-1]:
            kernels.recurrent_pack(cell, forward, backward, case["arrays"]["w"], first, last, isa=isa)
        kernels.recurrent_pack_bias(cell, forward, case["arrays"]["b"], hidden, isa=isa)
        np.testing.assert_array_equal(forward, whole[0])
        np.testing.assert_array_equal(backward, whole[1])
        assert np.isfinite(forward[np.isfinite(forward)]).all()


def test_nan_and_infinity_pass(cell, isa, dtype, rng):
    """A NaN in one row reaches that row from then on and no other."""
    case = make_case(rng, cell, 6, 5, 20, dtype)
    clean = run(case, isa, training=False)
    case["arrays"]["a"][2, 3] = np.nan
    found = run(case, isa, training=False)["y"]
    assert np.isnan(found[2, 3:]).all()
    found[2, 3:] = clean["y"][2, 3:]
    np.testing.assert_array_equal(found, clean["y"])


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_against_torch(cell, reverse, isa, rng):
    torch = pytest.importorskip("torch")
    rows, steps, hidden = 4, 7, 11
    case = make_case(rng, cell, rows, steps, hidden, np.float64, reverse=reverse)
    arrays = {name: None if value is None else torch.tensor(value) for name, value in case["arrays"].items()}
    kind = {"tanh": torch.nn.RNN, "relu": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    more = {"nonlinearity": cell} if kind is torch.nn.RNN else {}
    size = PRODUCTS[cell] * hidden
    layer = kind(size, hidden, batch_first=True, dtype=torch.float64, **more)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(size))
        layer.bias_ih_l0.zero_()
        layer.weight_hh_l0.copy_(arrays["w"].T)
        layer.bias_hh_l0.copy_(arrays["b"])
    x = arrays["a"].flip(1) if reverse else arrays["a"]
    x.requires_grad_(True)
    h0 = arrays["h0"][None].requires_grad_(True)
    c0 = arrays["c0"][None].requires_grad_(True) if cell == "lstm" else None
    output, final = layer(x, (h0, c0) if cell == "lstm" else h0)
    h_n, c_n = final if cell == "lstm" else (final, None)
    dy = arrays["dy"].flip(1) if reverse else arrays["dy"]
    loss = (output * dy).sum() + (h_n[0] * arrays["dh_n"]).sum()
    if cell == "lstm":
        loss = loss + (c_n[0] * arrays["dc_n"]).sum()
    loss.backward()
    found = run(case, isa)
    turn = (lambda t: t.flip(1)) if reverse else (lambda t: t)
    expected = {"y": turn(output).detach().numpy(), "h_n": h_n[0].detach().numpy(), "dh0": h0.grad[0].numpy()}
    if cell == "lstm":
        expected |= {"c_n": c_n[0].detach().numpy(), "dc0": c0.grad[0].numpy()}
    close(found, expected, np.dtype(np.float64))
    da = turn(x.grad).numpy()
    np.testing.assert_allclose(found["dgates"][:, :, :size], da, rtol=1e-11, atol=1e-11)
    before = found["h"][:, 1:] if reverse else found["h"][:, :-1]
    recurrent = found["dgates"] if cell != "gru" else np.delete(found["dgates"], np.s_[2 * hidden : 3 * hidden], axis=2)
    dw = np.einsum("nth,ntg->gh", before, recurrent)
    np.testing.assert_allclose(dw, layer.weight_hh_l0.grad.numpy(), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(recurrent.sum((0, 1)), layer.bias_hh_l0.grad.numpy(), rtol=1e-11, atol=1e-11)

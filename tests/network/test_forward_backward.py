"""Forward, backward and the step by hand, and what they refuse."""

import numpy as np
import pytest
from models.nets import network, small, torch_network

import nncore as nn


def test_forward_and_backward_against_torch(rng):
    torch = pytest.importorskip("torch")
    theirs, ours = torch_network().eval(), network()
    ours.load_state_dict(theirs.state_dict())
    x, grad = rng.normal(size=(6, 5)), rng.normal(size=(6, 3))
    tx = torch.tensor(x, requires_grad=True)
    out = theirs(tx)
    out.backward(torch.tensor(grad))
    np.testing.assert_allclose(ours.forward(x), out.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours.backward(grad), tx.grad.numpy(), rtol=1e-10, atol=1e-14)
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(ours.gradients[name], parameter.grad.numpy(), rtol=1e-10, atol=1e-14, err_msg=name)


def test_backward_overwrites(rng):
    model, x = small(dtype="float64"), rng.normal(size=(5, 3))
    for _ in range(2):
        model.forward(x)
        model.backward(np.ones((5, 2)))
    np.testing.assert_array_equal(model.gradients["2.bias"], [5, 5])


def test_forward_is_call_but_for_training(rng):
    model = nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5), nn.Linear(50, 2), seed=1)
    x = rng.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.forward(x), model(x))
    assert not np.allclose(model.forward(x, training=True), model(x))


def test_dropout_mask_follows_the_seed_and_the_step():
    x = np.ones((100, 300), np.float32)

    def masks(seed, steps=2):
        model = nn.Sequential(nn.Dropout(0.3), seed=seed)
        model.compile(loss="mse", optimizer="sgd")
        found = []
        for _ in range(steps):
            found.append(model.forward(x, training=True) == 0)
            np.testing.assert_array_equal(model.backward(x) == 0, found[-1])  # the mask of forward
            model.apply_gradients()
        return found

    first, second = masks(0)
    assert (first != second).any()
    np.testing.assert_array_equal(masks(0)[1], second)
    assert (masks(1)[0] != first).any()
    for mask in (first, second):  # five standard deviations of a binomial share
        assert abs(mask.mean() - 0.3) < 5 * np.sqrt(0.21 / mask.size)


def test_a_step_by_hand_is_train_on_batch(rng):
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    by_hand, at_once = small(dtype="float64"), small(dtype="float64")
    for model in (by_hand, at_once):
        model.compile(loss="mse", optimizer=nn.optim.Adam(lr=lambda step: 0.1 / (step + 1)))
    for _ in range(3):
        out = by_hand.forward(x, training=True)
        by_hand.backward(2 * (out - y) / out.size)
        by_hand.apply_gradients()
        at_once.train_on_batch(x, y)
    assert by_hand.step == at_once.step == 3
    for a, b in zip(by_hand.parameters(), at_once.parameters(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_apply_gradients_needs_an_optimizer():
    with pytest.raises(nn.errors.NotCompiledError, match="compile"):
        small().apply_gradients()


def test_backward_needs_forward_and_its_shape(rng):
    model = small()
    with pytest.raises(nn.errors.NotBuiltError, match="forward"):
        model.backward(np.ones((5, 2)))
    model.forward(rng.normal(size=(5, 3)))
    with pytest.raises(nn.errors.ShapeError, match=r"grad_output has shape \(5, 3\).*\[\*, 2\]"):
        model.backward(np.ones((5, 3)))
    with pytest.raises(nn.errors.ShapeError, match=r"\(5, 2\).*\(4, 2\)"):
        model.backward(np.ones((4, 2)))
    assert model.backward(np.ones((5, 2))).shape == (5, 3)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.tolist(),
        lambda x: x.astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.astype(">f4"),
        lambda x: x.astype(object),
    ],
    ids=["list", "float64", "fortran", "strided", "reversed", "big-endian", "object"],
)
def test_whatever_holds_the_numbers(convert, rng):
    model, x = small(), rng.normal(size=(6, 3)).astype(np.float32)
    given = convert(x)
    np.testing.assert_array_equal(model(given), model(x))
    np.testing.assert_array_equal(model.forward(given), model(x))


@pytest.mark.parametrize("kind", ["int8", "uint16", "int64", "bool", "float16"])
def test_numbers_of_any_kind(kind):
    x = np.array([[1, 0, 1], [0, 1, 1]]).astype(kind)
    np.testing.assert_array_equal(small()(x), small()(x.astype(np.float32)))


def test_input_is_not_changed(rng):
    """Even where the first layer could work in place."""
    model, x = nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), rng.normal(size=(4, 3)).astype(np.float32)
    before = x.copy()
    model(x)
    model.forward(x, training=True)
    np.testing.assert_array_equal(x, before)


def test_no_rows():
    model = small()
    assert model(np.zeros((0, 3))).shape == (0, 2)
    with pytest.raises(nn.errors.EmptyDataError, match="no rows"):
        model.forward(np.zeros((0, 3)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(3), r"x has shape \(3,\).*\[\*, 3\]; for one sample, add the batch dimension: x\[None\]"),
        (np.ones((2, 4)), r"x has shape \(2, 4\).*\[\*, 3\]"),
        (np.float32(1), "single number"),
        (np.ones((2, 1, 3)), r"\(2, 1, 3\).*model.build\(\(1, 3\)\)"),
    ],
)
def test_shapes_that_do_not_fit(x, message):
    for use in (small(), small().forward):
        with pytest.raises(nn.errors.ShapeError, match=message):
            use(x)


def test_a_vector_for_one_feature():
    """[N] is N rows of one feature, in calls as in predict; for sequences the dimension must be there."""
    model = nn.Sequential(nn.Linear(1, 2))
    x = np.array([1.0, 2.0, 3.0])
    expected = x[:, None] @ model[0].weight.T + model[0].bias
    np.testing.assert_allclose(model(x), expected, rtol=1e-6)
    np.testing.assert_allclose(model.forward(x), expected, rtol=1e-6)
    np.testing.assert_allclose(model(x.tolist()), expected, rtol=1e-6)
    with pytest.raises(nn.errors.ShapeError, match=r"x\[\.\.\., None\]"):
        nn.Sequential(nn.GRU(1, 2)).build((3, 1))(np.ones((2, 3)))


def test_text_is_refused():
    with pytest.raises(nn.errors.DTypeError, match="x has dtype"):
        small()([["a", "b", "c"]])


def test_results_stay_when_later_calls_use_their_memory_again(rng):
    model = nn.Sequential(nn.BatchNorm1d(256), seed=0)
    x = rng.normal(size=(7, 64, 256)).astype(np.float32)
    kept, copies = [], []
    for batch in x:  # more than there are blocks to use again
        y = model.forward(batch, training=True)
        kept += [y[3:5], model.backward(batch)]  # a view, whose array nobody else holds
        copies += [kept[-2].copy(), kept[-1].copy()]
        del y
    for a, b in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(a, b)
    del kept
    first, again = model.forward(x[0], training=True), model.forward(x[0], training=True)
    assert not np.shares_memory(first, again)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "last", [(), (nn.ReLU(),), (nn.Linear(64, 64),), (nn.Flatten(),)], ids=["alone", "relu", "linear", "flatten"]
)
@pytest.mark.parametrize("training", [True, False])
def test_the_caller_may_change_every_array_between_forward_and_backward(last, training, dtype, rng):
    def gradients(spoil):
        model = nn.Sequential(nn.BatchNorm1d(64), *last, seed=0, dtype=np.dtype(dtype).name)
        x, dy = (np.random.default_rng(i).normal(size=(40, 64)).astype(dtype) for i in range(2))
        y = model.forward(x, training=training)
        if spoil:
            x[...] = y[...] = np.nan
        before = dy.copy()
        found = [model.backward(dy).copy(), *(g.copy() for g in model.gradients.values())]
        np.testing.assert_array_equal(dy, before)
        return found

    for a, b in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_may_be_read_only(rng):
    x = nn.Input((3,))
    model = nn.Model(x, [nn.Linear(3, 2)(x), nn.BatchNorm1d(3)(x)], seed=0)
    found = model.forward(rng.normal(size=(5, 3)), training=True)
    grads = [np.broadcast_to(np.float32(1), y.shape).copy() for y in found]
    expected = model.backward(grads)
    for grad in grads:
        grad.setflags(write=False)
    np.testing.assert_array_equal(model.backward(grads), expected)

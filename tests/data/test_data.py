"""Data: what is passed through without a copy, what is converted, and what is refused in which words."""

import numpy as np
import pytest

from nncore import data, errors
from nncore.data.arrays import as_array

F32 = np.dtype(np.float32)


class Frame:
    """Stands for a pandas or polars frame."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return self.values


class Capsule:
    """Stands for any array that only speaks DLPack."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


BASE = np.arange(48, dtype=np.float64).reshape(8, 6)


@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
def test_what_the_core_reads_is_passed_through(kind):
    array = BASE.astype(kind)
    assert as_array(array, "x", F32) is array
    assert np.shares_memory(as_array(Frame(array), "x", F32), array)
    assert np.shares_memory(as_array(memoryview(array), "x", F32), array)
    if kind != "?":
        assert np.shares_memory(as_array(Capsule(array), "x", F32), array)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2],
        lambda a: a[:, :3],
        lambda a: a[::-1],
        lambda a: np.lib.stride_tricks.sliding_window_view(a.reshape(-1), 4),
        lambda a: np.broadcast_to(a[0], (5, 6)),
        lambda a: a.reshape(8, 2, 3)[1::3],
    ],
)
def test_rows_may_lie_anywhere(view):
    array = view(BASE)
    assert as_array(array, "x", F32) is array


@pytest.mark.parametrize(
    "array",
    [
        BASE.T,
        np.asfortranarray(BASE),
        BASE[:, ::2],
        BASE.reshape(8, 2, 3)[:, :, :2],
        BASE.astype(">f8"),
        np.frombuffer(b"\0" + BASE.tobytes(), np.uint8)[1:].view(np.float64).reshape(8, 6),  # unaligned
        np.rec.fromarrays([np.arange(8, dtype="i1"), np.arange(8.0)], names="a,b")["b"],  # 9 bytes apart
        BASE.astype(np.longdouble),
        BASE.astype(object),
    ],
)
def test_everything_else_that_is_numbers_is_copied(array):
    got = as_array(array, "x", np.dtype(np.float64))
    np.testing.assert_array_equal(got, array.astype(np.float64))
    assert got.flags.c_contiguous
    assert got.flags.aligned
    assert got.dtype == np.float64


def test_lists_and_torch_tensors():
    assert as_array([[1, 2], [3, 4]], "x", F32).dtype == np.int64
    torch = pytest.importorskip("torch")
    tensor = torch.ones(3, 2, requires_grad=True)
    assert np.shares_memory(as_array(tensor, "x", F32), tensor.detach().numpy())
    with pytest.raises(errors.DTypeError, match=r"x is a tensor of bfloat16, .*; pass x\.float\(\)"):
        as_array(torch.ones(3, dtype=torch.bfloat16), "x", F32)


def test_a_memory_map_stays_on_disk(tmp_path):
    array = np.memmap(tmp_path / "x", np.float32, "w+", shape=(100, 4))
    (x,) = data.bind_inputs(array, [(4,)], "layer 0 (Linear)", F32)
    assert x is array
    assert isinstance(x, np.memmap)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ([[1.0], [1.0, 2.0]], errors.ShapeError, "different lengths"),
        (np.array([1 + 2j]), errors.DTypeError, r"complex128 .*x\.real and x\.imag"),
        (["1.5", "2"], errors.DTypeError, "encode text as numbers"),
        (np.array([b"a"]), errors.DTypeError, "encode text as numbers"),
        (np.array(["2020-01-01"], "M8[D]"), errors.DTypeError, "dates into numbers"),
        (np.array([1], "m8[s]"), errors.DTypeError, "time spans into numbers"),
        (np.array([1.0, None], object), errors.DTypeError, "dtype object .*every column into numbers, fill what is missing"),
        (np.array([1.0, "2"], object), errors.DTypeError, "dtype object"),
        (np.array([(1, 2.0)], "i4,f4"), errors.DTypeError, "not numbers"),
        (np.ma.masked_less([1.0, 2.0], 1.5), errors.DTypeError, "masked"),
        ({1: 2}, errors.DTypeError, "not numbers"),
    ],
)
def test_what_is_no_number_is_refused(value, error, text):
    with pytest.raises(error, match=text):
        as_array(value, "x", F32)


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(errors.DTypeError, match=r"pass x\.toarray"):
        as_array(sparse.eye(3), "x", F32)


@pytest.mark.parametrize(
    ("x", "shapes", "error", "text"),
    [
        (BASE, [(5,)], errors.ShapeError, r"x has shape \(8, 6\), but layer 0 \(Linear\) takes \(N, 5\)"),
        (BASE[0], [(6,)], errors.ShapeError, r"for a single sample pass x\[None\]"),
        (3.0, [(1,)], errors.ShapeError, "single number"),
        (BASE[:0], [(6,)], errors.EmptyDataError, r"\(0, 6\) has no rows"),
        ([], [(6,)], errors.ShapeError, r"\(0,\)"),
        (BASE, [(3,), (3,)], errors.ShapeError, "list of 2 arrays"),
        ([BASE, BASE[:3]], [(6,), (6,)], errors.ShapeError, r"different numbers of rows: \[8, 3\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, shapes, error, text):
    with pytest.raises(error, match=text):
        data.bind_inputs(x, shapes, "layer 0 (Linear)", F32)


def test_one_feature_may_come_as_a_vector():
    (x,) = data.bind_inputs(np.arange(5.0), [(1,)], "layer 0 (Linear)", F32)
    assert x.shape == (5, 1)


def bind(y, form, columns=1, rows=None, loss="the_loss"):
    return data.bind_target(y, form, (columns,), len(y) if rows is None else rows, loss, F32)


@pytest.mark.parametrize(
    ("y", "form", "columns", "error", "text"),
    [
        ([0, 1, 3], "classes", 3, errors.LabelError, r"y is 3 at row 2, but the_loss takes class indices in \[0, 3\)"),
        ([0, -1, 3], "classes", 3, errors.LabelError, "y is -1 at row 1"),
        ([1, 2, 3], "classes", 3, errors.LabelError, "seem to run from 1: pass y - 1"),
        ([0.0, 1.5], "classes", 3, errors.LabelError, "y is 1.5 at row 1, but the_loss takes whole numbers"),
        ([0.0, np.nan], "classes", 3, errors.NonFiniteError, "y is nan at row 1"),
        (np.eye(3), "classes", 3, errors.LabelError, r"one-hot targets.*categorical_crossentropy, or pass y\.argmax"),
        (np.eye(2), "classes", 3, errors.ShapeError, r"class indices of shape \(2,\)"),
        ([0, 2, 1], "one_hot", 3, errors.LabelError, r"class indices.*sparse_categorical_crossentropy, or one-hot.*eye\(3\)"),
        ([[0, 2, 1]], "one_hot", 3, errors.LabelError, "y is 2 at row 0, column 1"),
        ([[1, 0, 0], [0, 1, 1]], "one_hot", 3, errors.LabelError, "row 1 of y sums to 2.*Sigmoid and binary_crossentropy"),
        ([[0.1, 0.2, 0.3]], "one_hot", 3, errors.LabelError, "row 0 of y sums to 0.6"),
        (np.eye(3), "one_hot", 4, errors.ShapeError, r"y has shape \(3, 3\), but the output of the model has shape \(3, 4\)"),
        ([0, 1, 2], "probabilities", 1, errors.LabelError, "y is 2 at row 2.*3 outputs and sparse_categorical_crossentropy"),
        ([-1, 1], "probabilities", 1, errors.LabelError, r"use hinge, or pass \(y \+ 1\) / 2"),
        ([0.5, np.nan], "probabilities", 1, errors.NonFiniteError, "y is nan at row 1"),
        ([0, 1], "probabilities", 3, errors.ShapeError, "for class indices use sparse_categorical_crossentropy"),
        (np.eye(3), "probabilities", 1, errors.ShapeError, "let the last layer have 3 outputs"),
        ([-1, 0, 1], "signs", 1, errors.LabelError, "y is 0 at row 1"),
        ([0, 1, 2], "signs", 1, errors.LabelError, "y is 2 at row 2"),
        ([0.5, 1], "signs", 1, errors.LabelError, "y is 0.5 at row 0"),
        (np.ones((3, 2)), "values", 1, errors.ShapeError, r"\(3, 2\), but the output of the model has shape \(3, 1\)"),
        (np.ones(3), "values", 2, errors.ShapeError, r"\(3,\), but the output of the model has shape \(3, 2\)"),
        (["a", "b"], "classes", 2, errors.DTypeError, "unique"),
        (5.0, "values", 1, errors.ShapeError, "single number"),
    ],
)
def test_targets_of_the_wrong_form_are_refused(y, form, columns, error, text):
    with pytest.raises(error, match=text):
        bind(y, form, columns, rows=1 if isinstance(y, float) else None)


def test_targets_need_as_many_rows_as_x():
    with pytest.raises(errors.ShapeError, match="y has 3 rows and x has 4"):
        bind([1.0, 2.0, 3.0], "values", rows=4)


def test_targets_of_the_right_form_are_bound():
    labels = np.array([0, 2, 1])
    assert np.shares_memory(bind(labels, "classes", 3), labels)
    assert bind(labels[:, None], "classes", 3).shape == (3,)
    assert bind(labels.astype(np.uint8), "classes", 3).dtype == np.uint8
    assert bind(labels.astype(float), "classes", 3).shape == (3,)
    assert bind(np.eye(3), "one_hot", 3).shape == (3, 3)
    assert bind(np.eye(3, dtype=bool), "one_hot", 3).shape == (3, 3)
    assert bind([True, False], "probabilities").shape == (2, 1)
    for signs in ([0, 1, 1], [-1, 1, 1], [[False], [True], [True]], np.array([0, 1, 1], np.uint8)):
        np.testing.assert_array_equal(bind(signs, "signs"), [[-1], [1], [1]])
    np.testing.assert_array_equal(bind([0, 0], "signs"), [[-1], [-1]])
    values = np.ones((4, 2, 3))
    assert data.bind_target(values, "values", (2, 3), 4, "mse", F32).shape == (4, 2, 3)
    assert data.bind_target(values.reshape(4, 6), "values", (2, 3), 4, "mse", F32).shape == (4, 6)
    assert data.bind_target(np.zeros((4, 2), int), "classes", (2, 3), 4, "sparse", F32).shape == (4, 2)


def test_non_finite_data_are_found():
    x = BASE.copy()
    data.check_finite(x, "x", x.dtype)
    data.check_finite(x.astype(int), "x", x.dtype)
    x[5, 2] = np.inf
    with pytest.raises(errors.NonFiniteError, match="x is inf at row 5, column 2"):
        data.check_finite(x, "x", x.dtype)
    with pytest.raises(errors.NonFiniteError, match=r"x is inf at row 5, column \(0, 2\)"):
        data.check_finite(x.reshape(8, 2, 3), "x", x.dtype)
    far = np.zeros(600_000, np.float32)
    far[-1] = np.nan
    with pytest.raises(errors.NonFiniteError, match="y is nan at row 599999"):
        data.check_finite(far, "y", far.dtype)


@pytest.mark.parametrize(
    ("weight", "error", "text"),
    [
        ([1.0, 2.0], errors.ShapeError, r"shape \(2,\), but there are 3 rows"),
        (np.ones((3, 2)), errors.ShapeError, "one weight per row"),
        ([1, -1, 1], errors.ArgumentError, "-1.0 at row 1"),
        ([1, np.nan, 1], errors.NonFiniteError, "nan at row 1"),
    ],
)
def test_weights_are_checked(weight, error, text):
    with pytest.raises(error, match=text):
        data.bind_weight(weight, 3)


@pytest.mark.parametrize(
    ("form", "target"),
    [
        ("classes", np.array([0, 0, 0, 2])),
        ("one_hot", np.eye(3)[[0, 0, 0, 2]]),
    ],
)
def test_class_weights(form, target):
    np.testing.assert_array_equal(data.class_weights({0: 2.0, 2: 0.5}, target, form, 3), [2, 2, 2, 0.5])
    balanced = data.class_weights("balanced", target, form, 3)
    np.testing.assert_allclose(balanced, [4 / 6, 4 / 6, 4 / 6, 2])
    for unknown in (-1, 3):
        with pytest.raises(errors.LabelError, match=f"class {unknown}, but the classes run from 0 to 2"):
            data.class_weights({unknown: 1.0}, target, form, 3)


@pytest.mark.parametrize("weights", [{"a": 1.0}, {0: "much"}, {0.5: 1.0}])
def test_class_weights_that_are_none(weights):
    with pytest.raises(errors.LabelError, match="dict from class indices, 0 to 2, to numbers, but holds"):
        data.class_weights(weights, np.array([0, 1, 2]), "classes", 3)


def test_balanced_class_weights_equal_sklearn(rng):
    sk = pytest.importorskip("sklearn.utils.class_weight")
    labels = rng.integers(4, size=50)
    np.testing.assert_allclose(data.class_weights("balanced", labels, "classes", 4), sk.compute_sample_weight("balanced", labels))


def test_class_weights_of_binary_targets():
    column = np.array([[0.0], [1.0], [1.0]])
    np.testing.assert_array_equal(data.class_weights({1: 3.0}, column, "probabilities", 2), [1, 3, 3])
    np.testing.assert_array_equal(data.class_weights({-1: 3.0, 1: 2.0}, 2 * column - 1, "signs", 2), [3, 2, 2])
    for target, form in ((column * 0.5, "probabilities"), (np.ones((3, 2)), "signs"), (column, "values")):
        with pytest.raises(errors.LabelError, match="use sample_weight instead"):
            data.class_weights("balanced", target, form, 3)
    with pytest.raises(errors.ArgumentError, match="'balanced'"):
        data.class_weights("even", column, "probabilities", 2)
    with pytest.raises(errors.ArgumentError, match="weight of class 0 must be a finite number of at least 0"):
        data.class_weights({0: -1.0}, column, "probabilities", 2)
    with pytest.raises(errors.LabelError, match="class 2, but the classes run from 0 to 1"):
        data.class_weights({2: 1.0}, column, "probabilities", 2)


def test_split_is_stratified_seeded_and_complete(rng):
    labels = rng.permutation(np.repeat([0, 1, 2], [700, 200, 100]))
    train, held_out = data.split_rows(1000, 0.2, 7, labels)
    assert len(train) == 800
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(1000))
    assert np.abs(np.bincount(labels[held_out]) - [140, 40, 20]).max() <= 1
    np.testing.assert_array_equal(held_out, data.split_rows(1000, 0.2, 7, labels)[1])
    assert not np.array_equal(held_out, data.split_rows(1000, 0.2, 8, labels)[1])


def test_split_without_labels_draws_rows_evenly():
    chosen = np.zeros(50)
    for seed in range(400):
        chosen[data.split_rows(50, 0.2, seed, None)[1]] += 1
    assert chosen.sum() == 4000
    assert abs(chosen / 400 - 0.2).max() < 0.1  # 5 standard deviations


def test_split_without_shuffling_takes_the_last_rows():
    train, held_out = data.split_rows(10, 0.25, None, None)
    assert (list(train), list(held_out)) == (list(range(7)), [7, 8, 9])  # floor(7.5) rows train, as in Keras


@pytest.mark.parametrize(("rows", "fraction", "empty"), [(3, 0.9, "training"), (1, 0.5, "training"), (5, 1.0, "training")])
def test_split_leaves_no_part_empty(rows, fraction, empty):
    with pytest.raises(errors.EmptyDataError, match=f"no row for {empty}"):
        data.split_rows(rows, fraction, 0, None)


@pytest.mark.parametrize("lengths", [{"x": [1, 2]}, [[1, 2], [3, 3]], [np.array([1, 2]), None]])
def test_lengths_of_each_input_are_refused_with_what_to_do(lengths):
    from nncore.data.sequences import bind_lengths

    with pytest.raises(errors.ArgumentError, match="for all inputs with as many time steps.*Multiply"):
        bind_lengths(lengths, 2, 5)

"""Philox4x32-10 in NumPy against the known answers of its authors, and dropout against that, to the bit."""

import numpy as np
import pytest

from nncore import _core
from nncore._core import kernels

KEY, STREAM = (0x01234567, 0x89ABCDEF), (17, 0xFFFFFFF0)
LOW = np.uint64(0xFFFFFFFF)

# counter, key, words: the philox4x32_R10 rows of Random123's tests/kat_vectors
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox(counter, key):
    """Words of shape (4, ...) from a counter of four broadcastable arrays (Salmon et al. 2011, section 3.3)."""
    x0, x1, x2, x3 = (np.asarray(x, np.uint64) for x in np.broadcast_arrays(*counter))
    k0, k1 = key
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * x0, np.uint64(0xCD9E8D57) * x2
        x0, x1, x2, x3 = (b >> np.uint64(32)) ^ x1 ^ np.uint64(k0), b & LOW, (a >> np.uint64(32)) ^ x3 ^ np.uint64(k1), a & LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([x0, x1, x2, x3])


def mask(rows, cols, p, row0=0, key=KEY, stream=STREAM):
    block, row = np.arange((cols + 3) // 4), (row0 + np.arange(rows)) % 2**32
    words = philox((block[None, :], row[:, None], stream[0], stream[1]), key)
    return np.moveaxis(words, 0, 2).reshape(rows, -1)[:, :cols] >= np.ceil(p * 2**32)


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_reference_gives_the_known_answers(counter, key, words):
    np.testing.assert_array_equal(philox(counter, key), words)


@pytest.mark.parametrize(("block", "row"), [(0, 0), (5, 7), (2**32 - 16, 2**32 - 1)])
def test_words_to_the_bit(block, row, isa, dtype):
    counters = np.array([(block + i) % 2**32 for i in range(32)], np.uint64)
    expected = philox((counters, row, *STREAM), KEY).T.reshape(-1)
    np.testing.assert_array_equal(kernels.random_words(block, row, KEY, STREAM, dtype, isa=isa), expected)


def test_dropout_draws_the_known_answer(isa, dtype):
    """A column survives p = word / 2^32 and falls at the next p."""
    words = KNOWN_ANSWERS[0][2]
    x = np.ones((1, 4), dtype)
    for column, word in enumerate(words):
        at = kernels.dropout(x, word / 2**32, (0, 0), (0, 0), isa=isa)
        above = kernels.dropout(x, (word + 1) / 2**32, (0, 0), (0, 0), isa=isa)
        assert at[0, column] == dtype.type(1 / (1 - word / 2**32))
        assert above[0, column] == 0


@pytest.mark.parametrize("p", [0.0, 1e-9, 0.1, 0.5, 0.9999])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (4, 8), (3, 33), (9, 64), (2, 131)])
def test_dropout_to_the_bit(p, shape, isa, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    scale = dtype.type(1 / (1 - p))
    y = kernels.dropout(x, p, KEY, STREAM, row0=2**32 - 2, isa=isa)
    np.testing.assert_array_equal(y, x * np.where(mask(*shape, p, row0=2**32 - 2), scale, dtype.type(0)))


def test_key_and_stream_all_count(isa):
    x = np.ones((4, 64), np.float32)
    masks = set()
    for key in [(1, 2), (2, 1), (1, 3)]:
        for stream in [(0, 0), (1, 0), (0, 1)]:
            y = kernels.dropout(x, 0.5, key, stream, isa=isa)
            np.testing.assert_array_equal(y != 0, mask(4, 64, 0.5, key=key, stream=stream))
            masks.add(y.tobytes())
    assert len(masks) == 9


def test_mask_depends_on_neither_split_nor_padding_nor_dtype(isa, rng):
    x = rng.normal(size=(20, 37))
    whole = kernels.dropout(x, 0.4, KEY, STREAM, row0=100, isa=isa)
    for first, last in [(0, 1), (1, 7), (7, 20)]:
        np.testing.assert_array_equal(
            kernels.dropout(x[first:last], 0.4, KEY, STREAM, row0=100 + first, isa=isa), whole[first:last]
        )
    padded = np.pad(x, ((0, 0), (0, 11)))[:, :37]
    np.testing.assert_array_equal(kernels.dropout(padded, 0.4, KEY, STREAM, row0=100, isa=isa), whole)
    single = kernels.dropout(x.astype(np.float32), 0.4, KEY, STREAM, row0=100, isa=isa)
    np.testing.assert_array_equal(single != 0, whole != 0)


def test_share_and_mean(isa):
    """Of a million words, the share below p lies within five standard deviations."""
    y = kernels.dropout(np.ones((1000, 1000), np.float32), 0.3, KEY, STREAM, isa=isa)
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / y.size)
    assert abs(y.mean(dtype=float) - 1) < 5 * np.sqrt(0.3 / 0.7 / y.size)


def test_all_dropped_is_zero_whatever_comes_in(isa, dtype):
    x = np.array([[1, np.inf, np.nan, -1, 2]], dtype)
    np.testing.assert_array_equal(kernels.dropout(x, 1.0, KEY, STREAM, isa=isa), np.zeros_like(x))


def test_nan_is_not_hidden(isa, dtype):
    x = np.full((50, 50), np.nan, dtype)
    assert np.isnan(kernels.dropout(x, 0.5, KEY, STREAM, isa=isa)).all()


# Gaussian noise: Box and Muller's method over the same words.


def normal(rows, cols, row0=0, key=KEY, stream=STREAM):
    """The noise for stddev = 1, in float64, as ops/random/noise.c describes it."""
    block, row = np.arange((cols + 3) // 4), (row0 + np.arange(rows)) % 2**32
    words = philox((block[None, :], row[:, None], stream[0], stream[1]), key).astype(np.int64)
    pairs = np.moveaxis(words, 0, 2).reshape(rows, -1, 2)
    first, second = pairs[..., 0], pairs[..., 1]
    radius = np.sqrt(-2 * np.log(((first >> 1) + 0.5) / 2**31))
    angle = np.pi / 2 * ((second >> 2) + 0.5) / 2**30
    signs = np.stack([1 - 2 * (second & 1), 1 - 2 * (second >> 1 & 1)], -1)
    return (signs * radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)).reshape(rows, -1)[:, :cols]


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (4, 8), (3, 33), (2, 131), (3, 300)])
def test_noise_is_that_of_box_and_muller(shape, isa, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    y = kernels.gaussian_noise(x, 0.5, KEY, STREAM, 2**32 - 2, isa=isa)
    # The first word is rounded to the dtype before the logarithm, which shows where it is next to 1, as an absolute error.
    tolerance = 1e-3 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(y, x + 0.5 * normal(*shape, 2**32 - 2), rtol=0, atol=tolerance)
    assert np.median(np.abs(y - (x + 0.5 * normal(*shape, 2**32 - 2)))) < (1e-6 if dtype == np.float32 else 1e-13)


def test_noise_by_rows_gives_the_same_bits(isa, dtype, rng):
    x = rng.normal(size=(9, 70)).astype(dtype)
    whole = kernels.gaussian_noise(x, 0.3, KEY, STREAM, 5, isa=isa)
    parts = [kernels.gaussian_noise(x[a:b], 0.3, KEY, STREAM, 5 + a, isa=isa) for a, b in ((0, 1), (1, 4), (4, 9))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_noise_is_normal(dtype):
    stats = pytest.importorskip("scipy.stats")
    z = kernels.gaussian_noise(np.zeros((200, 1000), dtype), 1.0, KEY, STREAM).astype(np.float64)
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    pairs = np.corrcoef(z[:, 0::2].ravel(), z[:, 1::2].ravel())[0, 1]
    assert abs(pairs) < 4 / np.sqrt(z.size / 2)
    assert np.abs(z).max() > 4


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_backward_drops_what_forward_dropped(p, isa, dtype, rng):
    x, dy = np.ones((7, 45), dtype), rng.normal(size=(7, 45)).astype(dtype)
    mask = np.full(x.shape, 99, np.int8)
    y = kernels.dropout(x, p, KEY, STREAM, mask=mask, isa=isa)
    np.testing.assert_array_equal(kernels.dropout_backward(dy, mask, p, isa=isa), dy * y)
    if p < 1:
        np.testing.assert_array_equal(mask, np.where(y == 0, 0, -1))


def permutation(n, seed, epoch):
    """Durstenfeld's shuffle; an index is the top half of a product with a word, drawn again where that would be uneven (Lemire)."""
    counter = np.arange(n + 64, dtype=np.uint64)
    key = seed & 0xFFFFFFFF, seed >> 32
    blocks = philox((counter, np.uint64(0), np.uint64(epoch & 0xFFFFFFFF), np.uint64(0x80000000 | epoch >> 32)), key)
    words, order = iter(blocks.T.ravel().tolist()), list(range(n))
    for i in range(n, 1, -1):
        product = next(words) * i
        while product % 2**32 < 2**32 % i:
            product = next(words) * i
        order[i - 1], order[product >> 32] = order[product >> 32], order[i - 1]
    return order


@pytest.mark.parametrize("n", [0, 1, 2, 31, 33, 1000])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (0x0123456789ABCDEF, 7), (5, 2**33 + 1)])
def test_shuffle_to_the_bit(n, seed, epoch):
    order = np.full(n, -1, np.int64)
    _core.shuffle(order, seed, epoch)
    assert order.tolist() == permutation(n, seed, epoch)

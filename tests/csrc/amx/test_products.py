"""The products of the emulator of AMX against exact arithmetic: integers, and fractions that are rounded once."""

from fractions import Fraction

import numpy as np
import pytest


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("name", ["tdpbssd", "tdpbsud", "tdpbusd", "tdpbuud"])
def test_products_of_bytes(program, name, place, rng, tmp_path):
    rows, columns, groups = int(rng.integers(1, 17)), int(rng.integers(1, 17)), int(rng.integers(1, 17))
    a, b = rng.integers(0, 256, (2, 16, 64), dtype=np.uint8)
    c = rng.integers(-(2**31), 2**31, (16, 16), dtype=np.int32)
    types = [np.int8 if letter == "s" else np.uint8 for letter in name[4:6]]
    left = a[:rows, : 4 * groups].view(types[0]).astype(np.int64)
    right = b[:groups, : 4 * columns].view(types[1]).reshape(groups, columns, 4).swapaxes(1, 2).reshape(4 * groups, columns)
    expected = c.copy()
    expected[:rows, :columns] = (c[:rows, :columns] + left @ right.astype(np.int64)).astype(np.int32)  # modulo 2^32
    got = multiply(program, tmp_path, name, place, (rows, columns, groups), c, a, b)
    np.testing.assert_array_equal(got, expected)


def multiply(program, tmp_path, name, place, shape, c, a, b):
    """The product of one pair of tiles, of the shape [rows, columns, words of depth]."""
    rows, columns, depth = shape
    np.savez(tmp_path / "operands.npz", c=c, a=a, b=b)
    code = f"""
    permit()
    C, L, R = {TILES[place]}
    shapes = [(1, 4)] * 8
    shapes[C], shapes[L], shapes[R] = ({rows}, {4 * columns}), ({rows}, {4 * depth}), ({depth}, {4 * columns})
    forms.configure(at(configuration(shapes)))
    z = np.load(sys.argv[2])
    c, a, b = (np.ascontiguousarray(z[name]) for name in "cab")
    forms.{name}(at(c), at(a), at(b), {place})
    np.save(sys.argv[3], c)
    """
    program(code, tmp_path / "operands.npz", tmp_path / "result.npy")
    return np.load(tmp_path / "result.npy")


#: The tiles of each place in forms.c: result, left, right.
TILES = [(0, 1, 2), (7, 3, 5), (3, 7, 6), (6, 4, 7), (5, 0, 4)]


def rounded(x):
    """An exact sum as a float32: nearest even with 24 bits, and below 2^-126 then zero; overflow is infinite."""
    if x == 0:
        return np.float32(0)
    exponent = 0
    size = abs(x)
    while size >= 2**24:
        size, exponent = size / 2, exponent + 1
    while size < 2**23:
        size, exponent = size * 2, exponent - 1
    whole = round(size)  # Python's is to the nearest even one
    value = Fraction(whole) * Fraction(2) ** exponent
    if value < Fraction(2) ** -126:
        value = Fraction(0)
    size = np.float32(np.inf) if value >= 2**128 else np.float32(float(value))
    return np.copysign(size, np.float32(-1 if x < 0 else 1))


def flushed(x):
    return np.copysign(np.float32(0), x) if abs(x) < np.float32(2.0**-126) else x


def multiply_add(a, b, c):
    """One step of a chain, without NaN among the operands."""
    a, b, c = flushed(a), flushed(b), flushed(c)
    if not (np.isfinite(a) and np.isfinite(b) and np.isfinite(c)):
        with np.errstate(invalid="ignore", over="ignore"):
            return np.float32(np.float64(a) * np.float64(b) + np.float64(c))
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    return rounded(exact) if exact else np.float32(np.float64(a) * np.float64(b) + np.float64(c))  # the sign of zero


def bf16_product(c, a, b):
    """TDPBF16PS by exact fractions; a [rows, 2 depth], b [2 depth, columns] as float32 values of bfloat16."""
    y = c.copy()
    for m, n in np.ndindex(c.shape):
        even = odd = np.float32(0)
        for k in range(0, a.shape[1], 2):
            even = multiply_add(a[m, k], b[k, n], even)
            odd = multiply_add(a[m, k + 1], b[k + 1, n], odd)
        y[m, n] = multiply_add(np.float32(1), multiply_add(np.float32(1), even, odd), c[m, n])
    return y


def floats(words):
    return (words.astype(np.uint32) << 16).view(np.float32)


def draw(rng, kind, shape):
    """Bits of bfloat16 numbers of one kind."""
    sign = rng.integers(0, 2, shape) << 15
    fraction = rng.integers(0, 128, shape)
    low, high = {
        "ordinary": (120, 130), "wide": (1, 254), "small": (50, 70), "near 2^-126": (60, 67), "denormal": (0, 2),
        "large": (180, 200), "infinite": (250, 256),
    }[kind]  # fmt: skip
    if kind == "infinite":
        fraction = np.zeros(shape, np.int64)
    return (sign | rng.integers(low, high, shape) << 7 | fraction).astype(np.uint16)


@pytest.mark.parametrize("kind", ["ordinary", "wide", "small", "near 2^-126", "denormal", "large", "infinite"])
def test_products_of_bfloat16_are_exact(program, kind, rng, tmp_path):
    rows, columns, depth = 9, 11, 16
    a, b = (draw(rng, kind, (16, 32)) for _ in range(2))
    c = np.where(rng.random((16, 16)) < 0.3, np.float32(0), floats(draw(rng, kind, (16, 16))))
    got = multiply(program, tmp_path, "tdpbf16ps", 2, (rows, columns, depth), c, a, b)
    right = floats(b).reshape(16, 16, 2).swapaxes(1, 2).reshape(32, 16)[:, :columns]
    expected = bf16_product(c[:rows, :columns], floats(a)[:rows], right)
    assert np.array_equal(np.isnan(got[:rows, :columns]), np.isnan(expected))
    same = np.isnan(expected) | (got[:rows, :columns].view(np.uint32) == expected.view(np.uint32))
    assert same.all()
    got[:rows, :columns] = c[:rows, :columns]
    np.testing.assert_array_equal(got, c)


def test_nan_passes_through_and_becomes_quiet(program, tmp_path):
    """The first one of a, b and the sum so far, with its payload; from infinities comes the default NaN."""
    a, b, c = np.zeros((16, 32), np.uint16), np.zeros((16, 32), np.uint16), np.zeros((16, 16), np.float32)
    a[0, 0] = 0x7F85  # signalling
    b[0, 2], b[0, 3] = 0xFFC3, 0x7F81  # column 1, even and odd
    a[2, 0], b[0, 0] = 0x7F80, 0  # infinity times zero
    c[3, 5] = np.uint32(0x7F812345).view(np.float32)
    got = multiply(program, tmp_path, "tdpbf16ps", 0, (16, 16, 16), c, a, b).view(np.uint32)
    assert [hex(got[m, n]) for m, n in [(0, 0), (1, 1), (2, 0), (3, 5), (3, 6)]] == [
        "0x7fc50000",
        "0xffc30000",
        "0xffc00000",
        "0x7fc12345",
        "0x0",
    ]

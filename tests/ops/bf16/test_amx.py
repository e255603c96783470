"""Products of bfloat16 in the tiles of AMX, or in the emulator, give the bits of AVX-512, whose own are proved."""

CODE = """
    import itertools
    import numpy as np
    from nncore._core import kernels

    rng = np.random.default_rng(0)
    SHAPES = [
        (1, 40, 70), (16, 16, 33), (17, 15, 32), (32, 33, 513), (33, 17, 530), (64, 64, 64), (70, 70, 1100), (2, 50, 1000),
        (290, 40, 40), (40, 90, 0),
    ]  # fmt: skip

    def numbers(*shape):
        return (rng.standard_normal(shape) * 10.0 ** rng.integers(-22, 15, shape)).astype(np.float32)

    def as_amx_has_it(isa, at):
        return at if isa == "amx" else at.reshape(*at.shape[:2], 32, 32).swapaxes(2, 3)

    def results(isa, x, w, bias, before, mask):
        (m, k), n = x.shape, w.shape[1]
        a, b, saved = (kernels.bf16_pack(y, form, isa=isa) for y, form in ((x, "a"), (w, "b"), (mask, "a")))
        for with_bias, relu, masked, accumulate in itertools.product((False, True), repeat=4):
            at, *others = kernels.bf16_product(
                a, b, m, n, ("at", "rows", "sums", "a", "b", "bt"), bias if with_bias else None, relu, saved if masked else None,
                before.copy(), accumulate, isa=isa,
            )
            yield from (as_amx_has_it(isa, at), *others)
        for wanted in (("rows",), ("at", "a"), ("bt",), ("sums",)):
            first, *others = kernels.bf16_product(a, b, m, n, (*wanted, "b"), isa=isa)
            yield from (as_amx_has_it(isa, first) if wanted[0] == "at" else first, *others)
        at, *others = kernels.bf16_pack(x, ("at", "a", "b", "bt"), isa=isa)
        yield from (as_amx_has_it(isa, at), *others)
        wt = kernels.bf16_pack(np.ascontiguousarray(x.T), "at", isa=isa)
        yield kernels.bf16_product(wt, b, m, n, isa=isa, transposed=True)
        yield kernels.bf16_column_sum(x, isa=isa)

    for m, n, k in SHAPES:
        given = numbers(m, k), numbers(k, n), numbers(n), numbers(m, n), np.maximum(numbers(m, n), 0)
        for number, (mine, truth) in enumerate(zip(results("amx", *given), results("avx512", *given), strict=True)):
            assert mine.tobytes() == truth.tobytes(), (m, n, k, number)
    print(len(SHAPES))
"""


def test_the_bits_are_those_of_avx512(amx):
    assert amx.run(CODE) == "10\n"

"""Whole models of low precision learn and predict the same bits with tiles as without them."""

import functools
from pathlib import Path

import pytest
from csrc.amx.fits import MODELS

PROGRAM = Path(__file__).parent / "fits.py"


@pytest.fixture(scope="module")
def digests(amx):
    """(instruction set, threads) -> name of a model -> digest of what it learned; all models are run at once."""

    def run(isa, threads):
        code = f"import runpy, sys\nsys.argv[0] = {str(PROGRAM)!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
        return dict(line.split(": ") for line in amx.run(code, threads, isa=isa).splitlines())

    return functools.cache(run)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_tiles_learn_and_predict_the_same_bits(digests, name, threads):
    assert digests("amx", threads)[name] == digests("avx512", 1)[name]


@pytest.mark.parametrize("name", MODELS)
def test_shorter_vectors_do_too(digests, name):
    assert digests("avx2", 2)[name] == digests("avx512", 1)[name]


def test_models_differ(digests):
    assert len(set(digests("avx512", 1).values())) == len(MODELS)

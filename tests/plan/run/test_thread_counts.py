"""Any number of threads does all the work, each piece once: the bits of every result are those of one thread.

Small networks would have one thread, so the number is forced (`_core.force_threads`). NNCORE_FUZZ says how many networks there are.
"""

import os

import numpy as np
import pytest
from plan.random_nets import Case, difference, with_threads

from nncore import _core

NETS = int(os.environ.get("NNCORE_FUZZ", "200"))
MOST = 33
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)
#: Numbers whose quotients are no binary fractions.
THIRDS = (3, 6, 12, 24)


def thread_counts(rng, net):
    """A few numbers of threads; over some dozens of networks, all of them up to MOST."""
    return {int(rng.choice(THIRDS if net % 2 else PRIMES)), 2 + net % (MOST - 1)}


def test_bits_do_not_depend_on_the_number_of_threads(rng):
    seeds, covered = rng.integers(0, 2**62, NETS), set()
    for net, seed in enumerate(seeds):
        case = Case(int(seed))
        alone = with_threads(case, 1)
        for n in sorted(thread_counts(rng, net)):
            covered.add(n)
            differs = difference(alone, with_threads(case, n))
            assert differs is None, f"plan.random_nets.Case({seed}) with {n} threads: other bits in {differs}"
    assert NETS < MOST or covered == set(range(2, MOST + 1))


def test_a_share_too_few_is_found(rng):
    """What is left out is found in every network whose last share holds a task."""
    found = 0
    for seed in rng.integers(0, 2**62, 10):
        case = Case(int(seed))
        found += difference(with_threads(case, 1), with_threads(case, 3, lose=1)) is not None
    assert found >= 8


def works(rng):
    """Costs and rows of some tasks: equal ones, ones that differ by a little or by orders of magnitude."""
    n = int(rng.integers(1, 12))
    rows = rng.choice([1, 2, 15, 16, 17, 96, 97, 1000, 131072], n).astype(np.uintp)
    kind = rng.integers(4)
    if kind == 0:
        return rng.integers(1, 8, n).astype(float), rows
    if kind == 1:
        return rows * rng.integers(1, 100, n) * rng.choice([1, 1.15], n), rows
    return 10.0 ** rng.uniform(-5 if kind == 2 else 0, 18, n), rows


@pytest.mark.parametrize("part", range(4))
def test_shares_cover_all_rows_for_every_size(part, rng):
    for _ in range(25):
        work, rows = works(rng)
        assert _core.find_bad_partition(work, rows, 1024) == 0, (work.tolist(), rows.tolist())

"""The choice between one thread and the team (csrc/plan/autotune.c), driven by made-up costs and a made-up clock."""

import ctypes
import math
import os
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
TEAM = 4
SETTLED = 0.1  # seconds of work after which the right choice is expected
SHIM = """
#include <stdlib.h>
#include "plan/autotune.h"
int nnc_forced_threads(void) { return 0; }
void *new_autotune(void) { return calloc(1, sizeof(nnc_autotune)); }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("autotune")
    (folder / "shim.c").write_text(SHIM)
    target = folder / "autotune.so"
    files = [folder / "shim.c", CSRC / "plan/autotune.c"]
    subprocess.run(
        [compiler, "-std=c11", "-O1", "-ffp-contract=off", "-shared", "-fPIC", f"-I{CSRC}", *files, "-o", target, "-lm"], check=True
    )
    found = ctypes.CDLL(target)
    found.new_autotune.restype = ctypes.c_void_p
    found.nnc_autotune_choose.argtypes = [
        ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_double, ctypes.POINTER(ctypes.c_double),
    ]  # fmt: skip
    found.nnc_autotune_report.argtypes = [ctypes.c_void_p, ctypes.c_double, ctypes.c_double]
    return found


class Steps:
    """Steps of a plan whose costs are known. ``step_costs(threads, is_first)`` gives the seconds of a step; ``is_first`` says that
    the step before had another number of threads."""

    def __init__(self, library, step_cost, batch=128):
        self.library, self.step_cost, self.batch = library, step_cost, batch
        self.state = ctypes.c_void_p(library.new_autotune())
        self.now, self.busy, self.threads, self.used = 1000.0, 0.0, None, []
        self.spent = {}  # seconds after the first tenth, by number of threads

    def call(self, steps=1, pause=0.0, batch=None, wanted=TEAM):
        """Run this many steps in one call, as nnc_train does."""
        batch, done, until = batch or self.batch, 0, ctypes.c_double()
        while done < steps:
            threads = self.library.nnc_autotune_choose(self.state, wanted, batch, self.now, ctypes.byref(until))
            began, first = self.now, done
            while done < steps:
                seconds = self.step_cost(threads, threads != self.threads) * batch / self.batch
                self.now += seconds
                if self.busy + self.now - began > SETTLED:
                    self.spent[threads] = self.spent.get(threads, 0.0) + seconds
                self.threads = threads
                self.used.append(threads)
                done += 1
                if self.now >= until.value:
                    break
            self.busy += self.now - began
            self.library.nnc_autotune_report(self.state, (done - first) * batch, self.now - began)
        self.now += pause

    def held(self, threads):
        """The part of the time after the first tenth of a second that was worked with this number of threads."""
        return self.spent.get(threads, 0.0) / sum(self.spent.values())

    def share(self, threads, last):
        """The part of the last steps that had this number of threads."""
        return self.used[-last:].count(threads) / last


@pytest.mark.parametrize("one_step_per_call", [True, False])
@pytest.mark.parametrize("seconds", [20e-6, 1.5e-3, 40e-3])
@pytest.mark.parametrize("ratio", [0.3, 0.66, 0.99, 1.5, 8.0])
def test_the_loss_against_the_better_choice_is_bounded(library, ratio, seconds, one_step_per_call):
    """ratio: of the team's time and one thread's. The first step after a change takes 0.2 ms longer, for waking and cold caches."""

    def cost(threads, is_first):
        return seconds * (ratio if threads > 1 else 1) + is_first * 2e-4

    steps = Steps(library, cost)
    count = max(400, int(4 / seconds))
    for _ in range(count if one_step_per_call else count // 50):
        steps.call(1 if one_step_per_call else 50)
    best = seconds * min(1, ratio)
    first_trial = 12 * seconds * max(1, ratio)
    assert steps.busy - len(steps.used) * best < 0.045 * steps.busy + first_trial + 1e-3
    if ratio < 0.9 or ratio > 1.1:
        assert steps.share(TEAM if ratio < 1 else 1, count // 2) >= 0.96


@pytest.mark.parametrize("ratio", [0.66, 1.6])
def test_work_of_other_libraries_between_the_steps(library, ratio):
    """Every step follows 5 ms of other work, after which the threads of the team have to be woken. Time that is not the plan's does
    not bring trials nearer."""
    rng = random.Random(0)

    def cost(threads, is_first):
        return 2e-3 * (ratio if threads > 1 else 1) + (threads > 1) * 5e-5 + 3e-3 * (rng.random() < 0.05)

    steps = Steps(library, cost)
    for _ in range(2000):
        steps.call(pause=5e-3)
    assert steps.share(TEAM if ratio < 1 else 1, 1900) > 0.95


def test_outliers_do_not_decide(library):
    """One step in eight loses its processor for 10 ms, whichever the choice. A trial may go wrong by chance; the next mends it."""
    shares = []
    for seed in range(20):
        rng = random.Random(seed)
        steps = Steps(library, lambda threads, _, rng=rng: (1e-3 if threads > 1 else 2e-3) + 1e-2 * (rng.random() < 0.125))
        for _ in range(3000):
            steps.call()
        shares.append(steps.share(TEAM, 2500))
    assert sorted(shares)[2] > 0.9
    assert min(shares) > 0.5


def test_a_slow_team_is_noticed_in_a_few_steps(library):
    """Beside a busy process, a barrier may take as long as the other program's turn."""
    steps = Steps(library, lambda threads, _: 1.6e-2 if threads > 1 else 2e-4)
    for _ in range(30):
        steps.call()
    assert steps.used.count(TEAM) == 4
    assert steps.used[-20:] == [1] * 20


@pytest.mark.parametrize(("before", "after"), [(0.6, 3.0), (3.0, 0.6)])
def test_a_change_is_found(library, before, after):
    ratio = before
    steps = Steps(library, lambda threads, is_first: 1e-3 * (ratio if threads > 1 else 1))
    for _ in range(3000):
        steps.call()
    ratio = after
    for _ in range(3000):
        steps.call()
    assert steps.share(TEAM if after < 1 else 1, 2000) > 0.97


def test_a_slower_team_is_left_within_a_third_of_a_second(library):
    ratio = 0.6
    steps = Steps(library, lambda threads, is_first: 1e-3 * (ratio if threads > 1 else 1))
    for _ in range(300):
        steps.call(10)
    ratio, began = 4.0, steps.now
    while steps.share(1, 20) < 1:
        steps.call(10)
        assert steps.now - began < 0.33


def test_the_smaller_last_batch_of_an_epoch_does_not_start_anew(library):
    steps = Steps(library, lambda threads, is_first: 1e-3 * (0.5 if threads > 1 else 1) + is_first * 1e-4)
    for _ in range(200):
        steps.call(9)
        steps.call(1, batch=50)
    assert steps.share(TEAM, 1800) > 0.97


def test_another_batch_size_and_another_team_are_measured(library):
    steps = Steps(library, lambda threads, is_first: 1e-3 * (2.0 if threads > 1 else 1))
    for _ in range(200):
        steps.call()
    assert steps.used[-1] == 1
    steps.step_cost = lambda threads, is_first: 1e-3 * (0.5 if threads > 1 else 1)
    for _ in range(60):
        steps.call(batch=1024)
    assert steps.used[-1] == TEAM
    for _ in range(60):
        steps.call(batch=1024, wanted=8)
    assert steps.used[-1] == 8
    assert math.isfinite(steps.now)


def test_one_thread_is_enough_for_little_work(library):
    steps = Steps(library, lambda threads, is_first: 1e-6)
    for _ in range(20):
        steps.call(wanted=1)
    assert set(steps.used) == {1}


def test_a_first_trial_that_went_wrong_is_repeated_soon(library):
    """The first steps of the team are slow, because another library's threads still run."""
    steps = Steps(library, lambda threads, _: (6e-3 if len(steps.used) < 12 else 1e-3) if threads > 1 else 1.7e-3)
    for _ in range(400):
        steps.call(pause=2e-3)
    assert steps.share(TEAM, 300) > 0.9


def test_a_small_net_finds_its_choice_within_a_twentieth_of_a_second(library):
    """The first 5 ms of the team are slow, in calls of 10 ms."""
    steps = Steps(library, lambda threads, _: 18e-6 + 20e-6 * (steps.busy < 5e-3) if threads > 1 else 30e-6)
    while steps.busy < 50e-3:
        steps.call(300, pause=50e-3)
    assert steps.used[-1] == TEAM
    assert steps.busy - len(steps.used) * 18e-6 < 25e-3


def in_turns(library, seconds, turn, spin, *, whole, ratio=0.6, disturbed=2.5, work=4.0):
    """Steps of this many seconds, in turns with another library, whose threads keep the processors of the team busy for ``spin``
    seconds after its turn. Until then, the team takes ``disturbed`` times as long as one thread. whole: one call in a turn."""
    rng = random.Random(0)

    def cost(threads, is_first):
        left = began + spin - steps.now
        part = min(1.0, max(0.0, left) / (seconds * disturbed))  # of the step, done until then
        factor = 1.0 if threads == 1 else part * disturbed + (1 - part) * ratio
        return seconds * factor * rng.uniform(1, 1.03) + is_first * 2e-5

    steps = Steps(library, cost)
    while steps.busy < work:
        began = steps.now
        while steps.now - began < turn:
            steps.call(max(1, int(turn / seconds)) if whole else 1)
        steps.now += turn
    return steps


@pytest.mark.parametrize("seconds", [2e-4, 1.5e-3])
@pytest.mark.parametrize("turn", [5e-3, 10e-3, 15e-3, 20e-3, 40e-3])
@pytest.mark.parametrize(
    ("part", "whole"), [(0.0, False), (0.1, False), (0.1, True), (0.2, False), (0.2, True), (0.9, False), (1.5, False), (1.5, True)]
)
def test_another_library_that_takes_turns(library, part, whole, turn, seconds):
    """Its threads spin for this part of the next turn: the team is right up to a fifth of it, one thread if it is nearly all."""
    steps = in_turns(library, seconds, turn, part * turn, whole=whole)
    assert steps.held(TEAM if part < 0.5 else 1) >= 0.95


@pytest.mark.parametrize("seconds", [2e-4, 1.5e-3])
@pytest.mark.parametrize("ratio", [0.6, 1.4])
@pytest.mark.parametrize("spell", [5e-3, 30e-3, 200e-3])
def test_noise_that_comes_and_goes(library, spell, ratio, seconds):
    """In spells, every step takes longer at random, whichever the choice."""
    rng, ends, is_noisy = random.Random(0), 0.0, False

    def cost(threads, is_first):
        nonlocal ends, is_noisy
        if steps.now >= ends:
            ends, is_noisy = steps.now + rng.expovariate(1 / spell), not is_noisy
        return seconds * (ratio if threads > 1 else 1) * (rng.uniform(1, 4) if is_noisy else 1)

    steps = Steps(library, cost)
    while steps.busy < 4:
        steps.call()
    assert steps.held(TEAM if ratio < 1 else 1) >= 0.95


@pytest.mark.parametrize("spell", [2e-3, 6e-3])
def test_a_second_processor_that_is_taken_away_for_moments(library, spell):
    """A twentieth of the time: too short for another choice to pay."""
    rng = random.Random(0)
    starts = [0.0]
    while starts[-1] < 1010:
        starts.append(max(starts[-1], 1000) + spell + rng.expovariate(1 / (19 * spell)))
    starts.reverse()

    def cost(threads, _):
        while steps.now > starts[-1] + spell:
            starts.pop()
        return 4e-4 * (1 if threads == 1 else 3 if steps.now >= starts[-1] else 0.6)

    steps = Steps(library, cost)
    while steps.busy < 4:
        steps.call()
    assert steps.held(TEAM) >= 0.95


@pytest.mark.parametrize("seconds", [2e-5, 4e-4, 5e-3])
@pytest.mark.parametrize("ratio", [0.55, 0.9, 1.2, 3.0])
def test_trials_cost_a_hundredth(library, ratio, seconds):
    """Once the choice is settled, against the better one, but for a trial that has to be paid off later."""
    steps = Steps(library, lambda threads, is_first: seconds * (ratio if threads > 1 else 1))
    while steps.busy < 1:
        steps.call(20)
    count, busy = len(steps.used), steps.busy
    while steps.busy < 6:
        steps.call(20)
    best, trial = seconds * min(1, ratio), 6 * max(seconds, 3e-4) * (max(1, ratio) / min(1, ratio) - 1)
    assert steps.busy - busy <= 1.01 * (len(steps.used) - count) * best + trial


def test_trials_keep_no_rhythm(library):
    """The work from one trial to the next is no multiple of other intervals, not even when it has grown to its limit."""
    steps, starts = Steps(library, lambda threads, _: 1e-4 * (0.6 if threads > 1 else 1)), []
    while steps.busy < 20:
        steps.call()
        if steps.used[-2:] == [TEAM, 1]:
            starts.append(steps.busy)
    between = [b - a for a, b in pairwise(starts[10:])]
    assert len(between) > 20
    for period in (5e-3, 10e-3, 20e-3, 40e-3, 100e-3):
        phases = sorted(start % period / period for start in starts[10:])
        assert max(b - a for a, b in pairwise([*phases, phases[0] + 1])) < 0.3
    assert max(between) / min(between) > 3

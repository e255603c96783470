"""Eight threads do anything at all to one model, at random.

Three kinds of rounds, in turn, over seven kinds of nets. Busy: everything goes; only a ConcurrentUseError may refuse, and only
what trains, compiles, builds or writes. Still: the same without what changes weights, and every prediction is the right bits.
Counted: some threads train along a trajectory that is known, and every copy that the others take is of one moment of it.
"""

from __future__ import annotations

import copy
import os
import pickle
import sys
import threading
import time

import numpy as np
import running
from nets import KINDS, Normalised, Trajectory
from operations import OPERATIONS, Wrong, are_finite, prepare

import nncore as nn
from nncore.errors import ConcurrentUseError

STEPS = 1500  # of the trajectory


class Hung(Exception):
    """A thread did not come back."""


def options(parser):
    parser.add_argument("--rounds", default="busy,still,counted", help="which, by comma")
    parser.add_argument("--round-seconds", type=float, default=0.7, help="how long a round takes")
    parser.add_argument("--threads", type=int, default=8, help="of a busy or a still round")
    parser.add_argument("--first", type=int, default=0, help="number of the first round: a failing round is repeated by it")


def main(storm):
    sys.setswitchinterval(1e-6)
    rounds, refused = storm.options.rounds.split(","), [0]
    trajectory = Trajectory(Normalised(), STEPS) if "counted" in rounds else None
    number = storm.options.first
    kinds = [kind for kind in KINDS if storm.wanted(kind.name)] or KINDS
    while storm.left() > 0:
        sort, kind = rounds[number % len(rounds)], kinds[number // len(rounds) % len(kinds)]
        where = f"round {number}, {sort}, {kind.name}"
        try:
            with running.folder() as place:
                if sort == "counted":
                    counted(storm, number, trajectory, place)
                else:
                    free(storm, number, kind, sort == "still", place, where, refused)
        except Hung:
            storm.fail("hung", f"{where}: threads do not come back; see the calls that are too slow")
            break
        number += 1
    return storm.finish(rounds=number - storm.options.first, calls=storm.counts.total(), refused=refused[0])


def at_once(works, storm):
    """Run these functions in threads of their own until all are done; where one never is, there is no going on."""
    gate = threading.Barrier(len(works))

    def begin(work):
        gate.wait()
        work()

    threads = [threading.Thread(target=begin, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    limit = time.monotonic() + storm.options.round_seconds + storm.options.longest + 10
    for thread in threads:
        thread.join(max(0.0, limit - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        raise Hung


def free(storm, number, kind, still, place, where, refused):
    """A busy or a still round: every thread does what it likes."""
    case = prepare(kind, still, place)
    operations = [o for o in OPERATIONS if o.fits(kind) and not (still and o.moves_weights)]
    chosen = [o for o in operations if storm.wanted(o.name)] or operations
    end = storm.left() - storm.options.round_seconds

    def work(index):
        rng = storm.rng(number, index)
        count = 0
        while storm.left() > end:
            operation = chosen[rng.integers(len(chosen))]
            count += 1
            try:
                with storm.call(f"{operation.name} [{where}, thread {index}, call {count}]"):
                    operation.act(case, rng)
            except Exception as error:
                if operation.allows(error):
                    refused[0] += 1
                else:
                    detail = f"{where}, thread {index}, call {count}: repeat it with --first {number}\n"
                    storm.fail_by(f"{'still' if still else 'busy'} {kind.name} {operation.name}", error, detail)

    at_once([lambda i=i: work(i) for i in range(storm.options.threads)], storm)
    for key, outputs in case.kept:
        try:
            case.check(key, outputs)
        except Wrong as error:
            storm.fail_by(f"still {kind.name}: a result was overwritten while somebody held it", error, where)
    afterwards(storm, case, where)


def afterwards(storm, case, where):
    """What must be possible after a round."""
    model, (x, y, lengths) = case.model, case.inputs[32, 5]
    try:
        with storm.call(f"afterwards [{where}]"):
            if case.still:
                case.check((32, 5), model.predict(x))
            if not are_finite(list(model.state_dict().values())):
                raise Wrong("weights are not finite")
            model.fit(x, y, verbose=0, lengths=lengths)
            case.kind.compile(model)
            model.train_on_batch(x, y, lengths=lengths)
            copy.deepcopy(model).predict(x)
    except Exception as error:
        storm.fail_by(f"afterwards {case.kind.name}", error, where + "\n")


def counted(storm, number, trajectory, place):
    """Three threads train, five take copies of all kinds and look whether they are of one moment."""
    model = trajectory.kind.model()
    end = storm.left() - storm.options.round_seconds

    def train(index):
        rng = storm.rng(number, index)
        while storm.left() > end and model.step < STEPS - 200:
            try:
                if rng.random() < 0.3:
                    with storm.call(f"fit [counted round {number}]"):
                        trajectory.fit(model, int(rng.choice([2, 20, 50])))
                else:
                    with storm.call(f"train_on_batch [counted round {number}]"):
                        trajectory.train(model)
            except ConcurrentUseError:
                pass
            except Exception as error:
                storm.fail_by("counted train", error)

    def take(index):
        rng = storm.rng(number, index)
        takes = (by_deepcopy, by_pickle, by_save)
        while storm.left() > end and model.step < STEPS - 200:
            way = takes[rng.integers(len(takes))]
            try:
                with storm.call(f"{way.__name__} [counted round {number}]"):
                    other = way(model, os.path.join(place, f"{index}.safetensors"))
                check(way.__name__, other)
            except Exception as error:
                storm.fail_by(f"counted {way.__name__}", error, f"--rounds counted --first {number}\n")

    def check(way, other):
        step = other.step
        wrong = trajectory.complaint(other.state_dict(), [step])
        if wrong:
            raise Wrong(f"torn: the copy says step {step}, {wrong}")
        if step < STEPS:
            trajectory.train(other)
            if not trajectory.is_at(other.state_dict(), step + 1):
                raise Wrong("torn: the copy's moments are not those of its weights, as it trains on differently")

    def weights(index):
        path = os.path.join(place, "weights")
        while storm.left() > end and model.step < STEPS - 200:
            try:
                with storm.call(f"save_weights [counted round {number}]"):
                    model.save_weights(path)
                other = trajectory.kind.model()
                other.load_weights(path)
                wrong = trajectory.complaint(other.state_dict())
                if wrong:
                    raise Wrong(f"torn: {wrong}")
            except Exception as error:
                storm.fail_by("counted save_weights", error, f"--rounds counted --first {number}\n")

    def read(index):
        while storm.left() > end and model.step < STEPS - 200:
            try:
                with storm.call(f"predict [counted round {number}]"):
                    found = model.predict(trajectory.x)
                if not np.isfinite(found).all():
                    raise Wrong("a prediction is not finite")
            except Exception as error:
                storm.fail_by("counted predict", error)

    at_once([lambda i=i, w=w: w(i) for i, w in enumerate((train, train, train, take, take, take, weights, read))], storm)
    step = model.step
    if wrong := trajectory.complaint(model.state_dict(), [step]):
        storm.fail("counted: the trained model is off its trajectory", f"round {number}, step {step}: {wrong}")


def by_deepcopy(model, path):
    return copy.deepcopy(model)


def by_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def by_save(model, path):
    model.save(path)
    return nn.load(path)


if __name__ == "__main__":
    running.run(main, "storm_threads", options)

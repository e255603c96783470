"""The start of training by several ranks: all must have the same model and settings, and then get the numbers of rank 0."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from ...errors import RanksError
from ..progress import Progress
from .averages import moments, put

if TYPE_CHECKING:
    from ...network.network import Network
    from ..configuration import Configuration
    from .base import Ranks

_FIELDS = ("epoch", "start", "batch_size", "rows", "shuffle", "steps", "sums", "states")
_ALONE = nullcontext()  # a generator would cost a short fit a hundredth of its time
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def same_seed(ranks: Ranks, network: Network) -> None:
    """Give all ranks the seed of rank 0, from which the order of the rows, masks and a validation split follow."""
    seed, passes = ranks.together((network.plan.seed, network.plan.passes))
    if network.plan.seed != seed:
        network.plan.seed = seed
    network.plan.passes = passes


def described(network: Network, config: Configuration, ranks: Ranks) -> dict[str, str]:
    """Return what must be the same on all ranks, as text by what it is."""
    ops = [] if network.plan.ops is None else [op._replace(part=type(op.part).__name__) for op in network.plan.ops]
    return {
        "the layers": _ADDRESS.sub("", f"{network.input_shapes} {ops}") if network.built else "not built",
        "the dtype": f"{network.dtype} {network.plan.compute}",
        "the arguments of compile": _ADDRESS.sub("", "; ".join(config.describe())),
        "what is trained": str([tuple(each) for each in network.plan.trainer.options or []]),
        "distributed": f"sharded={ranks.sharded}, sync_every={ranks.sync_every}, joins_norms={ranks.joins_norms}",
    }


def agree(ranks: Ranks, error: BaseException | None, described: dict[str, str]) -> None:
    """Raise an error on every rank if one has failed so far, or if they differ.

    Raises
    ------
    RanksError
        Another rank has failed, or something is not the same on all ranks. A rank that has failed raises its own error.
    """
    found = ranks.exchange((None if error is None else f"{type(error).__name__}: {error}", described))
    if error is not None:
        raise error
    for rank, (failed, _) in enumerate(found):
        if failed is not None:
            raise RanksError(f"rank {rank} has failed, so that rank {ranks.rank} stops: {failed}")
    _, first = found[0]
    for rank, (_, other) in enumerate(found):
        for what in (key for key in first if first[key] != other.get(key)):
            raise RanksError(
                f"rank {rank} and rank 0 have not the same for {what}: {_difference(other.get(what, ''), first[what])}; let all "
                "ranks run the same program with the same arguments"
            )


@contextmanager
def _agreed(ranks: Ranks) -> Iterator[None]:
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
    agree(ranks, error, {})


def agreed(ranks: Ranks | None) -> AbstractContextManager[None]:
    """Raise an error on every rank if one of them raises one within the block."""
    return _ALONE if ranks is None else _agreed(ranks)


def _difference(one: str, other: str) -> str:
    """Return two texts from shortly before the place where they differ."""
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(at - 40, 0)
    return " and ".join(repr(("..." if start else "") + each[start : at + 60]) for each in (one, other))


def broadcast(ranks: Ranks, network: Network, config: Configuration) -> None:
    """Give all ranks the parameters, running statistics, moments, counters and progress of rank 0."""
    plan = network.plan
    with network.access.training():
        values = plan.values()
        ranks.broadcast(values)
        plan.set_values(values)
        states = [p.value for p in plan.states()]
        if states:
            flat = np.concatenate([each.reshape(-1) for each in states]).astype(np.float64)
            ranks.broadcast(flat)
            put(states, flat)
        for each in moments(network):
            ranks.broadcast(each)
    lr = config.optimizer.lr
    progress = plan.trainer.progress
    sent = None if progress is None else progress.snapshot(plan.step)
    told = None if sent is None else ({name: getattr(sent, name) for name in _FIELDS}, sent.accumulate)
    step, lr_of_first, told = ranks.together((plan.step, None if callable(lr) else lr, told))
    if plan.step != step:
        plan.step = step
    if lr_of_first is not None and lr != lr_of_first:
        config.optimizer.lr = lr_of_first
    plan.trainer.progress = None if told is None else Progress(**told[0], accumulate=told[1])


def check_equal(ranks: Ranks, network: Network) -> None:
    """Raise RanksError if the parameters are not the same on all ranks, bit for bit."""
    sums = ranks.exchange(zlib.crc32(network.plan.values().tobytes()))
    for rank, each in enumerate(sums):
        if each != sums[0]:
            raise RanksError(
                f"the parameters of rank {rank} are no longer those of rank 0; callbacks and layers that change parameters must "
                "do so on all ranks alike"
            )

"""The model of scaling.py: what a step of data-parallel training costs on p machines, from latency, bandwidth and computation.

All times are in seconds, all sizes in bytes.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil, log2
from typing import NamedTuple

import numpy as np

FLOAT = 4  #: bytes of a gradient
SMALL = 24  #: bytes of the second sum of a step: its loss, its rows, and whether to stop
LSTM = "LSTM i32 h128 T100"
SMALLEST = "2-10-10-10-1"
MACHINES = [2**i for i in range(1, 11)]


class Net(NamedTuple):
    """The constants of a net that are measured here. times: seconds of a step by its rows; fixed: what a step of ranks costs beside
    the sums, in Python and in mpi4py."""

    batch: int
    parameters: int
    moments: int  #: of the optimizer, for each parameter
    times: dict[int, float]
    fixed: float

    def compute(self, rows: float) -> float:
        """Seconds of a step on so many rows: between two that were measured on the line through them, below one row as for one."""
        known = sorted(self.times)
        rows = max(rows, known[0])
        low, high = next(((a, b) for a, b in pairwise(known) if rows <= b), (known[-2], known[-1]))
        share = (rows - low) / (high - low)
        return self.times[low] * (1 - share) + self.times[high] * share


class Network(NamedTuple):
    """Seconds that a message takes, and seconds per byte."""

    alpha: float
    beta: float


#: Typical figures; docs/scaling.md names where they are from. Ethernet carries 1448 bytes of data in 1538 on the wire.
NETWORKS = {
    "1 Gb Ethernet": Network(50e-6, 1 / (1e9 / 8 * 1448 / 1538)),
    "10 Gb Ethernet": Network(20e-6, 1 / (10e9 / 8 * 1448 / 1538)),
    "25 Gb RDMA": Network(2e-6, 1 / (25e9 / 8 * 0.93)),
    "100 Gb InfiniBand": Network(1.6e-6, 1 / (100e9 / 8 * 0.94)),
}


def recursive_doubling(n: float, p: int, net: Network, gamma: float) -> float:
    """Seconds of an Allreduce of n bytes: in each of lg p rounds, all ranks exchange all n bytes in pairs."""
    return ceil(log2(p)) * (net.alpha + n * (net.beta + gamma))


def halving(n: float, p: int, net: Network, gamma: float) -> float:
    """Rabenseifner's: halves, quarters, ... are exchanged and summed, and gathered the same way back."""
    return 2 * ceil(log2(p)) * net.alpha + (p - 1) / p * n * (2 * net.beta + gamma)


def ring(n: float, p: int, net: Network, gamma: float) -> float:
    """In 2 (p - 1) rounds, each rank sends a p-th part to its neighbour."""
    return 2 * (p - 1) * net.alpha + (p - 1) / p * n * (2 * net.beta + gamma)


def allreduce(n: float, p: int, net: Network, gamma: float) -> float:
    """The quickest of them, which libraries of MPI choose by n and p."""
    return 0.0 if p == 1 else min(each(n, p, net, gamma) for each in (recursive_doubling, halving, ring))


def step(net: Net, p: int, network: Network, gamma: float, rows: float | None = None, every: int = 1, size: int = FLOAT) -> float:
    """Seconds of a step on p machines. rows: those of each machine; the default is its part of the batch.

    every: machines average parameters and moments after so many steps (sync_every). size: bytes of a gradient.
    """
    rows = net.batch / p if rows is None else rows
    if every > 1:
        sent = net.parameters * FLOAT * (1 + net.moments)
        return net.compute(rows) + (net.fixed + allreduce(sent, p, network, gamma) + allreduce(SMALL, p, network, gamma)) / every
    sums = allreduce(net.parameters * size, p, network, gamma) + allreduce(SMALL, p, network, gamma)
    return net.compute(rows) + net.fixed + sums


def constants(times: dict[int, float], gamma: float, p: int = 2) -> Network:
    """Return alpha and beta from sums between two ranks, a single exchange each: the line with the least relative errors."""
    sizes = np.array(sorted(times), float)
    seconds = np.array([times[int(size)] for size in sizes])
    columns = np.stack([np.ones_like(sizes), sizes], axis=1) / seconds[:, None]
    alpha, slope = np.linalg.lstsq(columns, np.ones_like(seconds), rcond=None)[0]
    return Network(float(max(alpha, seconds[0] / 2)), float(max(slope - gamma, 0.1 * slope)))

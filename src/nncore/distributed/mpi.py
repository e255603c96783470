"""MPI: the processes that mpiexec has started, through mpi4py."""

from __future__ import annotations

import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._checks import choice, flag, shown, whole
from ..errors import ArgumentError, require
from ..training import evaluation
from ..training.ranks.base import Ranks

if TYPE_CHECKING:
    from ..models import Model

_PATIENCE = 3.0  # seconds in which all ranks must have failed; then those that have not are ended


class _EndAll:
    """Shows an error that nobody has caught, and ends all ranks: the others would wait for this one forever."""

    def __init__(self, show: Any, comm: Any) -> None:
        self.show, self.comm = show, comm

    def __call__(self, *error: Any) -> None:
        self.show(*error)
        print(f"nncore: rank {self.comm.Get_rank()} of {self.comm.Get_size()} has failed, and ends the others", file=sys.stderr)
        sys.stderr.flush()
        self.comm.Abort(1)


class MPI(Ranks):
    """Train a model by all processes of an MPI program, each on its part of the rows of every batch.

    Pass it to ``model.compile(..., distributed=nn.distributed.MPI())``, and start the program with
    ``mpiexec -n 4 python train.py``. `Model.fit` then starts with the numbers of rank 0, sums the gradients of every step over all
    ranks, and so makes the steps of one process with the same ``batch_size``, which is that of all ranks together. The parameters
    are the same on all ranks, bit for bit. Without mpiexec there is one process, and nothing changes.

    `Model.fit`, `Model.train_on_batch` and `Model.apply_gradients` must be called by all ranks in the same order. `Model.predict`,
    `Model.evaluate` and everything else concerns one process alone; `evaluate` and `predict` of this class divide the rows.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        The communicator; the default is ``MPI.COMM_WORLD``.
    sharded : bool, default False
        Whether each rank passes rows of its own to `Model.fit`. If not, all pass the same rows, which may be a memory map, and each
        reads only its part. Iterables of batches are always each rank's own.
    batch_norm : {"synchronized", "local"}, optional
        Whether `BatchNorm1d` normalises by the statistics of the rows of all ranks, or each rank by those of its own rows. Running
        statistics are then averaged after every epoch. The default is "synchronized", and "local" with ``sync_every``.
    sync_every : int, default 1
        With a number k above 1, each rank makes k steps of its own; then parameters, moments and running statistics are averaged,
        weighed by the rows of each rank (local SGD, Stich 2019). This needs less communication, and is no longer the training of
        one process.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.

    Raises
    ------
    MissingExtraError
        mpi4py is not installed.
    ArgumentError
        An argument is wrong.

    Examples
    --------
    >>> import nncore as nn
    >>> ranks = nn.distributed.MPI()
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd", distributed=ranks)
    >>> history = model.fit([[0.0], [1.0]], [[1.0], [3.0]], epochs=2, batch_size=2)
    >>> ranks.rank, ranks.size, ranks.exchange("mine")  # without mpiexec
    (0, 1, ['mine'])
    """

    def __init__(
        self,
        comm: Any = None,
        *,
        sharded: bool = False,
        batch_norm: Literal["synchronized", "local"] | None = None,
        sync_every: int = 1,
    ) -> None:
        self._mpi = mpi = require("mpi4py.MPI", "mpi", "nn.distributed.MPI")
        if comm is not None and not isinstance(comm, mpi.Intracomm):
            raise ArgumentError(f"MPI: comm must be a communicator of mpi4py, such as MPI.COMM_WORLD, not {shown(comm)}")
        self.sharded, self.sync_every = flag("MPI", "sharded", sharded), whole("MPI", "sync_every", sync_every)
        kind = choice("MPI", "batch_norm", batch_norm, ("synchronized", "local", None))
        if kind == "synchronized" and self.sync_every > 1:
            raise ArgumentError(
                f"MPI: batch_norm='synchronized' needs exchanges in every step, and sync_every={sync_every} has none"
            )
        self.joins_norms = kind != "local" and self.sync_every == 1
        base = mpi.COMM_WORLD if comm is None else comm
        self.rank, self.size = base.Get_rank(), base.Get_size()
        self._comm, self._failures = (base.Dup(), base.Dup()) if self.size > 1 else (base, base)
        if self.size > 1 and not isinstance(sys.excepthook, _EndAll):
            sys.excepthook = _EndAll(sys.excepthook, self._comm)

    def __repr__(self) -> str:
        kind = "synchronized" if self.joins_norms else "local"
        return f"MPI(sharded={self.sharded}, batch_norm={kind!r}, sync_every={self.sync_every})"

    def __reduce__(self) -> Any:  # in another program, its processes
        return _again, (self.sharded, "synchronized" if self.joins_norms else "local", self.sync_every)

    def __deepcopy__(self, memo: Any) -> MPI:
        return self  # it stands for the processes

    def sum(self, numbers: np.ndarray) -> None:
        """Replace an array by the sum of the arrays of all ranks, bit for bit the same on each.

        Parameters
        ----------
        numbers : numpy.ndarray
            C-contiguous, float32 or float64.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> rows = np.array([32.0])
        >>> nn.distributed.MPI().sum(rows)
        >>> rows
        array([32.])
        """
        if self.size > 1:
            self._comm.Allreduce(self._mpi.IN_PLACE, numbers)

    def gather(self, records: np.ndarray) -> None:
        """Fill in the rows of the other ranks.

        Parameters
        ----------
        records : numpy.ndarray
            [size, ...], C-contiguous. Each rank has set its own row.
        """
        if self.size > 1:
            self._comm.Allgather(self._mpi.IN_PLACE, records)

    def broadcast(self, numbers: np.ndarray) -> None:
        """Replace an array by that of rank 0.

        Parameters
        ----------
        numbers : numpy.ndarray
            C-contiguous.
        """
        if self.size > 1:
            self._comm.Bcast(numbers)

    def exchange(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order.

        Parameters
        ----------
        value : object
            Anything that can be pickled.

        Returns
        -------
        list
            [size].
        """
        return list(self._comm.allgather(value)) if self.size > 1 else [value]

    def evaluate(
        self,
        model: Model,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        sample_weight: Any = None,
        lengths: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute the loss and the metrics of all rows, each rank those of its part. All ranks must call it.

        Parameters
        ----------
        model : Model
            A compiled model, with the same parameters on all ranks.
        x, y, batch_size, sample_weight, lengths, return_dict
            As for `Model.evaluate`: the same rows on all ranks; with ``sharded``, those of this rank.

        Returns
        -------
        float, list or dict
            As from `Model.evaluate`, the same on all ranks.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer="sgd")
        >>> nn.distributed.MPI().evaluate(model, [[1.0], [2.0]], [[1.0], [3.0]])
        0.5
        """
        given: dict[str, Any] = {
            "batch_size": batch_size,
            "sample_weight": sample_weight,
            "lengths": lengths,
            "return_dict": return_dict,
        }
        with self.ending():
            return evaluation.evaluate(model, x, y, **given, verbose=0, callbacks=(), steps=None, ranks=self)

    def predict(self, model: Model, x: Any, *, batch_size: int | None = None, lengths: Any = None) -> Any:
        """Compute the outputs of all rows, each rank those of its part. All ranks must call it.

        Parameters
        ----------
        model : Model
            With the same parameters on all ranks.
        x, batch_size, lengths
            As for `Model.predict`: the same rows on all ranks; with ``sharded``, those of this rank.

        Returns
        -------
        numpy.ndarray, or a list or dict of them
            [N, *output shape], the outputs of all rows on every rank; with ``sharded``, those of rank 0 first.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> nn.distributed.MPI().predict(model, [[1.0], [2.0]]).tolist()
        [[1.0], [2.0]]
        """
        with self.ending():
            return evaluation.predict_together(model, self, x, batch_size, lengths)

    def fail(self, error: BaseException) -> None:
        """End all ranks, unless all of them raise an error within three seconds. Training calls this.

        Parameters
        ----------
        error : Exception
            What this rank is about to raise.
        """
        if self.size == 1:
            return
        request, end = self._failures.Ibarrier(), time.monotonic() + _PATIENCE
        while not request.Test():
            if time.monotonic() > end or not isinstance(error, Exception):
                self._abort(error)
            time.sleep(0.01)

    def _abort(self, error: BaseException) -> None:
        said = "".join(traceback.format_exception(error))
        print(f"{said}nncore: rank {self.rank} of {self.size} has failed, and ends the others", file=sys.stderr, flush=True)
        self._comm.Abort(1)


def _again(sharded: bool, batch_norm: Literal["synchronized", "local"], sync_every: int) -> MPI:
    return MPI(sharded=sharded, batch_norm=batch_norm, sync_every=sync_every)

"""Training by several processes, on one machine or many: data-parallel training over MPI.

``model.compile(..., distributed=nn.distributed.MPI())``, and then ``mpiexec -n 4 python train.py``.
"""

from .mpi import MPI

__all__ = ["MPI"]

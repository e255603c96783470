"""The boundary: the only place where Python meets the C core. It checks, lets go of the GIL, calls, and raises.

`plans` is the extension that every user loads: networks compiled to plans, and who may use them now. Its names are found here.
Two more are imported by those who use them: `kernels`, single kernels of the same core, and `files`, writing and reading in one go.
"""

from typing import TYPE_CHECKING

from .plans import (
    OPS,
    Access,
    AveragedWeights,
    ChangingAll,
    ModelCore,
    Plan,
    StreamCore,
    Use,
    __version__,
    aligned_zeros,
    alloc_count,
    alloc_fail_at,
    config,
    copy_all,
    find_bad_partition,
    force_threads,
    fork_count,
    get_num_threads,
    isa,
    isas,
    set_num_threads,
    shuffle,
    uninterrupted,
)

if TYPE_CHECKING:
    from .plans import TrainingRecords as TrainingRecords

# By subject; sorted within each.
__all__ = [  # noqa: RUF022
    # A network as a plan, what models are made of, and what streams through it.
    "AveragedWeights",
    "ModelCore",
    "Plan",
    "StreamCore",
    # Who may use it now, and what no interrupt may cut in two.
    "Access",
    "ChangingAll",
    "Use",
    "copy_all",
    "uninterrupted",
    # The registry of ops.
    "OPS",
    # Memory and order of data.
    "aligned_zeros",
    "shuffle",
    # How the core was built, and how it runs here.
    "__version__",
    "config",
    "fork_count",
    "get_num_threads",
    "isa",
    "isas",
    "set_num_threads",
    # What tests switch on in the core, and ask it.
    "alloc_count",
    "alloc_fail_at",
    "find_bad_partition",
    "force_threads",
]

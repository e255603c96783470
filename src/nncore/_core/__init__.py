"""The boundary between Python and the C core. It checks arguments, releases the GIL, calls the core, and raises exceptions.

Every user imports the extension `plans`: networks compiled to plans, and the control of threads. Its names are available here. The
extension `files`, for writing and reading files, is imported only if needed. Builds for tests and benchmarks have a third one,
`kernels`, with single kernels of the same core (tests/ops/kernels).
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
    count_change,
    count_classes,
    count_decisions,
    find_bad_partition,
    force_operand_mode,
    force_threads,
    fork_count,
    get_num_threads,
    isa,
    isas,
    limit_own_threads,
    measure_bf16,
    pack_int8,
    quantize_int8,
    row_losses,
    set_num_threads,
    shuffle,
    sum_residuals,
    uninterrupted,
    unpack_int8,
)

if TYPE_CHECKING:
    from .plans import TrainingRecords as TrainingRecords

# Grouped by subject; sorted within each group.
__all__ = [  # noqa: RUF022
    # Networks as plans, and the bases of models and streams.
    "AveragedWeights",
    "ModelCore",
    "Plan",
    "StreamCore",
    # Control of threads, and operations that interrupts must not split.
    "Access",
    "ChangingAll",
    "Use",
    "copy_all",
    "uninterrupted",
    # The op registry.
    "OPS",
    # Weights of 8-bit integers.
    "pack_int8",
    "quantize_int8",
    "unpack_int8",
    # Losses and metrics that are called by themselves.
    "count_classes",
    "count_decisions",
    "row_losses",
    "sum_residuals",
    # Memory, and the order of data.
    "aligned_zeros",
    "count_change",
    "shuffle",
    # Build and runtime configuration.
    "__version__",
    "config",
    "fork_count",
    "get_num_threads",
    "isa",
    "isas",
    "limit_own_threads",
    "measure_bf16",
    "set_num_threads",
    # Switches and queries for tests.
    "alloc_count",
    "alloc_fail_at",
    "find_bad_partition",
    "force_operand_mode",
    "force_threads",
]

# The stub of one extension, and so one file: what Python sees of plans.pyx and of all that it includes.

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from ..records import LossSpec, Op, OptimizerSpec, OutputStatistics, Parameter, ParameterOptions, Shape

T = TypeVar("T")

# csrc/ops/ops.def; the index in each list is the op code.
#   "activation": name, saves ("output", "input"), scope ("element", "row"), attributes (list of names)
#   "loss": name, target ("dense", "index"), attributes;  "optimizer": name, moments, attributes
#   "layer": name, sizes, attributes;  "kernel": name
OPS: dict[str, list[dict[str, Any]]]
__version__: str

def isas() -> list[str]: ...
def isa() -> str: ...
def config() -> dict[str, Any]: ...
def measure_bf16() -> float:
    """How many times faster products are in bfloat16 than in float32 on this CPU; 0 where bfloat16 cannot be faster."""

def get_num_threads() -> int: ...
def set_num_threads(n: int) -> int: ...
def limit_own_threads(n: int) -> int:
    """Limit the threads of calls from this Python thread alone; 0 ends the limit. Returns the limit before."""

def fork_count() -> int:
    """Number of forks between the process that imported nncore and this one."""

# A capsule with the addresses that `kernels` needs of the core.
kernel_interface: object

# For tests.
def alloc_count() -> int:
    """Number of blocks that the core has allocated so far. Tests assert that a step allocates none."""

def alloc_fail_at(k: int) -> None:
    """Let the k-th allocation of the core from now on fail. 0 disables this."""

def force_threads(n: int, lose: int = 0) -> None:
    """Use n threads in every phase. 0 disables this. lose: parts of the parameter tasks that are skipped."""

def force_operand_mode(mode: str = "") -> None:
    """How plans in bfloat16 made from now on write operands: "separate", "woven", or "" as suits the CPU. Results are the same."""

def find_bad_partition(work: np.ndarray, rows: np.ndarray, most: int) -> int:
    """The first number of threads, up to `most`, that do not process all rows of the tasks; 0: none."""

def aligned_zeros(elements: int, dtype: Any) -> np.ndarray:
    """A zeroed 1-D array, aligned to a cache line."""

def shuffle(order: np.ndarray, seed: int, epoch: int) -> None:
    """Fill ``order`` (int64) with the permutation that ``seed`` and ``epoch`` determine."""

# Losses and metrics that are called by themselves.
def row_losses(
    name: str,
    z: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    scale: float = 1.0,
    attr: Sequence[float] = (),
    isa: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(row_loss, grad, pred). pred: the probabilities of a _logits loss, else None. attr: all attributes that OPS names."""

def count_classes(
    z: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    index: bool,
    count: str,
    k: int = 1,
    isa: str | None = None,
) -> np.ndarray: ...
def count_decisions(
    z: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    count: str,
    threshold: float,
    target_threshold: float,
    isa: str | None = None,
) -> np.ndarray: ...
def sum_residuals(z: np.ndarray, target: np.ndarray, weight: np.ndarray | None, isa: str | None = None) -> np.ndarray: ...

# lengths (int64 [N]), initial and final states ([N, Plan.carry()], layer by layer h and c of each direction), or None for each
Sequences = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]

# The records of training: losses and statistics (one per output), the optimizer, and options (one per parameter).
TrainingRecords = tuple[Sequence[LossSpec], OptimizerSpec, Sequence[ParameterOptions], Sequence[OutputStatistics]]

class Access:
    """The threads that may use a network. Every call enters, checks its arguments, runs, and leaves. Calls of one thread can be
    nested."""

    def reading(self) -> Use:
        """For predictions and other reading. Several threads can do this at once."""
    def training(self) -> Use:
        """For a step, and for writing weights. Raise ConcurrentUseError if another thread trains."""
    def fitting(self) -> Use:
        """For a whole fit. Raise ConcurrentUseError if another thread trains."""
    def between_steps(self) -> Use:
        """For operations that must not see an incomplete step. Wait for the end of another thread's step."""
    def changing(self, patient: bool = False) -> Use:
        """For a change of the plan. If another thread trains, raise ConcurrentUseError; if patient, wait for the end of its
        step."""
    def preparing(self) -> Use:
        """For calls of layers before a change. Meanwhile layers can read the network, but not use it otherwise."""
    def pass_gate(self) -> None:
        """Let waiting threads enter during a long call of the training thread, as between two steps."""
    @property
    def is_fitting(self) -> bool:
        """Whether a fit is running, in any thread."""
    @property
    def is_inside_step(self) -> bool:
        """Whether this thread is in a step. This is true in a loss, metric or layer in Python that is called during training."""

class Use:
    """One mode of using a network, for the duration of a ``with`` block."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

class ChangingAll:
    """Enters several networks for a common change. Either all are entered or none."""

    def __init__(self, networks: Iterable[Any]) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

class AveragedWeights:
    """Replaces a model's parameters by their average, for the duration of a ``with`` block."""

    def __init__(self, net: Plan, model: Any, make_ready: Callable[[], Any]) -> None:
        """model: the value of the block. make_ready: called first, to compile a plan that was built again."""
    def __enter__(self) -> Any: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

def uninterrupted(function: Callable[[], T]) -> T:
    """Call a function again until no interrupt stops it, then raise the first interrupt. A second call must do no harm."""

def copy_all(views: list[np.ndarray], values: list[np.ndarray]) -> None:
    """Copy arrays into views of the same shapes. An interrupt cannot split this."""

def count_change(array: np.ndarray) -> None:
    """Note that the values of a parameter may change: `array` is the network's view of it, handed out or written to."""

def quantize_int8(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 8-bit integers [out, in] and the scales [out] of a contiguous float32 weight. ValueError: NaN or infinity."""

def pack_int8(packed: np.ndarray, q: np.ndarray, scale: np.ndarray) -> None:
    """Write 8-bit integers [out, in] and their scales [out] into the memory of a parameter. Zeros without memory write nothing."""

def unpack_int8(packed: np.ndarray, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 8-bit integers [n, k] and the scales [n] of a parameter."""

class Plan:
    """A compiled plan with the parameters of a network. `nncore.network.Network` has one; it is not public."""

    step: int  # number of updates done so far; dropout masks and bias corrections depend on it
    seed: int
    passes: int  # number of forward passes in training mode since the last update; setting step or seed sets it to 0

    @property
    def dtype(self) -> np.dtype: ...
    @property
    def access(self) -> Access:
        """The threads that may use it."""
        # Attributes that the network and its trainer need. They change together with the plan.
    @property
    def built_for(self) -> list[Shape] | None:
        """The input shapes of the plan, or None."""
    @property
    def ops(self) -> list[Op]: ...
    @property
    def owners(self) -> list[int]:
        """For each op, the index of its layer."""
    @property
    def outputs(self) -> list[int]: ...
    @property
    def averaged(self) -> bool:
        """Whether the parameters are replaced by their average."""
    @property
    def is_compiled(self) -> bool:
        """Whether it has the losses and the update rule of its trainer."""
    @property
    def is_simple(self) -> bool:
        """Whether it has one input and one output."""
    trainer: Any  # the trainer (nncore.training.Trainer), or None
    @property
    def compute(self) -> str:
        """In what products are computed: the name of the dtype, or "bfloat16" or "int8"."""
    def assemble(
        self, inputs: Sequence[Shape], ops: Sequence[Op], outputs: Sequence[int], dtype: str, compute: str = "float32"
    ) -> None:
        """Infer shapes, allocate parameters and gradients (zeros). Raises ShapeError, SizeError, ValueError."""
    def shapes(self) -> list[Shape]:
        """Per-sample shape of every value: inputs first, then one per op."""
    def states(self) -> list[Parameter]:
        """Running statistics, in the order of the ops. Their grad is empty."""
    def parameters(self) -> list[Parameter]:
        """Parameters in the order of the ops, weight before bias. A weight is [out, in] as in PyTorch (a transposed view)."""
    def buffers(self) -> dict[str, np.ndarray]:
        """The contiguous 1-D buffers "parameters", "gradients", "moment0", ..., "average". They include padding, which is zero."""
    def adopt(
        self,
        new: Plan,
        input_shapes: Sequence[Shape],
        ops: Sequence[Op],
        owners: Sequence[int],
        outputs: Sequence[int],
        layers: Sequence[Any],
        bound: Sequence[dict[str, Parameter]],
        provisional: bool = False,
    ) -> None:
        """Take over the plan and the buffers of a network that has just been built, and set the layers' views of their parameters.
        bound: for each layer its parameters by role. provisional: only for the parameters, until `replan` states the shapes. This
        happens completely or not at all."""
    def borrow(self, values: Sequence[np.ndarray | None], states: Sequence[np.ndarray | None]) -> None:
        """Let parameters and states be those of other networks, before the plan is adopted and compiled. values, states: for each
        one the view that the other network has of it, or None. The own memory then holds the rest alone."""
    def values(self) -> np.ndarray:
        """A copy of all parameters, laid out as the gradients are."""
    def set_values(self, values: np.ndarray) -> None:
        """Copy in what `values` returned."""
    def forget_forward(self) -> None: ...
    def return_to_forward(self) -> None: ...
    def switch(self, shapes: Sequence[Shape]) -> bool:
        """Use the plan that was kept for inputs of these shapes, as `replan` would make it again. Return whether there was one."""
    def replan(
        self, inputs: Sequence[Shape], ops: Sequence[Op], outputs: Sequence[int], compiled: TrainingRecords | None = None
    ) -> None:
        """Plan the same ops for inputs of other shapes (ShapeError if shapes of parameters would change). All buffers and counters
        stay. compiled: the arguments of `compile`, if it was called."""
    @property
    def is_claimed(self) -> bool:
        """Whether a fit is running."""
    def check_indices(self, x: Sequence[np.ndarray]) -> None:
        """Raise IndexRangeError if an input of an Embedding contains a value that is not an index into its table."""
    def arena_bytes(self, rows: int) -> int:
        """Bytes of activations and gradients for training with batches of `rows` rows."""
    def compile(
        self,
        losses: Sequence[LossSpec],
        optimizer: OptimizerSpec,
        options: Sequence[ParameterOptions],
        statistics: Sequence[OutputStatistics],
        trainer: Any = None,
        inference: Sequence[bool] | None = None,
    ) -> None:
        """Set losses and statistics (one per output), the optimizer, options (one per parameter), and the trainer.
        Reset the moments and step. inference: as for `set_inference`; None: as it was."""
    def set_inference(self, flags: Sequence[bool]) -> None:
        """Let ops compute as at inference in training, too: one flag per op."""
    def start_probe(self, every: int, activations: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Collect statistics of the next training step and of every so many later ones, for these ops (activations) and all
        parameters. 0 stops this.

        Return for each op the position of its sums in the result of `read_probe`, and the number of columns: 4 rows of this length,
        followed by the number of values per column.
        """
    def read_probe(self) -> tuple[int, np.ndarray, np.ndarray] | None:
        """Return the sums since the last call: the number of steps, [parameters, 4], and the sums of the units. Reset them. Return
        None if no statistics are collected."""
    def train(
        self,
        x: Sequence[np.ndarray],
        y: Sequence[np.ndarray],
        weight: Sequence[np.ndarray | None] | None,
        order: np.ndarray | None,
        batch_size: int,
        first: int,
        max_steps: int,
        lr: np.ndarray,
        loss: np.ndarray,
        statistics: Sequence[np.ndarray | None],
        lengths: np.ndarray | None = None,
        accumulate: int = 1,
        part: tuple[int, bool, np.ndarray] | None = None,
        share: tuple[np.ndarray, np.ndarray, int, np.ndarray | None, int] | None = None,
    ) -> int:
        """Run at most `max_steps` steps on the batches from row `first` of `order` on (None: row order). Return the number of
        steps.

        The call returns between two steps, after at most about 50 ms. x: one array per network input, [N, *shape], of float32/64,
        (u)int8..64 or bool; rows may be strided. y: one array per output: [N, columns] or [N] (class indices, or one column).
        weight: one float array per output, [N], or [N, steps] if each number applies to several lines of the output; None: all 1.
        lr: float64, one per step. loss: float64, receives the loss of each step. statistics: one float64 array (or None) per
        output, to which the core adds. An additional one, [outputs + 1, 2], gets the sum of the row losses of each output and its
        divisor, then the penalty times the rows, and the rows. lengths: int64 [N], the valid time steps, or None.
        accumulate: the number of batches of a step, whose gradients are added before the update. part: x and y are one batch of
        such a step: its number from 0, whether it is the last one, and the sum over all batches of their `total_weights`.
        share: with other ranks: the rows of each rank, how many of them are in a batch, the number of the first batch in its epoch,
        and [steps, outputs] or None: the sums over all ranks of `total_weights`.
        """
    def evaluate(
        self,
        x: Sequence[np.ndarray],
        y: Sequence[np.ndarray],
        weight: Sequence[np.ndarray | None] | None,
        first: int,
        loss: np.ndarray,
        statistics: Sequence[np.ndarray | None],
        lengths: np.ndarray | None = None,
    ) -> int:
        """From row `first` on, add to loss[0] the weighted sum of the row losses and to loss[1] the rows' weights.

        Return the next row, after at most 50 ms.
        """
    def total_weights(
        self,
        x: Sequence[np.ndarray],
        y: Sequence[np.ndarray],
        weight: Sequence[np.ndarray | None] | None,
        lengths: np.ndarray | None = None,
        order: np.ndarray | None = None,
        rows: int = 0,
    ) -> np.ndarray:
        """Per output: the divisor of the sum of the row losses of these rows. That of several batches is the sum of theirs, but 1
        for the reduction "sum". rows: [batches, outputs], for batches of so many rows."""
    def join(self, group: Any) -> None:
        """Train with other ranks from now on, or alone. group: a `nncore.training.ranks.base.Ranks`, or None."""
    def penalty(self) -> float:
        """The contribution of the L1 and L2 penalties to the loss. The loss of train includes it, that of evaluate does not."""
    def predict(self, x: Sequence[np.ndarray], out: Sequence[np.ndarray], first: int, sequences: Sequences | None = None) -> int:
        """Inference from row `first` on into out (C-contiguous, of the network's dtype). Return the next row, after at most 50
        ms."""
    def carry(self) -> int:
        """Number of values per sample that recurrent layers pass from one time step to the next."""
    def holds_indices(self, input: int | None = None) -> bool:
        """Whether this input, or any input, contains indices into an embedding."""
    def time_steps(self) -> int:
        """The number of time steps to which lengths refer; 0 if no input has a time dimension, or if an op combines steps."""
    def mixing(self) -> str | None:
        """A sentence that tells which op combines time steps, how, and what to do instead; or None."""
    def timed(self, values: Sequence[int]) -> list[bool]:
        """For each of the values (inputs first, then one per op), whether its first dimension is time."""
    def timelines(self, values: Sequence[int]) -> list[tuple[int, int] | None]:
        """For each of the values: None, or, if its first dimension is time, (times, plus): of a sequence of length n,
        times * n + plus steps are valid."""
    def carried(self) -> np.ndarray | None:
        """The states that the last training batch of stateful layers left, [rows, carry()], or None."""
    def carry_on(self, states: np.ndarray) -> None:
        """Set the states with which the next training batch starts."""
    def reset_states(self) -> None:
        """Reset the states of stateful layers to zeros for the next batch."""
    def step_norms(self, op: int, steps: int) -> np.ndarray:
        """The norm of the gradients of the inputs of a recurrent op's gates, for each time step of the last backward pass."""
    def forward(
        self, x: Sequence[np.ndarray], training: bool, sequences: Sequences | None = None, steps: Any = None
    ) -> list[np.ndarray]:
        """Run one batch forward and keep the values that backward needs. Return copies of the outputs. steps: kept in
        `forward_steps`."""
    @property
    def forward_steps(self) -> Any:
        """The valid steps of the last forward if a mask told them, or None."""
    def forward_plain(self, x: Any, mode: Any) -> np.ndarray | None:
        """`forward` for one input and one output; None if x needs conversion or checks."""
    def backward_plain(self, grad_output: Any, adds: Any = False) -> np.ndarray | None:
        """`backward` for one input and one output; None if the gradient needs conversion or checks."""
    def backward(self, grad_outputs: Sequence[np.ndarray], accumulate: bool = False) -> list[np.ndarray]:
        """Compute the gradients of the last forward. Overwrite the gradient buffer, or add to it, and return the gradients of the
        inputs."""
    def zero_gradients(self) -> None:
        """Set all gradients to 0."""
    def apply_gradients(self, lr: float) -> None:
        """Run one optimizer update with the gradient buffer."""
    def predict_few(self, x: Any) -> np.ndarray | None: ...
    def infer_plain(self, x: Any, out: np.ndarray | None = None) -> np.ndarray | None:
        """Inference for one input and one output; None if x needs checks or conversion."""
    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        """Inference on a C-contiguous batch of the network's dtype, for one input and one output. The result goes to `out` if
        given."""

class StreamCore:
    """The network of one time step, its state, and the array of results. nncore.network.stream.Stream derives from it."""

    @property
    def result(self) -> np.ndarray: ...
    def _open(self, net: Plan, batch: int) -> None: ...
    def _freeze(self) -> None:
        """Compute the values that a step derives from the weights."""
    def _state(self) -> np.ndarray:
        """[batch, Plan.carry()]."""
    def step(self, x: Any) -> np.ndarray:
        """One time step [batch, features] -> [batch, outputs]. The next step overwrites the result."""

class ModelCore:
    """Has a network and the network's plan, which knows the trainer. Models derive from it."""

    @property
    def _plan(self) -> Plan: ...
    @property
    def _network(self) -> Any:
        """nncore.network.Network"""
    @property
    def _trainer(self) -> Any:
        """nncore.training.Trainer, or None"""
    def _have(self, network: Any) -> None:
        """Set the network and its plan."""
    def __call__(self, x: Any, training: bool = False, *, out: np.ndarray | None = None) -> Any:
        """Inference. The result goes to `out` if given (C-contiguous, of the network's dtype and the result's shape).
        `_call_in_mode` answers for any other `training` than False.

        C-contiguous arrays of the network's dtype go directly to C, others through the network.
        """
    def predict_on_batch(self, x: Any, *, out: np.ndarray | None = None) -> Any:
        """The same as a method."""
    def _step(self, x: Any, y: Any, return_dict: Any) -> Any:
        """One training step on arrays that need no conversion. Return the result of train_on_batch, or None if they need it."""

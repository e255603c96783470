from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from ..records import LossSpec, Op, OptimizerSpec, Parameter, ParameterOptions, Shape, StatisticSpec

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
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def fork_count() -> int:
    """How many forks lie between the process that imported nncore and this one."""

# A capsule: the address of what `kernels` needs of the core.
kernel_interface: object

# For tests.
def alloc_count() -> int:
    """How many blocks the core has allocated so far: tests assert that a step adds none."""

def alloc_fail_at(k: int) -> None:
    """Let the k-th allocation of the core from now on fail; 0 switches it off."""

def force_threads(n: int, lose: int = 0) -> None:
    """Let every phase have a team of n threads; 0 switches it off. lose: shares of the parameter tasks that nobody does."""

def find_bad_partition(work: np.ndarray, rows: np.ndarray, most: int) -> int:
    """The first size of a team, up to `most`, whose members do not have all rows of the tasks between them; 0: none."""

def aligned_zeros(elements: int, dtype: Any) -> np.ndarray:
    """A zeroed 1-D array whose data begin on a cache line."""

def shuffle(order: np.ndarray, seed: int, epoch: int) -> None:
    """Fill ``order`` (int64) with the permutation that belongs to ``seed`` and ``epoch``."""

# lengths (int64 [N]), initial and final states ([N, Plan.carry()], layer by layer h and c of each direction), or None for each
Sequences = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]

# What a plan is told of training: losses and statistics (one per output), the optimizer, and options (one per parameter).
TrainingRecords = tuple[Sequence[LossSpec], OptimizerSpec, Sequence[ParameterOptions], Sequence[StatisticSpec]]

class Access:
    """Who may use a network now: every call enters, checks what it was given, runs, and leaves. Calls of one thread nest."""

    def reading(self) -> Use:
        """For predictions and the like, side by side with others."""
    def training(self) -> Use:
        """For a step, and for whatever writes weights; ConcurrentUseError where another thread trains."""
    def fitting(self) -> Use:
        """For a whole fit; ConcurrentUseError where another thread trains."""
    def between_steps(self) -> Use:
        """For what must not see half of a step; waits for the end of another thread's."""
    def changing(self, patient: bool = False) -> Use:
        """For another plan. Where another thread trains, ConcurrentUseError; patient: wait for the end of a step instead."""
    def preparing(self) -> Use:
        """For what a change asks of layers before it happens: from inside them the network can be read, and nothing else."""
    def pass_gate(self) -> None:
        """In a long call of the thread that trains, at a place like the one between two steps: let those in who wait for that."""
    @property
    def is_fitting(self) -> bool:
        """Whether a fit is under way, in any thread."""
    @property
    def is_inside_step(self) -> bool:
        """Whether this thread is in the midst of a step: a loss, a metric or a layer in Python asks."""

class Use:
    """One way to use a network, for as long as a ``with`` block lasts."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

class ChangingAll:
    """Several networks that change together: all entered, or none."""

    def __init__(self, networks: Iterable[Any]) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

class AveragedWeights:
    """The average of a model's parameters in their place, for as long as a ``with`` block lasts."""

    def __init__(self, net: Plan, model: Any, make_ready: Callable[[], Any]) -> None:
        """model: what the block is given; make_ready: called first, to compile a plan that has been built anew since."""
    def __enter__(self) -> Any: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

def uninterrupted(function: Callable[[], T]) -> T:
    """Call a function until no interrupt has cut it short; then raise the first one that did. Calling it twice must do no harm."""

def copy_all(views: list[np.ndarray], values: list[np.ndarray]) -> None:
    """Copy arrays into views of the same shapes, all of them: no interrupt comes in between."""

class Plan:
    """A network compiled to a plan, with its parameters. `nncore.network.Network` has one; not public by itself."""

    step: int  # updates done so far; dropout masks and bias corrections depend on it
    seed: int

    @property
    def dtype(self) -> np.dtype: ...
    @property
    def access(self) -> Access:
        """Who may use it now."""
    # What a network and its trainer keep of the plan: it changes in one go with the plan.
    @property
    def built_for(self) -> list[Shape] | None:
        """The shapes of the inputs that it has been assembled for."""
    @property
    def ops(self) -> list[Op]: ...
    @property
    def owners(self) -> list[int]:
        """Of each op: the index of its layer."""
    @property
    def outputs(self) -> list[int]: ...
    @property
    def averaged(self) -> bool:
        """Whether the average of the parameters is in their place."""
    @property
    def is_compiled(self) -> bool:
        """Whether it knows the losses and the update rule of its trainer."""
    @property
    def is_simple(self) -> bool:
        """Whether it has one input and one output."""
    trainer: Any  # who trains it (nncore.training.Trainer), or None
    def assemble(self, inputs: Sequence[Shape], ops: Sequence[Op], outputs: Sequence[int], dtype: str) -> None:
        """Infer shapes, allocate parameters and gradients (zeros). Raises ShapeError, SizeError, ValueError."""
    def shapes(self) -> list[Shape]:
        """Per-sample shape of every value: inputs first, then one per op."""
    def states(self) -> list[Parameter]:
        """Running statistics, in op order; their grad is empty."""
    def parameters(self) -> list[Parameter]:
        """In op order, weight before bias. weight is [out, in] as in PyTorch (a transposed view)."""
    def buffers(self) -> dict[str, np.ndarray]:
        """The contiguous buffers: "parameters", "gradients", "moment0", ..., "average" (1-D, padding included, which is zero)."""
    def adopt(
        self,
        new: Plan,
        input_shapes: Sequence[Shape],
        ops: Sequence[Op],
        owners: Sequence[int],
        outputs: Sequence[int],
        layers: Sequence[Any],
        bound: Sequence[dict[str, Parameter]],
    ) -> None:
        """Take the plan and the numbers of a network that has just been assembled, and give the layers their views of them (bound:
        for each layer its parameters by role). All of it or nothing."""
    def move(
        self,
        parameters: np.ndarray,
        states: np.ndarray,
        offsets: Sequence[int] | None = None,
        state_offsets: Sequence[int] | None = None,
    ) -> None:
        """Let the numbers lie in other buffers, where they are already; with offsets, at other places in them, and not compiled."""
    def replan(
        self, inputs: Sequence[Shape], ops: Sequence[Op], outputs: Sequence[int], compiled: TrainingRecords | None = None
    ) -> None:
        """Assemble the same ops for inputs of other shapes around the numbers that are there (ShapeError where those would have
        other shapes); compiled: what `compile` was given, where it was called. All buffers and counters stay."""
    @property
    def is_claimed(self) -> bool:
        """Whether a fit is under way."""
    def check_indices(self, x: Sequence[np.ndarray]) -> None:
        """Raise IndexRangeError where an input that feeds an Embedding holds anything but indices into its table."""
    def arena_bytes(self, rows: int) -> int:
        """Bytes of activations and gradients that training with batches of `rows` keeps."""
    def compile(
        self,
        losses: Sequence[LossSpec],
        optimizer: OptimizerSpec,
        options: Sequence[ParameterOptions],
        statistics: Sequence[StatisticSpec],
        trainer: Any = None,
    ) -> None:
        """Attach losses and statistics (one per output), optimizer, options (one per parameter), and keep who made them.
        Resets the moments and step."""
    def start_probe(self, every: int, activations: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Look at the next training step and every so many later, at these ops (activations) and all parameters; 0: no longer.

        Returns by op where its sums begin among those of `read_probe`, and of how many columns: 4 rows of so many, and behind them
        of how many numbers each column.
        """
    def read_probe(self) -> tuple[int, np.ndarray, np.ndarray] | None:
        """Return what has been added up since the last call, steps, [parameters, 4] and the sums of the units, and begin anew; None
        where nothing is looked at."""
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
    ) -> int:
        """Run at most `max_steps` steps on the batches from row `first` of `order` (None: row order) on; return how many were done.

        Returns at a step boundary after at most about 50 ms. x: one array per network input, [N, *shape], any of float32/64,
        (u)int8..64, bool; rows may be strided. y: one array per output: [N, columns] or [N] (class indices, or one column).
        weight: one float array per output, [N], or [N, steps] where each number is for as many lines of the output; None: all 1.
        lr: float64, one per step. loss: float64, receives the loss of each step. statistics: one float64 array (or None) per
        output, added to; one more, [outputs + 1, 2], gets the sums of the row losses of each output and by what they are divided,
        then the penalty times the rows, and the rows. lengths: int64 [N], time steps that count, or None.
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
        """From row `first` on: add to loss[0] the weighted sum of the row losses and to loss[1] the rows' weights.

        Returns the next row (<= 50 ms).
        """
    def penalty(self) -> float:
        """What the L1 and L2 penalties add to the loss: the loss that train gives has it, that of evaluate does not."""
    def predict(self, x: Sequence[np.ndarray], out: Sequence[np.ndarray], first: int, sequences: Sequences | None = None) -> int:
        """Inference from row `first` on into out (C-contiguous, of the network's dtype). Returns the next row (after <= 50 ms)."""
    def carry(self) -> int:
        """How many numbers the recurrent layers hand from one time step to the next, per sample."""
    def holds_indices(self, input: int | None = None) -> bool:
        """Whether an input, or any of them, holds indices into an embedding."""
    def time_steps(self) -> int:
        """The time steps that lengths count; 0 where no input has a time dimension, or an op mixes the steps."""
    def mixing(self) -> str | None:
        """Which op mixes the time steps, how, and what to do instead: a sentence; or None."""
    def timed(self, values: Sequence[int]) -> list[bool]:
        """Of each of the values (inputs first, then one per op), whether it has a first dimension that is time."""
    def carried(self) -> np.ndarray | None:
        """What the last training batch left for the next one where layers are stateful, [rows, carry()]; None: nothing."""
    def carry_on(self, states: np.ndarray) -> None:
        """Let the next training batch begin with such states."""
    def reset_states(self) -> None:
        """Let the next stateful batch begin with zeros."""
    def step_norms(self, op: int, steps: int) -> np.ndarray:
        """Per time step: the norm of the last backward pass's gradients before the gates of a recurrent op."""
    def forward(self, x: Sequence[np.ndarray], training: bool, sequences: Sequences | None = None) -> list[np.ndarray]:
        """One batch forward, keeping what backward needs; returns copies of the outputs."""
    def forward_plain(self, x: Any, training: bool) -> np.ndarray | None:
        """The same for one input and one output; None where x needs converting or checking first."""
    def backward_plain(self, grad_output: Any) -> np.ndarray | None:
        """backward for one input and one output; None where the gradient needs converting or checking first."""
    def backward(self, grad_outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Gradients of the last forward: overwrites the gradient buffer, returns d/d inputs."""
    def apply_gradients(self, lr: float) -> None:
        """One optimizer update from the gradient buffer."""
    def infer_plain(self, x: Any, out: np.ndarray | None = None) -> np.ndarray | None:
        """Inference for one input and one output; None where x needs checking or converting first."""
    def __call__(self, x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
        """Inference on a C-contiguous batch of the network's dtype, for one input and one output; into `out` where given."""

class StreamCore:
    """The network of one time step, its state, and the array that results go to; nncore.network.stream.Stream is the public one."""

    @property
    def result(self) -> np.ndarray: ...
    def _open(self, net: Plan, batch: int) -> None: ...
    def _freeze(self) -> None:
        """Derive from the weights what a step needs of them."""
    def _state(self) -> np.ndarray:
        """[batch, Plan.carry()]."""
    def step(self, x: Any) -> np.ndarray:
        """One time step [batch, features] -> [batch, outputs], an array that the next step overwrites."""

class ModelCore:
    """Has a network, the plan of that network, and through the plan a trainer. Models derive from it."""

    @property
    def _plan(self) -> Plan: ...
    @property
    def _network(self) -> Any:
        """nncore.network.Network"""
    @property
    def _trainer(self) -> Any:
        """nncore.training.Trainer, or None"""
    def _have(self, network: Any) -> None:
        """Take a network, and its plan."""
    def __call__(self, x: Any, *, out: np.ndarray | None = None) -> Any:
        """Inference, into `out` where given (C-contiguous, of the network's dtype and the result's shape).

        Arrays of the network's dtype, C-contiguous, go straight to C; anything else through the network.
        """
    def predict_on_batch(self, x: Any, *, out: np.ndarray | None = None) -> Any:
        """The same, as a method."""
    def _step(self, x: Any, y: Any, return_dict: bool) -> Any:
        """One training step on arrays that need no conversion: what train_on_batch returns, or None where they do."""

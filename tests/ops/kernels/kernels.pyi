"""Single kernels, for tests and benchmarks. 2-D arrays of float32 or float64."""

from collections.abc import Sequence

import numpy as np

from nncore._core.plans import count_classes as count_classes
from nncore._core.plans import count_decisions as count_decisions
from nncore._core.plans import row_losses as loss  # noqa: F401
from nncore._core.plans import sum_residuals as sum_residuals

def activation_forward(name: str, x: np.ndarray, attr: Sequence[float] = (), isa: str | None = None) -> np.ndarray: ...
def activation_backward(
    name: str, dy: np.ndarray, saved: np.ndarray, attr: Sequence[float] = (), isa: str | None = None
) -> np.ndarray: ...
def optimizer_step(
    name: str,
    param: np.ndarray,
    grad: np.ndarray,
    moments: Sequence[np.ndarray | None],
    *,
    lr: float,
    step: int,
    attr: Sequence[float] = (),
    weight_decay: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    grad_scale: float = 1.0,
    clip_value: float = 0.0,
    isa: str | None = None,
) -> None: ...
def gemm(
    a: np.ndarray,
    b: np.ndarray,
    bias: np.ndarray | None = None,
    out: np.ndarray | None = None,
    accumulate: bool = False,
    transpose_a: bool = False,
    transpose_b: bool = False,
    repeat: int = 1,
    isa: str | None = None,
) -> np.ndarray: ...
def transpose(a: np.ndarray, out: np.ndarray | None = None, isa: str | None = None) -> np.ndarray: ...
def linear_gradient(
    x: np.ndarray, dz: np.ndarray, dw: np.ndarray | None = None, bias: bool = True, isa: str | None = None
) -> tuple[np.ndarray, np.ndarray | None]: ...
def column_sum(a: np.ndarray, out: np.ndarray | None = None, accumulate: bool = False, isa: str | None = None) -> np.ndarray: ...
def accumulate(y: np.ndarray, x: np.ndarray, isa: str | None = None) -> None: ...
def combine(a: np.ndarray, b: np.ndarray | None, alpha: float, beta: float, gamma: float, isa: str | None = None) -> np.ndarray: ...
def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None, isa: str | None = None) -> np.ndarray:
    """a b. It is added to out if that is given."""

def maximum(a: np.ndarray, b: np.ndarray, is_minimum: bool = False, isa: str | None = None) -> np.ndarray: ...
def maximum_backward(dy: np.ndarray, a: np.ndarray, b: np.ndarray, is_minimum: bool = False, isa: str | None = None) -> np.ndarray:
    """The gradient of a."""

def dropout(
    x: np.ndarray,
    p: float,
    key: tuple[int, int],
    stream: tuple[int, int],
    row0: int = 0,
    mask: np.ndarray | None = None,
    isa: str | None = None,
) -> np.ndarray: ...
def dropout_backward(dy: np.ndarray, mask: np.ndarray, p: float, isa: str | None = None) -> np.ndarray: ...
def gather(source: np.ndarray, index: np.ndarray | None, dtype: str, isa: str | None = None) -> np.ndarray: ...
def multiply_adds(rounds: int, f64: bool = False, isa: str | None = None) -> float:
    """Run multiply-adds in registers, without memory access. Return the number of floating-point operations."""

def sum_penalties(w: np.ndarray, isa: str | None = None) -> tuple[float, float]: ...
def max_norm(w: np.ndarray, limit: float, isa: str | None = None) -> None: ...
def average(mean: np.ndarray, w: np.ndarray, momentum: float, isa: str | None = None) -> None: ...
def sum_squares(x: np.ndarray, isa: str | None = None) -> float: ...
def sum_changes(before: np.ndarray, now: np.ndarray, isa: str | None = None) -> tuple[float, float]: ...
def unit_sums(y: np.ndarray, low: float, high: float, isa: str | None = None) -> np.ndarray: ...
def batch_norm_forward(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    running_mean: np.ndarray | None = None,
    running_var: np.ndarray | None = None,
    inner: int = 1,
    eps: float = 1e-5,
    momentum: float = 0.1,
    frozen: bool = False,
    isa: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, mean, rstd) of x [rows, channels * inner]. The running statistics are updated. If frozen, they are used instead."""

def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    center: np.ndarray,
    spread: np.ndarray,
    gamma: np.ndarray | None = None,
    inner: int = 1,
    eps: float = 1e-5,
    frozen: bool = False,
    isa: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dgamma, dbeta). center and spread are mean and rstd of forward; if frozen, running mean and running variance."""

def batch_norm_in_parts(
    x: np.ndarray, dy: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float = 1e-5, isa: str | None = None
) -> tuple[np.ndarray, ...]:
    """(y, mean, rstd, dx, dgamma, dbeta) of x [rows, channels], computed in chunks of rows, as by several threads."""

def layer_norm_forward(
    x: np.ndarray, gamma: np.ndarray | None = None, beta: np.ndarray | None = None, eps: float = 1e-5, isa: str | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, mean, rstd) of x [groups, size]."""

def layer_norm_backward(
    dy: np.ndarray, x: np.ndarray, mean: np.ndarray, rstd: np.ndarray, gamma: np.ndarray | None = None, isa: str | None = None
) -> np.ndarray: ...
def layer_norm_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    first: int = 0,
    last: int | None = None,
    isa: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(dgamma, dbeta). Columns outside of [first, last) are zeros."""

def random_words(
    block: int, row: int, key: Sequence[int], stream: Sequence[int], dtype: str, isa: str | None = None
) -> np.ndarray: ...
def gaussian_noise(
    x: np.ndarray, stddev: float, key: Sequence[int], stream: Sequence[int], row0: int = 0, isa: str | None = None
) -> np.ndarray: ...
def prelu_forward(x: np.ndarray, slope: np.ndarray, isa: str | None = None) -> np.ndarray: ...
def prelu_backward(dy: np.ndarray, x: np.ndarray, slope: np.ndarray, isa: str | None = None) -> np.ndarray: ...
def prelu_gradient(dy: np.ndarray, x: np.ndarray, per_column: bool = False, isa: str | None = None) -> np.ndarray: ...
def maxout_forward(x: np.ndarray, pieces: int, isa: str | None = None) -> np.ndarray: ...
def maxout_backward(dy: np.ndarray, x: np.ndarray, pieces: int, isa: str | None = None) -> np.ndarray: ...
def pool_forward(x: np.ndarray, length: int, pool: str, isa: str | None = None) -> np.ndarray:
    """The mean, max or last of the first `length` steps x [steps, cols] -> [1, cols]."""

def pool_backward(dy: np.ndarray, x: np.ndarray, y: np.ndarray, length: int, pool: str, isa: str | None = None) -> np.ndarray:
    """dx [steps, cols]: zeros beyond the length. y: the result of forward."""

def embedding_forward(x: np.ndarray, table: np.ndarray, isa: str | None = None) -> np.ndarray:
    """Rows of the table by the indices x [rows, cols] -> [rows * cols, dim]."""

def embedding_gradient(
    x: np.ndarray, dy: np.ndarray, rows: int, padding: int = -1, first: int = 0, last: int | None = None, isa: str | None = None
) -> np.ndarray:
    """The gradient of a table with this number of rows; NaN outside of rows [first, last)."""

def exp(x: np.ndarray, isa: str | None = None) -> np.ndarray: ...
def log(x: np.ndarray, isa: str | None = None) -> np.ndarray: ...
def recurrent_packed_size(cell: str, hidden: int) -> int: ...
def recurrent_pack(
    cell: str,
    forward: np.ndarray,
    backward: np.ndarray | None,
    w: np.ndarray,
    first: int = 0,
    last: int | None = None,
    isa: str | None = None,
) -> None:
    """Write rows [first, last) of w [hidden, products * hidden] into the packed forms. cell: tanh, relu, gru, lstm."""

def recurrent_pack_bias(cell: str, forward: np.ndarray, bias: np.ndarray | None, hidden: int, isa: str | None = None) -> None: ...
def recurrent_forward(
    cell: str,
    gates: np.ndarray,
    forward: np.ndarray,
    *,
    reverse: bool = False,
    first_step: int = 0,
    lengths: np.ndarray | None = None,
    isa: str | None = None,
    **arrays: np.ndarray | None,  # y, h, c, h_n, c_n, h0, c0, mask
) -> None:
    """Run all steps of one direction. csrc/ops/kernels.h describes the arrays. gates: [rows, steps, G * hidden]."""

def recurrent_backward(
    cell: str,
    gates: np.ndarray,
    backward: np.ndarray,
    *,
    reverse: bool = False,
    first_step: int = 0,
    lengths: np.ndarray | None = None,
    isa: str | None = None,
    **arrays: np.ndarray | None,  # h, c, dgates, dh, dh0, dc0, dy, dh_n, dc_n, mask
) -> None: ...
def bf16_pack(x: np.ndarray, forms: str | Sequence[str], isa: str | None = None) -> np.ndarray | tuple[np.ndarray, ...]:
    """x as operands, one array for each of the forms a, at, b, bt, or for the one."""

def bf16_product(
    a: np.ndarray,
    b: np.ndarray,
    m: int,
    n: int,
    wanted: Sequence[str] = ("rows",),
    bias: np.ndarray | None = None,
    relu: bool = False,
    mask: np.ndarray | None = None,
    out: np.ndarray | None = None,
    accumulate: bool = False,
    repeat: int = 1,
    isa: str | None = None,
    transposed: bool = False,
) -> np.ndarray | tuple[np.ndarray, ...]:
    """What is wanted of a product [m, n], one array for each of rows, sums and the forms a, at, b, bt."""

def bf16_column_sum(x: np.ndarray, isa: str | None = None) -> np.ndarray: ...
def int8_quantize_weight(w: np.ndarray, isa: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """q [n, k] and scale [n] of a weight [n, k]."""

def int8_pack(q: np.ndarray, scale: np.ndarray, isa: str | None = None) -> np.ndarray: ...
def int8_unpack(packed: np.ndarray, n: int, k: int, isa: str | None = None) -> tuple[np.ndarray, np.ndarray]: ...
def int8_quantize(x: np.ndarray, isa: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Rows of q + 128, in whole tiles and lines, and scale [rows] of inputs [rows, k]."""

def int8_product(
    q: np.ndarray,
    scale: np.ndarray,
    packed: np.ndarray,
    n: int,
    k: int,
    bias: np.ndarray | None = None,
    repeat: int = 1,
    isa: str | None = None,
) -> np.ndarray: ...
def bf16_update(
    name: str,
    param: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    moments: Sequence[np.ndarray | None] = (),
    forms: Sequence[str] = ("b", "bt"),
    *,
    lr: float,
    step: int,
    attr: Sequence[float] = (),
    weight_decay: float = 0.0,
    isa: str | None = None,
) -> tuple[np.ndarray, ...]:
    """One step of an optimizer in place, with the gradient a b, and the forms of the new parameters. Moments lie as param does."""

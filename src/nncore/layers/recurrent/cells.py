"""RNN, GRU and LSTM: their formulas and constructors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from ..._checks import choice, flag
from .base import Recurrent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ...graph import Value
    from ...typing import ArrayLike

_PARAMETERS = """
    input_size : int
        Features of a time step.
    hidden_size : int
        Size of the state.
    num_layers : int
        Number of stacked layers. Each takes the outputs of the one below.{nonlinearity}
    bias : bool
        Whether there are bias_ih and bias_hh.
    batch_first : bool
        Whether a batch is [N, time, features]. This is the only default that differs from PyTorch. False ([time, N, features]) is
        possible only if the layer is called by itself.
    dropout : float
        Probability of dropout between the layers. A single layer has none, and warns.
    bidirectional : bool
        Whether a second set of weights (``_reverse``) processes each sequence from its last step to its first.
    return_sequences : bool
        In a model: whether to return the output of every step, [time, directions * hidden_size]. Otherwise the layer returns only
        the final states, [directions * hidden_size]. The final state of the reverse direction is that at the first step.
    return_state : bool
        In a model that is a graph: whether to return the last state too, as ``output, h_n = layer(x)``, or ``output, (h_n, c_n)``
        for the LSTM. Each state is [hidden_size], or [directions * num_layers, hidden_size] with several directions or layers.
    learn_initial_state : bool
        Whether to train the initial states (``h_0_l0`` ..., [directions, hidden_size] each). Otherwise they are zeros.
    stateful : bool
        During training, each batch starts with the final states of the previous batch, row by row, until ``model.reset_states()``.
        A batch is a step of ``fit`` or ``train_on_batch``, or a ``forward(training=True)``. Inference starts with zeros.
    truncate : int, optional
        Truncated back-propagation through time. The sequence is cut into windows of this many steps, and no gradient flows from one
        window into the previous one.
    recurrent_dropout : float
        Probability p of dropout in the recurrence: in training, W_hh multiplies h with some units set to zero and the others scaled
        by 1 / (1 - p). Each sequence and direction has one mask for all of its steps, drawn anew for every batch, as in Keras (Gal
        and Ghahramani 2016). Only W_hh sees the mask: outputs, final states and the GRU's ``z h`` use all of h.
    l1, l2, max_norm : float, optional
        Penalties on all weight_ih and weight_hh, and a limit for each of their rows, as for `Linear`. To set them for one of the
        two only, use the groups of an optimizer: ``dict(params="*.weight_hh*", l2=1e-4)``.
    trainable : bool
        Whether training changes the parameters. It may be changed until ``compile``.
"""


class RNN(Recurrent):
    __doc__ = (
        """Elman network: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or with ReLU (Elman 1990).

    Parameters
    ----------"""
        + _PARAMETERS.format(nonlinearity='\n    nonlinearity : {"tanh", "relu"}\n        The activation that computes h\'.')
        + """
    See Also
    --------
    LSTM : for long sequences.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.RNN(2, 4), nn.Linear(4, 1), seed=0).build((10, 2))
    >>> model[0].weight_hh_l0.shape
    (4, 4)
    """
    )

    gates: ClassVar[int] = 1
    nonlinearity: Literal["tanh", "relu"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        learn_initial_state: bool = False,
        stateful: bool = False,
        truncate: int | None = None,
        recurrent_dropout: float = 0.0,
        l1: float | None = None,
        l2: float | None = None,
        max_norm: float | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            return_sequences=return_sequences,
            return_state=return_state,
            learn_initial_state=learn_initial_state,
            stateful=stateful,
            truncate=truncate,
            recurrent_dropout=recurrent_dropout,
            l1=l1,
            l2=l2,
            max_norm=max_norm,
            trainable=trainable,
            name=name,
        )
        names = list(self._names)
        names.insert(names.index("bias"), "nonlinearity")
        self.__dict__.update(nonlinearity=choice("RNN", "nonlinearity", nonlinearity, ("tanh", "relu")), _names=tuple(names))

    def _cell(self) -> str:
        return self.nonlinearity


class GRU(Recurrent):
    __doc__ = (
        """Gated recurrent unit (Cho et al. 2014), by default with the reset gate after the product, as in cuDNN, PyTorch and Keras.

    ::

        r = s(W_ir x + b_ir + W_hr h + b_hr)        z = s(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))    h' = (1 - z) n + z h

    With ``reset_after=False``, the reset gate comes before the product, as in the paper (equation 8) and by default in ONNX::

        n = tanh(W_in x + b_in + W_hn (r h) + b_hn)

    The rows of the weights are those of r, z and n, in this order, in either case.

    Parameters
    ----------"""
        + _PARAMETERS.format(nonlinearity="").replace(
            "    return_sequences",
            """    reset_after : bool
        Whether r multiplies the product W_hn h + b_hn (True), or h before it (False: Keras's argument of this name, and ONNX's
        linear_before_reset=0). A step with False is a little slower, since it has two products, one after the other.
    return_sequences""",
            1,
        )
        + """
    See Also
    --------
    LSTM : with a cell beside the state.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.GRU(2, 4, bidirectional=True).parameter_shapes()["weight_ih_l0_reverse"]
    (12, 2)

    The formula of the paper:

    >>> nn.GRU(2, 4, reset_after=False)
    GRU(input_size=2, hidden_size=4, reset_after=False)
    """
    )

    gates: ClassVar[int] = 3
    reset_after: bool = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        return_sequences: bool = False,
        return_state: bool = False,
        learn_initial_state: bool = False,
        stateful: bool = False,
        truncate: int | None = None,
        recurrent_dropout: float = 0.0,
        l1: float | None = None,
        l2: float | None = None,
        max_norm: float | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            return_sequences=return_sequences,
            return_state=return_state,
            learn_initial_state=learn_initial_state,
            stateful=stateful,
            truncate=truncate,
            recurrent_dropout=recurrent_dropout,
            l1=l1,
            l2=l2,
            max_norm=max_norm,
            trainable=trainable,
            name=name,
        )
        names = list(self._names)
        names.insert(names.index("return_sequences"), "reset_after")
        self.__dict__.update(reset_after=flag("GRU", "reset_after", reset_after), _names=tuple(names))

    def _cell(self) -> str:
        return "gru" if self.reset_after else "gru_before"


class LSTM(Recurrent):
    __doc__ = (
        """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    ::

        i, f, o = s(W x + b + V h + d), each with its own weights        g = tanh(W_g x + b_g + V_g h + d_g)
        c' = f c + i g        h' = o tanh(c')

    The rows of the weights are those of i, f, g and o, in this order.

    Parameters
    ----------"""
        + _PARAMETERS.format(nonlinearity="")
        + """
    See Also
    --------
    GRU : smaller and often as good.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> output, (h_n, c_n) = nn.LSTM(2, 4)(np.zeros((3, 7, 2)))
    >>> output.shape, c_n.shape
    ((3, 7, 4), (1, 3, 4))
    """
    )

    gates: ClassVar[int] = 4
    states: ClassVar[tuple[str, ...]] = ("h", "c")

    if TYPE_CHECKING:  # the state of an LSTM is a pair

        @overload  # type: ignore[override]
        def __call__(self, x: Value | Sequence[Value], h_0: Value | Sequence[Value] | None = None) -> Any: ...
        @overload
        def __call__(
            self,
            x: ArrayLike,
            h_0: tuple[ArrayLike, ArrayLike] | list[Any] | None = None,
            lengths: ArrayLike | None = None,
            training: bool = False,
            mask: ArrayLike | None = None,
        ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]: ...
        def __call__(self, x: Any, h_0: Any = None, lengths: Any = None, training: bool | None = None, mask: Any = None) -> Any: ...

    def _cell(self) -> str:
        return "lstm"

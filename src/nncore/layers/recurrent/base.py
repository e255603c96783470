"""The declarations that all recurrent layers share: arguments, op records, parameters. Parameters have PyTorch's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np

from ... import _late_calls, init
from ..._checks import flag, no_state_dict, real, warn, whole
from ..._declarations import missing_attribute, put_elsewhere
from ...data.arrays import copy_into, to_array
from ...errors import ArgumentError, ShapeError, SizeError, StateDictError
from ...foreign import methods
from ...graph import Value, is_symbolic, record
from ...init import InitSpec
from ...records import Op, Shape
from ..base import Layer, refuse_mode
from ..merge import Concatenate
from ..regularized import NO_PENALTIES, Regularized, all_checked

if TYPE_CHECKING:
    from ...typing import ArrayLike

_CELLS = ("tanh", "relu", "gru", "lstm", "gru_before")  # the order of nnc_cell
_MOST_LAYERS = 4096  # each layer is an op


class Recurrent(Regularized):
    """Base of `RNN`, `GRU` and `LSTM`: everything except the cell. `GRU` describes the arguments.

    Examples
    --------
    >>> import nncore as nn
    >>> isinstance(nn.GRU(2, 3), nn.Recurrent)
    True
    """

    repr_defaults: ClassVar[dict[str, object]] = {
        "num_layers": 1,
        "nonlinearity": "tanh",
        "reset_after": True,
        "bias": True,
        "batch_first": True,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "bidirectional": False,
        "return_sequences": False,
        "return_state": False,
        "learn_initial_state": False,
        "stateful": False,
        "truncate": None,
        **NO_PENALTIES,
        "trainable": True,
    }

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    recurrent_dropout: float
    bidirectional: bool
    return_sequences: bool
    return_state: bool
    learn_initial_state: bool
    stateful: bool
    truncate: int | None

    #: Number of blocks of hidden_size rows in the weights, and the kinds of state.
    gates: ClassVar[int]
    states: ClassVar[tuple[str, ...]] = ("h",)

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
        owner = type(self).__name__
        super().__init__(
            input_size=whole(owner, "input_size", input_size),
            hidden_size=whole(owner, "hidden_size", hidden_size),
            num_layers=whole(owner, "num_layers", num_layers),
            bias=flag(owner, "bias", bias),
            batch_first=flag(owner, "batch_first", batch_first),
            dropout=real(owner, "dropout", dropout, 0.0, 1.0),
            bidirectional=flag(owner, "bidirectional", bidirectional),
            return_sequences=flag(owner, "return_sequences", return_sequences),
            return_state=flag(owner, "return_state", return_state),
            learn_initial_state=flag(owner, "learn_initial_state", learn_initial_state),
            stateful=flag(owner, "stateful", stateful),
            truncate=None if truncate is None else whole(owner, "truncate", truncate),
            recurrent_dropout=real(owner, "recurrent_dropout", recurrent_dropout, 0.0, 1.0),
            **all_checked(owner, l1, l2, max_norm),
            trainable=flag(owner, "trainable", trainable),
            name=name,
        )
        if self.dropout and self.num_layers == 1:
            warn(
                f"{owner}: dropout={self.dropout:g} lies between layers, and num_layers=1 has only one; put nn.Dropout after the "
                "layer, or use recurrent_dropout"
            )
        if self.num_layers > _MOST_LAYERS:
            raise SizeError(f"{owner}: num_layers={self.num_layers}; at most {_MOST_LAYERS} are possible")
        if self.stateful and (self.bidirectional or self.learn_initial_state):
            other = "bidirectional" if self.bidirectional else "learn_initial_state"
            raise ArgumentError(
                f"{owner}: stateful=True starts a batch with the last states of the previous one, which excludes {other}=True"
            )
        if self.truncate is not None and self.bidirectional:
            raise ArgumentError(f"{owner}: truncate needs one direction; a bidirectional layer looks at the whole sequence")

    # Declarations ---------------------------------------------------------------------------------------------------------

    @property
    def directions(self) -> int:
        """Number of directions: 2 if bidirectional, else 1.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.LSTM(2, 3, bidirectional=True).directions
        2
        """
        return 2 if self.bidirectional else 1

    def _cell(self) -> str:
        raise NotImplementedError

    @property
    def output_count(self) -> int:
        """Number of values that a call in a model returns: the output and, with ``return_state``, the last states."""
        return 1 + (len(self.states) if self.return_state else 0)

    @property
    def input_count(self) -> tuple[int, int | None]:  # type: ignore[override]
        """Least and greatest number of inputs: the sequence and optional initial states."""
        return 1, 1 + len(self.states)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        ops: list[Op] = []
        below, initial, width = inputs[0], inputs[1:], self.input_size
        last: list[list[int]] = [[] for _ in self.states]
        for k in range(self.num_layers):
            if k and self.dropout:
                ops.append(Op.of("dropout", name, (below,), p=self.dropout))
                below = value + len(ops) - 1
            sequences = self.return_sequences or k + 1 < self.num_layers
            ops.append(
                Op.of(
                    "recurrent",
                    name,
                    (below, *initial),
                    cell=_CELLS.index(self._cell()),
                    input_size=width,
                    hidden_size=self.hidden_size,
                    has_bias=self.bias,
                    bidirectional=self.bidirectional,
                    return_sequences=sequences,
                    sublayer=k,
                    learn_initial_state=self.learn_initial_state,
                    truncate=self.truncate or 0,
                    stateful=self.stateful,
                    recurrent_dropout=self.recurrent_dropout,
                )
            )
            below, width = value + len(ops) - 1, self.directions * self.hidden_size
            for i, found in enumerate(last if self.return_state else ()):
                found.append(value + len(ops))
                ops.append(Op.of("state", name, (below,), is_cell_state=i, is_flat=self._blocks == 1))
        for found in last if self.return_state and self.num_layers > 1 else ():
            ops += Concatenate(axis=1).ops(name, tuple(found), value + len(ops))
        return ops

    def output_ops(self, ops: Sequence[Op]) -> tuple[int, ...]:
        recurrent = [i for i, op in enumerate(ops) if op.kind == "recurrent"]
        if not self.return_state:
            return (recurrent[-1],)
        if self.num_layers == 1:
            return tuple(range(len(ops)))
        joining = (len(ops) - recurrent[-1] - 1 - len(self.states)) // len(self.states)  # ops that join the states of the sublayers
        return recurrent[-1], *(len(ops) - 1 - joining * i for i in reversed(range(len(self.states))))

    def state_parts(self, state: Any) -> Sequence[Any]:
        """Return h as it is, or the pair (h, c) of an LSTM."""
        if len(self.states) == 1:
            return [state]
        if not (isinstance(state, list | tuple) and len(state) == len(self.states)):
            pair = ", ".join(f"{kind}_0" for kind in self.states)
            raise ArgumentError(f"{type(self).__name__}: the initial state is a pair ({pair})")
        return state

    @property
    def _blocks(self) -> int:
        """Number of states of hidden_size of each kind."""
        return self.num_layers * self.directions

    def parameter_shapes(self) -> dict[str, Shape]:
        rows, hidden = self.gates * self.hidden_size, self.hidden_size
        shapes: dict[str, Shape] = {}
        for k in range(self.num_layers):
            width = self.directions * hidden if k else self.input_size
            for suffix in ("", "_reverse")[: self.directions]:
                shapes[f"weight_ih_l{k}{suffix}"] = (rows, width)
                shapes[f"weight_hh_l{k}{suffix}"] = (rows, hidden)
                if self.bias:
                    shapes[f"bias_ih_l{k}{suffix}"] = (rows,)
                    shapes[f"bias_hh_l{k}{suffix}"] = (rows,)
            if self.learn_initial_state:
                shapes.update({f"{state}_0_l{k}": (self.directions, hidden) for state in self.states})
        return shapes

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        if role[:3] in ("h_0", "c_0"):
            return "zeros"
        bound = 1 / sqrt(self.hidden_size)
        return init.Uniform(-bound, bound)

    def is_weight_matrix(self, role: str) -> bool:
        return role.startswith("weight")  # initial states are not matrices

    def check(self, name: str, shape: Shape) -> None:
        if not self.batch_first and "_drawing" not in self.__dict__:
            raise ArgumentError(
                f"{name}: batch_first=False is only for calls of the layer by itself; in a model the batch comes first: "
                "[N, time, features]"
            )

    def check_call(self, name: str, shapes: Sequence[Shape]) -> None:
        if len(shapes) == 1:
            return
        own = "learn_initial_state" if self.learn_initial_state else "stateful"
        if len(shapes) != 1 + len(self.states):
            raise ArgumentError(f"{name}: the initial state is a pair (h_0, c_0)")
        if getattr(self, own):
            raise ArgumentError(f"{name}: {own}=True determines the initial state, which excludes a given one")
        fitting = [(self._blocks, self.hidden_size), (self._blocks * self.hidden_size,)]
        for kind, shape in zip(self.states, shapes[1:], strict=True):
            if shape not in fitting:
                wanted = " or ".join(str(("N", *each)).replace("'", "") for each in fitting)
                raise ShapeError(f"{name}: {kind}_0 has shape {('N', *shape)}".replace("'", "") + f", but {wanted} is needed")

    def macs(self, shape: Shape, out: Shape) -> int:
        hidden, later = self.hidden_size, self.directions * self.hidden_size + self.hidden_size
        per_step = self.gates * hidden * (self.input_size + hidden + (self.num_layers - 1) * later)
        return self.directions * shape[0] * per_step

    def __getattr__(self, name: str) -> np.ndarray:
        # The number of parameters such as weight_ih_l0 depends on the arguments.
        if "hidden_size" in self.__dict__ and not name.startswith("_") and name in self.parameter_shapes():
            return self._parameter(name).view()
        raise missing_attribute(type(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.parameter_shapes():
            self._assign(name, value)
        else:
            super().__setattr__(name, value)

    # Calls of the layer by itself ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters by PyTorch's names. If the layer is in no model yet, its parameters are drawn now.

        Examples
        --------
        >>> import nncore as nn
        >>> list(nn.RNN(2, 3, bias=False).state_dict())
        ['weight_ih_l0', 'weight_hh_l0']
        """
        return {role: np.array(parameter.view(), order="C") for role, parameter in _late_calls.draw_parameters(self).items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy in the parameters of a layer of the same shape, for example those of a PyTorch module.

        Parameters
        ----------
        state_dict : mapping
            From PyTorch's names to arrays or tensors.

        Raises
        ------
        StateDictError, ShapeError
            Names or shapes differ. Nothing has been copied then.

        Examples
        --------
        >>> import nncore as nn
        >>> a, b = nn.GRU(2, 3), nn.GRU(2, 3)
        >>> b.load_state_dict(a.state_dict())
        >>> bool((a.weight_hh_l0 == b.weight_hh_l0).all())
        True
        """
        if not isinstance(state_dict, Mapping):
            raise no_state_dict(state_dict)
        own, arrays = _late_calls.draw_parameters(self), {key: to_array(value) for key, value in state_dict.items()}
        missing, unexpected = [key for key in own if key not in arrays], [key for key in arrays if key not in own]
        if missing or unexpected:
            raise StateDictError(f"the state dict does not fit {self!r}: missing keys {missing}, unexpected keys {unexpected}")
        for key, parameter in own.items():
            copy_into(np.empty_like(parameter.writable()), arrays[key], key)
        for key, parameter in own.items():
            copy_into(parameter.writable(), arrays[key], key)

    @overload  # type: ignore[override]
    def __call__(self, x: Value | Sequence[Value], h_0: Value | Sequence[Value] | None = None) -> Any: ...
    @overload
    def __call__(
        self, x: ArrayLike, h_0: Any = None, lengths: ArrayLike | None = None, training: bool = False, mask: ArrayLike | None = None
    ) -> tuple[np.ndarray, np.ndarray | Any]: ...
    def __call__(self, x: Any, h_0: Any = None, lengths: Any = None, training: bool | None = None, mask: Any = None) -> Any:
        """Apply the layer by itself to a batch of sequences, as PyTorch does.

        If x is a value of `nncore.Input` or of another layer, the call becomes part of a network. Each sample of x is then [time,
        input_size]. h_0 is a value of shape [hidden_size] or [directions * num_layers, hidden_size], or a pair of them for the
        LSTM. It can be the last state of another layer; gradients flow back into it. The call returns the output (see
        ``return_sequences``) and, with ``return_state``, the last state in the shape of h_0.

        Parameters
        ----------
        x : array_like
            [N, T, input_size], or [T, N, input_size] if ``batch_first`` is False. A single sequence [T, input_size] is accepted
            too.
        h_0 : array_like, or a pair of them for the LSTM (h_0, c_0)
            Initial states, [directions * num_layers, N, hidden_size], without N for a single sequence. The default is the learned
            initial states if there are any, else zeros.
        lengths : array_like of int, optional
            [N], in any order: the number of valid steps of each sequence. Outputs after them are zeros.
        training : bool
            Whether dropout between the layers and in the recurrence is active.
        mask : array_like of bool, optional
            [N, T] (T comes second, whatever ``batch_first`` says), in place of lengths: True for each valid step. The others are
            left out: the state passes them unchanged, and outputs are zeros there.

        Returns
        -------
        output : numpy.ndarray or Value
            [N, T, directions * hidden_size], or with T first.
        h_n : numpy.ndarray, or (h_n, c_n) for the LSTM
            Final states, [directions * num_layers, N, hidden_size]. The forward direction ends at the last step of each sequence,
            the reverse direction at the first.

        Raises
        ------
        ShapeError
            x, a state or the lengths do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> output, h_n = nn.GRU(2, 3, bidirectional=True)(
        ...     np.ones((4, 5, 2)), lengths=[5, 1, 3, 2]
        ... )
        >>> output.shape, h_n.shape
        ((4, 5, 6), (2, 4, 3))

        An encoder, and a decoder that starts from the encoder's last state:

        >>> source, target = nn.Input((7, 2)), nn.Input((5, 4))
        >>> _, state = nn.GRU(2, 8, return_state=True)(source)
        >>> decoded = nn.GRU(4, 8, return_sequences=True)(target, state)
        >>> nn.Model([source, target], nn.Linear(8, 4)(decoded)).output_shapes
        [(5, 4)]
        """
        if is_symbolic(x):
            refuse_mode(type(self).__name__, training)
            return self._record(x, h_0, lengths if mask is None else mask)
        return _late_calls.call_recurrent(self, x, h_0, lengths, False if training is None else training, mask)

    def _record(self, x: Any, h_0: Any, lengths: Any) -> Any:
        """Record a call in a network."""
        if lengths is not None:
            raise ArgumentError(
                f"{type(self).__name__}: lengths belong to data, and so do masks; pass them to fit, evaluate, predict or forward"
            )
        inputs = [*([x] if isinstance(x, Value) else x), *(() if h_0 is None else self.state_parts(h_0))]
        output, *last = record(self, inputs)
        if not last:
            return output
        return output, last[0] if len(last) == 1 else tuple(last)


put_elsewhere(Recurrent, methods.OF_RECURRENT)

"""Recurrent layers: RNN, GRU and LSTM, with PyTorch's arguments, parameter names, shapes and gate orders."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, ClassVar

import numpy as np

from .. import init
from .._checks import choice, flag, real, whole
from ..data.arrays import as_array
from ..data.sequences import bind_lengths
from ..errors import ArgumentError, EmptyDataError, ShapeError, StateDictError
from ..graph import call, is_symbolic
from ..init import InitSpec
from ..spec import Op, Parameter, Shape
from .base import Layer, copy_into, to_array

_CELLS = ("tanh", "relu", "gru", "lstm")  # the order of nnc_cell


class Recurrent(Layer):
    """Base of `RNN`, `GRU` and `LSTM`: everything but the cell.

    Examples
    --------
    >>> import nncore as nn
    >>> isinstance(nn.GRU(2, 3), nn.Recurrent)
    True
    """

    quiet: ClassVar[dict[str, object]] = {
        "num_layers": 1,
        "nonlinearity": "tanh",
        "bias": True,
        "batch_first": True,
        "dropout": 0.0,
        "bidirectional": False,
        "return_sequences": False,
        "learn_initial_state": False,
        "stateful": False,
        "truncate": None,
        "trainable": True,
    }

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    return_sequences: bool
    learn_initial_state: bool
    stateful: bool
    truncate: int | None

    #: Blocks of hidden_size rows in the weights, and how many kinds of state there are.
    gates: ClassVar[int]
    states: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        return_sequences: bool,
        learn_initial_state: bool,
        stateful: bool,
        truncate: int | None,
        trainable: bool,
        **cell: Any,
    ) -> None:
        name = type(self).__name__
        arguments: dict[str, Any] = {
            "input_size": whole(name, "input_size", input_size),
            "hidden_size": whole(name, "hidden_size", hidden_size),
            "num_layers": whole(name, "num_layers", num_layers),
            **cell,
            "bias": flag(name, "bias", bias),
            "batch_first": flag(name, "batch_first", batch_first),
            "dropout": real(name, "dropout", dropout, 0.0, 1.0),
            "bidirectional": flag(name, "bidirectional", bidirectional),
            "return_sequences": flag(name, "return_sequences", return_sequences),
            "learn_initial_state": flag(name, "learn_initial_state", learn_initial_state),
            "stateful": flag(name, "stateful", stateful),
            "truncate": None if truncate is None else whole(name, "truncate", truncate),
            "trainable": flag(name, "trainable", trainable),
        }
        if stateful and (bidirectional or learn_initial_state):
            other = "bidirectional" if bidirectional else "learn_initial_state"
            raise ArgumentError(f"{name}: stateful=True starts a batch where the last one ended, which excludes {other}=True")
        if truncate is not None and bidirectional:
            raise ArgumentError(f"{name}: truncate needs one direction; a bidirectional layer looks at the whole sequence")
        super().__init__(**arguments)

    # What it declares -----------------------------------------------------------------------------------------------------

    @property
    def directions(self) -> int:
        """1, or 2 where bidirectional.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.LSTM(2, 3, bidirectional=True).directions
        2
        """
        return 2 if self.bidirectional else 1

    def _cell(self) -> str:
        raise NotImplementedError

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        ops: list[Op] = []
        width = self.input_size
        for k in range(self.num_layers):
            if k and self.dropout:
                ops.append(Op("dropout", name, inputs, attributes=(self.dropout,)))
                inputs = (value + len(ops) - 1,)
            sequences = self.return_sequences or k + 1 < self.num_layers
            flags = (int(self.bias), int(self.bidirectional), int(sequences), k, int(self.learn_initial_state), self.truncate or 0)
            ops.append(Op("recurrent", name, inputs, sizes=(_CELLS.index(self._cell()), width, self.hidden_size, *flags)))
            inputs = (value + len(ops) - 1,)
            width = self.directions * self.hidden_size
        return ops

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

    def check(self, name: str, shape: Shape) -> None:
        if not self.batch_first and "_standalone" not in self.__dict__:
            raise ArgumentError(
                f"{name}: batch_first=False is for calls of the layer alone; in a model the batch comes first: [N, time, features]"
            )

    def macs(self, shape: Shape, out: Shape) -> int:
        hidden, later = self.hidden_size, self.directions * self.hidden_size + self.hidden_size
        per_step = self.gates * hidden * (self.input_size + hidden + (self.num_layers - 1) * later)
        return self.directions * shape[0] * per_step

    def __getattr__(self, name: str) -> Any:
        # weight_ih_l0 and the like: how many there are depends on the arguments.
        if "hidden_size" in self.__dict__ and not name.startswith("_") and name in self.parameter_shapes():
            return self._view(name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.parameter_shapes():
            self._assign(name, value)
        else:
            super().__setattr__(name, value)

    # Alone ----------------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters by PyTorch's names; a layer that is in no model yet draws them now.

        Examples
        --------
        >>> import nncore as nn
        >>> list(nn.RNN(2, 3, bias=False).state_dict())
        ['weight_ih_l0', 'weight_hh_l0']
        """
        return {role: np.array(parameter.value, order="C") for role, parameter in self._parameters().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy in the parameters of a layer like this one, such as those of a PyTorch module.

        Parameters
        ----------
        state_dict : mapping
            From PyTorch's names to arrays or tensors.

        Raises
        ------
        StateDictError, ShapeError
            Names or shapes differ; nothing has been copied then.

        Examples
        --------
        >>> import nncore as nn
        >>> a, b = nn.GRU(2, 3), nn.GRU(2, 3)
        >>> b.load_state_dict(a.state_dict())
        >>> bool((a.weight_hh_l0 == b.weight_hh_l0).all())
        True
        """
        own, arrays = self._parameters(), {key: to_array(value) for key, value in dict(state_dict).items()}
        missing, unexpected = [key for key in own if key not in arrays], [key for key in arrays if key not in own]
        if missing or unexpected:
            raise StateDictError(f"the state dict does not fit {self!r}: missing keys {missing}, unexpected keys {unexpected}")
        for key, parameter in own.items():
            copy_into(np.empty_like(parameter.value), arrays[key], key)
        for key, parameter in own.items():
            copy_into(parameter.value, arrays[key], key)

    def _parameters(self) -> dict[str, Parameter]:
        if not self._bound:
            from ..sequential import Sequential

            self.__dict__["_standalone"] = True
            try:
                home = Sequential(self).build((1, self.input_size))
            finally:
                del self.__dict__["_standalone"]
            self.__dict__["_alone"] = home
        return self._bound

    def _twin(self, steps: int) -> Any:
        """A private model of a layer with the same weights that returns sequences."""
        from ..sequential import Sequential

        own = self._parameters()
        dtype = next(iter(own.values())).value.dtype.name
        twin = self.__dict__.get("_twin_model")
        if twin is None or twin.dtype != dtype or twin.input_shapes != [(steps, self.input_size)]:
            plain = {"return_sequences": True, "batch_first": True, "stateful": False, "truncate": None}
            twin = Sequential(type(self)(**{**self.config(), **plain}), dtype=dtype, seed=0).build((steps, self.input_size))
            self.__dict__["_twin_model"] = twin
        for role, parameter in own.items():
            twin.layers[0]._bound[role].value[...] = parameter.value
        return twin

    def __call__(self, x: Any, h_0: Any = None, lengths: Any = None, training: bool = False) -> Any:  # type: ignore[override]
        """Apply the layer by itself to a batch of sequences, as PyTorch does.

        Parameters
        ----------
        x : array_like
            [N, T, input_size], or [T, N, input_size] where not ``batch_first``; a single sequence [T, input_size] will do.
        h_0 : array_like, or a pair of them for the LSTM (h_0, c_0)
            Initial states, [directions * num_layers, N, hidden_size]; without N for a single sequence. Zeros, or what has been
            learned, where missing.
        lengths : array_like of int, optional
            [N], in any order: how many steps of each sequence count. Outputs beyond are zeros.
        training : bool
            Whether dropout between the layers drops.

        Returns
        -------
        output : numpy.ndarray
            [N, T, directions * hidden_size], or with T first.
        h_n : numpy.ndarray, or (h_n, c_n) for the LSTM
            Final states, [directions * num_layers, N, hidden_size]: forward at each sequence's last step, reverse at the first.

        Raises
        ------
        ShapeError
            If x, a state or the lengths do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> output, h_n = nn.GRU(2, 3, bidirectional=True)(np.ones((4, 5, 2)), lengths=[5, 1, 3, 2])
        >>> output.shape, h_n.shape
        ((4, 5, 6), (2, 4, 3))
        """
        if is_symbolic(x):
            return call(self, x)
        name = type(self).__name__
        array = as_array(x, "x", np.dtype("float32"))
        single = array.ndim == 2
        if single:
            array = array[None]
        elif array.ndim == 3 and not self.batch_first:
            array = array.swapaxes(0, 1)
        if array.ndim != 3 or array.shape[2] != self.input_size or array.shape[1] == 0:
            order = "[N, time, {}]" if self.batch_first else "[time, N, {}]"
            raise ShapeError(f"{name}: x has shape {np.shape(x)}, but {order.format(self.input_size)} is needed")
        rows, steps = array.shape[:2]
        if not rows:
            raise EmptyDataError(f"{name}: x of shape {np.shape(x)} has no sequences")
        model = self._twin(steps)
        dtype = model.dtype
        shape = (rows, self.num_layers, len(self.states), self.directions, self.hidden_size)
        initial = None if h_0 is None else self._gather_states(h_0, np.zeros(shape, dtype), single)
        final = np.empty(shape, dtype)
        counted = None if lengths is None else bind_lengths(lengths, rows, steps)
        flat = (rows, int(np.prod(shape[1:])))
        states = (counted, None if initial is None else initial.reshape(flat), final.reshape(flat))
        array = np.ascontiguousarray(array, dtype)
        if training:
            (output,) = model._forward([array], True, states)
        else:
            output = np.empty((rows, steps, self.directions * self.hidden_size), dtype)
            first = 0
            while first < rows:
                first = model._predict([array], [output], first, states)
        ends = [
            np.ascontiguousarray(final[:, :, i].transpose(1, 2, 0, 3)).reshape(-1, rows, self.hidden_size)
            for i in range(len(self.states))
        ]
        if single:
            output, ends = output[0], [end[:, 0] for end in ends]
        elif not self.batch_first:
            output = np.ascontiguousarray(output.swapaxes(0, 1))
        return output, ends[0] if len(ends) == 1 else tuple(ends)

    def _gather_states(self, given: Any, to: np.ndarray, single: bool) -> np.ndarray:
        """Write PyTorch's [directions * layers, N, hidden] into [N, layers, states, directions, hidden]."""
        name, kinds = type(self).__name__, self.states
        if len(kinds) > 1 and not (isinstance(given, list | tuple) and len(given) == len(kinds)):
            raise ArgumentError(f"{name}: the initial state is a pair (h_0, c_0)")
        rows, layers, _, directions, hidden = to.shape
        wanted = (layers * directions, hidden) if single else (layers * directions, rows, hidden)
        for i, part in enumerate(given if len(kinds) > 1 else [given]):
            array = as_array(part, f"{kinds[i]}_0", to.dtype)
            if array.shape != wanted:
                raise ShapeError(
                    f"{name}: {kinds[i]}_0 has shape {array.shape}, but {wanted} is needed, [directions * layers, N, hidden_size]"
                )
            to[:, :, i] = array.reshape(layers, directions, rows, hidden).transpose(2, 0, 1, 3)
        return to


_PARAMETERS = """
    input_size : int
        Features of a time step.
    hidden_size : int
        Size of the state.
    num_layers : int
        Layers on top of each other; each takes the outputs of the one below.{nonlinearity}
    bias : bool
        Whether there are bias_ih and bias_hh.
    batch_first : bool
        Whether a batch is [N, time, features]. The one default that differs from PyTorch. False ([time, N, features]) is for calls
        of the layer alone.
    dropout : float
        Probability of dropout between the layers.
    bidirectional : bool
        Whether a second set of weights (``_reverse``) goes through each sequence from its end to its beginning.
    return_sequences : bool
        In a model: pass on the output of every step, [time, directions * hidden_size]; otherwise the final states alone,
        [directions * hidden_size], of which the reverse one is that at the first step.
    learn_initial_state : bool
        Train the initial states (``h_0_l0`` ..., [directions, hidden_size] each) instead of starting from zeros.
    stateful : bool
        While training, begin each batch with the states that the one before left, row by row, until ``model.reset_states()``.
    truncate : int, optional
        Truncated back-propagation through time: no gradient crosses from one window of this many steps into the one before.
    trainable : bool
        Whether training changes the parameters; may be changed until ``compile``.
"""


class RNN(Recurrent):
    __doc__ = (
        """Elman network: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or with ReLU (Elman 1990).

    Parameters
    ----------"""
        + _PARAMETERS.format(nonlinearity='\n    nonlinearity : {"tanh", "relu"}\n        What h\' goes through.')
        + """
    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.RNN(2, 4), nn.Linear(4, 1), seed=0).build((10, 2))
    >>> model[0].weight_hh_l0.shape
    (4, 4)
    """
    )

    gates: ClassVar[int] = 1
    nonlinearity: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        return_sequences: bool = False,
        learn_initial_state: bool = False,
        stateful: bool = False,
        truncate: int | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            return_sequences,
            learn_initial_state,
            stateful,
            truncate,
            trainable,
            nonlinearity=choice("RNN", "nonlinearity", nonlinearity, ("tanh", "relu")),
        )

    def _cell(self) -> str:
        return self.nonlinearity


class _Gated(Recurrent):
    """What GRU and LSTM have in common: arguments."""

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
        learn_initial_state: bool = False,
        stateful: bool = False,
        truncate: int | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            return_sequences,
            learn_initial_state,
            stateful,
            truncate,
            trainable,
        )

    def _cell(self) -> str:
        return type(self).__name__.lower()


class GRU(_Gated):
    __doc__ = (
        """Gated recurrent unit, its reset gate applied after the product, as in PyTorch and cuDNN (Cho et al. 2014).

    ::

        r = s(W_ir x + b_ir + W_hr h + b_hr)        z = s(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))    h' = (1 - z) n + z h

    The rows of the weights are those of r, z and n, in this order.

    Parameters
    ----------"""
        + _PARAMETERS.format(nonlinearity="")
        + """
    Examples
    --------
    >>> import nncore as nn
    >>> nn.GRU(2, 4, bidirectional=True).parameter_shapes()["weight_ih_l0_reverse"]
    (12, 2)
    """
    )

    gates: ClassVar[int] = 3

    def _cell(self) -> str:
        return "gru"


class LSTM(_Gated):
    __doc__ = (
        """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    ::

        i, f, o = s(W x + b + V h + d), each with weights of its own        g = tanh(W_g x + b_g + V_g h + d_g)
        c' = f c + i g        h' = o tanh(c')

    The rows of the weights are those of i, f, g and o, in this order.

    Parameters
    ----------"""
        + _PARAMETERS.format(nonlinearity="")
        + """
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

    def _cell(self) -> str:
        return "lstm"

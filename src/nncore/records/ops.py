"""What a network computes, as plain records: its ops, and the parameters that the core makes for them.

Layers are declarations; what they declare is written down in these tuples and handed to the core, which checks them, infers the
shapes, and compiles the plan. Nothing here computes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Op(NamedTuple):
    """One op record: what is computed, from which values, with which sizes.

    Values are numbered: the inputs of the network first (0, 1, ...), then the result of each op in order.
    """

    kind: str  #: as in the registry: "linear", "activation", "dropout", ...
    name: str  #: how errors call it, for example "layer 2 (Linear)"
    inputs: tuple[int, ...]
    sizes: tuple[int, ...] = ()  #: linear: (in_features, out_features, has_bias); flatten: (start_dim, end_dim);
    #: batch_norm: (num_features, affine, track_running_stats); maximum: (is_minimum,); concat: (axis,);
    #: layer_norm: (has_weight, has_bias, *normalized_shape); reshape: the dimensions; prelu: (num_parameters,); maxout: (pieces,);
    #: embedding: (num_embeddings, embedding_dim, padding_idx or -1); python: (whether it keeps time steps apart,);
    #: recurrent: (cell, input_size, hidden_size, has_bias, is_bidirectional, returns_sequences, sublayer, learns_initial_state,
    #: truncate or 0, is_stateful); state: (0 for h or 1 for c, whether it is [hidden] instead of [directions, hidden])
    attributes: tuple[float, ...] = ()  #: activation: in the order of the registry; dropout: (p,);
    #: batch_norm: (eps, momentum), momentum negative for the plain average; add: (first, rest, offset);
    #: layer_norm: (eps,); gaussian_noise: (stddev,)
    code: str = ""  #: activation: its name in the registry
    shares: int = -1  #: an earlier op of the same kind and sizes whose parameters this one uses, by its number
    part: Any = None  #: python: the layer, which the core calls through layers/python.py


class Parameter(NamedTuple):
    """Views into the two contiguous buffers of a network, oriented as PyTorch orients them."""

    op: int  #: index of the op that owns it
    role: str  #: "weight", "bias"
    value: np.ndarray
    grad: np.ndarray  #: of running statistics: empty

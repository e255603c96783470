"""Recurrent layers: RNN, GRU and LSTM, with PyTorch's arguments, parameter names, shapes and gate orders.

base.py has the declarations that the three share, cells.py their differences. Calls of such a layer by itself are in
network/standalone_recurrent.py.
"""

from .base import Recurrent
from .cells import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]

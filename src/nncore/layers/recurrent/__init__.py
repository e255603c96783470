"""Recurrent layers: RNN, GRU and LSTM, with PyTorch's arguments, parameter names, shapes and gate orders.

base.py says what such a layer declares, cells.py what the three differ in, alone.py how one of them is called on arrays by itself.
"""

from .base import Recurrent
from .cells import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]

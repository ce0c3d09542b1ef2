"""The torch.nn modules people import."""

from recurra.layers.dropout import LockedDropout
from recurra.layers.namesakes import GRU, LSTM, RNN
from recurra.layers.readout import Readout
from recurra.layers.recurrent import Recurrent

__all__ = ["GRU", "LSTM", "RNN", "LockedDropout", "Readout", "Recurrent"]

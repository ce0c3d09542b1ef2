"""The torch.nn modules people import."""

from recurra.layers.attention import SCORES, Attention, Memory
from recurra.layers.crf import BestPath, ConditionalRandomField
from recurra.layers.dropout import LockedDropout
from recurra.layers.explanation import Explanation, explain
from recurra.layers.keras_weights import from_keras, to_keras
from recurra.layers.masks import StackMasks
from recurra.layers.readout import Readout
from recurra.layers.recurrent import Recurrent
from recurra.layers.steps import GRUCell, LSTMCell, RNNCell, Step
from recurra.layers.torch_compat import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SCORES",
    "Attention",
    "BestPath",
    "ConditionalRandomField",
    "Explanation",
    "GRUCell",
    "LSTMCell",
    "LockedDropout",
    "Memory",
    "RNNCell",
    "Readout",
    "Recurrent",
    "StackMasks",
    "Step",
    "explain",
    "from_keras",
    "to_keras",
]

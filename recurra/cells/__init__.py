"""What one step of a recurrent network computes. One formula a file; no loops, no devices."""

from recurra.cells.activations import ACTIVATIONS, Activation, activation
from recurra.cells.cell import Cell, Formula, Recurrence, Vectors
from recurra.cells.elman import Elman
from recurra.cells.gru import GRU
from recurra.cells.initialise import Initialisation
from recurra.cells.lstm import LSTM
from recurra.cells.state import Gates, State, States, detach, from_tensors, select, to_tensors, where
from recurra.cells.table import CELLS, cell_name, cell_options, find_cell
from recurra.cells.weights import Norms, Weights

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "GRU",
    "LSTM",
    "Activation",
    "Cell",
    "Elman",
    "Formula",
    "Gates",
    "Initialisation",
    "Norms",
    "Recurrence",
    "State",
    "States",
    "Vectors",
    "Weights",
    "activation",
    "cell_name",
    "cell_options",
    "detach",
    "find_cell",
    "from_tensors",
    "select",
    "to_tensors",
    "where",
]

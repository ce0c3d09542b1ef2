"""Recurrent cells: the formula of one step, one cell per file, without loops and devices."""

from recurra.cells.activations import ACTIVATIONS, Activation, activation
from recurra.cells.antisymmetric_rnn import AntisymmetricRNN
from recurra.cells.cell import Cell, Formula
from recurra.cells.cho_gru import ChoGRU
from recurra.cells.coupled_lstm import CoupledLSTM
from recurra.cells.elman import Elman
from recurra.cells.gated_antisymmetric_rnn import GatedAntisymmetricRNN
from recurra.cells.gru import GRU
from recurra.cells.indrnn import IndRNN
from recurra.cells.initialise import Initialisation
from recurra.cells.lstm import LSTM
from recurra.cells.min_gru import MinGRU
from recurra.cells.min_lstm import MinLSTM
from recurra.cells.minimal_gated_unit import MinimalGatedUnit
from recurra.cells.orthogonal_rnn import OrthogonalRNN
from recurra.cells.parameters import count_parameters, parameter_formula
from recurra.cells.peephole_lstm import PeepholeLSTM
from recurra.cells.slstm import SLSTM
from recurra.cells.state import Gates, State, States, detach, from_tensors, select, to_tensors, where
from recurra.cells.step_arguments import Recurrence, Vectors
from recurra.cells.table import ALIASES, CELLS, cell_name, cell_options, find_cell
from recurra.cells.weights import Norms, Weights

__all__ = [
    "ACTIVATIONS",
    "ALIASES",
    "CELLS",
    "GRU",
    "LSTM",
    "SLSTM",
    "Activation",
    "AntisymmetricRNN",
    "Cell",
    "ChoGRU",
    "CoupledLSTM",
    "Elman",
    "Formula",
    "GatedAntisymmetricRNN",
    "Gates",
    "IndRNN",
    "Initialisation",
    "MinGRU",
    "MinLSTM",
    "MinimalGatedUnit",
    "Norms",
    "OrthogonalRNN",
    "PeepholeLSTM",
    "Recurrence",
    "State",
    "States",
    "Vectors",
    "Weights",
    "activation",
    "cell_name",
    "cell_options",
    "count_parameters",
    "detach",
    "find_cell",
    "from_tensors",
    "parameter_formula",
    "select",
    "to_tensors",
    "where",
]

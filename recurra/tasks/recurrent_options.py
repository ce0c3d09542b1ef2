"""The options of a stack of recurrent layers, which are a field of the network options of every task.

That field sets the defaults of the task; its metadata replaces the help of options that mean something else there:

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(hidden_size=384),
        metadata={"help": {"num_layers": "Recurrent layers of the encoder."}},
    )
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from recurra.cells import Cell, Initialisation
from recurra.errors import options_named
from recurra.layers import LockedDropout, Recurrent
from recurra.tasks.cell_names import make_cell


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions:
    """A stack of recurrent layers.

    Raises:
        InputError: the initialisation is unknown or contradictory. The other options are checked by `stack`.
    """

    cell: str = "lstm"
    """The recurrent cell: one of `recurra cells`, or a user-defined one as module:Class."""
    activation: str | None = None
    """The activation of the cell: tanh, relu, gelu, …"""
    cell_options: list[str] | None = None
    """Further options of the cell (see recurra cells NAME), each as name=value."""
    hidden_size: int = 256
    """Hidden units of each recurrent layer."""
    num_layers: int = 1
    """Recurrent layers on top of each other."""
    bidirectional: bool = False
    """Also read sequences backwards; without it, outputs can be computed as the input arrives."""
    dropout: float = 0.0
    """Share of the inputs and outputs of each recurrent layer that is dropped in training."""
    locked_dropout: bool = False
    """Drop the same hidden units at all steps of a sequence or window, in place of different ones at each step."""
    recurrent_dropout: float = 0.0
    """Share of h that is dropped before the recurrent product in training, the same hidden units at all steps."""
    weight_drop: float = 0.0
    """Share of W_hh that is dropped in training."""
    zoneout: float = 0.0
    """Share of hidden units that keep their previous state in training."""
    layer_norm: bool = False
    """Layer normalisation of the input part and of the recurrent part of every gate."""
    residual: bool = False
    """Add each upper layer's input to its output."""
    learn_initial_state: bool = False
    """Learn the initial state of a sequence, in place of zeros."""
    recurrent_init: str = "torch"
    """Initialisation of W_hh: torch, orthogonal, identity or normal (with init_variance)."""
    init_variance: float | None = None
    """s of W_hh ~ N(0, s/hidden_size), for recurrent_init normal."""
    input_init: str = "torch"
    """Initialisation of W_ih: torch or xavier."""
    forget_bias: float | None = None
    """Initial bias of the gates that keep the state."""
    chrono: int | None = None
    """Chrono initialisation: longest time to remember, in steps."""
    engine: str = "auto"
    """The engine that runs the cell through time: auto, cpu, native or unroll."""

    def __post_init__(self) -> None:
        self.initialisation()

    def initialisation(self) -> Initialisation:
        """Returns the initialisation of the weights."""
        with options_named(recurrent="recurrent_init", variance="init_variance", input="input_init"):
            return Initialisation(
                recurrent=self.recurrent_init,
                variance=self.init_variance,
                input=self.input_init,
                forget_bias=self.forget_bias,
                chrono=self.chrono,
            )

    def stack(self, input_size: int, *, cell: Cell | None = None, **changed: Any) -> Recurrent:
        """Returns the stack of layers.

        Args:
            input_size: number of features per step.
            cell: the recurrent cell; None for the one that the options describe.
            **changed: arguments of `Recurrent` that differ from the options.

        Raises:
            InputError: an option is invalid.
        """
        arguments: dict[str, Any] = {
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "locked_dropout": self.locked_dropout,
            "layer_norm": self.layer_norm,
            "recurrent_dropout": self.recurrent_dropout,
            "weight_drop": self.weight_drop,
            "zoneout": self.zoneout,
            "residual": self.residual,
            "init": self.initialisation(),
            "learn_initial_state": self.learn_initial_state,
            "engine": self.engine,
        }
        return Recurrent(cell or make_cell(self), input_size, **{**arguments, **changed})

    def dropout_layer(self, rate: float | None = None) -> nn.Module:
        """Returns dropout for inputs or outputs of the stack, locked as in it; a rate of None is that of the stack."""
        rate = self.dropout if rate is None else rate
        return LockedDropout(rate) if self.locked_dropout else nn.Dropout(rate)


# These may change when training starts from a trained model: no weight depends on them.
FREE = frozenset({"dropout", "locked_dropout", "recurrent_dropout", "weight_drop", "zoneout", "engine"})

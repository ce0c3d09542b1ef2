"""The options of a recurrent stack, which the network options of every task hold.

A task sets its own defaults in its field, and in the field's metadata the help of options that mean something else
there:

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
        InputError: how the weights begin is unknown or contradictory. The other options are checked by `stack`.
    """

    cell: str = "lstm"
    """The recurrent cell: one of `recurra cells`, or a user-defined one as module:Class."""
    activation: str | None = None
    """The activation of the cell: tanh, relu, gelu, …"""
    cell_options: list[str] | None = None
    """Further options of the cell (see recurra cells NAME), each as name=value."""
    hidden_size: int = 256
    """Units of each recurrent layer."""
    num_layers: int = 1
    """Recurrent layers on top of each other."""
    bidirectional: bool = False
    """Read sequences from both ends; without it, outputs can be computed as the input arrives."""
    dropout: float = 0.0
    """Share of what each recurrent layer reads and emits that is dropped while training."""
    locked_dropout: bool = False
    """Drop the same units at all steps of a sequence or window, in place of others at each step."""
    recurrent_dropout: float = 0.0
    """Share of h that is dropped before the recurrent product while training, the same units at all steps."""
    weight_drop: float = 0.0
    """Share of W_hh that is dropped while training."""
    zoneout: float = 0.0
    """Share of units that keep their last state while training."""
    layer_norm: bool = False
    """Normalise the input's and the recurrent part of every gate over its units."""
    residual: bool = False
    """Add each upper layer's input to its output."""
    learn_initial_state: bool = False
    """Learn the state that a sequence starts from, in place of zeros."""
    recurrent_init: str = "torch"
    """How W_hh begins: torch, orthogonal, identity or normal (with init_variance)."""
    init_variance: float | None = None
    """s of W_hh ~ N(0, s/hidden_size), for recurrent_init normal."""
    input_init: str = "torch"
    """How W_ih begins: torch or xavier."""
    forget_bias: float | None = None
    """The bias at the start of the gates that keep the state."""
    chrono: int | None = None
    """Chrono initialisation: the longest time to remember, in steps."""
    engine: str = "auto"
    """The engine that runs the cell through time: auto, cpu, native or unroll."""

    def __post_init__(self) -> None:
        self.initialisation()

    def initialisation(self) -> Initialisation:
        """How the weights begin."""
        with options_named(recurrent="recurrent_init", variance="init_variance", input="input_init"):
            return Initialisation(
                recurrent=self.recurrent_init,
                variance=self.init_variance,
                input=self.input_init,
                forget_bias=self.forget_bias,
                chrono=self.chrono,
            )

    def stack(self, input_size: int, *, cell: Cell | None = None, **changed: Any) -> Recurrent:
        """The stack of layers.

        Args:
            input_size: features of a step.
            cell: the recurrent cell; the one that the options name where None.
            **changed: arguments of `Recurrent` that differ from the options.

        Raises:
            InputError: an option that cannot be used.
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
        """Dropout of what enters or leaves the stack, at its rate where None; locked where that of the stack is."""
        rate = self.dropout if rate is None else rate
        return LockedDropout(rate) if self.locked_dropout else nn.Dropout(rate)


# May be chosen anew when training goes on from a trained model: no weight depends on them.
FREE = frozenset({"dropout", "locked_dropout", "recurrent_dropout", "weight_drop", "zoneout", "engine"})

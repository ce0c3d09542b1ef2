"""The parameters of one cell in one layer and direction: their names, shapes and initial values."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from recurra.cells import Cell, Initialisation, Norms, State, Weights
from recurra.errors import InputError


class LayerPosition(NamedTuple):
    """One layer and direction of a stack: the suffix of its parameters and its sizes."""

    layer: int
    """Counted from 0, as in the names of parameters; reports for people count layers from 1. 0 for a single step."""
    suffix: str
    """The suffix of its parameters: "_l0", "_l0_reverse", or "" for a single step."""
    input: int
    """I, features of its input."""
    hidden: int
    """H, units."""
    projected: int
    """P, features of the projected h; 0 without a projection."""
    states: dict[str, int]
    """The width of each state."""
    reverse: bool = False

    @property
    def emitted(self) -> int:
        """Features of y."""
        return self.projected or self.hidden


def stack_positions(
    cell: Cell, input_size: int, units: tuple[int, ...], projected: int, directions: int
) -> tuple[LayerPosition, ...]:
    """The positions of a stack in the order of its states and masks: layer by layer, forward before reverse."""
    positions: list[LayerPosition] = []
    for layer, hidden in enumerate(units):
        # A layer above the first reads the outputs of all directions, concatenated.
        inputs = positions[-1].emitted * directions if layer else input_size
        for reverse, ending in enumerate(("", "_reverse")[:directions]):
            widths = state_widths(cell, hidden, projected)
            positions.append(
                LayerPosition(layer, f"_l{layer}{ending}", inputs, hidden, projected, widths, bool(reverse))
            )
    return tuple(positions)


def state_widths(cell: Cell, hidden: int, projected: int) -> dict[str, int]:
    """The width of each state; h is projected unless the formula reads h itself."""
    widths = dict.fromkeys(cell.states, hidden)
    return widths | {"h": projected} if projected and not cell.formula.reads_h else widths


def register(
    module: nn.Module,
    position: LayerPosition,
    cell: Cell,
    *,
    bias: bool,
    layer_norm: bool = False,
    learned: bool = False,
    device: torch.device | str | int | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Registers the parameters of one layer and direction on a module, with torch.nn's names.

    Args:
        module: the module; its new parameters are not initialised.
        position: the suffix of the names, and the sizes.
        cell: the cell.
        bias: whether b_ih and b_hh exist.
        layer_norm: whether gains exist.
        learned: whether the initial states are parameters.
        device: as torch.nn.
        dtype: as torch.nn.
    """
    for name, shape in _shapes(cell, position, bias, layer_norm, learned).items():
        module.register_parameter(name + position.suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))


def _shapes(
    cell: Cell, position: LayerPosition, bias: bool, layer_norm: bool, learned: bool
) -> dict[str, tuple[int, ...]]:
    H, G, R = position.hidden, len(cell.gates) * position.hidden, len(cell.recurrent) * position.hidden
    # The names, layout and order of torch.nn, so that state dicts are compatible.
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (G, position.input), "weight_hh": (R, position.emitted)}
    if bias:
        shapes |= {"bias_ih": (G,), "bias_hh": (R,)}
    if position.projected:
        shapes["weight_hr"] = (position.projected, H)
    shapes |= {f"vector_{name}": (H,) for name in cell.vectors}
    if layer_norm:
        shapes |= {"gain_ih": (G,), "gain_hh": (R,)}
        shapes |= {f"{kind}_{state}": (H,) for state in cell.formula.normalised for kind in ("gain", "shift")}
    if learned:
        shapes |= {f"initial_{state}": (size,) for state, size in position.states.items()}
    return shapes


def gather(module: nn.Module, suffix: str, cell: Cell) -> Weights:
    """The parameters of one layer and direction, as engines read them."""

    def optional(name: str) -> Tensor | None:
        return getattr(module, name + suffix, None)

    def needed(name: str) -> Tensor:
        tensor: Tensor = getattr(module, name + suffix)
        return tensor

    def norm(state: str) -> tuple[Tensor, Tensor]:
        if optional(f"gain_{state}") is None:
            raise InputError(
                f"{type(cell).__name__}: its step now normalises {state}, which it did not when this layer was "
                "created. Create the layer again"
            )
        return needed(f"gain_{state}"), needed(f"shift_{state}")

    norms = None
    if optional("gain_ih") is not None:
        pairs = tuple(map(norm, cell.formula.normalised))
        norms = Norms(needed("gain_ih"), needed("gain_hh"), pairs)
    vectors = tuple(needed(f"vector_{name}") for name in cell.vectors)
    matrices = needed("weight_ih"), needed("weight_hh")
    return Weights(*matrices, optional("bias_ih"), optional("bias_hh"), optional("weight_hr"), vectors, norms)


def fill(
    module: nn.Module,
    position: LayerPosition,
    cell: Cell,
    how: Initialisation,
    *,
    learned: bool,
    generator: Generator | None,
) -> None:
    """Initialises one layer and direction: the cell's parameters by `how`, gains to 1, shifts and states to 0."""
    weights = gather(module, position.suffix, cell)
    cell.initialise(weights, how, generator)
    if weights.norms is not None:
        for gain in (weights.norms.ih, weights.norms.hh):
            nn.init.ones_(gain)
        for gain, shift in weights.norms.states:
            nn.init.ones_(gain)
            nn.init.zeros_(shift)
    for state in cell.states if learned else ():
        nn.init.zeros_(getattr(module, f"initial_{state}{position.suffix}"))


def initial_state(module: nn.Module, position: LayerPosition, rows: int, *, learned: bool = False) -> State:
    """The initial state of `rows` sequences in one layer and direction, (rows, size) each: 0 or learned."""
    if learned:
        parameters = {name: getattr(module, f"initial_{name}{position.suffix}") for name in position.states}
        return State(**{name: parameter.expand(rows, -1) for name, parameter in parameters.items()})
    weight = getattr(module, "weight_hh" + position.suffix)
    return State(**{name: weight.new_zeros(rows, size) for name, size in position.states.items()})

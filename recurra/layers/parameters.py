"""The parameters of one cell in one layer and direction: their names, shapes and start."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from recurra.cells import Cell, Initialisation, Norms, Weights
from recurra.errors import InputError


class Place(NamedTuple):
    """One layer and direction of a stack: what its parameters are called and how wide everything is."""

    layer: int
    """Counted from 0; -1 for a single step, which stands in no stack."""
    suffix: str
    """What ends the names of its parameters: "_l0", "_l0_reverse"."""
    input: int
    """I, features of what it reads."""
    hidden: int
    """H, units."""
    projected: int
    """P, features of the projected h; 0 without projection."""
    states: dict[str, int]
    """The width of each state."""
    reverse: bool = False

    @property
    def emitted(self) -> int:
        """Features of y."""
        return self.projected or self.hidden


def stack_of(cell: Cell, input_size: int, units: tuple[int, ...], projected: int, directions: int) -> tuple[Place, ...]:
    """The places of a stack in the order of its states and masks: layer by layer, forward before reverse."""
    places: list[Place] = []
    for layer, hidden in enumerate(units):
        inputs = places[-1].emitted * directions if layer else input_size
        for reverse, ending in enumerate(("", "_reverse")[:directions]):
            widths = state_widths(cell, hidden, projected)
            places.append(Place(layer, f"_l{layer}{ending}", inputs, hidden, projected, widths, bool(reverse)))
    return tuple(places)


def state_widths(cell: Cell, hidden: int, projected: int) -> dict[str, int]:
    """The width of each state; h is projected only where the formula does not read h itself."""
    widths = dict.fromkeys(cell.states, hidden)
    return widths | {"h": projected} if projected and not cell.formula.reads_h else widths


def register(
    module: nn.Module,
    place: Place,
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
        module: gets the parameters, not yet filled.
        place: the ending of the names, and the widths.
        cell: the formula.
        bias: whether b_ih and b_hh exist.
        layer_norm: whether gains exist.
        learned: whether the initial states are parameters.
        device: as torch.nn.
        dtype: as torch.nn.
    """
    for name, shape in _shapes(cell, place, bias, layer_norm, learned).items():
        module.register_parameter(name + place.suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))


def _shapes(cell: Cell, place: Place, bias: bool, layer_norm: bool, learned: bool) -> dict[str, tuple[int, ...]]:
    H, G, R = place.hidden, len(cell.gates) * place.hidden, len(cell.recurrent) * place.hidden
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (G, place.input), "weight_hh": (R, place.emitted)}
    if bias:
        shapes |= {"bias_ih": (G,), "bias_hh": (R,)}
    if place.projected:
        shapes["weight_hr"] = (place.projected, H)
    shapes |= {f"vector_{name}": (H,) for name in cell.vectors}
    if layer_norm:
        shapes |= {"gain_ih": (G,), "gain_hh": (R,)}
        shapes |= {f"{kind}_{state}": (H,) for state in cell.formula.normalised for kind in ("gain", "shift")}
    if learned:
        shapes |= {f"initial_{state}": (size,) for state, size in place.states.items()}
    return shapes


def gather(module: nn.Module, suffix: str, cell: Cell) -> Weights:
    """The parameters of one layer and direction, as an engine takes them."""

    def optional(name: str) -> Tensor | None:
        return getattr(module, name + suffix, None)

    def needed(name: str) -> Tensor:
        tensor: Tensor = getattr(module, name + suffix)
        return tensor

    def norm(state: str) -> tuple[Tensor, Tensor]:
        if optional(f"gain_{state}") is None:
            raise InputError(
                f"{type(cell).__name__}: its step normalises {state} now, and did not when this layer was made: "
                "make the layer anew"
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
    module: nn.Module, place: Place, cell: Cell, how: Initialisation, *, learned: bool, generator: Generator | None
) -> None:
    """Fills the parameters of one layer and direction: the cell's as `how` says, gains 1, shifts and states 0."""
    weights = gather(module, place.suffix, cell)
    cell.initialise(weights, how, generator)
    if weights.norms is not None:
        for gain in (weights.norms.ih, weights.norms.hh):
            nn.init.ones_(gain)
        for gain, shift in weights.norms.states:
            nn.init.ones_(gain)
            nn.init.zeros_(shift)
    for state in cell.states if learned else ():
        nn.init.zeros_(getattr(module, f"initial_{state}{place.suffix}"))

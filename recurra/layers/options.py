"""Checks of the options of a recurrent layer at its creation: values out of range, and combinations that cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from recurra.cells import Cell, Initialisation
from recurra.engine import ENGINES
from recurra.errors import InputError, InputShapeError, InputTypeError, nearest


def unit_counts(name: str, hidden_size: Any, num_layers: int) -> tuple[int, ...]:
    """The units of each layer, from one number for all layers or one per layer."""
    of_each = isinstance(hidden_size, Sequence) and not isinstance(hidden_size, str)
    if not of_each:
        check_count(name, "hidden_size", hidden_size)
        check_count(name, "num_layers", num_layers)
        return (hidden_size,) * num_layers
    sizes = tuple(hidden_size)
    if not sizes or num_layers not in (1, len(sizes)):
        raise InputError(
            f"{name}: hidden_size={list(sizes)} is for {len(sizes)} layers but num_layers={num_layers}: omit it"
        )
    for size in sizes:
        check_count(name, "hidden_size", size)
    return sizes


def check_count(name: str, field: str, value: object, least: int = 1) -> None:
    """Checks that a size is an integer of at least `least`."""
    expected = "a whole number above 0" if least else "a whole number, 0 or more"
    # bool is a subclass of int: True would pass as a size of 1.
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputTypeError(f"{name}: {field}={value!r} must be {expected}, not a {type(value).__name__}")
    if value < least:
        raise InputShapeError(f"{name}: {field}={value!r} must be {expected}")


def check_rate(name: str, field: str, value: float) -> None:
    """Checks that a dropout rate lies in [0, 1)."""
    _check_number(name, field, value)
    if not 0 <= value < 1:
        raise InputError(f"{name}: {field}={value} must lie in [0, 1)")


def check_dropout(name: str, value: float, field: str = "dropout") -> None:
    """Checks that the dropout rate between layers lies in [0, 1]; as in torch.nn it may be 1."""
    _check_number(name, field, value)
    if not 0 <= value <= 1:
        raise InputError(f"{name}: {field}={value} must lie in [0, 1]")


def _check_number(name: str, field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(f"{name}: {field}={value!r} must be a number, not a {type(value).__name__}")


def check_switch(name: str, field: str, value: object) -> None:
    """Checks that a switch is True or False."""
    if not isinstance(value, bool):
        raise InputTypeError(f"{name}: {field}={value!r} must be True or False, not a {type(value).__name__}")


def check_engine(name: str, engine: str) -> None:
    """Checks that an engine of that name exists."""
    if not isinstance(engine, str):
        raise InputTypeError(f"{name}: engine={engine!r} must be the name of an engine. Known: {', '.join(ENGINES)}.")
    if engine not in ENGINES:
        raise InputError(f"{name}: there is no engine {engine!r}. {nearest(engine, ENGINES)}")


def check_recompute(name: str, recompute: bool | int) -> None:
    """Checks that recompute is True, False or a number of steps."""
    if not isinstance(recompute, int) or recompute < 0:
        raise InputError(f"{name}: recompute={recompute!r} must be True, False or a number of steps")


def check_initialisation(name: str, init: object) -> None:
    """Checks that init is an `Initialisation` or None."""
    if not isinstance(init, Initialisation | None):
        raise InputTypeError(f"{name}: init={init!r} must be a recurra.Initialisation, not a {type(init).__name__}")


def zoneout_rates(name: str, cell: Cell, zoneout: float | Mapping[str, float]) -> dict[str, float]:
    """The zoneout rate of each state, from one rate for all states or rates by name."""
    rates = dict(zoneout) if isinstance(zoneout, Mapping) else dict.fromkeys(cell.states, zoneout)
    for state, rate in rates.items():
        if state not in cell.states:
            raise InputError(
                f"{name}: zoneout names the state {state!r}, which the cell lacks. {nearest(state, cell.states)}"
            )
        check_rate(name, f"zoneout of {state}" if isinstance(zoneout, Mapping) else "zoneout", rate)
    return {state: float(rate) for state, rate in rates.items() if rate}


def check_projection(name: str, proj_size: int, units: tuple[int, ...]) -> None:
    """Checks that a projected h is narrower than every layer."""
    check_count(name, "proj_size", proj_size, least=0)
    if proj_size >= min(units):
        raise InputError(f"{name}: proj_size={proj_size} must be between 0 and hidden_size={min(units)}")


def check_recurrent_drops(name: str, cell: Cell, rates: Mapping[str, float]) -> None:
    """Checks that a cell with dropout before its recurrent product has such a product."""
    for field, rate in rates.items():
        check_rate(name, field, rate)
        if rate and not cell.recurrent:
            raise InputError(
                f"{name}: {field}={rate} drops the input of W_hh, but {type(cell).__name__} has no W_hh. Use zoneout="
            )


def check_layer_norm(name: str, units: tuple[int, ...]) -> None:
    """Checks that layers have at least two units: one unit has no variance."""
    if min(units) < 2:
        raise InputError(
            f"{name}: layer_norm=True needs 2 hidden units or more: with hidden_size=1 only the shift remains"
        )


def check_connections(name: str, residual: bool, highway: bool, widths: list[int]) -> None:
    """Checks that connections around layers have at least two layers of one width."""
    if not (residual or highway):
        return
    which = "residual" if residual else "highway"
    if residual and highway:
        raise InputError(f"{name}: residual=True and highway=True exclude each other: choose one")
    if len(widths) < 2:
        raise InputError(f"{name}: {which}=True connects each layer to the one below it, but num_layers=1")
    # The first layer has no connection, so that its input may have another width.
    if len(set(widths)) > 1:
        raise InputError(f"{name}: {which}=True adds the outputs of layers, which must have one size, not {widths}")


def check_stack(layer: Any, units: tuple[int, ...]) -> None:
    """Checks the options of a `Recurrent` with layers of `units` units, except its connections."""
    name = type(layer).__name__
    check_count(name, "input_size", layer.input_size)
    for switch in ("bias", "batch_first", "bidirectional"):
        check_switch(name, switch, getattr(layer, switch))
    check_engine(name, layer.engine)
    check_recompute(name, layer.recompute)
    check_projection(name, layer.proj_size, units)
    rates = {"recurrent_dropout": layer.recurrent_dropout, "weight_drop": layer.weight_drop}
    check_recurrent_drops(name, layer.cell, rates)
    if layer.layer_norm:
        check_layer_norm(name, units)

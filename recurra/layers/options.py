"""The options of a recurrent layer, checked when it is made: what is out of range, what cannot be combined, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from recurra.cells import Cell, Initialisation
from recurra.engine import ENGINES
from recurra.errors import InputError, InputShapeError, InputTypeError, nearest


def unit_counts(name: str, hidden_size: Any, num_layers: int) -> tuple[int, ...]:
    """The units of each layer, from one number for all or one a layer."""
    of_each = isinstance(hidden_size, Sequence) and not isinstance(hidden_size, str)
    if not of_each:
        check_count(name, "hidden_size", hidden_size)
        check_count(name, "num_layers", num_layers)
        return (hidden_size,) * num_layers
    sizes = tuple(hidden_size)
    if not sizes or num_layers not in (1, len(sizes)):
        raise InputError(
            f"{name}: hidden_size={list(sizes)} gives {len(sizes)} layers but num_layers={num_layers}: leave it out"
        )
    for size in sizes:
        check_count(name, "hidden_size", size)
    return sizes


def check_count(name: str, field: str, value: object, least: int = 1) -> None:
    """A size must be a whole number, 1 or more unless `least` says otherwise."""
    wanted = "a whole number above 0" if least else "a whole number, 0 or more"
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputTypeError(f"{name}: {field}={value!r} must be {wanted}, not a {type(value).__name__}")
    if value < least:
        raise InputShapeError(f"{name}: {field}={value!r} must be {wanted}")


def check_rate(name: str, field: str, value: float) -> None:
    """A share of what is dropped must lie in [0, 1)."""
    _check_number(name, field, value)
    if not 0 <= value < 1:
        raise InputError(f"{name}: {field}={value} must lie in [0, 1)")


def check_dropout(name: str, value: float, field: str = "dropout") -> None:
    """The share dropped between layers must lie in [0, 1]: as in torch.nn it may be 1, which passes nothing on."""
    _check_number(name, field, value)
    if not 0 <= value <= 1:
        raise InputError(f"{name}: {field}={value} must lie in [0, 1]")


def _check_number(name: str, field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(f"{name}: {field}={value!r} must be a number, not a {type(value).__name__}")


def check_switch(name: str, field: str, value: object) -> None:
    """A switch must be True or False."""
    if not isinstance(value, bool):
        raise InputTypeError(f"{name}: {field}={value!r} must be True or False, not a {type(value).__name__}")


def check_engine(name: str, engine: str) -> None:
    """An engine must be one of those there are."""
    if not isinstance(engine, str):
        raise InputTypeError(f"{name}: engine={engine!r} must be the name of an engine. Known: {', '.join(ENGINES)}.")
    if engine not in ENGINES:
        raise InputError(f"{name}: there is no engine {engine!r}. {nearest(engine, ENGINES)}")


def check_recompute(name: str, recompute: bool | int) -> None:
    """True, False or a number of steps."""
    if not isinstance(recompute, int) or recompute < 0:
        raise InputError(f"{name}: recompute={recompute!r} must be True, False or a number of steps")


def check_initialisation(name: str, init: object) -> None:
    """How parameters begin is an `Initialisation` or left out."""
    if not isinstance(init, Initialisation | None):
        raise InputTypeError(f"{name}: init={init!r} must be a recurra.Initialisation, not a {type(init).__name__}")


def zoneout_rates(name: str, cell: Cell, zoneout: float | Mapping[str, float]) -> dict[str, float]:
    """The rate of each state that is zoned out, from one for all or one by name."""
    rates = dict(zoneout) if isinstance(zoneout, Mapping) else dict.fromkeys(cell.states, zoneout)
    for state, rate in rates.items():
        if state not in cell.states:
            raise InputError(f"{name}: zoneout has no state {state!r} to keep. {nearest(state, cell.states)}")
        check_rate(name, f"zoneout of {state}" if isinstance(zoneout, Mapping) else "zoneout", rate)
    return {state: float(rate) for state, rate in rates.items() if rate}


def check_projection(name: str, proj_size: int, units: tuple[int, ...]) -> None:
    """A projected h must be narrower than every layer."""
    check_count(name, "proj_size", proj_size, least=0)
    if proj_size >= min(units):
        raise InputError(f"{name}: proj_size={proj_size} must lie within 0 and hidden_size={min(units)}")


def check_recurrent_drops(name: str, cell: Cell, rates: Mapping[str, float]) -> None:
    """What is dropped before a recurrent product needs one."""
    for field, rate in rates.items():
        check_rate(name, field, rate)
        if rate and not cell.recurrent:
            raise InputError(
                f"{name}: {field}={rate} drops what enters W_hh, but {type(cell).__name__} has no W_hh. Use zoneout="
            )


def check_layer_norm(name: str, units: tuple[int, ...]) -> None:
    """One unit has no variance."""
    if min(units) < 2:
        raise InputError(f"{name}: layer_norm=True needs two units or more: of hidden_size=1 it leaves only the shift")


def check_connections(name: str, residual: bool, highway: bool, widths: list[int]) -> None:
    """Connections carry a layer's input around it, which wants layers of one width, two of them or more."""
    if not (residual or highway):
        return
    which = "residual" if residual else "highway"
    if residual and highway:
        raise InputError(f"{name}: residual=True and highway=True are two answers to one question: choose one")
    if len(widths) < 2:
        raise InputError(f"{name}: {which}=True connects each layer to the one below it, but num_layers=1")
    if len(set(widths)) > 1:
        raise InputError(f"{name}: {which}=True adds layers up, so they must be of one width, not {widths}")

"""The programs of formulas, traced once per process for all cells whose steps have the same signature."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from recurra.cells import Cell
from recurra.engine.trace.isolation import error_as_reason, run_isolated
from recurra.engine.trace.operations import Untraceable
from recurra.engine.trace.program import Programs, plan
from recurra.engine.trace.signature import Outline, Signature
from recurra.engine.trace.signature_cache import is_unchanged, signature_of
from recurra.engine.trace.subject import Subject
from recurra.engine.trace.tracer import Variant, record

_MAX_TRACED = 1024
_Key = tuple[Signature, Variant, torch.dtype]


@dataclass(frozen=True)
class Traced:
    """A formula at one moment: its names, its signature and its programs."""

    signature: Signature
    programs: Programs

    @property
    def outline(self) -> Outline:
        """The names."""
        return self.signature.outline


@dataclass
class _Failure:
    """A trace that failed for a temporary reason, such as another trace in this process at the same time."""

    reason: str
    calls: int = 0
    """Since the last attempt."""
    wait: int = 1
    """Calls until the next attempt, doubled each time, because an attempt takes a good part of a second."""


_traced: dict[_Key, Traced | Untraceable | _Failure] = {}


def traced(cell: Cell, variant: Variant, dtype: torch.dtype, signature: Signature | None = None) -> Traced:
    """The programs of the cell's present formula.

    Args:
        cell: the cell.
        variant: the wrappers of its step, and the sizes.
        dtype: float32 or float64.
        signature: the signature of the cell's step, if it is known already.

    Raises:
        Untraceable: the formula cannot be traced, or could not be traced this time.
    """
    signature = signature or signature_of(cell, variant.hidden, dtype)
    key = signature, variant, dtype
    outcome = _traced.get(key)
    if isinstance(outcome, _Failure):
        outcome.calls += 1
        if outcome.calls < outcome.wait:
            raise Untraceable(outcome.reason)
    if outcome is None or isinstance(outcome, _Failure):
        outcome = _attempt(cell, key)
    if isinstance(outcome, Traced):
        return outcome
    raise outcome if isinstance(outcome, Untraceable) else Untraceable(outcome.reason)


def _attempt(cell: Cell, key: _Key) -> Traced | Untraceable | _Failure:
    before = _traced.get(key)

    def work() -> Traced | Untraceable | _Failure:
        # Isolated work runs one at a time: another thread may have traced the formula while this one waited.
        latest = _traced.get(key)
        if latest is not before and latest is not None:
            return latest
        outcome = _trace(cell, key)
        if isinstance(outcome, _Failure) and isinstance(before, _Failure):
            outcome.wait = 2 * before.wait
        while len(_traced) >= _MAX_TRACED:
            _traced.pop(next(iter(_traced)))
        _traced[key] = outcome
        return outcome

    try:
        return run_isolated(work)
    except Exception as error:
        return _Failure(f"its step cannot be traced now ({error_as_reason(error)})")


def _trace(cell: Cell, key: _Key) -> Traced | Untraceable | _Failure:
    signature, variant, dtype = key
    try:
        # Anomaly detection is a setting of the process, not of a thread: it looks for NaN in tensors without numbers.
        with torch.autograd.set_detect_anomaly(mode=False):
            programs = plan(record(Subject(signature.outline, cell), variant, dtype))
    except Untraceable as error:
        # A missing rule is a property of the formula; so is an error of the tracer if the step branches on values.
        # Other errors may be temporary.
        if error.__cause__ is None or signature.reads_values:
            return error
        return _Failure(str(error))
    except Exception as error:
        return _Failure(f"its step cannot be traced ({error_as_reason(error)})")
    if not is_unchanged(cell, variant.hidden, dtype, signature):
        raise RuntimeError("the step was changed while it was traced")
    return Traced(signature, programs)

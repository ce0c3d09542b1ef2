"""The programs of formulas, traced once in a process for all cells whose steps compute the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from recurra.cells import Cell
from recurra.engine.trace.isolation import apart, error_as_reason
from recurra.engine.trace.operations import Untraceable
from recurra.engine.trace.program import Programs, plan
from recurra.engine.trace.signature import Outline, Signature
from recurra.engine.trace.signature_cache import signature_of, still
from recurra.engine.trace.subject import Subject
from recurra.engine.trace.tracer import Variant, record

_MOST = 1024
_Key = tuple[Signature, Variant, torch.dtype]


@dataclass(frozen=True)
class Traced:
    """A formula at one moment: its names, what it computes, and its programs."""

    signature: Signature
    programs: Programs

    @property
    def outline(self) -> Outline:
        """The names."""
        return self.signature.outline


@dataclass
class _Failure:
    """A trace that failed for a reason that may pass, such as another trace in this process at the same time."""

    reason: str
    calls: int = 0
    """Since the last attempt."""
    wait: int = 1
    """Calls until the next one, twice as many each time: one attempt takes a good part of a second."""


_traced: dict[_Key, Traced | Untraceable | _Failure] = {}


def traced(cell: Cell, variant: Variant, dtype: torch.dtype, signature: Signature | None = None) -> Traced:
    """The cell's formula as it is now, written down and put in order.

    Args:
        cell: the cell.
        variant: what stands around its step, and the sizes.
        dtype: float32 or float64.
        signature: of the cell's step, where it is known already.

    Raises:
        Untraceable: it cannot be, or could not be this time.
    """
    signature = signature or signature_of(cell, variant.hidden, dtype)
    key = signature, variant, dtype
    found = _traced.get(key)
    if isinstance(found, _Failure):
        found.calls += 1
        if found.calls < found.wait:
            raise Untraceable(found.reason)
    if found is None or isinstance(found, _Failure):
        found = _attempt(cell, key)
    if isinstance(found, Traced):
        return found
    raise found if isinstance(found, Untraceable) else Untraceable(found.reason)


def _attempt(cell: Cell, key: _Key) -> Traced | Untraceable | _Failure:
    before = _traced.get(key)

    def work() -> Traced | Untraceable | _Failure:
        done = _traced.get(key)
        if done is not before and done is not None:
            return done  # by another thread, while this one waited
        made = _trace(cell, key)
        if isinstance(made, _Failure) and isinstance(before, _Failure):
            made.wait = 2 * before.wait
        while len(_traced) >= _MOST:
            _traced.pop(next(iter(_traced)))
        _traced[key] = made
        return made

    try:
        return apart(work)
    except Exception as error:
        return _Failure(f"its step cannot be traced now ({error_as_reason(error)})")


def _trace(cell: Cell, key: _Key) -> Traced | Untraceable | _Failure:
    signature, variant, dtype = key
    try:
        # Of the whole process, and no thread's own: it looks for NaN in tensors that have no numbers.
        with torch.autograd.set_detect_anomaly(mode=False):
            programs = plan(record(Subject(signature.outline, cell), variant, dtype))
    except Untraceable as error:
        # An operator without a rule is the formula's own; so is an error of the tracer's where the step decides by
        # numbers. Other errors may have had their cause outside.
        if error.__cause__ is None or signature.reads_values:
            return error
        return _Failure(str(error))
    except Exception as error:
        return _Failure(f"its step cannot be traced ({error_as_reason(error)})")
    if not still(cell, variant.hidden, dtype, signature):
        raise RuntimeError("it was changed meanwhile")
    return Traced(signature, programs)

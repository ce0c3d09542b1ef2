"""The signature of a cell's present step, and whether the step can be compiled at all.

Compiled code runs the step that the signature describes, equally for every row and step. A step that draws random
numbers, counts its calls or writes to other values differs from call to call, and so does one that depends on whether
gradients are recorded. Such steps are refused: each new signature is examined once.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from typing import Any

import torch

from recurra.cells import Cell
from recurra.cells.activations import ACTIVATIONS
from recurra.cells.builtin_code import is_untouched
from recurra.cells.reachable_code import Reached, is_library_code, reach
from recurra.engine.trace.contents import changed, contents
from recurra.engine.trace.isolation import error_as_reason, run_isolated
from recurra.engine.trace.operations import Untraceable
from recurra.engine.trace.randomness import preserved_generators
from recurra.engine.trace.signature import Signature
from recurra.engine.trace.step_probe import StepProbe

# Signatures and probes that are kept per cell: a number in its step may change all the time.
_MAX_PER_CELL = 64
_ACTIVATION_IDS = frozenset(map(id, ACTIVATIONS.values()))


class _CellRecord:
    """The results for one cell object."""

    def __init__(self, cell: Cell) -> None:
        self.reached: Reached = reach(type(cell), vars(cell), follow=lambda value: not is_library_code(value))
        self.refusal: str | None = None
        self.examined: dict[Signature, None] = {}
        self.probes: dict[tuple[int, torch.dtype], StepProbe] = {}

    def probe(self, cell: Cell, hidden: int, dtype: torch.dtype) -> StepProbe:
        """A probe to run the step on; `pop` ensures that no other thread uses the same one."""
        probe = self.probes.pop((hidden, dtype), None)
        parts = cell.gates, cell.recurrent, cell.states, cell.vectors
        return probe if probe is not None and probe.parts == parts else StepProbe(cell, hidden, dtype)

    def keep_probe(self, probe: StepProbe, hidden: int, dtype: torch.dtype) -> None:
        """Keeps a probe for the next run."""
        if not probe.is_modified and len(self.probes) < _MAX_PER_CELL:
            self.probes[hidden, dtype] = probe


_records: dict[int, tuple[weakref.ref[Cell], _CellRecord]] = {}
_builtin_signatures: dict[tuple[Any, ...], Signature] = {}


def signature_of(cell: Cell, hidden: int, dtype: torch.dtype) -> Signature:
    """The signature of a cell's present step.

    Args:
        cell: the cell.
        hidden: the number of units.
        dtype: float32 or float64.

    Raises:
        Untraceable: the step cannot be determined, or is not the same at every call.
        InputError: the step reads a part that the cell does not name.
    """
    if is_untouched(type(cell)):
        key = _builtin_key(cell)
        if key is not None:
            key = (*key, hidden, dtype)
            if key not in _builtin_signatures:
                if len(_builtin_signatures) >= 1024:
                    _builtin_signatures.clear()
                _builtin_signatures[key] = _require_complete(StepProbe(cell, hidden, dtype).run(cell))
            return _builtin_signatures[key]
    return _examined_signature(cell, hidden, dtype)


def _builtin_key(cell: Cell) -> tuple[Any, ...] | None:
    """The options that the step of an unmodified built-in cell depends on; None if it has further attributes."""
    values, names = vars(cell), _field_names(type(cell))
    if len(values) - ("_formula" in values) != len(names):
        return None
    options: list[Any] = [type(cell), cell.gates, cell.recurrent, cell.states, cell.vectors]
    for name in names:
        value = values.get(name)
        if not isinstance(value, str | float | int) and id(value) not in _ACTIVATION_IDS:
            return None
        options.append((type(value), repr(value) if isinstance(value, float) else value))
    return tuple(options)


@functools.cache
def _field_names(kind: type[Cell]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def _require_complete(signature: Signature) -> Signature:
    if signature.obstacle is not None:
        raise Untraceable(signature.obstacle)
    return signature


def _examined_signature(cell: Cell, hidden: int, dtype: torch.dtype) -> Signature:
    record = _record_of(cell)
    if record.refusal is not None:
        raise Untraceable(record.refusal)
    if record.examined:
        signature = _require_complete(_run(record, cell, hidden, dtype))
    else:
        with preserved_generators():
            _run(record, cell, hidden, dtype)  # a first run, for steps that cache values
            signature = _require_complete(_run(record, cell, hidden, dtype))
    if signature not in record.examined:
        record.refusal = _examine(record, cell, hidden, dtype, signature)
        if record.refusal is not None:
            raise Untraceable(record.refusal)
        if len(record.examined) >= _MAX_PER_CELL:
            record.examined.clear()
        record.examined[signature] = None
    return signature


def _record_of(cell: Cell) -> _CellRecord:
    # An id is reused when its object is gone: the weak reference tells whether it is the same cell.
    known = _records.get(id(cell))
    if known is not None and known[0]() is cell and known[1].reached.unchanged():
        return known[1]
    record, number = _CellRecord(cell), id(cell)

    # A default argument holds the dictionary: at exit the module's global is None before the last cells are deleted.
    def forget(gone: weakref.ref[Cell], notes: dict[int, Any] = _records) -> None:
        if notes.get(number, (None,))[0] is gone:
            notes.pop(number, None)

    _records[number] = weakref.ref(cell, forget), record
    return record


def _run(record: _CellRecord, cell: Cell, hidden: int, dtype: torch.dtype) -> Signature:
    """The signature of one run.

    Raises:
        Untraceable: the step raises an error on two rows; the unrolled steps will show whether it does on others.
    """
    probe = record.probe(cell, hidden, dtype)
    try:
        # Dispatch modes of the caller must not see the calls of the probe.
        if torch._C._len_torch_dispatch_stack():
            from torch.utils._python_dispatch import _disable_current_modes

            with _disable_current_modes():
                signature = probe.run(cell)
        else:
            signature = probe.run(cell)
    except Untraceable:
        raise
    except (TypeError, AttributeError, RuntimeError, LookupError, AssertionError, NotImplementedError) as error:
        raise Untraceable(f"its step raises an error ({error_as_reason(error)})") from error
    record.keep_probe(probe, hidden, dtype)
    return signature


def _examine(record: _CellRecord, cell: Cell, hidden: int, dtype: torch.dtype, signature: Signature) -> str | None:
    """The reason why the step is not the same at every call; None if it is.

    Raises:
        Untraceable: the step could not be examined this time.
    """
    try:
        return run_isolated(lambda: _find_difference(record, cell, hidden, dtype, signature))
    except Untraceable:
        raise
    except Exception as error:
        raise Untraceable(f"its step cannot be examined now ({error_as_reason(error)})") from error


def _find_difference(
    record: _CellRecord, cell: Cell, hidden: int, dtype: torch.dtype, signature: Signature
) -> str | None:
    def run() -> Signature:
        return StepProbe(cell, hidden, dtype).run(cell)

    with preserved_generators():
        run()  # a first run, for steps that cache values
    # Other threads may draw numbers or write at the same time: only an effect of every run is attributed to the step.
    drawn, written, runs = [], [], list[Signature]()
    for _ in range(3):
        before = contents(cell, record.reached)
        with preserved_generators() as names:
            runs.append(run())
        drawn.append(set(names))
        written.append(changed(before, contents(cell, record.reached)))
        if not names and written[-1] is None:
            break
    if all(drawn):
        names = sorted(set.intersection(*drawn)) or sorted(set.union(*drawn))
        return f"its step draws random numbers ({', '.join(names)}): draw them beforehand and pass them in x"
    if all(written):
        return f"its step writes to {written[-1]}, so that its result may differ from call to call"
    with torch.no_grad():
        without_gradients = run()
    with torch.inference_mode():
        in_inference_mode = run()
    runs.append(run())
    if runs[0].obstacle is not None:
        return runs[0].obstacle
    if any(other != runs[0] for other in runs):
        return "the result of its step differs from call to call"
    if not (
        runs[0].equals_but_for_gradients(without_gradients) and runs[0].equals_but_for_gradients(in_inference_mode)
    ):
        return "its step depends on whether gradients are recorded"
    if not runs[0].equals_but_for_gradients(signature):
        raise Untraceable("its step computes a different result in another thread, or was changed meanwhile")
    return None


def current_signature(cell: Cell, hidden: int, dtype: torch.dtype) -> Signature | None:
    """The present signature, whether or not the step can be compiled; None if it cannot be run on two rows.

    If two of them differ, the step has changed; if they are equal, it may still draw numbers or count its calls.
    """
    try:
        with preserved_generators():
            return StepProbe(cell, hidden, dtype).run(cell)
    except Exception:  # the layer raises the same error on its own tensors
        return None


def is_unchanged(cell: Cell, hidden: int, dtype: torch.dtype, signature: Signature) -> bool:
    """Whether the step still has the signature, by running it on new tensors."""
    return StepProbe(cell, hidden, dtype).run(cell).equals_but_for_gradients(signature)

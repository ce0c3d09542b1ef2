"""The signature of a cell's step at this moment, and whether the step may be compiled at all.

A compiled step is the one that the signature describes, run at every row and time alike. A step that draws random
numbers, counts its calls or writes anything else down is another one each time; so is one that asks whether gradients
are recorded. Such steps are refused, by examining each new signature once.
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
from recurra.cells.reachable_code import Reached, is_settled, reach
from recurra.engine.trace.contents import changed, contents
from recurra.engine.trace.isolation import apart, error_as_reason
from recurra.engine.trace.operations import Untraceable
from recurra.engine.trace.randomness import kept_generators
from recurra.engine.trace.signature import Signature, Stage

# Signatures and stages remembered of one cell, whose numbers may change all the time.
_MOST = 64
_NAMED = frozenset(map(id, ACTIVATIONS.values()))


class _Note:
    """What is known of one cell object."""

    def __init__(self, cell: Cell) -> None:
        self.reached: Reached = reach(type(cell), vars(cell), follow=lambda one: not is_settled(one))
        self.refused: str | None = None
        self.examined: dict[Signature, None] = {}
        self.stages: dict[tuple[int, torch.dtype], Stage] = {}

    def stage(self, cell: Cell, hidden: int, dtype: torch.dtype) -> Stage:
        """The tensors to run the step on, never those that another thread is using."""
        stage = self.stages.pop((hidden, dtype), None)
        parts = cell.gates, cell.recurrent, cell.states, cell.vectors
        return stage if stage is not None and stage.parts == parts else Stage(cell, hidden, dtype)

    def give_back(self, stage: Stage, hidden: int, dtype: torch.dtype) -> None:
        """Keeps a stage for the next run."""
        if not stage.spoiled and len(self.stages) < _MOST:
            self.stages[hidden, dtype] = stage


_notes: dict[int, tuple[weakref.ref[Cell], _Note]] = {}
_shipped: dict[tuple[Any, ...], Signature] = {}


def signature_of(cell: Cell, hidden: int, dtype: torch.dtype) -> Signature:
    """What the cell's step computes now.

    Args:
        cell: the cell.
        hidden: units.
        dtype: float32 or float64.

    Raises:
        Untraceable: that cannot be known, or is not the same at every call.
        InputError: the step reads a part that the cell does not name.
    """
    if is_untouched(type(cell)):
        key = _options(cell)
        if key is not None:
            key = (*key, hidden, dtype)
            if key not in _shipped:
                if len(_shipped) >= 1024:
                    _shipped.clear()
                _shipped[key] = _checked(Stage(cell, hidden, dtype).run(cell))
            return _shipped[key]
    return _of_any(cell, hidden, dtype)


def _options(cell: Cell) -> tuple[Any, ...] | None:
    """All that the step of an untouched cell of this package reads of it; None where it reads more."""
    values, names = vars(cell), _field_names(type(cell))
    if len(values) - ("_formula" in values) != len(names):
        return None
    options: list[Any] = [type(cell), cell.gates, cell.recurrent, cell.states, cell.vectors]
    for name in names:
        value = values.get(name)
        if not isinstance(value, str | float | int) and id(value) not in _NAMED:
            return None
        options.append((type(value), repr(value) if isinstance(value, float) else value))
    return tuple(options)


@functools.cache
def _field_names(kind: type[Cell]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def _checked(signature: Signature) -> Signature:
    if signature.obstacle is not None:
        raise Untraceable(signature.obstacle)
    return signature


def _of_any(cell: Cell, hidden: int, dtype: torch.dtype) -> Signature:
    note = _note_of(cell)
    if note.refused is not None:
        raise Untraceable(note.refused)
    if note.examined:
        signature = _checked(_run(note, cell, hidden, dtype))
    else:
        with kept_generators():
            _run(note, cell, hidden, dtype)  # what is computed once and kept is kept from here on
            signature = _checked(_run(note, cell, hidden, dtype))
    if signature not in note.examined:
        note.refused = _examine(note, cell, hidden, dtype, signature)
        if note.refused is not None:
            raise Untraceable(note.refused)
        if len(note.examined) >= _MOST:
            note.examined.clear()
        note.examined[signature] = None
    return signature


def _note_of(cell: Cell) -> _Note:
    known = _notes.get(id(cell))
    if known is not None and known[0]() is cell and known[1].reached.unchanged():
        return known[1]
    note, number = _Note(cell), id(cell)

    # Held by the default: at the interpreter's end the module's own name is None before the last cells are gone.
    def forget(gone: weakref.ref[Cell], notes: dict[int, Any] = _notes) -> None:
        if notes.get(number, (None,))[0] is gone:
            notes.pop(number, None)

    _notes[number] = weakref.ref(cell, forget), note
    return note


def _run(note: _Note, cell: Cell, hidden: int, dtype: torch.dtype) -> Signature:
    """The signature of one run.

    Raises:
        Untraceable: the step raises an error on two rows; the reference will show whether it does so on others.
    """
    stage = note.stage(cell, hidden, dtype)
    try:
        if torch._C._len_torch_dispatch_stack():
            from torch.utils._python_dispatch import _disable_current_modes

            with _disable_current_modes():
                signature = stage.run(cell)
        else:
            signature = stage.run(cell)
    except Untraceable:
        raise
    except (TypeError, AttributeError, RuntimeError, LookupError, AssertionError, NotImplementedError) as error:
        raise Untraceable(f"its step raises an error ({error_as_reason(error)})") from error
    note.give_back(stage, hidden, dtype)
    return signature


def _examine(note: _Note, cell: Cell, hidden: int, dtype: torch.dtype, signature: Signature) -> str | None:
    """Why the step is not one and the same at every call; None where it is.

    Raises:
        Untraceable: it could not be examined this time.
    """
    try:
        return apart(lambda: _differences(note, cell, hidden, dtype, signature))
    except Untraceable:
        raise
    except Exception as error:
        raise Untraceable(f"its step cannot be examined now ({error_as_reason(error)})") from error


def _differences(note: _Note, cell: Cell, hidden: int, dtype: torch.dtype, signature: Signature) -> str | None:
    def run() -> Signature:
        return Stage(cell, hidden, dtype).run(cell)

    with kept_generators():
        run()  # what is computed once and kept is kept from here on
    # Other threads may draw numbers or write meanwhile: only what happens each time is the step's own.
    drawn, written, runs = [], [], list[Signature]()
    for _ in range(3):
        before = contents(cell, note.reached)
        with kept_generators() as names:
            runs.append(run())
        drawn.append(set(names))
        written.append(changed(before, contents(cell, note.reached)))
        if not names and written[-1] is None:
            break
    if all(drawn):
        names = sorted(set.intersection(*drawn)) or sorted(set.union(*drawn))
        return f"its step draws random numbers ({', '.join(names)}): draw them before, and give them to it in x"
    if all(written):
        return f"its step writes to {written[-1]}, so that it may compute something else at each call"
    with torch.no_grad():
        without = run()
    with torch.inference_mode():
        inference = run()
    runs.append(run())
    if runs[0].obstacle is not None:
        return runs[0].obstacle
    if any(one != runs[0] for one in runs):
        return "its step computes something else each time that it runs"
    if not (runs[0].equals_but_for_gradients(without) and runs[0].equals_but_for_gradients(inference)):
        return "its step asks whether gradients are recorded"
    if not runs[0].equals_but_for_gradients(signature):
        raise Untraceable("its step computes something else in another thread, or was changed meanwhile")
    return None


def computed_now(cell: Cell, hidden: int, dtype: torch.dtype) -> Signature | None:
    """What the step computes now, whatever stands in the way of compiling it; None where it cannot be run on two rows.

    Two of these that differ say that the step has changed; two that are equal say nothing of what it draws or counts.
    """
    try:
        with kept_generators():
            return Stage(cell, hidden, dtype).run(cell)
    except Exception:  # whatever it raises there, the layer shows what it does on its own tensors
        return None


def still(cell: Cell, hidden: int, dtype: torch.dtype, signature: Signature) -> bool:
    """Whether the step is what the signature says, run anew on tensors of its own."""
    return Stage(cell, hidden, dtype).run(cell).equals_but_for_gradients(signature)

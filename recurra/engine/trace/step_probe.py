"""Runs a step on small tensors to obtain its signature."""

from __future__ import annotations

import torch

from recurra.cells import Cell, Gates, State
from recurra.cells.cell import run_watched
from recurra.engine.trace.recorder import PreviousRun, Recorder
from recurra.engine.trace.signature import Outline, Signature

_MAX_TENSORS = 10_000


class StepProbe:
    """The tensors that a step is run on, and the record of its last run on them.

    Args:
        cell: the cell, for the names of its parts.
        hidden: the number of units, as in the layer, because a step may read it.
        dtype: as in the layer.
    """

    def __init__(self, cell: Cell, hidden: int, dtype: torch.dtype) -> None:
        # Another number than `hidden`, so that a shape shows which of its axes is the batch.
        rows = 2 if hidden != 2 else 3
        with torch._C.DisableTorchFunction(), torch.inference_mode(False), torch.no_grad():
            tensors = iter(
                torch.full((rows, hidden), 0.1 + 0.01 * k, dtype=dtype, device="cpu") for k in range(_MAX_TENSORS)
            )
            self.x = Gates(**{name: next(tensors) for name in cell.gates})
            self.u = {name: next(tensors) for name in cell.recurrent}
            self.s = State(**{name: next(tensors) for name in cell.states})
            self.vectors = {name: next(tensors)[0].clone() for name in cell.vectors}
        groups = {"x": self.x._asdict(), "u": self.u, "s": self.s._asdict(), "p": self.vectors}
        self.names = {
            id(tensor): f"{group}.{name}" for group, parts in groups.items() for name, tensor in parts.items()
        }
        self.parts = cell.gates, cell.recurrent, cell.states, cell.vectors
        self.previous: PreviousRun | None = None
        self.is_modified = False
        """Whether the step may have changed the tensors, so that the next run needs new ones."""

    def run(self, cell: Cell) -> Signature:
        """Returns the signature of the step as it is now.

        Raises:
            InputError: the step reads or returns parts that the cell does not name.
        """
        recorder, like = Recorder(self.names, self.previous), self.s[0]
        with recorder:
            formula, (new, shown) = run_watched(
                cell, self.x, self.u, self.s, self.vectors,
                lambda gate, v: recorder.placeholder("product", gate, v, like),
                lambda state, value: recorder.placeholder("norm", state, value, like),
            )  # fmt: skip
        returned = tuple(map(recorder.name_of, (*new, *shown)))
        signature, previous = recorder.finish(Outline(*self.parts, formula), returned, self.previous)
        self.is_modified = recorder.writes or recorder.obstacle is not None
        self.previous = None if self.is_modified else previous
        return signature

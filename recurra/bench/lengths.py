"""The time of a padded batch, compared with the same batch with every row full."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from recurra.bench.implementations import make_batch, make_layer, timed_pass
from recurra.bench.rounds import medians
from recurra.bench.subjects import Shape, find_subject

SHAPES = (Shape(64, 64, 512, 512),)
"""The size of the default table."""


@dataclass(frozen=True)
class PaddedRow:
    """One cell at one size in one pass."""

    cell: str
    shape: Shape
    kind: str
    engine: str
    """The engine that ran the padded batch."""
    filled: float
    """Steps with data divided by T B; lengths are drawn uniformly from 1 … T."""
    full_seconds: float
    padded_seconds: float

    @property
    def ratio(self) -> float:
        """Time of the full batch divided by that of the padded one; 1 / `filled` if padding costs nothing."""
        return self.full_seconds / self.padded_seconds

    def as_json(self) -> dict[str, Any]:
        """The row as `recurra bench --lengths --json` prints it."""
        row = {"cell": self.cell, "shape": self.shape._asdict(), "pass": self.kind, "filled": self.filled}
        return {**row, "full_over_padded": self.ratio}


def compare_lengths(
    cells: Iterable[str], shapes: Sequence[Shape], kinds: Sequence[str], *, rounds: int, engine: str = "auto"
) -> Iterator[PaddedRow]:
    """Measures a padded and a full batch in turns; arguments and errors as `compare`."""
    for name in cells:
        cell = find_subject(name)
        for shape in shapes:
            lengths = torch.randint(1, shape.T + 1, (shape.B,), generator=torch.Generator().manual_seed(2))
            batch, layer = make_batch(shape), make_layer(cell, shape, engine)
            chosen, filled = layer.explain(batch.x, lengths=lengths).engine, lengths.sum().item() / (shape.T * shape.B)
            for kind in kinds:
                padded = timed_pass(layer, batch, kind, lengths=lengths)
                times = medians({"full": timed_pass(layer, batch, kind), "padded": padded}, rounds)
                yield PaddedRow(name, shape, kind, chosen, filled, times["full"], times["padded"])

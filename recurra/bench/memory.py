"""The peak memory of a training step, with each implementation in a new process."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.bench.fresh import in_fresh_process
from recurra.bench.subjects import Shape, find_subject, parse_shape

SHAPES = (Shape(512, 32, 512, 512),)
"""The size of the default table."""
CELLS = ("lstm", "gru", "rnn-tanh")
"""The cells of the default table: those that torch.nn has."""


@dataclass(frozen=True)
class Peaks:
    """One cell at one size: resident memory in bytes, by implementation."""

    cell: str
    shape: Shape
    engine: str
    before: dict[str, int]
    """Resident memory after a step on two rows, when everything is imported and compiled."""
    peak: dict[str, int]
    """The peak of resident memory, after the step on the whole batch."""

    def as_json(self) -> dict[str, Any]:
        """The row as `recurra bench --memory --json` prints it."""
        row = {"cell": self.cell, "shape": self.shape._asdict()}
        return {**row, "bytes_before": self.before, "bytes_at_peak": self.peak}


def peaks(cells: Iterable[str], shapes: Sequence[Shape], *, threads: int, engine: str = "auto") -> Iterator[Peaks]:
    """Measures a training step of each cell at each size on recurra and on torch.nn, or the eager loop.

    Args:
        cells: names, as `find_subject` takes them.
        shapes: sizes.
        threads: the number of torch's threads.
        engine: the engine of recurra's layer.
    """
    from recurra.bench.implementations import has_torch_equivalent

    for name in cells:
        peer = "torch.nn" if has_torch_equivalent(find_subject(name)) else "eager"
        for shape in shapes:
            results = {
                who: in_fresh_process(__name__, who=who, cell=name, shape=str(shape), engine=engine, threads=threads)
                for who in ("recurra", peer)
            }
            before, peak = ({who: result[key] for who, result in results.items()} for key in ("before", "peak"))
            yield Peaks(name, shape, results["recurra"]["engine"], before, peak)


def measure(who: str, cell: str, shape: str, engine: str, threads: int) -> dict[str, Any]:
    """Runs one training step of one implementation; returns its engine, and memory in bytes before and at the peak."""
    import torch

    from recurra.bench.implementations import Batch, make_batch, make_layer, timed_pass, torch_equivalent

    torch.set_num_threads(threads)
    batch = make_batch(parse_shape(shape))
    layer = make_layer(find_subject(cell), parse_shape(shape), "unroll" if who == "eager" else engine)
    runs = torch_equivalent(layer) if who == "torch.nn" else layer
    assert runs is not None
    # Imports, compilation and packing happen here, so that only the memory of the step is measured.
    timed_pass(runs, Batch(batch.x[:, :2], batch.dy[:, :2]), "training")()
    call, before = timed_pass(runs, batch, "training"), _memory("VmRSS")
    call()
    return {"before": before, "peak": _memory("VmHWM"), "engine": layer.explain(batch.x).engine}


def _memory(field: str) -> int:
    """Resident memory of this process in bytes, now (VmRSS) or at its peak (VmHWM); always its peak outside Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux a new process inherits its parent's value, and a parent with torch loaded is large.
        line = next(line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

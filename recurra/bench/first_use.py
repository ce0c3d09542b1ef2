"""The duration of the first training pass of a cell, without imports."""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from recurra.bench.fresh import in_fresh_process
from recurra.bench.subjects import Shape, find_subject, parse_shape

SHAPES = (Shape(64, 32, 128, 128),)
"""The size of the default table."""


@dataclass(frozen=True)
class FirstUse:
    """One cell in the first or the second of two new processes."""

    cell: str
    shape: Shape
    engine: str
    process: str
    """"first": compiled code is loaded only if an earlier run stored it in the cache folder; "second": after that."""
    imports: float
    """Seconds of what the first pass imported; importing torch and recurra's layers comes before it and is not here."""
    seconds: float
    """Seconds of the first pass, forward and backward, without its imports."""
    steady: float
    """Seconds of the third pass."""

    def as_json(self) -> dict[str, Any]:
        """The row as `recurra bench --first-use --json` prints it."""
        return {**asdict(self), "shape": self.shape._asdict()}


def first_uses(
    cells: Iterable[str], shapes: Sequence[Shape], *, threads: int, engine: str = "auto"
) -> Iterator[FirstUse]:
    """Measures the first pass of each cell at each size, in two new processes.

    The cache folder is the user's: set XDG_CACHE_HOME to an empty folder, and the first process finds it cold.

    Args:
        cells: names, as `find_subject` takes them.
        shapes: sizes.
        threads: the number of torch's threads.
        engine: the engine of recurra's layer.
    """
    for name in cells:
        for shape in shapes:
            for process in ("first", "second"):
                fields = in_fresh_process(__name__, cell=name, shape=str(shape), engine=engine, threads=threads)
                yield FirstUse(name, shape, process=process, **fields)


def measure(cell: str, shape: str, engine: str, threads: int) -> dict[str, Any]:
    """The fields of a `FirstUse` that are measured in a new process."""
    import torch

    from recurra.bench.implementations import make_batch, make_layer, timed_pass

    torch.set_num_threads(threads)
    batch, layer = make_batch(parse_shape(shape)), make_layer(find_subject(cell), parse_shape(shape), engine)
    call = timed_pass(layer, batch, "training")
    with _timed_imports() as imported:
        first = _seconds(call)
    _, steady = _seconds(call), _seconds(call)
    # After the passes: `explain` examines the formula, which is part of the first use.
    chosen = layer.explain(batch.x).engine
    return {"engine": chosen, "imports": imported.seconds, "seconds": first - imported.seconds, "steady": steady}


def _seconds(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


class _Imported:
    """Seconds spent in import statements."""

    seconds = 0.0
    inside = False


@contextmanager
def _timed_imports() -> Iterator[_Imported]:
    imported, plain = _Imported(), builtins.__import__

    def timed(*args: Any, **kwargs: Any) -> Any:
        if imported.inside:
            return plain(*args, **kwargs)
        imported.inside, began = True, time.perf_counter()
        try:
            return plain(*args, **kwargs)
        finally:
            imported.inside = False
            imported.seconds += time.perf_counter() - began

    builtins.__import__ = timed
    try:
        yield imported
    finally:
        builtins.__import__ = plain

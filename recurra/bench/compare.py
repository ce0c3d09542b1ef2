"""The main table: a cell on recurra compared with torch.nn, the eager loop, jax.lax.scan and a large product."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from recurra.bench.implementations import gather
from recurra.bench.rounds import medians
from recurra.bench.subjects import Shape, find_subject, forward_flops

SGEMM = 1024
"""Side of the square matrices whose float32 product is timed in the same rounds."""

PEERS = ("torch.nn", "eager", "jax")
"""The implementations that a row's ratios compare with, in the order of the columns."""


@dataclass(frozen=True)
class Row:
    """One cell at one size in one pass."""

    cell: str
    shape: Shape
    kind: str
    """"forward" or "training"."""
    engine: str
    """The engine that recurra ran on."""
    flops: int
    """Multiplications and additions of the matrix products."""
    seconds: dict[str, float]
    """Medians by implementation; always includes `recurra` and `sgemm`."""

    @property
    def gflops(self) -> float:
        """Rate of recurra, 10⁹ multiplications and additions per second."""
        return self.flops / self.seconds["recurra"] / 1e9

    @property
    def share_of_sgemm(self) -> float:
        """The rate of recurra divided by that of the large product."""
        return self.gflops / (2 * SGEMM**3 / self.seconds["sgemm"] / 1e9)

    @property
    def ratios(self) -> dict[str, float]:
        """Times of the other implementations divided by recurra's; above 1, recurra is faster."""
        others = (name for name in self.seconds if name not in ("recurra", "sgemm"))
        return {name: self.seconds[name] / self.seconds["recurra"] for name in others}

    def as_json(self) -> dict[str, Any]:
        """The row as `recurra bench --json` prints it."""
        ratios = self.ratios
        return {
            "cell": self.cell,
            "shape": self.shape._asdict(),
            "pass": self.kind,
            "gflops": self.gflops,
            "share_of_sgemm": self.share_of_sgemm,
            "peers": {name: ratios[name] for name in PEERS if name in ratios},
        }


class Mean:
    """Geometric means of the ratios of one cell in one pass, over its sizes, and the least of each."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.cell, self.kind, self.sizes = rows[0].cell, rows[0].kind, len(rows)
        self.share = _geometric([row.share_of_sgemm for row in rows])
        self.least_share = min(row.share_of_sgemm for row in rows)
        names = {name for row in rows for name in row.ratios}
        by_peer = {name: [row.ratios[name] for row in rows if name in row.ratios] for name in names}
        self.ratios = {name: _geometric(values) for name, values in by_peer.items()}
        self.least = {name: min(values) for name, values in by_peer.items()}


def compare(
    cells: Iterable[str], shapes: Sequence[Shape], kinds: Sequence[str], *, rounds: int, engine: str = "auto"
) -> Iterator[Row]:
    """Measures each cell at each size in each pass; yields each row when it is complete.

    Args:
        cells: names, as `find_subject` takes them.
        shapes: sizes.
        kinds: names from `implementations.PASSES`.
        rounds: the number of times per median.
        engine: the engine of recurra's layer.

    Raises:
        InputError: no such cell, or the engine cannot run it.
    """
    a = torch.randn(SGEMM, SGEMM, generator=torch.Generator().manual_seed(0))
    product = torch.empty_like(a)
    for name in cells:
        cell = find_subject(name)
        for shape in shapes:
            for kind in kinds:
                implementations = gather(cell, shape, kind, engine)
                calls = {**implementations.calls, "sgemm": lambda: torch.mm(a, a, out=product)}
                # A backward pass has two products for each one of the forward pass.
                flops = forward_flops(cell, shape) * (3 if kind == "training" else 1)
                yield Row(name, shape, kind, implementations.engine, flops, medians(calls, rounds))


def means(rows: Sequence[Row]) -> list[Mean]:
    """The geometric means of each cell and pass, in the order of the rows."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.kind, row.cell), []).append(row)
    return [Mean(group) for group in groups.values()]


def _geometric(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))

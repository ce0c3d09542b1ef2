"""The time of a step of a layer that runs one step at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from recurra.bench.rounds import medians
from recurra.bench.stepping import gather_steps
from recurra.bench.subjects import Shape, find_subject

CELLS = ("lstm", "gru")
"""The cells of the default table."""
SHAPES = tuple(Shape(100, B, H, H) for H in (128, 256, 512) for B in (1, 8, 64))
"""The sizes of the default table; T is the number of steps of a run."""
PEERS = ("float16", "int8", "torch.nn", "cell", "sequence", "onnxruntime", "eager")
"""The implementations that a row's ratios compare with, in the order of the columns."""


@dataclass(frozen=True)
class StreamRow:
    """One cell at one size, called once per step or once per run."""

    cell: str
    shape: Shape
    """T is 1 if one step is timed."""
    call: str
    """"step" or "run"."""
    engine: str
    """How recurra computes its steps: "compiled" or "unroll"."""
    seconds: dict[str, float]
    """Medians per step by implementation; always includes `recurra` and `read`."""
    deviations: dict[str, float]
    """The largest deviation of y, relative to the largest |y|, with float16 and int8 weights."""

    @property
    def ratios(self) -> dict[str, float]:
        """Times of the other implementations divided by that of recurra with float32; above 1, recurra is faster."""
        return {name: self.seconds[name] / self.seconds["recurra"] for name in PEERS if name in self.seconds}

    @property
    def over_read(self) -> float:
        """Time of recurra divided by that of a read of the weights."""
        return self.seconds["recurra"] / self.seconds["read"]

    def as_json(self) -> dict[str, Any]:
        """The row as `recurra bench --stream --json` prints it."""
        return {
            "cell": self.cell,
            "shape": self.shape._asdict(),
            "call": self.call,
            "engine": self.engine,
            "microseconds_per_step": {name: 1e6 * seconds for name, seconds in self.seconds.items()},
            "peers": self.ratios,
            "recurra_over_read": self.over_read,
            "deviations": self.deviations,
        }


def compare_streams(cells: Iterable[str], shapes: Sequence[Shape], *, rounds: int) -> Iterator[StreamRow]:
    """Measures one step, and a run of T steps, of each cell at each size; yields each row when it is complete.

    Args:
        cells: names, as `find_subject` takes them.
        shapes: sizes.
        rounds: the number of times per median.

    Raises:
        InputError: no such cell.
        RecurraError: two implementations compute different outputs.
    """
    for name in cells:
        cell = find_subject(name)
        for shape in shapes:
            steps = gather_steps(cell, shape)
            for call, calls, count in (("step", steps.step, 1), ("run", steps.run, shape.T)):
                # Around the rounds, because entering it takes a microsecond or two.
                with torch.inference_mode():
                    times = medians(calls, rounds)
                # The read is a lower bound, so that the faster one counts: threads do not pay for few weights.
                times["read"] = min(times.pop(key) for key in list(times) if key.startswith("read"))
                per_step = {key: seconds / count for key, seconds in times.items()}
                yield StreamRow(name, shape._replace(T=count), call, steps.engine, per_step, steps.deviations)

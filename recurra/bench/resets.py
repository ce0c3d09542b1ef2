"""The time of a batch whose rows start anew at some steps, compared with two common ways of torch.nn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recurra.bench.implementations import make_batch, make_layer, timed_pass, torch_equivalent
from recurra.bench.rounds import medians
from recurra.bench.subjects import Shape, find_subject
from recurra.errors import InputError

SHAPES = (Shape(128, 64, 128, 128), Shape(128, 64, 256, 256))
"""The sizes of the default table."""
CELLS = ("lstm", "gru")
"""The cells of the default table."""
RATE = 0.05
"""The probability of a reset at each step of each row."""
PEERS = ("split", "loop")
"""The implementations with torch.nn, in the order of the columns; see `Split` and `MaskedLoop`."""


@dataclass(frozen=True)
class ResetsRow:
    """One cell at one size in one pass."""

    cell: str
    shape: Shape
    kind: str
    engine: str
    """The engine that recurra ran on."""
    pieces: int
    """Pieces into which the resets cut the rows."""
    longest: int
    """Steps of the longest piece."""
    seconds: dict[str, float]
    """Medians by implementation: `recurra`, `plain` (recurra without resets) and those of `PEERS`."""

    @property
    def ratios(self) -> dict[str, float]:
        """Times of the other implementations divided by recurra's; above 1, recurra is faster."""
        return {name: time / self.seconds["recurra"] for name, time in self.seconds.items() if name != "recurra"}

    def as_json(self) -> dict[str, Any]:
        """The row as `recurra bench --resets --json` prints it."""
        row = {"cell": self.cell, "shape": self.shape._asdict(), "pass": self.kind, "pieces": self.pieces}
        return {**row, "longest": self.longest, "ms": self.seconds["recurra"] * 1e3, "peers": self.ratios}


class Split(nn.Module):
    """Splits the rows at the resets and runs the pieces as one padded batch, as RecurrentPPO of SB3-Contrib trains."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, resets: Tensor) -> tuple[Tensor]:
        """The output (T, B, H) for x (T, B, I) and resets (T, B)."""
        row, start, length = cut(resets)
        steps = torch.arange(int(length.max()))[:, None]  # (longest, 1)
        present = steps < length  # (longest, N)
        (T, B), places = resets.shape, (start + steps.minimum(length - 1)) * resets.shape[1] + row
        padded = x.reshape(T * B, -1).index_select(0, places.flatten()).view(*places.shape, -1)
        y = self.layer(padded)[0]
        # The place in the padded batch of each step of each row.
        back = torch.empty(T * B, dtype=torch.int64)
        back[places[present]] = present.flatten().nonzero().squeeze(1)
        return (y.flatten(0, 1).index_select(0, back).view(T, B, -1),)


class MaskedLoop(nn.Module):
    """Runs the layer on one step at a time and multiplies the state by 1 - reset, as the LSTM agent of CleanRL."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, resets: Tensor) -> tuple[Tensor]:
        """The output (T, B, H) for x (T, B, I) and resets (T, B)."""
        keep, state, ys = (~resets).to(x.dtype)[:, None, :, None], None, []  # (T, 1, B, 1)
        for step, kept in zip(x.split(1), keep, strict=True):
            if state is not None:
                state = tuple(kept * one for one in state) if isinstance(state, tuple) else kept * state
            y, state = self.layer(step, state)
            ys.append(y)
        return (torch.cat(ys),)


def cut(resets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, first step and length of each piece of a batch (T, B), row by row."""
    begins = resets.clone()
    begins[:1] = True
    row, start = begins.t().nonzero().unbind(1)
    stop = torch.full_like(start, len(resets))
    stop[:-1] = torch.where(row[1:] == row[:-1], start[1:], stop[:-1])
    return row, start, stop - start


def draw_resets(shape: Shape) -> Tensor:
    """Resets (T, B) at `RATE`, from a fixed seed."""
    return torch.rand(shape.T, shape.B, generator=torch.Generator().manual_seed(3)) < RATE


def compare_resets(
    cells: Iterable[str], shapes: Sequence[Shape], kinds: Sequence[str], *, rounds: int, engine: str = "auto"
) -> Iterator[ResetsRow]:
    """Measures all implementations in turns; arguments and errors as `compare`.

    Raises:
        InputError: torch.nn has no layer of the cell.
    """
    for name in cells:
        cell = find_subject(name)
        for shape in shapes:
            batch, layer, resets = make_batch(shape), make_layer(cell, shape, engine), draw_resets(shape)
            theirs, (_, _, length) = torch_equivalent(layer), cut(resets)
            if theirs is None:
                raise InputError(f"--resets: torch.nn has no {name} to compare with, only lstm, gru and rnn")
            chosen = layer.explain(batch.x).engine
            for kind in kinds:
                calls = {
                    "recurra": timed_pass(layer, batch, kind, resets=resets),
                    "plain": timed_pass(layer, batch, kind),
                    "split": timed_pass(Split(theirs), batch, kind, resets=resets),
                    "loop": timed_pass(MaskedLoop(theirs), batch, kind, resets=resets),
                }
                times = medians(calls, rounds)
                yield ResetsRow(name, shape, kind, chosen, len(length), int(length.max()), times)

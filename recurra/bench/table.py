"""Rows of measurements as tables: aligned for a terminal, and Markdown for a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from recurra.bench.compare import PEERS, Mean, Row
from recurra.bench.first_use import FirstUse
from recurra.bench.generating import GenerationRow
from recurra.bench.lengths import PaddedRow
from recurra.bench.memory import Peaks
from recurra.bench.resets import ResetsRow
from recurra.bench.streaming import PEERS as STREAM_PEERS
from recurra.bench.streaming import StreamRow
from recurra.bench.subjects import Shape

R = TypeVar("R")


class Column(NamedTuple, Generic[R]):
    """One column of a table."""

    title: str
    width: int
    show: Callable[[R], str]
    right: bool = True


class Table(Generic[R]):
    """A table whose rows come one by one, so that the widths of its columns are fixed beforehand."""

    def __init__(self, columns: Sequence[Column[R]]) -> None:
        self.columns = columns

    def head(self) -> Iterator[str]:
        """The two lines above the rows."""
        yield self._line([column.title for column in self.columns])
        rules = ("-" * (column.width + 1) + (":" if column.right else "-") for column in self.columns)
        yield f"|{'|'.join(rules)}|"

    def line(self, row: R) -> str:
        """A row."""
        return self._line([column.show(row) for column in self.columns])

    def _line(self, texts: Sequence[str]) -> str:
        pairs = zip(texts, self.columns, strict=True)
        cells = (text.rjust(column.width) if column.right else text.ljust(column.width) for text, column in pairs)
        return f"| {' | '.join(cells)} |"


def speed_table(names: Sequence[str]) -> Table[Row]:
    """The main table; the peers' columns are their times over recurra's."""
    peers = [Column(f"{peer} ×", 10, _ratio(peer)) for peer in (*PEERS, "cpu")]
    return Table[Any]([
        *_subject(names), _kind(), _engine(),
        Column("ms", 8, lambda row: f"{row.seconds['recurra'] * 1e3:.2f}"),
        Column("GFLOP/s", 7, lambda row: f"{row.gflops:.1f}"),
        Column("of sgemm", 8, lambda row: f"{row.share_of_sgemm:.0%}"),
        *peers,
    ])  # fmt: skip


def means_table(names: Sequence[str]) -> Table[Mean]:
    """Geometric means by cell and pass, with the least in brackets."""

    def share(mean: Mean) -> str:
        return f"{mean.share:.0%} ({mean.least_share:.0%})"

    peers = [Column(f"{peer} ×", 13, _mean_ratio(peer)) for peer in (*PEERS, "cpu")]
    sizes: Column[Any] = Column("sizes", 5, lambda mean: str(mean.sizes))
    return Table[Any]([_cell(names), _kind(), sizes, Column("of sgemm", 11, share), *peers])


def lengths_table(names: Sequence[str]) -> Table[PaddedRow]:
    """Padded batches compared with full ones."""
    return Table[Any]([
        *_subject(names), _kind(), _engine(),
        Column("filled", 6, lambda row: f"{row.filled:.0%}"),
        Column("full ms", 8, lambda row: f"{row.full_seconds * 1e3:.2f}"),
        Column("padded ms", 9, lambda row: f"{row.padded_seconds * 1e3:.2f}"),
        Column("full / padded", 13, lambda row: f"{row.ratio:.2f}"),
    ])  # fmt: skip


def resets_table(names: Sequence[str]) -> Table[ResetsRow]:
    """Batches whose rows start anew; the last columns are the peers' times over recurra's."""
    peers = {"plain": "no resets ×", "split": "split, pad ×", "loop": "loop, masks ×"}
    return Table[Any]([
        *_subject(names), _kind(), _engine(),
        Column("pieces", 6, lambda row: str(row.pieces)),
        Column("ms", 8, lambda row: f"{row.seconds['recurra'] * 1e3:.2f}"),
        *(Column(title, len(title), _ratio(peer)) for peer, title in peers.items()),
    ])  # fmt: skip


def first_use_table(names: Sequence[str]) -> Table[FirstUse]:
    """First passes in fresh processes."""
    return Table[Any]([
        *_subject(names), _engine(),
        Column("process", 7, lambda row: row.process, right=False),
        Column("first pass s", 12, lambda row: f"{row.seconds:.3f}"),
        Column("its imports s", 13, lambda row: f"{row.imports:.3f}"),
        Column("later s", 7, lambda row: f"{row.steady:.3f}"),
    ])  # fmt: skip


def memory_table(names: Sequence[str]) -> Table[Peaks]:
    """Peaks of resident memory in MiB, and what the step added."""
    return Table[Any]([
        *_subject(names), _engine(),
        Column("MiB at peak", 11, lambda row: _mebibytes(row.peak["recurra"])),
        Column("of the step", 11, lambda row: _mebibytes(row.peak["recurra"] - row.before["recurra"])),
        Column("peer", 8, _peer, right=False),
        Column("MiB at peak", 11, lambda row: _mebibytes(row.peak[_peer(row)])),
        Column("of the step", 11, lambda row: _mebibytes(row.peak[_peer(row)] - row.before[_peer(row)])),
    ])  # fmt: skip


def stream_table(names: Sequence[str]) -> Table[StreamRow]:
    """Steps of streams; the peers' columns are their times over recurra's with float32 weights."""
    peers = [Column(f"{peer} ×", max(6, len(peer) + 2), _ratio(peer)) for peer in STREAM_PEERS]
    return Table[Any]([
        *_subject(names),
        Column("call", 4, lambda row: row.call, right=False),
        Column("engine", 8, lambda row: row.engine, right=False),
        Column("µs per step", 11, lambda row: f"{row.seconds['recurra'] * 1e6:.2f}"),
        Column("over read", 9, lambda row: f"{row.over_read:.2f}"),
        *peers,
        Column("int8 error", 10, lambda row: f"{row.deviations['int8']:.1e}" if "int8" in row.deviations else ""),
    ])  # fmt: skip


def generation_table() -> Table[GenerationRow]:
    """Characters per second of language models."""
    return Table[Any]([
        Column("units", 5, lambda row: str(row.sizes.units)),
        Column("embedding", 9, lambda row: str(row.sizes.embedding)),
        Column("characters", 10, lambda row: str(row.sizes.characters)),
        Column("recurra per s", 13, lambda row: f"{row.per_second['recurra']:.0f}"),
        Column("PyTorch per s", 13, lambda row: f"{row.per_second['torch']:.0f}"),
        Column("PyTorch ×", 9, lambda row: f"{row.ratio:.2f}"),
    ])  # fmt: skip


def _subject(names: Sequence[str]) -> list[Column[Any]]:
    return [_cell(names), *(Column[Any](axis, 5, _size(axis)) for axis in Shape._fields)]


def _cell(names: Sequence[str]) -> Column[Any]:
    return Column("cell", max(map(len, ("cell", *names))), lambda row: row.cell, right=False)


def _kind() -> Column[Any]:
    return Column("pass", 8, lambda row: row.kind, right=False)


def _engine() -> Column[Any]:
    return Column("engine", 6, lambda row: row.engine, right=False)


def _size(axis: str) -> Callable[[Any], str]:
    return lambda row: str(getattr(row.shape, axis))


def _ratio(peer: str) -> Callable[[Any], str]:
    return lambda row: f"{row.ratios[peer]:.2f}" if peer in row.ratios else ""


def _mean_ratio(peer: str) -> Callable[[Mean], str]:
    return lambda mean: f"{mean.ratios[peer]:.2f} ({mean.least[peer]:.2f})" if peer in mean.ratios else ""


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.0f}"


def _peer(row: Peaks) -> str:
    return next(name for name in row.peak if name != "recurra")

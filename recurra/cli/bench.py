"""`recurra bench`: how fast cells run on this machine, beside what else runs them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TextIO

import torch
from cyclopts import Parameter

from recurra.bench import compare, first_use, lengths, memory, resets, subjects, table
from recurra.bench.implementations import PASSES, jax_is_installed
from recurra.bench.subjects import Shape, find_subject, parse_shape
from recurra.cli.options import whole
from recurra.errors import InputError
from recurra.training.machine import describe_machine

_Names = tuple[str, ...]
_Sizes = tuple[Shape, ...]


def bench(
    *,
    cell: Annotated[list[str] | None, Parameter(negative=())] = None,
    shape: Annotated[list[str] | None, Parameter(negative=())] = None,
    only: Annotated[Literal["forward", "training"] | None, Parameter(name="--pass")] = None,
    rounds: Annotated[int, Parameter(converter=whole())] = 5,
    threads: Annotated[int | None, Parameter(converter=whole())] = None,
    engine: str = "auto",
    padded: Annotated[bool, Parameter(name="--lengths", negative=())] = False,
    anew: Annotated[bool, Parameter(name="--resets", negative=())] = False,
    first: Annotated[bool, Parameter(name="--first-use", negative=())] = False,
    peak: Annotated[bool, Parameter(name="--memory", negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Measure how fast cells run on this machine's CPU, beside torch.nn, an eager loop and jax.lax.scan.

    Everything runs in turns in one process; times are medians of the rounds. A peer's column is its time over
    recurra's: above 1, recurra is faster. "of sgemm" compares the rate of the cell's matrix products with that of a
    large one timed in the same rounds. Nothing else should be running.

    ```sh
    recurra bench
    recurra bench --cell my_cells:Leaky --shape 64x32x256x256 --pass training
    recurra bench --lengths
    recurra bench --resets --cell lstm
    ```

    Parameters
    ----------
    cell
        A name of `recurra cells`, or module:Class; with -relu and the like behind it, with that activation. "leaky" is
        one as a user writes it. May be given several times.
    shape
        Steps x rows x features x units, such as 64x32x128x128. May be given several times.
    only
        Measure one pass only: without gradients, or with those of all weights and of x.
    rounds
        How many rounds each median is of.
    threads
        Threads of torch and recurra. Default: torch's own choice. JAX always uses all cores.
    engine
        The engine of recurra's layer: auto, cpu, native or unroll.
    padded
        Compare a batch of lengths drawn uniformly from 1 to T with a full one instead.
    anew
        Compare instead a batch whose rows start anew at 5 % of the steps (episodes or documents) with torch.nn: the
        rows split into pieces and padded, and a loop over single steps with masks. "no resets" is recurra without
        them. Default cells: lstm and gru.
    first
        Show instead how long the first pass of a cell takes in a fresh process, and in a second one after it.
    peak
        Show instead the peak memory of a training step, recurra and its peer each in a process of its own.
    as_json
        Print a JSON list of rows; the table goes to stderr.
    """
    _check(rounds, threads, [padded, anew, first, peak])
    names, sizes = tuple(cell or ()), tuple(map(parse_shape, shape or ()))
    for name in names:
        find_subject(name)  # a misspelling is told now, not after minutes
    kinds = PASSES if only is None else (only,)
    page = sys.stderr if as_json else sys.stdout
    with _threads(threads) as count:
        _tell_machine(page, count)
        if padded:
            found = _lengths(page, names, sizes, kinds, rounds, engine)
        elif anew:
            found = _resets(page, names, sizes, kinds, rounds, engine)
        elif first:
            found = _first_use(page, names, sizes, count, engine)
        elif peak:
            found = _memory(page, names, sizes, count, engine)
        else:
            found = _speed(page, names, sizes, kinds, rounds, engine)
    if as_json:
        print("[" + ",\n ".join(json.dumps(row.as_json()) for row in found) + "]")


def _check(rounds: int, threads: int | None, modes: Sequence[bool]) -> None:
    if rounds < 1:
        raise InputError(f"--rounds {rounds}: expected 1 or more; a median wants 5")
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads}: expected 1 or more")
    if sum(modes) > 1:
        raise InputError("--lengths, --resets, --first-use and --memory are tables of their own: give one of them")


@contextmanager
def _threads(count: int | None) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _tell_machine(page: TextIO, threads: int) -> None:
    machine = describe_machine()
    vectors = torch.backends.cpu.get_cpu_capability()
    told = f"{machine['processor']}, {machine['cores']} cores, {vectors}, {machine['system']}; {threads} threads, "
    told += f"torch {torch.__version__}, sgemm {machine['sgemm_gflops']:.0f} GFLOP/s before the first row"
    print(told, "", sep="\n", file=page, flush=True)


def _speed(page: TextIO, names: _Names, sizes: _Sizes, kinds: _Names, rounds: int, engine: str) -> list[Any]:
    if not jax_is_installed():
        print("JAX is not installed, so not compared with: pip install 'recurra[bench]'", file=sys.stderr)
    names = names or subjects.CELLS
    rows = compare.compare(names, sizes or subjects.SHAPES, kinds, rounds=rounds, engine=engine)
    found = _show(rows, table.speed_table(names), page)
    print("\nGeometric means over the sizes, the least in brackets:\n", file=page)
    _show(compare.means(found), table.means_table(names), page)
    return found


def _lengths(page: TextIO, names: _Names, sizes: _Sizes, kinds: _Names, rounds: int, engine: str) -> list[Any]:
    names = names or subjects.CELLS
    rows = lengths.compare_lengths(names, sizes or lengths.SHAPES, kinds, rounds=rounds, engine=engine)
    return _show(rows, table.lengths_table(names), page)


def _resets(page: TextIO, names: _Names, sizes: _Sizes, kinds: _Names, rounds: int, engine: str) -> list[Any]:
    names = names or resets.CELLS
    rows = resets.compare_resets(names, sizes or resets.SHAPES, kinds, rounds=rounds, engine=engine)
    return _show(rows, table.resets_table(names), page)


def _first_use(page: TextIO, names: _Names, sizes: _Sizes, threads: int, engine: str) -> list[Any]:
    names = names or subjects.CELLS
    rows = first_use.first_uses(names, sizes or first_use.SHAPES, threads=threads, engine=engine)
    return _show(rows, table.first_use_table(names), page)


def _memory(page: TextIO, names: _Names, sizes: _Sizes, threads: int, engine: str) -> list[Any]:
    names = names or memory.CELLS
    rows = memory.peaks(names, sizes or memory.SHAPES, threads=threads, engine=engine)
    return _show(rows, table.memory_table(names), page)


def _show(rows: Iterable[Any], shown: table.Table[Any], page: TextIO) -> list[Any]:
    """Prints the rows as they come, and returns them."""
    for line in shown.head():
        print(line, file=page, flush=True)
    found = []
    for row in rows:
        print(shown.line(row), file=page, flush=True)
        found.append(row)
    return found

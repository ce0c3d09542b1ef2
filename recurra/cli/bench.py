"""`recurra bench`: the speed of cells on this machine, compared with other implementations."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TextIO

import torch
from cyclopts import Parameter

from recurra.bench import compare, first_use, generating, lengths, memory, resets, streaming, subjects, table
from recurra.bench.implementations import PASSES, jax_is_installed
from recurra.bench.onnx_step import find_operator, onnxruntime_is_installed
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
    stream: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Compare the speed of cells on this machine's CPU with torch.nn, an eager loop and jax.lax.scan.

    All implementations run in turns in one process; times are medians over rounds. The column of another implementation
    is its time divided by that of recurra: above 1, recurra is faster. "of sgemm" compares the rate of the cell's
    matrix products with that of one large product, timed in the same rounds. No other program should be running.

    ```sh
    recurra bench
    recurra bench --cell my_cells:Leaky --shape 64x32x256x256 --pass training
    recurra bench --lengths
    recurra bench --resets --cell lstm
    recurra bench --stream
    ```

    Parameters
    ----------
    cell
        A name of `recurra cells`, or module:Class; a suffix such as -relu selects the activation. "leaky" is an example
        of a user-defined cell. May be repeated.
    shape
        Steps x rows x features x hidden units, such as 64x32x128x128. May be repeated.
    only
        Measure one pass only: forward without gradients, or training with the gradients of all weights and of x.
    rounds
        Number of rounds, over which the median is taken.
    threads
        Number of threads of torch and recurra. Default: torch's default. JAX always uses all cores.
    engine
        The engine of recurra's layer: auto, cpu, native or unroll.
    padded
        Compare a batch with lengths drawn uniformly from 1 to T with a full batch instead.
    anew
        Compare instead a batch whose rows start anew at 5 % of the steps (episodes or documents) with torch.nn: the
        rows split into pieces and padded, and a loop over single steps with masks. "no resets" is recurra without
        them. Default cells: lstm and gru.
    first
        Measure the first pass of a cell in a new process, and in a second process after it, instead.
    peak
        Measure the peak memory of a training step instead, each implementation in a separate process.
    stream
        Measure one step at a time instead: one call per step and one call of --shape's steps, of recurra's stream with
        float32, float16 and int8 weights, torch.nn's layer and cell, onnxruntime and a read of the weights; and, with
        neither --cell nor --shape, the characters per second of a language model.
    as_json
        Print a JSON list of rows; the table is written to stderr.
    """
    _check(rounds, threads, [padded, anew, first, peak, stream])
    if stream and (only is not None or engine != "auto"):
        raise InputError(
            "--stream measures steps without gradients, and a stream has no engine to choose: leave out "
            "--pass and --engine"
        )
    names, sizes = tuple(cell or ()), tuple(map(parse_shape, shape or ()))
    for name in names:
        find_subject(name)  # a misspelt name is refused now, not after minutes of measuring
    kinds = PASSES if only is None else (only,)
    page = sys.stderr if as_json else sys.stdout
    with _threads(threads) as count:
        _print_machine(page, count)
        if padded:
            results = _lengths(page, names, sizes, kinds, rounds, engine)
        elif anew:
            results = _resets(page, names, sizes, kinds, rounds, engine)
        elif first:
            results = _first_use(page, names, sizes, count, engine)
        elif peak:
            results = _memory(page, names, sizes, count, engine)
        elif stream:
            results = _stream(page, names, sizes, rounds)
        else:
            results = _speed(page, names, sizes, kinds, rounds, engine)
    if as_json:
        print("[" + ",\n ".join(json.dumps(row.as_json()) for row in results) + "]")


def _check(rounds: int, threads: int | None, modes: Sequence[bool]) -> None:
    if rounds < 1:
        raise InputError(f"--rounds {rounds}: expected 1 or more; 5 give a useful median")
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads}: expected 1 or more")
    if sum(modes) > 1:
        names = "--lengths, --resets, --first-use, --memory and --stream"
        raise InputError(f"{names} select different tables: give one of them")


@contextmanager
def _threads(count: int | None) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _print_machine(page: TextIO, threads: int) -> None:
    machine = describe_machine()
    vectors = torch.backends.cpu.get_cpu_capability()
    line = f"{machine['processor']}, {machine['cores']} cores, {vectors}, {machine['system']}; {threads} threads, "
    line += f"torch {torch.__version__}, sgemm {machine['sgemm_gflops']:.0f} GFLOP/s before the first row"
    print(line, "", sep="\n", file=page, flush=True)


def _speed(page: TextIO, names: _Names, sizes: _Sizes, kinds: _Names, rounds: int, engine: str) -> list[Any]:
    if not jax_is_installed():
        print("JAX is not installed and is left out of the comparison: pip install 'recurra[bench]'", file=sys.stderr)
    names = names or subjects.CELLS
    rows = compare.compare(names, sizes or subjects.SHAPES, kinds, rounds=rounds, engine=engine)
    results = _show(rows, table.speed_table(names), page)
    print("\nGeometric means over the sizes, the minimum in brackets:\n", file=page)
    _show(compare.means(results), table.means_table(names), page)
    return results


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


def _stream(page: TextIO, names: _Names, sizes: _Sizes, rounds: int) -> list[Any]:
    cells = names or streaming.CELLS
    if any(find_operator(find_subject(name)) for name in cells) and not onnxruntime_is_installed():
        missing = "onnxruntime or onnx is not installed and is left out of the comparison"
        print(f"{missing}: pip install 'recurra[bench]'", file=sys.stderr)
    rows = streaming.compare_streams(cells, sizes or streaming.SHAPES, rounds=rounds)
    results = _show(rows, table.stream_table(cells), page)
    if not names and not sizes:
        print("\nCharacters per second of a language model with one LSTM layer:\n", file=page)
        row = generating.compare_generation(generating.SIZES, rounds=rounds)
        results += _show([row], table.generation_table(), page)
    return results


def _show(rows: Iterable[Any], layout: table.Table[Any], page: TextIO) -> list[Any]:
    """Prints each row as soon as it is measured, and returns all rows."""
    for line in layout.head():
        print(line, file=page, flush=True)
    results = []
    for row in rows:
        print(layout.line(row), file=page, flush=True)
        results.append(row)
    return results

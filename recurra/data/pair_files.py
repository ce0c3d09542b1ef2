"""Opens files of sentence pairs, tables or parallel files, and checks them completely."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recurra.data.pair_tables import PairTables
from recurra.data.pairs import PairFiles, Pairs
from recurra.data.parallel_files import ParallelFiles
from recurra.errors import InputError


def open_pairs(
    files: Sequence[Path] = (), *, source: Sequence[Path] | None = None, target: Sequence[Path] | None = None
) -> Pairs:
    """Opens tables or parallel files of pairs, and reads them once to check them.

    A table has a source and a target per line, separated by a tab; lines with the same source anywhere in the tables
    are several targets of it. In parallel files, line n of the source file belongs to line n of the target file. Either
    side of a pair may be empty.

    Args:
        files: tables.
        source: instead of tables, files of sources.
        target: the files of their targets, as many.

    Raises:
        InputError: a file cannot be read as pairs; with file and line.
    """
    if source is None and target is None:
        if not files:
            raise InputError("no files of pairs: name a table such as pairs.tsv, or files by --source and --target")
        opened: PairFiles = PairTables.open(files)
    elif files:
        raise InputError(f"{files[0]}: name files of pairs, or files of sources and targets, not both")
    elif not source or not target:
        raise InputError("sources and targets go together: name files by --source and by --target")
    else:
        opened = ParallelFiles.open(source, target)
    return Pairs(opened, 0, len(opened))

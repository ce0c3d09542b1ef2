"""Files of pairs, tables or parallel: checked whole before anything is made of them."""

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
    """The pairs of tables or of parallel files, which are read once from end to end to check them.

    A table has a source and a target a line, apart by a tab; lines with the same source, wherever they stand, are
    several targets of it. Of parallel files each line of the one belongs to the same line of the other. A pair may
    have empty sides.

    Args:
        files: tables.
        source: in place of them files of sources.
        target: and those of their targets, as many.

    Raises:
        InputError: what cannot be read as pairs, with file and line.
    """
    if source is None and target is None:
        if not files:
            raise InputError("no files of pairs: name a table such as pairs.tsv, or files by --source and --target")
        opened: PairFiles = PairTables.open(files)
    elif files:
        raise InputError(f"{files[0]}: give files of pairs, or files of sources and targets, not both")
    elif not source or not target:
        raise InputError("sources and targets go together: name files by --source and by --target")
    else:
        opened = ParallelFiles.open(source, target)
    return Pairs(opened, 0, len(opened))

"""The alignment of one reference with its hypothesis, unit by unit, and as lines of text for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.metrics.word_errors import Unit, units_of

# What stands in a line in the place of a missing unit.
_GAP = "*"


class Aligned(NamedTuple):
    """One column of an alignment; a unit is None if the other one has no counterpart."""

    reference: str | None
    hypothesis: str | None

    @property
    def marker(self) -> str:
        """S for a substitution, I for an insertion, D for a deletion, empty for a hit."""
        if self.reference is None:
            return "I"
        if self.hypothesis is None:
            return "D"
        return "" if self.reference == self.hypothesis else "S"


class AlignedLines(NamedTuple):
    """Lines of the same width, one below the other in a fixed-width font."""

    reference: str
    hypothesis: str
    markers: str


def align_units(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Aligned]:
    """Aligns two sequences of words or characters with the fewest errors, and among these with the most hits.

    Args:
        reference: (N,) units, as from `units_of`.
        hypothesis: (M,) units.

    Returns:
        The columns in order. Where several alignments are equally good, gaps are as early as possible.
    """
    gap = 1 + min(len(reference), len(hypothesis))
    table = _costs(reference, hypothesis, gap)
    columns, i, j = list[Aligned](), len(reference), len(hypothesis)
    while i or j:
        unequal = i == 0 or j == 0 or reference[i - 1] != hypothesis[j - 1]
        if i and j and table[i, j] == table[i - 1, j - 1] + (gap + 1) * unequal:
            i, j = i - 1, j - 1
            columns.append(Aligned(reference[i], hypothesis[j]))
        elif i and table[i, j] == table[i - 1, j] + gap:
            i -= 1
            columns.append(Aligned(reference[i], None))
        else:
            j -= 1
            columns.append(Aligned(None, hypothesis[j]))
    return columns[::-1]


def _costs(reference: Sequence[str], hypothesis: Sequence[str], gap: int) -> npt.NDArray[np.int64]:
    """Returns the costs (N + 1, M + 1) of the best alignments of all beginnings; a substitution costs gap + 1."""
    numbers: dict[str, int] = {}
    first, second = (
        np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.int64)
        for units in (reference, hypothesis)
    )
    columns = gap * np.arange(len(second) + 1)
    table = np.empty((len(first) + 1, len(second) + 1), dtype=np.int64)
    table[0] = columns
    for i, symbol in enumerate(first, start=1):
        table[i, 0] = gap * i
        table[i, 1:] = np.minimum(table[i - 1, 1:] + gap, table[i - 1, :-1] + (gap + 1) * (second != symbol))
        # The costs of insertions are a running minimum, as in `edit_distances`.
        table[i] = np.minimum.accumulate(table[i] - columns) + columns
    return table


def aligned_lines(
    reference: str, hypothesis: str, unit: Unit = "word", *, width: int | None = None
) -> Iterator[AlignedLines]:
    """Shows what was spoken and what was recognised in columns, with a marker below each error.

        the cat sat *** down
        the mat sat all ****
            S       I   D

    Args:
        reference: what was spoken.
        hypothesis: what was recognised.
        unit: "word" or "char"; characters are not separated by spaces.
        width: largest number of columns of a terminal, beyond which lines are continued in the next item; a longer word
            has lines of its own. None for one item.

    Returns:
        An iterator over the lines; one item, of empty lines, if both texts are empty. Wide characters, such as Chinese
        ones, count two columns, and combining ones none.

    Raises:
        InputError: `unit` is invalid.
    """
    columns = align_units(units_of(reference, unit), units_of(hypothesis, unit))
    separator = " " if unit == "word" else ""
    taken, part = 0, list[Aligned]()
    for column in columns:
        needed = _column_width(column) + len(separator)
        if part and width is not None and taken + needed - len(separator) > width:
            yield _lines(part, separator)
            taken, part = 0, []
        part.append(column)
        taken += needed
    yield _lines(part, separator)


def _lines(columns: Sequence[Aligned], separator: str) -> AlignedLines:
    rows = [[_cell(text, column) for text in (*column, column.marker)] for column in columns]
    texts = [separator.join(cells) for cells in zip(*rows, strict=True)] or ["", "", ""]
    return AlignedLines(*texts)


def _cell(text: str | None, column: Aligned) -> str:
    width = _column_width(column)
    return _GAP * width if text is None else text + " " * (width - text_width(text))


def _column_width(column: Aligned) -> int:
    # At least one, so that a marker has a place below a combining character.
    return max(1, *(text_width(text) for text in column if text is not None))


def text_width(text: str) -> int:
    """Returns the number of columns of a text in a terminal: 2 for wide characters, 0 for combining and format ones."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1

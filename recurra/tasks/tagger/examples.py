"""Sentences with labels out of files, in streams: checked, span labels well formed and coded as the network's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data.lines import open_bytes
from recurra.data.sentences import Sentence
from recurra.data.spans import convert, first_fault
from recurra.errors import InputError
from recurra.tasks.tagger.layout import Layout

# What the network's span labels are coded as, whatever the files have: B and E tell more than B alone (Ratinov & Roth
# 2009), and the way back loses nothing.
CODED = "bioes"


@dataclass(frozen=True)
class Examples:
    """Files as sentences with labels, read anew each time.

    Args:
        paths: the files.
        layout: where they have what.
        scheme: bio or bioes where labels mark spans; else None.
        repair: mend span labels that are not well formed.
        first: the number of the first sentence of all files.
        last: the number after the last; None for all.
    """

    paths: Sequence[Path]
    layout: Layout
    scheme: str | None = None
    repair: bool = False
    first: int = 0
    last: int | None = None

    def part(self, first: int, last: int | None) -> Examples:
        """Sentences `first` to before `last`."""
        return replace(self, first=first, last=last)

    def __iter__(self) -> Iterator[Sentence]:
        """The sentences as the files have them.

        Raises:
            InputError: what cannot be read as the layout, or span labels that are not well formed; with file and line.
        """
        number = 0
        for path in self.paths:
            with open_bytes(path) as file:
                for sentence in self.layout.sentences(file, str(path)):
                    if self.last is not None and number >= self.last:
                        return
                    if number >= self.first:
                        yield sentence if self.scheme is None else self._well_formed(sentence, path, self.scheme)
                    number += 1

    def _well_formed(self, sentence: Sentence, path: Path, scheme: str) -> Sentence:
        mended = []
        for labels in self.layout.labels_in(sentence):
            fault = first_fault(labels, scheme)
            if fault is not None and not self.repair:
                place, why = fault
                raise InputError(
                    f"{path}:{sentence.line_of(place)}: {why}, expected well-formed {scheme.upper()}. Correct the "
                    "file, mend it as scorers read it by --repair, or take labels one by one by --scheme off"
                )
            mended.append(labels if fault is None else convert(labels, scheme))
        return relabelled(sentence, self.layout, mended)

    def coded(self) -> Iterator[Sentence]:
        """The sentences with span labels coded as the network's."""
        for sentence in self:
            yield (
                sentence
                if self.scheme is None
                else relabelled(
                    sentence, self.layout, [convert(labels, CODED) for labels in self.layout.labels_in(sentence)]
                )
            )


def relabelled(sentence: Sentence, layout: Layout, labels: Iterable[Sequence[str]]) -> Sentence:
    """The sentence with other labels in its rows, one list a label."""
    rows = [row.copy() for row in sentence.rows]
    for column, values in zip(layout.labels, labels, strict=True):
        for row, value in zip(rows, values, strict=True):
            row[column] = value
    return replace(sentence, rows=rows)

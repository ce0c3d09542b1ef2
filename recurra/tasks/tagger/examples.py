"""Sentences with labels out of files, in streams: checked, span labels well formed and coded as the network's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data.lines import open_bytes
from recurra.data.partial_spans import code, repair
from recurra.data.sentences import Sentence
from recurra.data.spans import first_fault
from recurra.errors import InputError
from recurra.tasks.tagger.layout import Layout


@dataclass(frozen=True)
class Examples:
    """Files as sentences with labels, read anew each time.

    Args:
        paths: the files.
        layout: where they have what.
        scheme: how labels mark spans, of `recurra.data.spans.SCHEMES`; None where they mark none.
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
        """The sentences as the files have them; lines without words are left out.

        Raises:
            InputError: what cannot be read as the layout, or span labels that are not well formed; with file and line.
        """
        number = 0
        for path in self.paths:
            with open_bytes(path) as file:
                for sentence in filter(_has_words, self.layout.sentences(file, str(path))):
                    if self.last is not None and number >= self.last:
                        return
                    if number >= self.first:
                        yield sentence if self.scheme is None else self._well_formed(sentence, path, self.scheme)
                    number += 1

    def _well_formed(self, sentence: Sentence, path: Path, scheme: str) -> Sentence:
        columns: list[Sequence[str | None]] = []
        for labels in self.layout.labels_in(sentence):
            fault = first_fault(labels, scheme)
            if fault is not None and not self.repair:
                place, why = fault
                raise InputError(
                    f"{path}:{sentence.line_of(place)}: {why}, expected well-formed {scheme.upper()}. Correct the "
                    "file, mend it as scorers read it by --repair, or take labels one by one by --scheme off"
                )
            columns.append(labels if fault is None else repair(labels, scheme))
        return relabelled(sentence, self.layout, columns)

    def coded(self) -> Iterator[Sentence]:
        """The sentences with span labels coded as the network's.

        That is BIOES, whatever the files have: B and E tell more than B alone (Ratinov & Roth 2009), and the way back
        loses nothing.
        """
        for sentence in self:
            if self.scheme is None:
                yield sentence
            else:
                columns = [code(labels, self.scheme) for labels in self.layout.labels_in(sentence)]
                yield relabelled(sentence, self.layout, columns)


def _has_words(sentence: Sentence) -> bool:
    return bool(sentence.words)


def relabelled(sentence: Sentence, layout: Layout, labels: Iterable[Sequence[str | None]]) -> Sentence:
    """The sentence with other labels in its rows, one list a label; None for words without a label."""
    rows = [row.copy() for row in sentence.rows]
    for column, values in zip(layout.labels, labels, strict=True):
        for row, value in zip(rows, values, strict=True):
            row[column] = layout.missing(column) if value is None else value
    return replace(sentence, rows=rows)

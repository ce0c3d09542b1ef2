"""Tagged sentences as numbers on disk: read while training through a memory map, so that memory does not grow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.ragged import Ragged, RaggedWriter
from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.tagger.label_numbers import MISSING, UNSEEN, LabelNumbers, counts
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.lm_features import StateReader, States
from recurra.tasks.tagger.vocabulary import UNKNOWN, Vocabulary
from recurra.tasks.tagger.windows import windows

Ids = npt.NDArray[np.int32]
# Of the encoded files: format 1 had no `Ragged` rows.
_FORMAT = 2
_REPAIR = "Train again without --resume"


class Coded(NamedTuple):
    """A sentence as numbers."""

    rows: Ids
    """(T, 1 + F) or, with labels, (T, 1 + F + L): place among some forms, features, labels."""
    states: States | None = None
    """(T, H) of a language model; None where there is none."""


@dataclass(frozen=True)
class TaggedCorpus:
    """Sentences encoded on disk.

    Args:
        rows: a row a sentence, (T, 1 + F + L) int32: each word's place in `forms`, its features, its labels.
        forms: the distinct words as they are spelt.
        features: how many feature columns there are, F.
        unseen: of each label, the first values that the vocabulary lacks, with how often they occur.
        missing: of each label, how many words have none.
        left_out: how many sentences were left out because no word of theirs has a label.
        states: a row a sentence, (T, H) float16 of a language model; None where there is none.
    """

    rows: Ragged
    forms: list[str]
    features: int
    unseen: list[dict[str, int]]
    missing: list[int]
    left_out: int = 0
    states: Ragged | None = None

    def __len__(self) -> int:
        """How many sentences there are."""
        return len(self.rows)

    @property
    def words(self) -> int:
        """How many words there are."""
        return len(self.rows.values)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Words of each sentence, (S,)."""
        return self.rows.lengths

    @property
    def labels(self) -> Ids:
        """The labels of all words, (N, L)."""
        labels: Ids = self.rows.values[:, 1 + self.features :]
        return labels

    def sentence(self, number: int) -> Coded:
        """A sentence with its labels."""
        return Coded(self.rows[number], None if self.states is None else self.states[number])

    def form_counts(self) -> npt.NDArray[np.int64]:
        """How often each form occurs, (len(forms),)."""
        return np.bincount(self.rows.values[:, 0], minlength=len(self.forms))

    @classmethod
    def open(cls, folder: Path, name: str) -> TaggedCorpus:
        """The corpus that `encode` wrote.

        Raises:
            InputError: a file is missing, cut short or of another version.
        """
        path = folder / f"{name}.json"
        header = read_object(path, missing=_REPAIR.lower(), mend=_REPAIR)
        if header.pop("format", 1) != _FORMAT:
            raise InputError(f"{path}: encoded by another version of recurra. Name the files again, without --resume")
        try:
            has_states = header.pop("states")
            corpus = cls(
                Ragged.open(folder, f"{name}.rows"),
                **header,
                states=Ragged.open(folder, f"{name}.states") if has_states else None,
            )
            width = 1 + corpus.features + len(corpus.unseen)
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: not the header of encoded sentences ({error}). {_REPAIR}") from None
        if corpus.rows.width != (width,) or (
            corpus.states is not None and not np.array_equal(corpus.states.ends, corpus.rows.ends)
        ):
            raise InputError(f"{path}: does not fit the encoded sentences. {_REPAIR}")
        return corpus


def encode(
    sentences: Iterable[Sentence],
    layout: Layout,
    vocabulary: Vocabulary,
    folder: Path,
    name: str,
    *,
    spans: bool,
    keep: Callable[[int], bool] = counts,
    read: StateReader | None = None,
) -> TaggedCorpus:
    """Writes sentences as numbers, one at a time; sentences without a label that `keep` accepts are left out.

    Args:
        sentences: their labels coded as the vocabulary's.
        layout: where they have their labels.
        vocabulary: numbers of features and labels; words are kept as they are spelt.
        folder: where the files go.
        name: what they begin with.
        spans: whether labels mark spans, coded as BIOES.
        keep: whether a label, by its number, is a reason to keep its sentence: `counts` to learn from it,
            `is_labelled` to score it.
        read: computes the states of a language model, where the tagger has one.
    """
    labels = _LabelColumns([LabelNumbers(values, spans=spans) for values in vocabulary.labels], layout)
    sentences = labels.worthwhile(sentences, keep)
    forms: dict[str, int] = {}
    width = 1 + len(layout.features) + len(vocabulary.labels)
    with ExitStack() as stack:
        rows = stack.enter_context(RaggedWriter(folder, f"{name}.rows", np.int32, (width,)))
        if read is not None:
            states = stack.enter_context(RaggedWriter(folder, f"{name}.states", np.float16, (read.size,)))
            sentences = _with_states(sentences, read, states)
        for sentence in sentences:
            columns = [[forms.setdefault(word, len(forms)) for word in sentence.words]]
            columns += encoded_features(layout.features_in(sentence), vocabulary)
            columns += labels.encode(sentence)
            rows.append(np.array(columns, dtype=np.int32).T)
    header = {
        "format": _FORMAT,
        "features": len(layout.features),
        "states": read is not None,
        "unseen": labels.unseen,
        "missing": labels.missing,
        "left_out": labels.left_out,
        "forms": list(forms),
    }
    (folder / f"{name}.json").write_text(json.dumps(header), encoding="utf-8")
    return TaggedCorpus.open(folder, name)


class _LabelColumns:
    """Labels of sentences as numbers; counts those that are missing or unknown."""

    def __init__(self, numbers: list[LabelNumbers], layout: Layout) -> None:
        self._numbers, self._layout = numbers, layout
        self.unseen: list[dict[str, int]] = [{} for _ in numbers]
        self.missing = [0] * len(numbers)
        self.left_out = 0

    def worthwhile(self, sentences: Iterable[Sentence], keep: Callable[[int], bool]) -> Iterator[Sentence]:
        """The sentences with a label that `keep` accepts; the labels of all are counted."""
        for sentence in sentences:
            columns = self.encode(sentence)
            for place, values in enumerate(self._layout.labels_in(sentence)):
                unseen = self.unseen[place]
                for value, number in zip(values, columns[place], strict=True):
                    if value is not None and number == UNSEEN:
                        unseen[value] = unseen.get(value, 0) + 1
                self.missing[place] += columns[place].count(MISSING)
            if any(keep(number) for column in columns for number in column):
                yield sentence
            else:
                self.left_out += 1

    def encode(self, sentence: Sentence) -> list[list[int]]:
        """The numbers of each label."""
        pairs = zip(self._numbers, self._layout.labels_in(sentence), strict=True)
        return [[numbers.number(value) for value in values] for numbers, values in pairs]


def _with_states(sentences: Iterable[Sentence], read: StateReader, writer: RaggedWriter) -> Iterator[Sentence]:
    """The same sentences; before a window of them is yielded, its states are written."""
    for window in windows(sentences):
        writer.extend(read([sentence.words for sentence in window]))
        yield from window


def encoded_features(columns: Sequence[Sequence[str]], vocabulary: Vocabulary) -> list[list[int]]:
    """Values of features by number, column by column."""
    tables = vocabulary.feature_ids
    return [[table.get(value, UNKNOWN) for value in values] for table, values in zip(tables, columns, strict=True)]

"""Sentences as numbers: in memory for tagging, and on disk for training, where a memory map keeps memory constant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.batching import token_chunks
from recurra.data.label_numbers import MISSING, UNSEEN, LabelNumbers, counts
from recurra.data.ragged import Ragged, RaggedWriter
from recurra.data.sentences import Sentence
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.tagger.formats import Layout
from recurra.tasks.tagger.pretrained import NOTHING, Pretrained, StateReader, States
from recurra.tasks.tagger.vocabulary import UNKNOWN, Vocabulary

Ids = npt.NDArray[np.int32]
# Words of the sentences that are processed together: enough to batch them by length.
CHUNK_WORDS = 16_384
# Version of the encoded files: 1 had no `Ragged` rows.
_FORMAT = 2
_REMEDY = "Train again without --resume"


class EncodedSentence(NamedTuple):
    """A sentence of T words as numbers."""

    rows: Ids
    """(T, 1 + F), or (T, 1 + F + L) with labels: position of the word among some forms, features, labels."""
    states: States | None = None
    """(T, H) of a language model; None if there is none."""


class Codec:
    """Converts between sentences and the numbers of a tagger's network.

    Args:
        vocabulary: words, characters, features and labels.
        layout: the columns of the training files.
        scheme: how the labels of files mark spans; None if they mark none.
        pretrained: pretrained vectors and a language model.
    """

    def __init__(
        self, vocabulary: Vocabulary, layout: Layout, scheme: str | None, pretrained: Pretrained = NOTHING
    ) -> None:
        self.vocabulary, self.layout, self.scheme, self.pretrained = vocabulary, layout, scheme, pretrained
        self.labels = [LabelNumbers(values, scheme) for values in vocabulary.labels]

    def encode(self, sentences: Sequence[Sentence]) -> tuple[list[str], list[EncodedSentence]]:
        """Returns the distinct words, which the rows refer to, and the sentences without their labels."""
        forms: dict[str, int] = {}
        read = self.pretrained.state_reader()
        states = read([sentence.words for sentence in sentences]) if read else [None] * len(sentences)
        encoded = [
            EncodedSentence(self.rows(sentence, forms), state)
            for sentence, state in zip(sentences, states, strict=True)
        ]
        return list(forms), encoded

    def labelled(self, sentence: Sentence, encoded: EncodedSentence) -> EncodedSentence:
        """Adds the labels of its file to a sentence that `encode` returned."""
        labels = np.array(self.label_columns(sentence), dtype=np.int32).T  # (T, L)
        return encoded._replace(rows=np.concatenate([encoded.rows, labels], axis=1))

    def rows(self, sentence: Sentence, forms: dict[str, int], labels: Sequence[list[int]] = ()) -> Ids:
        """Returns a sentence as (T, 1 + F), or (T, 1 + F + L) with labels.

        Args:
            sentence: T words with their features.
            forms: position of each distinct word; those of new words are added.
            labels: the numbers of each label.
        """
        columns = [[forms.setdefault(word, len(forms)) for word in sentence.words]]
        for numbers, values in zip(self.vocabulary.feature_ids, self.layout.features_of(sentence), strict=True):
            columns.append([numbers.get(value, UNKNOWN) for value in values])
        return np.array([*columns, *labels], dtype=np.int32).T

    def label_columns(self, sentence: Sentence) -> list[list[int]]:
        """Returns the numbers of each label of a sentence."""
        pairs = zip(self.labels, self.layout.labels_of(sentence), strict=True)
        return [[numbers.number(value) for value in numbers.code(values)] for numbers, values in pairs]


@dataclass(frozen=True)
class TaggedCorpus:
    """S sentences on disk, N words in all.

    Args:
        rows: a row per sentence, (T, 1 + F + L) int32: positions in `forms`, features, labels.
        forms: the distinct words with their original spelling.
        features: number of feature columns, F.
        unseen: of each label, the values that the vocabulary lacks, and how often they occur.
        missing: of each label, the number of words without one.
        left_out: number of sentences that were left out because none of their words has a label.
        states: a row per sentence, (T, H) float16 of a language model; None if there is none.
    """

    rows: Ragged
    forms: list[str]
    features: int
    unseen: list[dict[str, int]]
    missing: list[int]
    left_out: int = 0
    states: Ragged | None = None

    def __len__(self) -> int:
        """Returns the number of sentences."""
        return len(self.rows)

    @property
    def words(self) -> int:
        """The number of words, N."""
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

    def sentence(self, number: int) -> EncodedSentence:
        """Returns a sentence with its labels."""
        return EncodedSentence(self.rows[number], None if self.states is None else self.states[number])

    def chunks(self) -> Iterator[list[EncodedSentence]]:
        """Iterates over the sentences in lists of about as many words as are tagged together."""
        starts = np.searchsorted(self.rows.starts, np.arange(0, self.words, CHUNK_WORDS))
        for first, last in zip(starts, [*starts[1:], len(self)], strict=True):
            if first < last:
                yield [self.sentence(number) for number in range(first, last)]

    def form_counts(self) -> npt.NDArray[np.int64]:
        """Returns how often each form occurs, (len(forms),)."""
        return np.bincount(self.rows.values[:, 0], minlength=len(self.forms))

    @classmethod
    def open(cls, folder: Path, name: str) -> TaggedCorpus:
        """Opens the corpus that `encode` wrote.

        Raises:
            InputError: a file is missing, incomplete or of another version.
        """
        path = folder / f"{name}.json"
        header = read_object(path, missing=_REMEDY.lower(), mend=_REMEDY)
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
            raise InputError(f"{path}: not the header of encoded sentences ({error}). {_REMEDY}") from None
        if corpus.rows.width != (width,) or (
            corpus.states is not None and not np.array_equal(corpus.states.ends, corpus.rows.ends)
        ):
            raise InputError(f"{path}: does not fit the encoded sentences. {_REMEDY}")
        return corpus


class _Labelled(NamedTuple):
    """A sentence with the numbers of its labels."""

    sentence: Sentence
    labels: list[list[int]]


def encode(
    sentences: Iterable[Sentence], codec: Codec, folder: Path, name: str, *, keep: Callable[[int], bool] = counts
) -> TaggedCorpus:
    """Writes labelled sentences as numbers, one at a time.

    Args:
        sentences: the sentences of files.
        codec: numbers of features and labels; words are stored with their original spelling.
        folder: where the files go.
        name: beginning of their names.
        keep: whether the number of a label is a reason to keep its sentence: `counts` for training, `is_labelled` for
            validation. Sentences without such a label are left out.
    """
    selection = _Selection(codec, keep)
    labelled = selection.of(sentences)
    forms: dict[str, int] = {}
    read = codec.pretrained.state_reader()
    width = 1 + len(codec.layout.features) + len(codec.labels)
    with ExitStack() as stack:
        rows = stack.enter_context(RaggedWriter(folder, f"{name}.rows", np.int32, (width,)))
        if read is not None:
            states = stack.enter_context(RaggedWriter(folder, f"{name}.states", np.float16, (read.size,)))
            labelled = _with_states(labelled, read, states)
        for sentence, labels in labelled:
            rows.append(codec.rows(sentence, forms, labels))
    header = {
        "format": _FORMAT,
        "features": len(codec.layout.features),
        "states": read is not None,
        "unseen": selection.unseen,
        "missing": selection.missing,
        "left_out": selection.left_out,
        "forms": list(forms),
    }
    (folder / f"{name}.json").write_text(json.dumps(header), encoding="utf-8")
    return TaggedCorpus.open(folder, name)


class _Selection:
    """The sentences with a label that `keep` accepts; counts the labels of all that are missing or unknown."""

    def __init__(self, codec: Codec, keep: Callable[[int], bool]) -> None:
        self._codec, self._keep = codec, keep
        self.unseen: list[dict[str, int]] = [{} for _ in codec.labels]
        self.missing = [0] * len(codec.labels)
        self.left_out = 0

    def of(self, sentences: Iterable[Sentence]) -> Iterator[_Labelled]:
        """Iterates over the selected sentences."""
        for sentence in sentences:
            columns = self._codec.label_columns(sentence)
            self._count(sentence, columns)
            if any(self._keep(number) for column in columns for number in column):
                yield _Labelled(sentence, columns)
            else:
                self.left_out += 1

    def _count(self, sentence: Sentence, columns: list[list[int]]) -> None:
        for place, values in enumerate(self._codec.layout.labels_of(sentence)):
            unseen, numbers = self.unseen[place], columns[place]
            for value, number in zip(self._codec.labels[place].code(values), numbers, strict=True):
                if value is not None and number == UNSEEN:
                    unseen[value] = unseen.get(value, 0) + 1
            self.missing[place] += numbers.count(MISSING)


def _with_states(labelled: Iterable[_Labelled], read: StateReader, writer: RaggedWriter) -> Iterator[_Labelled]:
    """Yields the same sentences, after writing the states of a chunk of them."""
    for chunk in token_chunks(labelled, CHUNK_WORDS, length=lambda one: len(one.sentence.words)):
        writer.extend(read([one.sentence.words for one in chunk]))
        yield from chunk

"""Words and labels as the numbers that the network knows, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recurra.data.sentences import Sentence
from recurra.data.spans import convert
from recurra.tasks.tagger.batch import Forms
from recurra.tasks.tagger.beside import NOTHING, Beside
from recurra.tasks.tagger.corpus import UNSEEN, Coded, StateReader, encoded_features
from recurra.tasks.tagger.examples import CODED
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.states import reader_of
from recurra.tasks.tagger.vocabulary import Vocabulary, distinct


class Coder:
    """What the numbers of a tagger's network mean.

    Args:
        vocabulary: words, characters, features and labels by number.
        layout: the columns of the files that it learned from.
        scheme: how the files' labels mark spans; None where they mark none.
        beside: pretrained vectors and a language model, where it has them.
    """

    def __init__(self, vocabulary: Vocabulary, layout: Layout, scheme: str | None, beside: Beside = NOTHING) -> None:
        self.vocabulary, self.layout, self.scheme, self.beside = vocabulary, layout, scheme, beside
        # Each value as files spell it, to the numbers that mean it.
        self._numbers = [dict[str, list[int]]() for _ in vocabulary.labels]
        for numbers, values in zip(self._numbers, vocabulary.labels, strict=True):
            for number, value in enumerate(values):
                numbers.setdefault(_spelt(value, scheme), []).append(number)

    def forms(self, words: Sequence[str]) -> Forms:
        """Distinct words as numbers."""
        return Forms(words, self.vocabulary, self.beside.rows)

    def encode(self, sentences: Sequence[Sentence]) -> tuple[list[str], list[Coded]]:
        """The distinct words, and the sentences without their labels as numbers."""
        words, numbered = distinct(sentence.words for sentence in sentences)
        read = self._state_reader()
        states = read([sentence.words for sentence in sentences]) if read else [None] * len(sentences)
        coded = []
        for sentence, numbers, state in zip(sentences, numbered, states, strict=True):
            columns = [numbers, *encoded_features(self.layout.features_in(sentence), self.vocabulary)]
            coded.append(Coded(np.array(columns, dtype=np.int32).T, state))
        return words, coded

    def labelled(self, sentence: Sentence, coded: Coded) -> Coded:
        """A sentence that `encode` made, with the labels that it has in its file."""
        columns = []
        for known, values in zip(self.vocabulary.label_ids, self.layout.labels_in(sentence), strict=True):
            finer = values if self.scheme is None else convert(values, CODED)
            columns.append([known.get(value, UNSEEN) for value in finer])
        labels = np.array(columns, dtype=np.int32).T  # (T, L)
        return coded._replace(rows=np.concatenate([coded.rows, labels], axis=1))

    def named(self, label: int, numbers: Sequence[int]) -> list[str]:
        """The values of a label in a sentence, as the files spell them."""
        values = self.vocabulary.labels[label]
        names = [values[number] for number in numbers]
        return names if self.scheme is None else convert(names, self.scheme)

    def named_alone(self, label: int, number: int) -> str:
        """A single value of a label as the files spell it, where its neighbours are not known."""
        return _spelt(self.vocabulary.labels[label][number], self.scheme)

    def numbers_of(self, label: int, value: str) -> list[int]:
        """All numbers that mean a value which the files spell so."""
        return self._numbers[label].get(value, [])

    def _state_reader(self) -> StateReader | None:
        own = self.beside.language_model
        return None if own is None else reader_of(own.network, own.unit)


def _spelt(value: str, scheme: str | None) -> str:
    """A value as files spell it: in BIO, the network's S-PER and E-PER are B-PER and I-PER."""
    if scheme in (None, CODED) or value[:2] not in ("S-", "E-"):
        return value
    return ("B" if value[0] == "S" else "I") + value[1:]

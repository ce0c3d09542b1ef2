"""Words and labels as the numbers that the network knows, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recurra.data.partial_spans import CODED_LETTERS, code, unsure_words
from recurra.data.sentences import Sentence
from recurra.data.spans import convert, divide_label, letter_of
from recurra.tasks.tagger.batch import Forms
from recurra.tasks.tagger.corpus import Coded, encoded_features
from recurra.tasks.tagger.label_numbers import LabelNumbers
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.lm_features import StateReader
from recurra.tasks.tagger.pretrained import NOTHING, Pretrained
from recurra.tasks.tagger.vocabulary import Vocabulary, distinct


class Codec:
    """What the numbers of a tagger's network mean.

    Args:
        vocabulary: words, characters, features and labels by number.
        layout: the columns of the files that it learned from.
        scheme: how the files' labels mark spans; None where they mark none.
        pretrained: pretrained vectors and a language model, where it has them.
    """

    def __init__(
        self, vocabulary: Vocabulary, layout: Layout, scheme: str | None, pretrained: Pretrained = NOTHING
    ) -> None:
        self.vocabulary, self.layout, self.scheme, self.pretrained = vocabulary, layout, scheme, pretrained
        self._label_numbers = [LabelNumbers(values, spans=scheme is not None) for values in vocabulary.labels]
        # Each value as files spell it, to the numbers that mean it.
        self._numbers = [dict[str, list[int]]() for _ in vocabulary.labels]
        for numbers, values in zip(self._numbers, vocabulary.labels, strict=True):
            for number, value in enumerate(values):
                numbers.setdefault(_spelt(value, scheme), []).append(number)
                letter, kind = divide_label(value)
                if scheme == "iob1" and letter in ("B", "S"):
                    numbers.setdefault(f"B-{kind}", []).append(number)

    def forms(self, words: Sequence[str]) -> Forms:
        """Distinct words as numbers."""
        return Forms(words, self.vocabulary, self.pretrained.rows)

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
        for numbers, values in zip(self._label_numbers, self.layout.labels_in(sentence), strict=True):
            finer = values if self.scheme is None else code(values, self.scheme)
            columns.append([numbers.number(value) for value in finer])
        labels = np.array(columns, dtype=np.int32).T  # (T, L)
        return coded._replace(rows=np.concatenate([coded.rows, labels], axis=1))

    def unsure(self, labels: Sequence[str | None]) -> frozenset[int]:
        """The words of a sentence whose span is not known, because they or words next to them lack labels."""
        return frozenset() if self.scheme is None or None not in labels else unsure_words(code(labels, self.scheme))

    def named(self, label: int, numbers: Sequence[int]) -> list[str]:
        """The values of a label in a sentence, as the files spell them."""
        values = self.vocabulary.labels[label]
        names = [values[number] for number in numbers]
        return names if self.scheme is None else convert(names, self.scheme)

    def named_alone(self, label: int, number: int, before: int | None = None) -> str:
        """A single value of a label as the files spell it, where the words after it are not known.

        Args:
            label: which label.
            number: of the value.
            before: the number of the word before, None at a sentence's beginning; only IOB1 depends on it.
        """
        values = self.vocabulary.labels[label]
        letter, kind = divide_label(values[number])
        if self.scheme == "iob1" and letter in ("B", "S") and before is not None:
            adjacent = divide_label(values[before])[1] == kind
            return f"{'B' if adjacent else 'I'}-{kind}"
        return _spelt(values[number], self.scheme)

    def numbers_of(self, label: int, value: str) -> list[int]:
        """All numbers that mean a value which the files spell so.

        In IOB1, where that depends on the word before, I-X is any word of a span of X, and B-X any first one.
        """
        return self._numbers[label].get(value, [])

    def _state_reader(self) -> StateReader | None:
        own = self.pretrained.language_model
        return None if own is None else StateReader(own.network, own.tokenizer)


def _spelt(value: str, scheme: str | None) -> str:
    """A value as files spell it: in BIO, the network's S-PER and E-PER are B-PER and I-PER."""
    letter, kind = divide_label(value)
    return f"{letter_of(letter, scheme)}-{kind}" if scheme is not None and letter in CODED_LETTERS and kind else value

"""The vocabulary of a tagger: words, characters, affixes, features and labels, counted in the training data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from recurra.data.partial_spans import CODED_LETTERS, code, members
from recurra.data.sentences import Sentence
from recurra.data.spans import divide_label
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.tagger.formats import Layout

FILE = "vocabulary.json"
FORMAT = 1
UNKNOWN = 0
_FIELDS = ("words", "rare", "characters", "affixes", "features", "labels")
# Lengths of the prefixes and suffixes with a vector, and the distinct words that must share one.
_PREFIXES, _SUFFIXES, _LEAST_WORDS = (1, 2, 3), (1, 2, 3, 4), 3
# Affixes per word, A.
AFFIXES = len(_PREFIXES) + len(_SUFFIXES)


def affixes_of(word: str) -> list[str]:
    """Returns the prefixes and suffixes of a word in lower case, such as un- and -ing; shorter than the word itself."""
    word = folded(word)
    prefixes = [f"{word[:size]}-" for size in _PREFIXES if size < len(word)]
    return prefixes + [f"-{word[-size:]}" for size in _SUFFIXES if size < len(word)]


def folded(word: str) -> str:
    """Returns a word as the word embeddings have it: in lower case, because the characters represent its case."""
    return word.lower()


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of each kind in the order of their numbers. These start at 1, 0 is unknown; those of labels at 0.

    Args:
        words: in lower case, most frequent first.
        rare: words in lower case that are too rare in the training data to have a number.
        characters: by code point.
        affixes: prefixes and suffixes, such as un- and -ing.
        features: the values of each feature column.
        labels: the values of each label, as the network predicts them.
    """

    words: list[str]
    rare: list[str]
    characters: list[str]
    affixes: list[str]
    features: list[list[str]]
    labels: list[list[str]]

    @cached_property
    def word_ids(self) -> dict[str, int]:
        """Word to number."""
        return {word: place for place, word in enumerate(self.words, start=1)}

    @cached_property
    def character_ids(self) -> dict[str, int]:
        """Character to number."""
        return {character: place for place, character in enumerate(self.characters, start=1)}

    @cached_property
    def affix_ids(self) -> dict[str, int]:
        """Affix to number."""
        return {affix: place for place, affix in enumerate(self.affixes, start=1)}

    @cached_property
    def feature_ids(self) -> list[dict[str, int]]:
        """Value to number, for each feature column."""
        return [{value: place for place, value in enumerate(values, start=1)} for values in self.features]

    @cached_property
    def _rare(self) -> frozenset[str]:
        return frozenset(self.rare)

    def knows(self, word: str) -> bool:
        """Whether the training data has the word, in upper or lower case."""
        return folded(word) in self.word_ids or folded(word) in self._rare

    def files(self) -> dict[str, str]:
        """Returns the content of `vocabulary.json`, under its name."""
        content = {"format": FORMAT, **{name: getattr(self, name) for name in _FIELDS}}
        return {FILE: json.dumps(content, ensure_ascii=False, indent=0) + "\n"}


@dataclass
class Counts:
    """The frequencies of everything in the training data, counted sentence by sentence."""

    layout: Layout
    scheme: str | None
    """How labels mark spans, which are counted as BIOES; None if they mark none."""
    words: Counter[str] = field(default_factory=Counter)
    features: list[Counter[str]] = field(default_factory=list)
    labels: list[Counter[str]] = field(default_factory=list)
    sentences: int = 0
    unlabelled: int = 0
    """Sentences without any label, which count nowhere else."""

    def __post_init__(self) -> None:
        self.features = [Counter() for _ in self.layout.features]
        self.labels = [Counter() for _ in self.layout.labels]

    def add(self, sentence: Sentence) -> None:
        """Counts one sentence; nothing is learned from a sentence without labels, so that its words do not count."""
        columns = self.layout.labels_of(sentence)
        if not any(value is not None for values in columns for value in values):
            self.unlabelled += 1
            return
        self.sentences += 1
        self.words.update(sentence.words)
        for counter, values in zip(self.features, self.layout.features_of(sentence), strict=True):
            counter.update(values)
        for counter, column in zip(self.labels, columns, strict=True):
            labels = column if self.scheme is None else code(column, self.scheme)
            counter.update(label for label in labels if label is not None)
            if self.scheme is not None and None in labels:
                _complete(counter, labels)

    def folded(self) -> Counter[str]:
        """Returns the frequencies of the words in lower case."""
        counts: Counter[str] = Counter()
        for word, count in self.words.items():
            counts[folded(word)] += count
        return counts

    def vocabulary(self, min_count: int) -> Vocabulary:
        """Returns the vocabulary.

        Args:
            min_count: words and characters that occur less often get no number.
        """
        characters: Counter[str] = Counter()
        for word, count in self.words.items():
            for character in word:
                characters[character] += count
        words = self.folded()
        affixes = Counter(affix for word in words for affix in affixes_of(word))
        return Vocabulary(
            words=[word for word in _ordered(words) if words[word] >= min_count],
            rare=[word for word in _ordered(words) if words[word] < min_count],
            characters=sorted(character for character, count in characters.items() if count >= min_count),
            affixes=sorted(affix for affix, count in affixes.items() if count >= _LEAST_WORDS),
            features=[_ordered(counter) for counter in self.features],
            labels=[_ordered(counter) for counter in self.labels],
        )


def _complete(counter: Counter[str], labels: Sequence[str | None]) -> None:
    """Adds the labels that words without one may have: all letters of each type in the sentence, with a count of 0."""
    for label in labels:
        kind = "" if label is None else divide_label(label)[1]
        if label is not None and kind:
            if members(label) != [label]:
                del counter[label]
            for letter in CODED_LETTERS:
                counter[f"{letter}-{kind}"] += 0


def _ordered(counter: Counter[str]) -> list[str]:
    """Most frequent first, ties by code point, so that a vocabulary does not depend on the order of sentences."""
    return sorted(counter, key=lambda symbol: (-counter[symbol], symbol))


def load_vocabulary(folder: Path, layout: Layout) -> Vocabulary:
    """Reads the file that `Vocabulary.files` describes.

    Raises:
        InputError: the file is missing, damaged, or does not fit the layout.
    """
    path = folder / FILE
    content = read_object(path, missing=f"{folder} is not a tagger, or is incomplete")
    if content.keys() != {"format", *_FIELDS} or content["format"] != FORMAT:
        raise InputError(f"{path}: expected an object of format {FORMAT} with {', '.join(_FIELDS)}")
    for name in ("words", "rare", "characters", "affixes"):
        _check(path, name, content[name])
    for name, wanted in (("features", len(layout.features)), ("labels", len(layout.labels))):
        if not isinstance(content[name], list) or len(content[name]) != wanted:
            raise InputError(f"{path}: {name} is not a list of {wanted} lists, as config.json describes")
        for values in content[name]:
            _check(path, name, values)
    return Vocabulary(**{name: content[name] for name in _FIELDS})


def _check(path: Path, name: str, values: Any) -> None:
    words = isinstance(values, list) and all(isinstance(value, str) for value in values)
    if not words or len(set(values)) != len(values):
        raise InputError(f"{path}: {name} is not a list of strings, none twice. Restore the file, or train again")

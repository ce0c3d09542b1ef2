"""Sentences as the network reads them: padded, with each distinct word spelt once."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.batching import mask, pad
from recurra.tasks.tagger.corpus import Coded
from recurra.tasks.tagger.label_numbers import MISSING, counted
from recurra.tasks.tagger.vocabulary import AFFIXES, UNKNOWN, Vocabulary, affixes_of, folded

Ids = npt.NDArray[np.int64]
# Of longer words the first and the last half: the characters of a word cost what those of the longest in its group do.
LONGEST_WORD = 40


@dataclass(frozen=True)
class Batch:
    """Some sentences, time first.

    Args:
        words: int64 (T, B), 0 for unknown words and padding.
        forms: int64 (T, B), the column of each word in `characters`.
        characters: int64 (C, U), the spelling of the U distinct words, shortest first.
        spelt: int64 (U,), how many characters each has, rising.
        affixes: int64 (A, U), the known beginnings and ends of each, and 0.
        features: int64 (F, T, B).
        lengths: int64 (B,).
        labels: int64 (L, T, B), below 0 as `label_numbers` has it, MISSING past a row's length; (0, T, B) without.
        vectors: int64 (T, B), rows of the pretrained vectors, 0 for words without one; None where there are none.
        states: (T, B, H) of a language model; None where there is none.
        spelling: (U, 2·S), what the character layer ends with for each distinct word, where it is known already.
    """

    words: Tensor
    forms: Tensor
    characters: Tensor
    spelt: Tensor
    affixes: Tensor
    features: Tensor
    lengths: Tensor
    labels: Tensor
    vectors: Tensor | None = None
    states: Tensor | None = None
    spelling: Tensor | None = None

    @property
    def count(self) -> int:
        """How many words have a label that counts."""
        return int(counted(self.labels).any(0).sum())

    def to(self, device: torch.device) -> Batch:
        """The batch on a device."""
        tensors: dict[str, Tensor | None] = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None})

    def with_words(self, words: Tensor) -> Batch:
        """The batch with other word numbers, (T, B)."""
        return replace(self, words=words)

    def with_labels(self, labels: Tensor) -> Batch:
        """The batch with other labels, (L, T, B)."""
        return replace(self, labels=labels)

    @property
    def fresh(self) -> bool:
        """Sentences begin from no state."""
        return True


class Forms:
    """Distinct words as numbers, looked up once each.

    Args:
        forms: the words.
        vocabulary: their numbers.
        vectors: word to row of the pretrained vectors, where there are any.
    """

    def __init__(self, forms: Sequence[str], vocabulary: Vocabulary, vectors: dict[str, int] | None = None) -> None:
        numbers, characters = vocabulary.word_ids, vocabulary.character_ids
        self.words = np.array([numbers.get(folded(form), UNKNOWN) for form in forms], dtype=np.int64)
        spelt = [[characters.get(character, UNKNOWN) for character in _shortened(form)] for form in forms]
        self.lengths = np.array([len(one) for one in spelt], dtype=np.int64)
        self._flat = np.array([number for one in spelt for number in one], dtype=np.int64)
        self._affixes = _affixes(forms, vocabulary)
        self._starts = np.concatenate([[0], self.lengths.cumsum()])
        self.vectors = None if vectors is None else np.array([_row(form, vectors) for form in forms], dtype=np.int64)

    def part(self, numbers: Ids) -> Forms:
        """Some of the forms, for spelling them."""
        part = copy(self)
        part.lengths = self.lengths[numbers]
        part._starts = self._starts[numbers]
        return part

    def affixes(self, numbers: Ids) -> Tensor:
        """The known beginnings and ends of some forms, (A, U)."""
        return torch.from_numpy(self._affixes[numbers].T.copy())

    def spell(self, numbers: Ids) -> tuple[Tensor, Tensor]:
        """The characters of some forms, (C, U), and how many each has, (U,)."""
        lengths = self.lengths[numbers]
        steps = np.arange(lengths.max(initial=0))[:, None]  # (C, 1)
        inside = steps < lengths
        places = np.where(inside, self._starts[numbers] + steps, 0)
        return torch.from_numpy(np.where(inside, self._flat[places], 0)), torch.from_numpy(lengths)


def make_batch(sentences: Sequence[Coded], forms: Forms, *, features: int, spelling: Tensor | None = None) -> Batch:
    """Pads sentences.

    Args:
        sentences: as numbers, with or without labels.
        forms: what the places of the words mean.
        features: how many feature columns there are, F.
        spelling: (n, 2·S), that of each form, where it is known already.
    """
    lengths = torch.tensor([len(one.rows) for one in sentences])
    inside = mask(lengths)  # (T, B)
    columns = pad([one.rows for one in sentences]).long().movedim(-1, 0)  # (1 + F + L, T, B)
    places = columns[0][inside].numpy()  # (N,), of the words among the forms
    used, columns_of_words = _shortest_first(places, forms.lengths)
    characters, spelt = forms.spell(used)

    def padded(values: Ids) -> Tensor:
        """(T, B) of a value for each word, 0 past a row's length."""
        return torch.zeros(inside.shape, dtype=torch.int64).masked_scatter_(inside, torch.from_numpy(values))

    states = [one.states for one in sentences if one.states is not None]
    return Batch(
        words=padded(forms.words[places]),
        forms=padded(columns_of_words),
        characters=characters,
        spelt=spelt,
        affixes=forms.affixes(used),
        features=columns[1 : 1 + features].contiguous(),
        lengths=lengths,
        labels=columns[1 + features :].masked_fill(~inside, MISSING),
        states=pad(states).float() if states else None,
        spelling=None if spelling is None else spelling[torch.from_numpy(used)],
        vectors=None if forms.vectors is None else padded(forms.vectors[places]),
    )


def _shortest_first(numbers: Ids, lengths: Ids) -> tuple[Ids, Ids]:
    """The distinct forms of words, shortest first, and the place of each word's form among them."""
    used, inverse = np.unique(numbers, return_inverse=True)
    order = np.argsort(lengths[used], kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return used[order], places[inverse.reshape(-1)]


def _shortened(word: str) -> str:
    half = LONGEST_WORD // 2
    return word if len(word) <= LONGEST_WORD else word[:half] + word[-half:]


def _affixes(forms: Sequence[str], vocabulary: Vocabulary) -> Ids:
    """The known affixes of each form, (n, A)."""
    known = vocabulary.affix_ids
    numbers = [[known.get(affix, UNKNOWN) for affix in affixes_of(form)] for form in forms]
    table = [row + [UNKNOWN] * (AFFIXES - len(row)) for row in numbers]
    return np.array(table, dtype=np.int64).reshape(-1, AFFIXES)


def _row(word: str, vectors: dict[str, int]) -> int:
    """The row of a word's vector, as it is spelt or in lower case; 0 where it has none."""
    return vectors.get(word) or vectors.get(folded(word), 0)

"""Batches of sentences: padded, with the characters of each distinct word once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data.batching import mask, pad
from recurra.data.label_numbers import MISSING, counted
from recurra.tasks.tagger.corpus import Codec, EncodedSentence
from recurra.tasks.tagger.vocabulary import AFFIXES, UNKNOWN, Vocabulary, affixes_of, folded

Ids = npt.NDArray[np.int64]
# Of longer words the first and the last half is read: padding makes each word as expensive as the longest next to it.
LONGEST_WORD = 40


@dataclass(frozen=True)
class SentenceBatch:
    """B sentences of at most T words, U of them distinct.

    Args:
        words: int64 (T, B), 0 for unknown words and padding.
        forms: int64 (T, B), the column of each word in `characters`.
        characters: int64 (C, U), the characters of the distinct words, shortest word first.
        word_lengths: int64 (U,), characters of each distinct word, in ascending order.
        affixes: int64 (A, U), the known affixes of each distinct word, 0 for others.
        features: int64 (F, T, B).
        lengths: int64 (B,), words of each sentence.
        labels: int64 (L, T, B), below 0 as in `recurra.data.label_numbers`, MISSING for padding; (0, T, B) if there
            are none.
        vectors: int64 (T, B), rows of the pretrained vectors, 0 for words without one; None if there are none.
        states: (T, B, H) of a language model; None if there is none.
        spelling: (U, 2·S), the encoded characters of each distinct word, if already computed.
    """

    words: Tensor
    forms: Tensor
    characters: Tensor
    word_lengths: Tensor
    affixes: Tensor
    features: Tensor
    lengths: Tensor
    labels: Tensor
    vectors: Tensor | None = None
    states: Tensor | None = None
    spelling: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of words with a label that counts in the loss."""
        return int(counted(self.labels).any(0).sum())

    def to(self, device: torch.device) -> SentenceBatch:
        """Returns the batch on a device."""
        tensors: dict[str, Tensor | None] = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items() if tensor is not None})

    def with_words(self, words: Tensor) -> SentenceBatch:
        """Returns the batch with other word numbers, (T, B)."""
        return replace(self, words=words)

    def with_labels(self, labels: Tensor) -> SentenceBatch:
        """Returns the batch with other labels, (L, T, B)."""
        return replace(self, labels=labels)

    @property
    def fresh(self) -> bool:
        """True: no state is carried into a batch."""
        return True


class Forms:
    """Distinct words as numbers: all lookups in the vocabulary happen once per word.

    Args:
        forms: the words with their original spelling.
        codec: the vocabulary, and the rows of pretrained vectors.
    """

    def __init__(self, forms: Sequence[str], codec: Codec) -> None:
        vocabulary, vectors = codec.vocabulary, codec.pretrained.rows
        numbers, ids = vocabulary.word_ids, vocabulary.character_ids
        self.words = np.array([numbers.get(folded(form), UNKNOWN) for form in forms], dtype=np.int64)
        characters = [[ids.get(character, UNKNOWN) for character in _shortened(form)] for form in forms]
        self.lengths = np.array([len(word) for word in characters], dtype=np.int64)
        self._characters = np.array([number for word in characters for number in word], dtype=np.int64)
        self._affixes = _affixes(forms, vocabulary)
        self._starts = np.concatenate([[0], self.lengths.cumsum()])
        self.vectors = None if vectors is None else np.array([_row(form, vectors) for form in forms], dtype=np.int64)

    def affixes(self, numbers: Ids) -> Tensor:
        """Returns the known affixes of some forms, (A, U)."""
        return torch.from_numpy(self._affixes[numbers].T.copy())

    def characters(self, numbers: Ids) -> tuple[Tensor, Tensor]:
        """Returns the characters of some forms, (C, U), padded with 0, and their lengths, (U,)."""
        lengths = self.lengths[numbers]
        steps = np.arange(lengths.max(initial=0))[:, None]  # (C, 1)
        inside = steps < lengths
        places = np.where(inside, self._starts[numbers] + steps, 0)
        return torch.from_numpy(np.where(inside, self._characters[places], 0)), torch.from_numpy(lengths)


def make_batch(
    sentences: Sequence[EncodedSentence], forms: Forms, *, features: int, spelling: Tensor | None = None
) -> SentenceBatch:
    """Pads sentences to a batch.

    Args:
        sentences: as numbers, with or without labels.
        forms: the words that the first column of the sentences refers to.
        features: number of feature columns, F.
        spelling: (n, 2·S), the encoded characters of each form, if already computed.
    """
    lengths = torch.tensor([len(sentence.rows) for sentence in sentences])
    inside = mask(lengths)  # (T, B)
    columns = pad([sentence.rows for sentence in sentences]).long().movedim(-1, 0)  # (1 + F + L, T, B)
    positions = columns[0][inside].numpy()  # (N,), of the words among the forms
    used, columns_of_words = _shortest_first(positions, forms.lengths)
    characters, word_lengths = forms.characters(used)

    def padded(values: Ids) -> Tensor:
        """(T, B) from a value for each of the N words, 0 for padding."""
        return torch.zeros(inside.shape, dtype=torch.int64).masked_scatter_(inside, torch.from_numpy(values))

    states = [sentence.states for sentence in sentences if sentence.states is not None]
    return SentenceBatch(
        words=padded(forms.words[positions]),
        forms=padded(columns_of_words),
        characters=characters,
        word_lengths=word_lengths,
        affixes=forms.affixes(used),
        features=columns[1 : 1 + features].contiguous(),
        lengths=lengths,
        labels=columns[1 + features :].masked_fill(~inside, MISSING),
        states=pad(states).float() if states else None,
        spelling=None if spelling is None else spelling[torch.from_numpy(used)],
        vectors=None if forms.vectors is None else padded(forms.vectors[positions]),
    )


def _shortest_first(numbers: Ids, lengths: Ids) -> tuple[Ids, Ids]:
    """The distinct forms of words, shortest first, and the position of each word's form among them."""
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
    """The row of the vector of a word, else of the word in lower case; 0 if there is none."""
    return vectors.get(word) or vectors.get(folded(word), 0)

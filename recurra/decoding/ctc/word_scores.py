"""A language model of words or subwords as a scorer of prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data import Tokenizer
from recurra.decoding.ctc.scorer import Scores
from recurra.decoding.ctc.token_reader import Reading, TokenReader

# Number of words whose tokens are kept.
_CACHED = 1 << 15


class WordState(NamedTuple):
    """The state of one prefix."""

    reading: Reading
    """The language model after the last complete word."""
    word: str
    """The characters after it."""
    is_first: bool
    """Whether no word is complete."""


class _Word(NamedTuple):
    tokens: list[int]
    spelling: float
    """Nats to spell an unknown word."""


class WordScores:
    """A `PrefixScorer` that scores words when they end, at a space or at the end of the output.

    Until then their characters cost nothing. Before the symbol that ends a word enters the beam, the first subword of
    the word counts alone: the others would need steps of the language model for each prefix.

    Args:
        reader: the language model.
        tokenizer: of the language model, `word` or `bpe`.
        pieces: the text of each symbol by its id, (V,).
    """

    def __init__(self, reader: TokenReader, tokenizer: Tokenizer, pieces: Sequence[str]) -> None:
        self._reader, self._tokenizer, self._pieces = reader, tokenizer, [*pieces]
        self._end = tokenizer.encode("\n").tolist()
        self._ends_word = np.array([piece[:1].isspace() for piece in self._pieces])
        self._encoded = lru_cache(_CACHED)(self._encode)

    def start(self) -> WordState:
        """Returns the state of the empty prefix, at the start of a line."""
        return WordState(self._reader.start(self._end), "", True)

    def next_log_probs(self, states: Sequence[WordState]) -> npt.NDArray[Any]:
        """Returns the log-probabilities (N, V): of the last word for symbols that begin with a space, 0 for others."""
        scores = np.zeros(len(states))
        for row, state in enumerate(states):
            if state.word:
                word = self._encoded(state.word, state.is_first)
                scores[row] = state.reading.log_probs[word.tokens[0]] - word.spelling
        return np.where(self._ends_word, scores[:, None], 0.0)

    def advance(self, states: Sequence[WordState], symbols: Sequence[int]) -> tuple[list[WordState], Scores]:
        """Returns the states after one symbol each, and the log-probabilities (N,) of the words that they end."""
        texts = [state.word + self._pieces[symbol] for state, symbol in zip(states, symbols, strict=True)]
        # The text after the last space is the next word, which may be empty.
        rests = [text.split()[-1] if text and not text[-1].isspace() else "" for text in texts]
        words = [text.split()[: -1 if rest else None] for text, rest in zip(texts, rests, strict=True)]
        readings, scores = self._read(states, words)
        first = [state.is_first and not several for state, several in zip(states, words, strict=True)]
        return [WordState(*fields) for fields in zip(readings, rests, first, strict=True)], scores

    def finish(self, states: Sequence[WordState]) -> Scores:
        """Returns the log-probabilities (N,) of the last word and the end of the line."""
        readings, scores = self._read(states, [[state.word] if state.word else [] for state in states])
        return scores + self._reader.log_probs(readings, [self._end] * len(states))

    def _read(self, states: Sequence[WordState], words: Sequence[Sequence[str]]) -> tuple[list[Reading], Scores]:
        """Reads zero or more complete words after each state."""
        encoded = [
            [self._encoded(word, state.is_first and not place) for place, word in enumerate(several)]
            for state, several in zip(states, words, strict=True)
        ]
        tokens = [[token for word in several for token in word.tokens] for several in encoded]
        readings, scores = self._reader.advance([state.reading for state in states], tokens)
        return readings, scores - np.array([sum(word.spelling for word in several) for several in encoded])

    def _encode(self, word: str, is_first: bool) -> _Word:
        # Subwords differ by the space in front of them.
        text = word if is_first else f" {word}"
        spelling = sum(map(self._tokenizer.spelling_nats, self._tokenizer.missing(text)))
        return _Word(self._tokenizer.encode(text).tolist(), spelling)

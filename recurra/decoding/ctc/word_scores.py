"""A language model of words or subwords as a scorer of prefixes."""

from __future__ import annotations

from bisect import bisect_left
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
# Largest number of characters of a word: what is longer is scored in parts, so that an output without any space takes
# neither more memory nor more time as it gets longer.
_LONGEST = 50
_LAST_CHARACTER = chr(0x10FFFF)


class WordState(NamedTuple):
    """The state of one prefix."""

    reading: Reading
    """The language model after the last complete word."""
    word: str
    """The characters after it."""
    is_first: bool
    """Whether no word is complete."""
    anticipated: float
    """The part of the score for `word`, which its log-probability replaces when it is complete."""


class _Text(NamedTuple):
    """A word, or its beginning."""

    tokens: list[int]
    continued: npt.NDArray[np.int64]
    """The tokens that begin with it, itself included."""


class WordScores:
    """A `PrefixScorer` that scores words when they end, at a space or at the end of the output.

    Until then, the beginning of a word has the log-probability of the most probable word, or first subword, with this
    beginning, or that of its own characters as an unknown word if that is larger (language model look-ahead, Ortmanns
    et al. 1996). Without this anticipation, outputs would avoid the costs of words by never ending them. A word of more
    than 50 characters is scored in parts.

    Before the symbol that ends a word enters the beam, the first subword of the word counts alone: the others would
    need steps of the language model for each prefix.

    Args:
        reader: the language model.
        tokenizer: of the language model, `word` or `bpe`.
        pieces: the text of each symbol by its id, (V,).
    """

    def __init__(self, reader: TokenReader, tokenizer: Tokenizer, pieces: Sequence[str]) -> None:
        self._reader, self._tokenizer, self._pieces = reader, tokenizer, [*pieces]
        self._end = tokenizer.encode("\n").tolist()
        self._ends_word = np.array([piece[:1].isspace() for piece in self._pieces])
        no_words = {tokenizer.unknown_id, *self._end}
        vocabulary = sorted(
            (tokenizer.symbol(token), token) for token in range(tokenizer.size) if token not in no_words
        )
        self._words = [word for word, _ in vocabulary]
        self._ids = np.array([token for _, token in vocabulary], dtype=np.int64)
        self._text, self._spelling = lru_cache(_CACHED)(self._encode), lru_cache(_CACHED)(self._spell)

    def start(self) -> WordState:
        """Returns the state of the empty prefix, at the start of a line."""
        return WordState(self._reader.start(self._end), "", True, 0.0)

    def next_log_probs(self, states: Sequence[WordState]) -> npt.NDArray[Any]:
        """Returns the log-probabilities (N, V): of the last word for symbols that begin with a space, 0 for others."""
        scores = np.zeros(len(states))
        for row, state in enumerate(states):
            if state.word:
                scores[row] = self._alone(state.reading, state.word, state.is_first) - state.anticipated
        return np.where(self._ends_word, scores[:, None], 0.0)

    def advance(self, states: Sequence[WordState], symbols: Sequence[int]) -> tuple[list[WordState], Scores]:
        """Returns the states after one symbol each, and the log-probabilities (N,) of the words that they end.

        These include the changes of what is anticipated.
        """
        texts = [state.word + self._pieces[symbol] for state, symbol in zip(states, symbols, strict=True)]
        # The text after the last space is the next word, which may be empty.
        rests = [
            text.split()[-1] if text and not text[-1].isspace() and len(text) <= _LONGEST else "" for text in texts
        ]
        words = [text.split()[: -1 if rest else None] for text, rest in zip(texts, rests, strict=True)]
        readings, scores = self._read(states, words)
        after = []
        for state, reading, rest, several in zip(states, readings, rests, words, strict=True):
            is_first = state.is_first and not several
            after.append(WordState(reading, rest, is_first, self._anticipated(reading, rest, is_first)))
        return after, scores + np.array([state.anticipated for state in after])

    def finish(self, states: Sequence[WordState]) -> Scores:
        """Returns the log-probabilities (N,) of the last word and the end of the line."""
        readings, scores = self._read(states, [[state.word] if state.word else [] for state in states])
        return scores + self._reader.log_probs(readings, [self._end] * len(states))

    def _read(self, states: Sequence[WordState], words: Sequence[Sequence[str]]) -> tuple[list[Reading], Scores]:
        """Reads zero or more complete words after each state; what was anticipated is taken back."""
        tokens = [
            [token for place, word in enumerate(several) for token in self._text(word, state.is_first and not place)[0]]
            for state, several in zip(states, words, strict=True)
        ]
        readings, scores = self._reader.advance([state.reading for state in states], tokens)
        spelling = [sum(map(self._spelling, several)) for several in words]
        return readings, scores - np.array(spelling) - np.array([state.anticipated for state in states])

    def _anticipated(self, reading: Reading, word: str, is_first: bool) -> float:
        """Returns the largest log-probability of a first token of a word that begins with `word`; 0 if it is empty."""
        if not word:
            return 0.0
        tokens, continued = self._text(word, is_first)
        known = float(reading.log_probs[continued].max(initial=-np.inf))
        if known >= reading.log_probs[tokens[0]]:
            return known
        return max(known, self._alone(reading, word, is_first))

    def _alone(self, reading: Reading, word: str, is_first: bool) -> float:
        """Returns the log-probability of the first token of a complete word, and of its spelling if it is unknown."""
        return float(reading.log_probs[self._text(word, is_first).tokens[0]]) - self._spelling(word)

    def _encode(self, word: str, is_first: bool) -> _Text:
        # Subwords differ by the space in front of them; that of a word tokenizer has no effect.
        text = word if is_first else f" {word}"
        tokens = self._tokenizer.encode(text).tolist()
        if self._tokenizer.name == "word":
            text = word
        continued = slice(bisect_left(self._words, text), bisect_left(self._words, text + _LAST_CHARACTER))
        return _Text(tokens, self._ids[continued])

    def _spell(self, word: str) -> float:
        return sum(map(self._tokenizer.spelling_nats, self._tokenizer.missing(word)))

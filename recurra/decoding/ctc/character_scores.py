"""A language model of characters or bytes as a scorer of prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data import Tokenizer
from recurra.decoding.ctc.scorer import Scores
from recurra.decoding.ctc.token_reader import Reading, TokenReader


class CharacterState(NamedTuple):
    """The state of one prefix."""

    reading: Reading
    is_empty: bool


class CharacterScores:
    """A `PrefixScorer` whose symbols are strings of the characters or bytes of a language model.

    The log-probability of a symbol is the sum over its characters or bytes. Before a symbol of several enters the beam,
    the first of them counts alone: the others would need a step of the language model for each symbol of the alphabet.

    Args:
        reader: the language model.
        tokenizer: of the language model, `char` or `byte`.
        pieces: the text of each symbol by its id, (V,).
    """

    def __init__(self, reader: TokenReader, tokenizer: Tokenizer, pieces: Sequence[str]) -> None:
        self._reader, self._end = reader, tokenizer.encode("\n").tolist()
        texts = [*pieces]
        # A space in front of a subword separates it from the word before, which the first one of a line does not have.
        first_texts = [piece[1:] if len(piece) > 1 and piece[0] == " " else piece for piece in texts]
        self._tokens = [tokenizer.encode(text).tolist() for text in texts]
        self._first_tokens = [tokenizer.encode(text).tolist() for text in first_texts]
        # The end of a line stands in for the symbols without a text, whose log-probability is 0.
        self._first, self._first_first = (
            np.array([(tokens or self._end)[0] for tokens in several]) for several in (self._tokens, self._first_tokens)
        )
        self._has_text = np.array([bool(tokens) for tokens in self._tokens])
        self._spelling = np.array([sum(map(tokenizer.spelling_nats, tokenizer.missing(text))) for text in texts])

    def start(self) -> CharacterState:
        """Returns the state of the empty prefix, at the start of a line."""
        return CharacterState(self._reader.start(self._end), True)

    def next_log_probs(self, states: Sequence[CharacterState]) -> npt.NDArray[Any]:
        """Returns the log-probabilities (N, V) of the first character of each symbol."""
        first = (self._first_first if state.is_empty else self._first for state in states)
        scores = np.stack([state.reading.log_probs[tokens] for state, tokens in zip(states, first, strict=True)])
        return np.where(self._has_text, scores - self._spelling, 0.0)

    def advance(self, states: Sequence[CharacterState], symbols: Sequence[int]) -> tuple[list[CharacterState], Scores]:
        """Returns the states after one symbol each, and the log-probabilities (N,) of the symbols."""
        tokens = [
            (self._first_tokens if state.is_empty else self._tokens)[symbol]
            for state, symbol in zip(states, symbols, strict=True)
        ]
        readings, scores = self._reader.advance([state.reading for state in states], tokens)
        empty = [state.is_empty and not several for state, several in zip(states, tokens, strict=True)]
        after = [CharacterState(*fields) for fields in zip(readings, empty, strict=True)]
        return after, scores - self._spelling[list(symbols)]

    def finish(self, states: Sequence[CharacterState]) -> Scores:
        """Returns the log-probabilities (N,) of the end of the line."""
        return self._reader.log_probs([state.reading for state in states], [self._end] * len(states))

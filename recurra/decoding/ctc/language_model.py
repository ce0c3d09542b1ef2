"""A language model of `recurra train lm` as a scorer of a recogniser's prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from recurra.cells import States
from recurra.data import Tokenizer
from recurra.decoding.ctc.character_scores import CharacterScores
from recurra.decoding.ctc.scorer import Scores
from recurra.decoding.ctc.token_reader import TokenReader
from recurra.decoding.ctc.word_scores import WordScores
from recurra.decoding.step import Step
from recurra.errors import InputError


class LanguageModelScorer:
    """A `PrefixScorer` by a language model with another alphabet than the recogniser's.

    The log-probability of an output is that of the line of text that its symbols spell, read after the end of a line
    and with the end of its own line, as `recurra score` computes it. An unknown character or word costs the language
    model's `<unk>` and its spelling.

    A language model of characters or bytes scores every symbol by the sum over its characters. One of words or subwords
    scores a word when it ends, at a space or at the end of the output; further spaces have no effect.

    The text is compared as it is: for a recogniser whose symbols are upper case letters, a language model of lower case
    text knows none of them. `unknown` has the symbols with a character that the language model does not know; where
    only the case differs, pass `pieces` in the case of the language model.

    Args:
        step: the language model, such as `GenerationStep`.
        state: its initial state, of one row.
        tokenizer: its tokenizer.
        pieces: the text of each of the recogniser's symbols by its id, (V,); that of the blank, symbol 0, is ignored. A
            piece that begins with a space, such as " the", begins a word; at the start of the output the space is not
            part of the text.

    Raises:
        InputError: the state has more than one row.
    """

    def __init__(self, step: Step[States], state: States, *, tokenizer: Tokenizer, pieces: Sequence[str]) -> None:
        if len(state[0].h) != 1:
            raise InputError(f"the initial state of the language model has {len(state[0].h)} rows: expected 1")
        texts = ["", *pieces[1:]]
        reader = TokenReader(step, state)
        self._scores: Any = (
            CharacterScores(reader, tokenizer, texts)
            if tokenizer.name in ("char", "byte")
            else WordScores(reader, tokenizer, texts)
        )
        self.unknown: list[str] = []
        """The symbols that contain a character outside the vocabulary; empty for words and subwords."""
        if tokenizer.name == "char":
            self.unknown = [piece for piece in texts if tokenizer.missing(piece)]

    def start(self) -> Any:
        """Returns the state of the empty prefix."""
        return self._scores.start()

    def next_log_probs(self, states: Sequence[Any]) -> npt.NDArray[Any]:
        """Returns the log-probabilities (N, V) of the next symbol of N prefixes, or upper bounds of them."""
        log_probs: npt.NDArray[Any] = self._scores.next_log_probs(states)
        return log_probs

    def advance(self, states: Sequence[Any], symbols: Sequence[int]) -> tuple[list[Any], Scores]:
        """Returns the states of N prefixes after one symbol each, and the log-probabilities (N,) of the symbols."""
        after, scores = self._scores.advance(states, symbols)
        return after, scores

    def finish(self, states: Sequence[Any]) -> Scores:
        """Returns the log-probabilities (N,) of the end of the output."""
        scores: Scores = self._scores.finish(states)
        return scores

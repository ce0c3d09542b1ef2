"""What is added to the acoustic scores of prefixes: language model, length bonus, hot words."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.decoding.ctc.hot_words import HotWords
from recurra.decoding.ctc.options import CTCBeamOptions
from recurra.decoding.ctc.path import Ids
from recurra.decoding.ctc.scorer import PrefixScorer, Scores
from recurra.errors import InputError, RecurraError


class PrefixScores:
    """The additions to the scores of the n hypotheses of a beam, which begins with the empty prefix.

        lm_weight · log p_LM + length_bonus · number of symbols + hot words

    Args:
        size: number of symbols, V.
        options: the weights.
        scorer: the language model, or None.
        hot_words: or None.

    Raises:
        InputError: the language model is for another number of symbols.
    """

    def __init__(
        self, size: int, options: CTCBeamOptions, scorer: PrefixScorer[Any] | None, hot_words: HotWords | None
    ) -> None:
        self._weight, self._bonus = options.lm_weight, options.length_bonus
        self._scorer, self._hot_words = scorer, hot_words
        self.language_model: Scores = np.zeros(1)
        """(n,) log-probability of each prefix by the language model."""
        self._others: Scores = np.zeros(1)  # (n,) the other additions
        self.total: Scores = np.zeros(1)
        """(n,) all additions."""
        self._hot_nodes = np.array([hot_words.start if hot_words else 0])
        self._states: list[Any] = []
        self._next: npt.NDArray[Any] = np.zeros((1, 0))  # (n, V)
        if scorer is not None:
            self._states = [scorer.start()]
            self._next = self._next_of(self._states)
            if self._next.shape[1] != size:
                raise InputError(
                    f"the language model scores {self._next.shape[1]} symbols, but the network has {size}: expected "
                    "the same, the blank included"
                )

    def of_extensions(self, symbols: Ids) -> Scores:
        """Returns the additions (n, C) of the prefixes extended by each of C symbols; (n, 1) if they are equal."""
        scores: Scores = (self.total + self._bonus)[:, None]
        if self._scorer is not None:
            scores = scores + self._weight * self._next[:, symbols]
        if self._hot_words is not None:
            scores = scores + self._hot_words.gains[self._hot_nodes[:, None], symbols]
        return scores

    def select(self, rows: Ids, symbols: Ids) -> None:
        """Replaces the prefixes by `rows` (m,) of them, each extended by its symbol (m,), or kept where that is 0."""
        extended = np.flatnonzero(symbols)
        new = symbols[extended]
        self._others = self._others[rows]
        self._others[extended] += self._bonus
        if self._hot_words is not None:
            nodes = self._hot_nodes[rows]
            self._others[extended] += self._hot_words.gains[nodes[extended], new]
            nodes[extended] = self._hot_words.following[nodes[extended], new]
            self._hot_nodes = nodes
        self.language_model = self.language_model[rows]
        if self._scorer is None:
            self.total = self._others
            return
        self._next = self._next[rows]
        self._states = [self._states[row] for row in rows.tolist()]
        if len(extended):
            self._advance(self._scorer, extended, new)
        self.total = self._weight * self.language_model + self._others

    def _advance(self, scorer: PrefixScorer[Any], extended: Ids, symbols: Ids) -> None:
        places = extended.tolist()
        states, log_probs = scorer.advance([self._states[place] for place in places], symbols.tolist())
        self.language_model[extended] += _numbers(log_probs)
        self._next[extended] = self._next_of(states)
        for place, state in zip(places, states, strict=True):
            self._states[place] = state

    def finished(self) -> tuple[Scores, Scores]:
        """Returns the additions (n,) and the log-probabilities of the language model (n,) if the output ends here."""
        total, language_model = self.total, self.language_model
        if self._hot_words is not None:
            total = total + self._hot_words.gains_at_end[self._hot_nodes]
        if self._scorer is None:
            return total, language_model
        ends = _numbers(self._scorer.finish(self._states))
        return total + self._weight * ends, language_model + ends

    def _next_of(self, states: list[Any]) -> npt.NDArray[Any]:
        assert self._scorer is not None
        return _numbers(self._scorer.next_log_probs(states))


def _numbers(log_probs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if np.isnan(log_probs).any():
        raise RecurraError("the language model returns NaN. Check its weights.")
    return log_probs

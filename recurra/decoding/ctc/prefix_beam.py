"""Prefix beam search of CTC: the most probable outputs, each summed over its alignments.

Graves et al. 2006, "Connectionist temporal classification", section 3.2 ("prefix search decoding"), in the form of
Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs"
(arXiv:1408.2873), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from recurra.decoding.ctc.hot_words import HotWords
from recurra.decoding.ctc.live_prefixes import LOWEST, LivePrefixes
from recurra.decoding.ctc.log_probs import Frames, LogProbs, checked
from recurra.decoding.ctc.options import CTCBeamOptions
from recurra.decoding.ctc.path import Ids
from recurra.decoding.ctc.prefix_scores import PrefixScores
from recurra.decoding.ctc.scorer import PrefixScorer, Scores
from recurra.errors import InputError


class CTCHypothesis(NamedTuple):
    """One output of prefix beam search."""

    ids: list[int]
    """The symbols, without those that `CTCBeam.take_settled` has returned."""
    log_probability: float
    """Of all symbols since the start, in nats, summed over the alignments that the beam has followed."""
    lm_log_probability: float
    """By the language model, in nats; 0 without one."""
    score: float
    """The value by which it is ranked."""


def ctc_beam_search(
    log_probs: LogProbs,
    options: CTCBeamOptions | None = None,
    scorer: PrefixScorer[Any] | None = None,
    *,
    pieces: Sequence[str] | None = None,
) -> list[CTCHypothesis]:
    """Returns the hypotheses of one utterance, best first.

    Args:
        log_probs: (T, V) natural logarithms, symbol 0 is the blank.
        options: as for `CTCBeam`.
        scorer: as for `CTCBeam`.
        pieces: as for `CTCBeam`.

    Raises:
        InputError: as `CTCBeam` and `CTCBeam.accept`.
        RecurraError: as `CTCBeam.accept`.
    """
    beam = CTCBeam(options, scorer, pieces=pieces)
    beam.accept(log_probs)
    return beam.finish()


class CTCBeam:
    """Prefix beam search of an utterance that arrives in chunks; any chunks have the result of the whole.

    A hypothesis is a prefix, a sequence of symbols, with the probability of all alignments to it. In each frame every
    hypothesis stays as it is (by a blank, or by its last symbol again) or is extended by a symbol, and the `beam` best
    are kept, ranked by

        score = log p(symbols | frames) + lm_weight · log p_LM(symbols) + length_bonus · number of symbols + hot words.

    With a beam that holds every prefix and without thresholds and limits, the log-probabilities are exact.

    A frame costs a fixed number of array operations; one in which the blank is the only probable symbol costs five. The
    language model runs once for each prefix that enters the beam, for all those of a frame in one batch.

    Args:
        options: of the search.
        scorer: a language model; not used if `lm_weight` is 0.
        pieces: the text of each symbol by its id, (V,), for hot words.

    Raises:
        InputError: there are hot words but no `pieces`, or a hot word cannot be spelled with them.
    """

    def __init__(
        self,
        options: CTCBeamOptions | None = None,
        scorer: PrefixScorer[Any] | None = None,
        *,
        pieces: Sequence[str] | None = None,
    ) -> None:
        self.options = options or CTCBeamOptions()
        self.frames = 0
        """The number of frames so far."""
        self._scorer = scorer if self.options.lm_weight else None
        self._hot_words = _hot_words(self.options, pieces)
        self._pieces, self._live = pieces, None if pieces is None else self._start(len(pieces))

    def accept(self, log_probs: LogProbs) -> None:
        """Reads the next frames.

        Args:
            log_probs: (T, V), T may be 0.

        Raises:
            InputError: the shape is not (T, V), or V differs from that of the frames before, of the language model or
                of `pieces`.
            RecurraError: a frame is not a distribution, or the language model returns NaN.
        """
        frames = checked(log_probs, first=self.frames)
        if self._live is None:
            self._live = self._start(frames.shape[1])
        if frames.shape[1] != self._live.tree.size:
            before = "the frames before had" if self._pieces is None else "there are pieces of"
            raise InputError(f"log_probs has {frames.shape[1]} symbols, but {before} {self._live.tree.size}")
        symbols, borders = _candidates(frames, self.options.token_threshold)
        for frame, (start, end) in zip(frames, pairwise(borders), strict=True):
            if start == end:
                self._live.wait(frame)
            else:
                self._live.extend(frame, symbols[start:end])
        self.frames += len(frames)

    def _start(self, size: int) -> LivePrefixes:
        added = self._scorer is not None or self._hot_words is not None or self.options.length_bonus
        additions = PrefixScores(size, self.options, self._scorer, self._hot_words) if added else None
        return LivePrefixes(size, self.options, additions)

    def best(self) -> CTCHypothesis:
        """Returns the best hypothesis so far, as if the output continued."""
        if self._live is None:
            return CTCHypothesis([], 0.0, 0.0, 0.0)
        additions = self._live.additions
        language_model = np.zeros(len(self._live.nodes)) if additions is None else additions.language_model
        return _hypotheses(self._live, self._live.scores, language_model, most=1)[0]

    def finish(self) -> list[CTCHypothesis]:
        """Returns the hypotheses if the utterance ends here, best first.

        The language model's log-probability and the hot words include the end of the output.
        """
        if self._live is None:
            return [self.best()]
        if self._live.additions is None:
            return _hypotheses(self._live, self._live.total, np.zeros(len(self._live.nodes)))
        additions, language_model = self._live.additions.finished()
        return _hypotheses(self._live, self._live.total + additions, language_model)

    def settled(self) -> list[int]:
        """Returns the symbols with which all hypotheses begin, without those that have been taken.

        No later frame changes them, so that they can be shown as final.
        """
        if self._live is None:
            return []
        self._live.tree.settle(self._live.nodes.tolist())
        return [*self._live.tree.settled]

    def take_settled(self) -> list[int]:
        """Returns what `settled` returns, and removes these symbols from it and from all hypotheses.

        A stream without end needs constant memory if they are taken from time to time.
        """
        symbols = self.settled()
        if self._live is not None:
            self._live.tree.settled.clear()
        return symbols


def _hypotheses(
    live: LivePrefixes, scores: Scores, language_model: Scores, most: int | None = None
) -> list[CTCHypothesis]:
    order = np.argsort(-scores, kind="stable")[:most]
    fields = (live.nodes, live.total, language_model, scores)
    return [
        CTCHypothesis([*live.tree.settled, *live.tree.path(node)], *values)
        for node, *values in zip(*(field[order].tolist() for field in fields), strict=True)
    ]


def _hot_words(options: CTCBeamOptions, pieces: Sequence[str] | None) -> HotWords | None:
    if not options.hot_words or not options.hot_word_weight:
        return None
    if pieces is None:
        raise InputError("hot_words need pieces, the text of each symbol")
    return HotWords(options.hot_words, options.hot_word_weight, pieces)


def _candidates(frames: Frames, threshold: float) -> tuple[Ids, list[int]]:
    """Returns the symbols that may extend a hypothesis, of all frames in a row, and the T + 1 borders of the frames."""
    lowest = np.maximum(frames.max(axis=1, keepdims=True, initial=-np.inf) - threshold, LOWEST)
    numbers, symbols = np.nonzero(frames[:, 1:] >= lowest)
    return symbols + 1, np.searchsorted(numbers, np.arange(len(frames) + 1)).tolist()

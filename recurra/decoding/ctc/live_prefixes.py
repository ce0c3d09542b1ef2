"""The hypotheses of prefix beam search and their update by one frame."""

from __future__ import annotations

import numpy as np

from recurra.decoding.ctc.log_probs import BLANK, Frames
from recurra.decoding.ctc.options import CTCBeamOptions
from recurra.decoding.ctc.path import Ids
from recurra.decoding.ctc.prefix_scores import PrefixScores
from recurra.decoding.ctc.prefix_tree import PrefixTree
from recurra.decoding.ctc.scorer import Scores

# The smallest finite number: what is below it is -inf, which no threshold keeps.
LOWEST = float(np.finfo(np.float64).min)
# Frames, of those that extend hypotheses, between two applications of `max_pending`.
_BETWEEN_LIMITS = 64


class LivePrefixes:
    """The n hypotheses of a beam, at first the empty prefix alone.

    Each is a prefix with the log-probabilities of its alignments that end in a blank, p_b, and of those that end in its
    last symbol, p_s (algorithm 1 of Hannun et al. 2014). All hypotheses are different prefixes.

    Args:
        size: number of symbols, V.
        options: width and thresholds.
        additions: what is added to the acoustic scores; None for nothing.
    """

    def __init__(self, size: int, options: CTCBeamOptions, additions: PrefixScores | None) -> None:
        self.tree = PrefixTree(size)
        self.nodes = np.array([self.tree.root])
        """(n,) their nodes in the tree."""
        self.total = np.array([0.0])
        """(n,) log(exp p_b + exp p_s)."""
        self.additions = additions
        self._blank, self._symbol = np.array([0.0]), np.array([-np.inf])  # (n,) p_b and p_s
        self._last = np.array([BLANK])  # (n,) last symbols; the empty prefix has none
        # (n,) the place of the hypothesis that lacks the last symbol, from 1; 0 if there is none.
        self._parents = np.array([0])
        self._options, self._extensions = options, 0
        # The column of each symbol in the table of `extend`; 0 outside a call.
        self._columns = np.zeros(size, dtype=np.int64)
        self._numbers = np.arange(1, max(size, options.beam) + 1)

    @property
    def scores(self) -> Scores:
        """(n,) the values by which hypotheses are ranked."""
        return self.total if self.additions is None else self.total + self.additions.total

    def wait(self, frame: Frames) -> None:
        """Reads a frame (V,) that extends no hypothesis."""
        self._symbol = self._symbol + frame[self._last]
        self._blank = self.total + frame[BLANK]
        self.total = np.logaddexp(self._blank, self._symbol)

    def extend(self, frame: Frames, candidates: Ids) -> None:
        """Reads a frame (V,) in which the symbols `candidates` (C,), one or more, may extend a hypothesis."""
        count, last_values = len(self.nodes), frame[self._last]
        rows = self._numbers[:count]
        # The column of each hypothesis' last symbol; 0 if that is not among the candidates.
        self._columns[candidates] = self._numbers[: len(candidates)]
        columns = self._columns[self._last]
        self._columns[candidates] = 0
        # Log-probabilities of extended prefixes: hypotheses from row 1 and candidates from column 1 on. Row 0 and
        # column 0 stand for what does not exist, and the last column is for the hypotheses that stay.
        table = np.full((count + 1, len(candidates) + 2), -np.inf)
        table[1:, 1:-1] = self.total[:, None] + frame[candidates]
        # The last symbol again is a new symbol only after a blank.
        table[rows, columns] = self._blank + last_values
        table[:, 0] = -np.inf
        # An extension that is another hypothesis is merged with it.
        merged = table[self._parents, columns]
        table[self._parents, columns] = -np.inf
        symbol = np.logaddexp(self._symbol + last_values, merged)
        blank = self.total + frame[BLANK]
        table[1:, -1] = np.logaddexp(blank, symbol)
        self._keep(table, self._choose(table, candidates), candidates, blank, symbol)
        self._extensions += 1
        if self._options.max_pending is not None and self._extensions % _BETWEEN_LIMITS == 0:
            self._limit(self._options.max_pending)

    def _choose(self, table: Scores, candidates: Ids) -> Ids:
        """Returns the places of the best scores in the flattened table."""
        scores = table
        if self.additions is not None:
            scores = table.copy()
            scores[1:, 1:-1] += self.additions.of_extensions(candidates)
            scores[1:, -1] += self.additions.total
        flat, beam = scores.ravel(), self._options.beam
        chosen = np.flatnonzero(flat >= max(flat.max() - self._options.beam_threshold, LOWEST))
        return chosen if len(chosen) <= beam else chosen[np.argpartition(flat[chosen], -beam)[-beam:]]

    def _keep(self, table: Scores, chosen: Ids, candidates: Ids, blank: Scores, symbol: Scores) -> None:
        """Replaces the hypotheses by the chosen entries of the table; blank and symbol are the next p_b and p_s."""
        rows, columns = np.divmod(chosen, table.shape[1])
        rows -= 1
        symbols = np.zeros(table.shape[1], dtype=np.int64)
        symbols[1:-1] = candidates
        symbols = symbols[columns]  # 0 for a hypothesis that stays
        stays = symbols == 0
        self.total = table.ravel()[chosen]
        self._blank = np.where(stays, blank[rows], -np.inf)
        self._symbol = np.where(stays, symbol[rows], self.total)
        self._last = np.where(stays, self._last[rows], symbols)
        nodes, extended = self.nodes[rows], np.flatnonzero(symbols)
        if len(extended):
            nodes[extended] = self.tree.extend(nodes[extended], symbols[extended])
            nodes = self.tree.remove_unused(nodes)
        self.nodes, self._parents = nodes, self.tree.parent_slots(nodes)
        if self.additions is not None:
            self.additions.select(rows, symbols)

    def _limit(self, pending: int) -> None:
        """Settles all but the last `pending` symbols of the best hypothesis and drops those with others before."""
        kept = self.tree.settle_as(int(self.nodes[self.scores.argmax()]), self.nodes, pending=pending)
        if kept.all():
            return
        rows = np.flatnonzero(kept)
        self.nodes, self._last, self.total = self.nodes[rows], self._last[rows], self.total[rows]
        self._blank, self._symbol = self._blank[rows], self._symbol[rows]
        self._parents = self.tree.parent_slots(self.nodes)
        if self.additions is not None:
            self.additions.select(rows, np.zeros_like(rows))

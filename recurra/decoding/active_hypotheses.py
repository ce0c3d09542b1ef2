"""The active hypotheses of a beam search: one step extends, selects and finishes them."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.decoding.hypotheses import Hypothesis, NBest
from recurra.decoding.most_probable import most_probable
from recurra.decoding.options import BeamOptions
from recurra.decoding.penalties import length_penalty
from recurra.errors import RecurraError


class Continuations(NamedTuple):
    """The continuations selected at one step, (R, K) each; most probable first."""

    log_probs: Tensor
    """float64; −inf for entries without a continuation."""
    parents: Tensor
    """int64, the hypothesis of the previous step that each one continues."""
    tokens: Tensor
    """int64, the next token."""


class ActiveHypotheses:
    """The active hypotheses of R inputs, K per input, and the finished ones; inputs leave when their search ends.

    Args:
        longest: (R,) int64, the maximal number of steps of each input.
        end: the token that ends a hypothesis, or None.
        options: of the search.
    """

    def __init__(self, longest: Tensor, end: int | None, options: BeamOptions) -> None:
        self.inputs = list(range(len(longest)))
        """The numbers of the inputs still searched."""
        self.tokens = longest.new_zeros((len(longest), 1, 0))
        """(R, K, t) int64; K is 1 before the first step."""
        self._log_probs = torch.zeros_like(longest[:, None], dtype=torch.float64)
        self._longest, self._end, self._options, self._steps = longest, -1 if end is None else end, options, 0
        self._finished = NBest(len(longest), options.nbest, longest.device)
        penalties = [length_penalty(length, options.length_penalty) for length in longest.tolist()]
        self._last_penalty = self._log_probs.new_tensor(penalties)

    def advance(
        self, log_probs: Tensor, penalty: Callable[[], Tensor] | None
    ) -> tuple[dict[int, list[Hypothesis]], Tensor, Tensor]:
        """Replaces the active hypotheses by their best continuations.

        Args:
            log_probs: of the next token, (N, V); N is the number of active hypotheses, or of inputs at the first step.
            penalty: returns (N,), the amount added to the score of a hypothesis that ends at this step.

        Returns:
            The results of the inputs whose search has ended, by input number; and for the other inputs the rows (M,) of
            the N that are continued, and their next tokens (M,).
        """
        self._steps += 1
        continuations = self._best_continuations(log_probs)
        prefixes = self.tokens.gather(1, _deep(continuations.parents, self.tokens))  # (R, K, t)
        live, scores = self._finish(continuations, prefixes, penalty)
        done = (live.amax(-1) == -math.inf) | (self._longest <= self._steps)
        done |= self._finished.scores[:, -1] >= self._best_to_come(live)
        extended = torch.cat([prefixes, continuations.tokens.unsqueeze(-1)], -1)
        done_rows = done.nonzero()[:, 0].tolist()
        results = {self.inputs[row]: self._n_best(row, live, scores, extended) for row in done_rows}
        rows = (~done).nonzero()[:, 0]
        # Row r, hypothesis k of the state is its row r · K + k.
        state_rows = rows.unsqueeze(1) * self.tokens.shape[1] + continuations.parents[rows]  # (R', K)
        self._keep(rows, live, extended)
        return results, state_rows.flatten(), continuations.tokens[rows].flatten()

    def _best_continuations(self, log_probs: Tensor) -> Continuations:
        """The K most probable continuations of each input; ties go to the earlier hypothesis, then the lower id."""
        (inputs, hypotheses), beam = self._log_probs.shape, self._options.beam
        count = min(beam, log_probs.shape[1])
        ids = most_probable(log_probs, count)  # (N, count)
        totals = self._log_probs.unsqueeze(-1) + log_probs.gather(1, ids).view(inputs, hypotheses, count)
        if not bool(totals.amax() < math.inf):
            raise RecurraError("the model gives NaN or +inf as a log-probability of the next token. Check its weights.")
        missing = max(0, beam - hypotheses * count)
        totals = F.pad(totals.flatten(1), (0, missing), value=-math.inf)
        ranked, order = totals.sort(dim=-1, descending=True, stable=True)
        order = order[:, :beam]
        tokens = F.pad(ids.view(inputs, -1), (0, missing)).gather(1, order)
        return Continuations(ranked[:, :beam], (order // count).clamp(max=hypotheses - 1), tokens)

    def _finish(
        self, continuations: Continuations, prefixes: Tensor, penalty: Callable[[], Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Moves the continuations that end to the finished ones.

        Returns:
            The log-probabilities (R, K) of the others, −inf for those that ended; and the scores (R, K) of all.
        """
        ended = (continuations.tokens == self._end) & (continuations.log_probs > -math.inf)
        live = continuations.log_probs.masked_fill(ended, -math.inf)
        scores = continuations.log_probs / length_penalty(self._steps, self._options.length_penalty)
        # The penalty reads the attention over the whole source: it is computed only where a score is used.
        if penalty is not None and bool((ended.any(-1) | (self._longest <= self._steps)).any()):
            scores = scores + penalty().double().view_as(self._log_probs).gather(1, continuations.parents)
        if bool(ended.any()):
            self._finished.add(scores.masked_fill(~ended, -math.inf), continuations.log_probs, prefixes)
        return live, scores

    def _best_to_come(self, live: Tensor) -> Tensor:
        """Returns (R,), an upper bound on the score of any continuation of an active hypothesis.

        Log-probabilities only decrease and the coverage penalty is at most 0. The length penalty is monotonic in the
        length, so that its maximum is at the next step or at the last one.
        """
        weight = self._options.length_penalty
        return live.amax(-1) / self._last_penalty.clamp(min=length_penalty(self._steps + 1, weight))

    def _n_best(self, row: int, live: Tensor, scores: Tensor, extended: Tensor) -> list[Hypothesis]:
        """The n best hypotheses of an input whose search has ended: finished ones, then those cut off."""
        finished = self._finished.of(row, finished=True)
        if len(finished) == self._options.nbest:
            return finished
        here = slice(row, row + 1)
        rest = NBest(1, self._options.nbest - len(finished), live.device)
        if bool((live[row] > -math.inf).any()):
            rest.add(scores[here].masked_fill(live[here] == -math.inf, -math.inf), live[here], extended[here])
        elif not finished:  # every continuation has −inf: return the hypotheses of the previous step
            weight = length_penalty(self._steps - 1, self._options.length_penalty)
            rest.add(self._log_probs[here] / weight, self._log_probs[here], self.tokens[here])
        return finished + rest.of(0, finished=False)

    def _keep(self, rows: Tensor, live: Tensor, extended: Tensor) -> None:
        """Keeps the inputs in `rows`, with their extended hypotheses."""
        self.tokens, self._log_probs = extended, live
        if len(rows) < len(self.inputs):
            self.tokens, self._log_probs = extended[rows], live[rows]
            self.inputs = [self.inputs[row] for row in rows.tolist()]
            self._longest, self._last_penalty = self._longest[rows], self._last_penalty[rows]
            self._finished.select(rows)


def _deep(places: Tensor, tokens: Tensor) -> Tensor:
    """Expands hypothesis indices (R, K) to an index into tokens (R, K, t)."""
    return places.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])

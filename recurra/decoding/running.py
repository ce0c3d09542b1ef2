"""The hypotheses of a beam search that are still being written."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.decoding.hypotheses import Hypothesis, Pool
from recurra.decoding.options import BeamOptions
from recurra.decoding.penalties import length_penalty
from recurra.decoding.ranking import most_probable
from recurra.errors import RecurraError


class Taken(NamedTuple):
    """The continuations that a step took, (R, K) each; most probable first."""

    log_probs: Tensor
    """float64; −inf for what is none."""
    parents: Tensor
    """int64, the hypothesis of the last step that each continues."""
    tokens: Tensor
    """int64, what it says next."""


class Running:
    """The running hypotheses of R inputs, K of each, and the finished ones; inputs that are done leave.

    Args:
        longest: (R,) int64, the most steps of each.
        end: the token that ends a hypothesis, if one does.
        options: of the search.
    """

    def __init__(self, longest: Tensor, end: int | None, options: BeamOptions) -> None:
        self.inputs = list(range(len(longest)))
        """The numbers of those that are not done."""
        self.tokens = longest.new_zeros((len(longest), 1, 0))
        """(R, K, t) int64; K is 1 before the first step."""
        self._log_probs = torch.zeros_like(longest[:, None], dtype=torch.float64)
        self._longest, self._end, self._options, self._steps = longest, -1 if end is None else end, options, 0
        self._finished = Pool(len(longest), options.nbest, longest.device)
        penalties = [length_penalty(length, options.length_penalty) for length in longest.tolist()]
        self._last_penalty = self._log_probs.new_tensor(penalties)

    def advance(
        self, log_probs: Tensor, penalty: Callable[[], Tensor] | None
    ) -> tuple[dict[int, list[Hypothesis]], Tensor, Tensor]:
        """Takes the best continuations of the running hypotheses.

        Args:
            log_probs: of the next token, (N, V), N the running hypotheses, or one for each input at the first step.
            penalty: gives (N,), what is added to a hypothesis' score if it ends here.

        Returns:
            The hypotheses of the inputs that are done, by number; and for those that are not, the rows (M,) of the N
            that go on and the tokens (M,) that they say.
        """
        self._steps += 1
        taken = self._take(log_probs)
        written = self.tokens.gather(1, _deep(taken.parents, self.tokens))  # (R, K, t)
        live, scores = self._finish(taken, written, penalty)
        done = (live.amax(-1) == -math.inf) | (self._longest <= self._steps)
        done |= self._finished.scores[:, -1] >= self._best_to_come(live)
        grown = torch.cat([written, taken.tokens.unsqueeze(-1)], -1)
        left = {self.inputs[row]: self._found(row, live, scores, grown) for row in done.nonzero()[:, 0].tolist()}
        rows = (~done).nonzero()[:, 0]
        sources = rows.unsqueeze(1) * self.tokens.shape[1] + taken.parents[rows]
        self._go_on(rows, live, grown)
        return left, sources.flatten(), taken.tokens[rows].flatten()

    def _take(self, log_probs: Tensor) -> Taken:
        """The K most probable continuations of each input; of equals, of the earlier hypothesis, then the lower id."""
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
        return Taken(ranked[:, :beam], (order // count).clamp(max=hypotheses - 1), tokens)

    def _finish(self, taken: Taken, written: Tensor, penalty: Callable[[], Tensor] | None) -> tuple[Tensor, Tensor]:
        """Puts what ends with this step aside; the log-probabilities (R, K) of what does not, and the scores of all."""
        ended = (taken.tokens == self._end) & (taken.log_probs > -math.inf)
        live = taken.log_probs.masked_fill(ended, -math.inf)
        scores = taken.log_probs / length_penalty(self._steps, self._options.length_penalty)
        # The penalty costs as much as a look at the whole source: only where a score counts.
        if penalty is not None and bool((ended.any(-1) | (self._longest <= self._steps)).any()):
            scores = scores + penalty().double().view_as(self._log_probs).gather(1, taken.parents)
        if bool(ended.any()):
            self._finished.add(scores.masked_fill(~ended, -math.inf), taken.log_probs, written)
        return live, scores

    def _best_to_come(self, live: Tensor) -> Tensor:
        """(R,): no running hypothesis can end with a better score, however it goes on.

        Its log-probability only falls and the penalty of coverage is 0 at best; the length penalty grows or falls all
        the way, so that it is largest at the next step or at the last.
        """
        weight = self._options.length_penalty
        return live.amax(-1) / self._last_penalty.clamp(min=length_penalty(self._steps + 1, weight))

    def _found(self, row: int, live: Tensor, scores: Tensor, grown: Tensor) -> list[Hypothesis]:
        """The n best of an input that is done: those finished, then those cut short."""
        found = self._finished.of(row, finished=True)
        if len(found) == self._options.nbest:
            return found
        here = slice(row, row + 1)
        rest = Pool(1, self._options.nbest - len(found), live.device)
        if bool((live[row] > -math.inf).any()):
            rest.add(scores[here].masked_fill(live[here] == -math.inf, -math.inf), live[here], grown[here])
        elif not found:  # nothing can follow what the last step left
            weight = length_penalty(self._steps - 1, self._options.length_penalty)
            rest.add(self._log_probs[here] / weight, self._log_probs[here], self.tokens[here])
        return found + rest.of(0, finished=False)

    def _go_on(self, rows: Tensor, live: Tensor, grown: Tensor) -> None:
        """Keeps the inputs in `rows`, with what the step added to their hypotheses."""
        self.tokens, self._log_probs = grown, live
        if len(rows) < len(self.inputs):
            self.tokens, self._log_probs = grown[rows], live[rows]
            self.inputs = [self.inputs[row] for row in rows.tolist()]
            self._longest, self._last_penalty = self._longest[rows], self._last_penalty[rows]
            self._finished.select(rows)


def _deep(places: Tensor, tokens: Tensor) -> Tensor:
    """Places (R, K) as an index into tokens (R, K, t)."""
    return places.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])

"""A hypothesis of a search, and n-best lists of them."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One output of a search."""

    tokens: list[int]
    """Without the end token."""
    score: float
    """The value it is ranked by: the log-probability with the penalties."""
    log_probability: float
    """In nats; includes the end token if there is one."""
    finished: bool
    """Whether it ends with the end token; False if it was cut off."""


class NBest:
    """The n best hypotheses of each of R rows, best first; ties keep the order of insertion.

    Args:
        rows: R.
        places: n, the size of each list.
        device: device of the tensors.
    """

    def __init__(self, rows: int, places: int, device: torch.device) -> None:
        self.scores = torch.full((rows, places), -math.inf, dtype=torch.float64, device=device)
        """(R, places), −inf for empty places."""
        self._log_probs = torch.zeros_like(self.scores)
        self._lengths = torch.zeros_like(self.scores, dtype=torch.int64)
        self._tokens = self._lengths.new_zeros((rows, places, 0))

    def add(self, scores: Tensor, log_probs: Tensor, tokens: Tensor) -> None:
        """Inserts hypotheses of one length.

        Args:
            scores: (R, K) float64; −inf for entries without a hypothesis.
            log_probs: (R, K) float64.
            tokens: (R, K, t) int64; t never decreases from call to call.
        """
        length = tokens.shape[-1]
        older = F.pad(self._tokens, (0, length - self._tokens.shape[-1]))
        ranked, order = torch.cat([self.scores, scores], 1).sort(dim=-1, descending=True, stable=True)
        places = self.scores.shape[1]
        self.scores, order = ranked[:, :places], order[:, :places]
        self._log_probs = torch.cat([self._log_probs, log_probs], 1).gather(1, order)
        self._lengths = torch.cat([self._lengths, self._lengths.new_full(scores.shape, length)], 1).gather(1, order)
        index = order.unsqueeze(-1).expand(-1, -1, length)  # (R, places, t)
        self._tokens = torch.cat([older, tokens], 1).gather(1, index)

    def select(self, rows: Tensor) -> None:
        """Keeps only `rows`, int64 (M,)."""
        self.scores, self._log_probs = self.scores[rows], self._log_probs[rows]
        self._lengths, self._tokens = self._lengths[rows], self._tokens[rows]

    def of(self, row: int, *, finished: bool) -> list[Hypothesis]:
        """Returns the hypotheses of a row, best first."""
        fields = (self.scores, self._log_probs, self._lengths, self._tokens)
        return [
            Hypothesis(tokens[:length], score, log_probability, finished)
            for score, log_probability, length, tokens in zip(*(field[row].tolist() for field in fields), strict=True)
            if score > -math.inf
        ]

"""Hypotheses of a search: what one is, and the best finished ones of each row."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of the outputs that a search found."""

    tokens: list[int]
    """Without the end."""
    score: float
    """What it is ranked by: the log-probability after the penalties."""
    log_probability: float
    """In nats; of the end too, where it has one."""
    finished: bool
    """Whether it came to its end; False where it was cut short."""


class Pool:
    """Up to `places` hypotheses for each of R rows, best first; of equals those that came first.

    Args:
        rows: R.
        places: how many to keep of each row.
        device: where they are.
    """

    def __init__(self, rows: int, places: int, device: torch.device) -> None:
        self.scores = torch.full((rows, places), -math.inf, dtype=torch.float64, device=device)
        """(R, places), −inf where there is none."""
        self._log_probs = torch.zeros_like(self.scores)
        self._lengths = torch.zeros_like(self.scores, dtype=torch.int64)
        self._tokens = self._lengths.new_zeros((rows, places, 0))

    def add(self, scores: Tensor, log_probs: Tensor, tokens: Tensor) -> None:
        """Puts the best of some hypotheses, equally long, in their places.

        Args:
            scores: (R, K) float64; −inf for what is no hypothesis.
            log_probs: (R, K) float64.
            tokens: (R, K, t) int64, t never less than in an earlier call.
        """
        length = tokens.shape[-1]
        older = F.pad(self._tokens, (0, length - self._tokens.shape[-1]))
        ranked, order = torch.cat([self.scores, scores], 1).sort(dim=-1, descending=True, stable=True)
        places = self.scores.shape[1]
        self.scores, order = ranked[:, :places], order[:, :places]
        self._log_probs = torch.cat([self._log_probs, log_probs], 1).gather(1, order)
        self._lengths = torch.cat([self._lengths, self._lengths.new_full(scores.shape, length)], 1).gather(1, order)
        deep = order.unsqueeze(-1).expand(-1, -1, length)
        self._tokens = torch.cat([older, tokens], 1).gather(1, deep)

    def select(self, rows: Tensor) -> None:
        """Keeps some rows only, int64 (M,)."""
        self.scores, self._log_probs = self.scores[rows], self._log_probs[rows]
        self._lengths, self._tokens = self._lengths[rows], self._tokens[rows]

    def of(self, row: int, *, finished: bool) -> list[Hypothesis]:
        """The hypotheses of a row, best first."""
        fields = (self.scores, self._log_probs, self._lengths, self._tokens)
        return [
            Hypothesis(tokens[:length], score, log_probability, finished)
            for score, log_probability, length, tokens in zip(*(field[row].tolist() for field in fields), strict=True)
            if score > -math.inf
        ]

"""Attention: what a decoder's state looks for among the encoder's outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import InputError, nearest

SCORES = ("dot", "general", "additive")

# Numbers that additive scores hold at once where no gradient keeps them all: 5,000 queries of 5,000 steps at a width of
# 512 would be 51 GB.
_AT_ONCE = 2**26


class Memory(NamedTuple):
    """What is attended to, prepared once for all steps; rows first, as the products want it."""

    values: Tensor
    """m, (B, S, M), 0 past a row's end."""
    keys: Tensor
    """What queries are compared with, (B, S, K): m or a projection of it, over the root of the width for products."""
    inside: Tensor
    """Bool (B, S), True where there is data."""

    def select(self, rows: Tensor) -> Memory:
        """The memory of some rows, int64 (N,)."""
        return Memory(*(tensor.index_select(0, rows) for tensor in self))


class Attention(nn.Module):
    """c_t = Σ_s a_ts m_s with a_t = softmax_s(score(h_t, m_s)), over the steps that a row has.

    The scores: dot, h_t · m_s / √Q; general, h_t · W m_s / √Q (both Luong et al. 2015, eq. 8, but for the root, that of
    Vaswani et al. 2017, section 3.2.1: without it the softmax saturates on the source's first places, where the
    backward encoder has read all, before words can be told apart); additive, v · tanh(W h_t + U m_s + b) (Bahdanau et
    al. 2015, appendix A.1.2).

    Args:
        query_size: features of h, Q.
        memory_size: features of m, M.
        score: dot, general or additive.

    Raises:
        InputError: a score that is not known; dot with a query_size that is not memory_size.
    """

    def __init__(self, query_size: int, memory_size: int, score: str = "general") -> None:
        super().__init__()
        if score not in SCORES:
            raise InputError(f"Attention: there is no score {score!r}. {nearest(score, SCORES)}")
        if score == "dot" and query_size != memory_size:
            raise InputError(
                f"Attention: dot compares vectors of one size, but query_size={query_size} and "
                f"memory_size={memory_size}: make them equal, or take general"
            )
        self.score, self.query_size = score, query_size
        self.key = self.query = self.energy = None
        if score == "general":
            self.key = nn.Linear(memory_size, query_size, bias=False)
        if score == "additive":
            self.key = nn.Linear(memory_size, query_size, bias=False)
            self.query = nn.Linear(query_size, query_size)
            self.energy = nn.Linear(query_size, 1, bias=False)

    def prepare(self, m: Tensor, lengths: Tensor) -> Memory:
        """The memory of m (S, B, M) with `lengths` int64 (B,), each at least 1."""
        inside = torch.arange(len(m), device=m.device) < lengths[:, None]  # (B, S)
        # A weight of 0 is not enough: 0 · NaN is NaN, and so is the gradient of a query that was compared with NaN.
        values = m.transpose(0, 1).contiguous().masked_fill(~inside[..., None], 0.0)  # (B, S, M)
        keys = values if self.key is None else self.key(values)
        return Memory(values, keys if self.query is not None else keys * self.query_size**-0.5, inside)

    def forward(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The contexts and the weights of queries.

        Args:
            h: (B, T, Q); the T queries of a row may be steps of one sequence, or one step of T hypotheses.
            memory: of the same B rows.

        Returns:
            c (B, T, M) and a (B, T, S), exactly 0 past a row's end.
        """
        scores = self._scores(h, memory.keys).masked_fill(~memory.inside[:, None], -torch.inf)  # (B, T, S)
        weights = scores.softmax(-1)
        return weights @ memory.values, weights

    def _scores(self, h: Tensor, keys: Tensor) -> Tensor:
        if self.query is None or self.energy is None:
            return h @ keys.transpose(1, 2)
        queries, energy = self.query(h), self.energy
        # What a gradient needs is kept anyway.
        size = h.shape[1] if torch.is_grad_enabled() else max(1, _AT_ONCE // keys.numel())
        # (B, t, 1, K) + (B, 1, S, K)
        pieces = [energy(torch.tanh(part[:, :, None] + keys[:, None])).squeeze(-1) for part in queries.split(size, 1)]
        return torch.cat(pieces, 1)  # (B, T, S)

    def extra_repr(self) -> str:
        """The score."""
        return f"score={self.score!r}"

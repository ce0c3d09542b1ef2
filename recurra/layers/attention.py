"""Attention of a decoder's state to the encoder's outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import InputError, nearest

SCORES = ("dot", "general", "additive")

# Numbers of the intermediate tensor of additive scores, without gradients: 5,000 queries of 5,000 steps at a width of
# 512 would take 51 GB at once.
_MAX_NUMBERS = 2**26


class Memory(NamedTuple):
    """The attended sequence, prepared once for all steps; rows first, for batched products."""

    values: Tensor
    """m, (B, S, M), 0 past a row's end."""
    keys: Tensor
    """The keys, (B, S, K): m or a projection of it; for product scores divided by the root of the width."""
    inside: Tensor
    """Bool (B, S), True where there is data."""

    def select(self, rows: Tensor) -> Memory:
        """The memory of some rows, int64 (N,)."""
        return Memory(*(tensor.index_select(0, rows) for tensor in self))


class Attention(nn.Module):
    """c_t = Σ_s a_ts m_s with a_t = softmax_s(score(h_t, m_s)), over the steps that a row has.

    The scores: dot, h_t · m_s / √Q; general, h_t · W m_s / √Q; additive, v · tanh(W h_t + U m_s + b) (Bahdanau et al.
    2015, appendix A.1.2). The first two are those of Luong et al. 2015, eq. 8, divided by √Q as in Vaswani et al. 2017,
    section 3.2.1: without the root the softmax saturates on the first positions of the source, where the backward
    encoder has read everything, before words can be distinguished.

    Args:
        query_size: features of h, Q.
        memory_size: features of m, M.
        score: dot, general or additive.

    Raises:
        InputError: an unknown score; dot with different query_size and memory_size.
    """

    def __init__(self, query_size: int, memory_size: int, score: str = "general") -> None:
        super().__init__()
        if score not in SCORES:
            raise InputError(f"Attention: there is no score {score!r}. {nearest(score, SCORES)}")
        if score == "dot" and query_size != memory_size:
            raise InputError(
                f"Attention: dot compares vectors of one size, but query_size={query_size} and "
                f"memory_size={memory_size}: make them equal, or use score='general'"
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
        # A weight of 0 is not sufficient: 0 · NaN is NaN, and so is the gradient of a query compared with NaN.
        values = m.transpose(0, 1).contiguous().masked_fill(~inside[..., None], 0.0)  # (B, S, M)
        keys = values if self.key is None else self.key(values)  # (B, S, K)
        # The keys are scaled once here, and not the scores at every step.
        return Memory(values, keys if self.query is not None else keys * self.query_size**-0.5, inside)

    def forward(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Returns the contexts and the attention weights of queries.

        Args:
            h: (B, T, Q); the T queries of a row may be steps of one sequence, or one step of T hypotheses.
            memory: the memory of the same B rows.

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
        # Queries are divided into pieces only without gradients: autograd would keep all pieces.
        size = h.shape[1] if torch.is_grad_enabled() else max(1, _MAX_NUMBERS // keys.numel())
        # (B, t, 1, K) + (B, 1, S, K)
        pieces = [energy(torch.tanh(part[:, :, None] + keys[:, None])).squeeze(-1) for part in queries.split(size, 1)]
        return torch.cat(pieces, 1)  # (B, T, S)

    def extra_repr(self) -> str:
        """The score."""
        return f"score={self.score!r}"

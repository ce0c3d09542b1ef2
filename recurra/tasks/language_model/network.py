"""The network of a language model: from tokens to scores of the next token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell, States
from recurra.errors import InputError
from recurra.layers import Readout
from recurra.tasks.language_model.options import NetworkOptions


class Output(NamedTuple):
    """What the network makes of a window."""

    scores: Tensor
    """(T, B, V)."""
    state: States
    """After the window, or after `carry` steps of it."""
    h: Tensor
    """What the last layer emitted, (T, B, H)."""
    dropped: Tensor
    """The same after dropout."""


class Network(nn.Module):
    """p(x_{t+1} | x_1 … x_t) = softmax(W_yh h_t + b_y), h_t of a recurrent stack over embeddings of x.

    Args:
        vocabulary: how many symbols there are, V.
        options: sizes, dropout, initialisation.
        cell: the recurrent cell; the one that `options` names where None.

    Raises:
        InputError: an option that does not fit.
    """

    def __init__(self, vocabulary: int, options: NetworkOptions, *, cell: Cell | None = None) -> None:
        super().__init__()
        if options.embedding_size < 1:
            raise InputError(f"embedding_size={options.embedding_size}: expected a whole number above 0")
        self.embedding = nn.Embedding(vocabulary, options.embedding_size)
        self.recurrent = options.recurrent.stack(options.embedding_size, cell=cell)
        self.drop_embedding = options.recurrent.dropout_layer(options.embedding_dropout)
        self.drop = options.recurrent.dropout_layer()
        if options.tied:
            # N(0, 1), the embedding's start, would make the first scores of a tied softmax enormous.
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        tied = self.embedding.weight if options.tied else None
        self.readout = Readout(options.recurrent.hidden_size, vocabulary, tied=tied)

    def initial_state(self, rows: int) -> States:
        """The state of `rows` texts at their start."""
        return self.recurrent.initial_state(rows)

    def forward(self, tokens: Tensor, state: States, *, carry: int | None = None, counted: int | None = None) -> Output:
        """The scores of the next token.

        Args:
            tokens: (T, B) int64.
            state: as the last call returned it, or `initial_state(B)`.
            carry: return the state after so many steps instead of after all.
            counted: score only the last so many steps.

        Returns:
            Scores (T, B, V), or (counted, B, V), the state, and h before and after dropout.
        """
        x = self.drop_embedding(self.embedding(tokens))  # (T, B, E)
        if carry is None or carry == len(x):
            h, state = self.recurrent(x, state)  # (T, B, H)
        else:
            h, state = self._in_two(x, state, carry)
        h = h if counted is None else h[len(h) - counted :]
        dropped = self.drop(h)
        return Output(self.readout(dropped), state, h, dropped)

    def _in_two(self, x: Tensor, state: States, carry: int) -> tuple[Tensor, States]:
        """What the stack emits in the whole window, (T, B, H), and its state after `carry` steps."""
        # Drawn once for both calls: the window has one dropped W_hh and one locked mask.
        masks = self.recurrent.draw_masks(x.shape[1], len(x)) if self.training else None
        pieces, states = [], [state]
        for start, stop in ((0, carry), (carry, len(x))):
            drawn = None if masks is None else masks.window(start, stop)
            h, last = self.recurrent(x[start:stop], states[-1], masks=drawn)
            pieces.append(h)
            states.append(last)
        return torch.cat(pieces), states[1]


@dataclass(frozen=True)
class Step:
    """One step of a language model as decoding wants it: tokens (B,) and a state to log-probabilities (B, V)."""

    network: Network

    def __call__(self, tokens: Tensor, state: States) -> tuple[Tensor, States]:
        """Log-probabilities (B, V) of the token after `tokens` (B,), and the next state."""
        scores, state, *_ = self.network(tokens[None], state)  # (1, B, V)
        return scores[0].float().log_softmax(-1), state

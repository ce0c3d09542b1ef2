"""The network of a language model: from tokens to scores of the next token."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell, States
from recurra.errors import InputError
from recurra.layers import Readout
from recurra.tasks.language_model.options import NetworkOptions


class Output(NamedTuple):
    """The output of the network for a window of T steps."""

    scores: Tensor
    """(T, B, V): softmax over V gives the probabilities of the next token."""
    state: States
    """The state after the window, or after its first `carry` steps."""
    h: Tensor
    """(T, B, H): the output of the last recurrent layer."""
    dropped: Tensor
    """(T, B, H): the same after dropout."""


class Network(nn.Module):
    """p(x_{t+1} | x_1 … x_t) = softmax(W_yh h_t + b_y), where h_t is the output of a recurrent stack over embeddings.

    Args:
        vocabulary: size of the vocabulary, V.
        options: sizes, dropout, initialisation.
        cell: the recurrent cell; None for the one that `options` names.

    Raises:
        InputError: an option is invalid.
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
            # Embeddings start as N(0, 1); as weights of the softmax they would make its first scores very large.
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        tied = self.embedding.weight if options.tied else None
        self.readout = Readout(options.recurrent.hidden_size, vocabulary, tied=tied)

    def initial_state(self, rows: int) -> States:
        """Returns the state of `rows` texts at their start."""
        return self.recurrent.initial_state(rows)

    def forward(self, tokens: Tensor, state: States, *, carry: int | None = None, counted: int | None = None) -> Output:
        """Computes the scores of the next token at every step.

        Args:
            tokens: (T, B) int64.
            state: as the previous call returned it, or `initial_state(B)`.
            carry: return the state after this number of steps; None for all T.
            counted: return scores, h and dropped of the last `counted` steps only; None for all T.

        Returns:
            Scores, state, h and dropped; with `counted`, the first axis of the tensors has that size.
        """
        x = self.drop_embedding(self.embedding(tokens))  # (T, B, E)
        if carry is None or carry == len(x):
            h, state = self.recurrent(x, state)  # (T, B, H)
        else:
            h, state = self._in_two_parts(x, state, carry)
        # Before the softmax, which is the largest product of a window if V is large.
        h = h if counted is None else h[len(h) - counted :]
        dropped = self.drop(h)
        return Output(self.readout(dropped), state, h, dropped)

    def _in_two_parts(self, x: Tensor, state: States, carry: int) -> tuple[Tensor, States]:
        """Returns the outputs of the stack for the whole window, (T, B, H), and its state after `carry` steps."""
        # Drawn once for both calls: a window has one dropped W_hh and one locked mask.
        masks = self.recurrent.draw_masks(x.shape[1], len(x)) if self.training else None
        outputs, states = [], [state]
        for start, stop in ((0, carry), (carry, len(x))):
            part = None if masks is None else masks.window(start, stop)
            h, last = self.recurrent(x[start:stop], states[-1], masks=part)
            outputs.append(h)
            states.append(last)
        return torch.cat(outputs), states[1]

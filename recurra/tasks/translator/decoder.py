"""The half of the network that writes: from a state and what attention finds to scores of the next symbol."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell, State, States, select
from recurra.layers import Attention, Memory, Readout, StackMasks
from recurra.layers.masks import dropout_mask
from recurra.tasks.translator.options import NetworkOptions


class DecoderState(NamedTuple):
    """Where the decoder is in each of N targets, K of each of B sources, side by side."""

    recurrent: States
    """Tensors (N, H)."""
    feed: Tensor | None
    """o of the last step (N, H), where it is fed back."""
    memory: Memory | None
    """Of the B sources; None without attention."""
    coverage: Tensor | None
    """The attention so far (N, S), summed over steps; None without attention."""

    def select(self, rows: Tensor) -> DecoderState:
        """The state of some targets, int64 (M,): those of one source side by side, equally many of each; any order."""
        recurrent = select(self.recurrent, rows)
        feed = None if self.feed is None else self.feed.index_select(0, rows)
        if self.memory is None or self.coverage is None:
            return DecoderState(recurrent, feed, None, None)
        memory, sources = self.memory, len(self.memory.values)
        chosen = torch.unique_consecutive(rows // (len(self.coverage) // sources))
        if len(chosen) < sources or not torch.equal(chosen, torch.arange(sources, device=rows.device)):
            memory = memory.select(chosen)
        return DecoderState(recurrent, feed, memory, self.coverage.index_select(0, rows))


class DecoderOutput(NamedTuple):
    """What the decoder makes of some steps."""

    o: Tensor
    """What scores are read from, (T, N, H)."""
    state: DecoderState
    """After the last step."""
    weights: Tensor | None
    """Attention (T, N, S); None without."""


class _Dropped(NamedTuple):
    """What is dropped while training, as masks for all steps; None where nothing is, or other units at each step."""

    embedding: Tensor | None = None
    """(1, N, E)."""
    output: Tensor | None = None
    """Of o, (1, N, H)."""
    between: Tensor | None = None
    """Of what the layers above attention read, (1, N, H + M)."""
    below: StackMasks | None = None
    above: StackMasks | None = None


class Decoder(nn.Module):
    """o_t = tanh(W_c [c_t; h_t]), h_t of a recurrent stack over the embedding of y_{t-1}, c_t of attention.

    With input feeding the stack also reads o_{t-1} and attention looks from its top (Luong et al. 2015, eq. 5 and
    section 3.3). Without, attention looks from the first layer, and layers above it read [h_t; c_t] (Wu et al. 2016,
    section 3): they know what was looked at before as well, yet all steps of a layer are known together. Without
    attention o_t = h_t: the encoder-decoder of Sutskever et al. 2014. Scores are W_y W_p o_t + b, W_y the embedding
    where it is tied.

    Args:
        vocabulary: how many target symbols there are, END included, V.
        memory_size: features of the encoder's outputs.
        options: what a person chose.
        cell: the recurrent cell.
    """

    def __init__(self, vocabulary: int, memory_size: int, options: NetworkOptions, cell: Cell) -> None:
        super().__init__()
        recurrent, E, H = options.recurrent, options.embedding_size, options.recurrent.hidden_size
        self.embedding, self.scale = nn.Embedding(vocabulary, E), 1.0
        if options.tied:
            # N(0, 1) suits what is read, N(0, 1/E) the softmax: scaled where it is read, one matrix is both. With small
            # numbers to read, symbols can hardly be told apart at first, and attention settles before they are.
            nn.init.normal_(self.embedding.weight, std=E**-0.5)
            self.scale = E**0.5
        self.feeds = options.attends and options.input_feeding
        below = recurrent.num_layers if self.feeds or not options.attends else 1
        # The bridge gives the first state.
        forwards: dict[str, Any] = {"cell": cell, "bidirectional": False, "learn_initial_state": False}
        self.recurrent = recurrent.stack(E + H if self.feeds else E, num_layers=below, **forwards)
        above = recurrent.num_layers - below
        self.above = recurrent.stack(H + memory_size, num_layers=above, **forwards) if above else None
        self.attention = self.combine = None
        if options.attends:
            self.attention = Attention(H, memory_size, options.attention)
            self.combine = nn.Linear(memory_size + H, H, bias=False)
        self.dropout, self.locked = recurrent.dropout, recurrent.locked_dropout
        self.project = nn.Linear(H, E, bias=False) if options.tied else nn.Identity()
        tied = self.embedding.weight if options.tied else None
        self.readout = Readout(E if options.tied else H, vocabulary, tied=tied)

    def start(self, recurrent: States, memory: Memory | None) -> DecoderState:
        """The state before the first symbol, from the recurrent states that the bridge gave."""
        feed = torch.zeros_like(recurrent[-1].h) if self.feeds else None
        coverage = None if memory is None else torch.zeros_like(memory.values[..., 0])
        return DecoderState(recurrent, feed, memory, coverage)

    def forward(
        self, tokens: Tensor, state: DecoderState, *, lengths: Tensor | None = None, sampling: float = 0.0
    ) -> DecoderOutput:
        """Reads symbols and tells what comes after each.

        Args:
            tokens: int64 (T, N).
            state: of the N targets.
            lengths: int64 (N,), the steps of each target; all where None.
            sampling: the share of symbols replaced by the decoder's own last output, drawn from torch's generator.
        """
        dropped = self._draw(tokens.shape[1])
        if (self.feeds and len(tokens) > 1) or sampling:
            return self._step_by_step(tokens, state, dropped, sampling)
        return self._read(self._embed(tokens), state, dropped, lengths)

    def _embed(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self.embedding(tokens) * self.scale
        return embedded

    def scores(self, o: Tensor) -> Tensor:
        """The scores (…, V) of the next symbol from o (…, H)."""
        scores: Tensor = self.readout(self.project(o))
        return scores

    def _draw(self, rows: int) -> _Dropped:
        """What is dropped of some targets, the same at all their steps."""
        if not self.training:
            return _Dropped()
        like, E, H = self.embedding.weight, self.embedding.embedding_dim, self.recurrent.output_size
        locked = self.dropout if self.locked else 0.0
        return _Dropped(
            dropout_mask(like, (1, rows, E), locked),
            dropout_mask(like, (1, rows, H), locked),
            dropout_mask(like, (1, rows, 0 if self.above is None else self.above.input_size), locked),
            self.recurrent.draw_masks(rows),
            None if self.above is None else self.above.draw_masks(rows),
        )

    def _step_by_step(self, tokens: Tensor, state: DecoderState, dropped: _Dropped, sampling: float) -> DecoderOutput:
        # One lookup for all steps where the symbols are known beforehand.
        embedded = None if sampling else self._embed(tokens)  # (T, N, E)
        steps = list[DecoderOutput]()
        for t in range(len(tokens)):
            if embedded is None:
                x = self._embed(self._own(tokens[t], steps, sampling))[None]
            else:
                x = embedded[t : t + 1]  # (1, N, E)
            steps.append(self._read(x, state, dropped, None))
            state = steps[-1].state
        weights = [step.weights for step in steps if step.weights is not None]
        return DecoderOutput(torch.cat([step.o for step in steps]), state, torch.cat(weights) if weights else None)

    def _own(self, tokens: Tensor, steps: list[DecoderOutput], sampling: float) -> Tensor:
        """Symbols (N,), some replaced by what the decoder would have written (Bengio et al. 2015)."""
        if not steps:
            return tokens
        with torch.no_grad():
            own = self.scores(steps[-1].o[0]).argmax(-1)
        return torch.where(torch.rand(tokens.shape, device=tokens.device) < sampling, own, tokens)

    def _read(self, x: Tensor, state: DecoderState, dropped: _Dropped, lengths: Tensor | None) -> DecoderOutput:
        """Steps on embedded symbols x (T, N, E); T is 1 where o is fed back."""
        x = self._drop(x, dropped.embedding)
        if state.feed is not None:
            x = torch.cat([x, state.feed[None]], -1)
        below = self.recurrent.num_layers
        h, recurrent = self.recurrent(x, state.recurrent[:below], lengths=lengths, masks=dropped.below)  # (T, N, H)
        if self.attention is None or self.combine is None or state.memory is None:
            return DecoderOutput(self._drop(h, dropped.output), DecoderState(recurrent, None, None, None), None)
        context, weights = self._attend(h, state.memory)
        if self.above is not None:
            read = self._drop(torch.cat([h, context], -1), dropped.between)  # (T, N, H + M)
            h, ends = self.above(read, state.recurrent[below:], lengths=lengths, masks=dropped.above)
            recurrent = (*recurrent, *ends)
        o = self._drop(torch.tanh(self.combine(torch.cat([context, h], -1))), dropped.output)
        assert state.coverage is not None
        after = DecoderState(
            recurrent, o[-1] if self.feeds else None, state.memory, state.coverage + weights.detach().sum(0)
        )
        return DecoderOutput(o, after, weights)

    def _drop(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What is left of x (T, N, features) by the mask of all steps; without one, other units are dropped at each."""
        if mask is not None:
            return x * mask
        return torch.dropout(x, self.dropout, self.training and not self.locked)

    def _attend(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Contexts (T, N, M) and weights (T, N, S) for h (T, N, H), N = B · K targets of B sources."""
        assert self.attention is not None
        (T, N, H), (B, S, M) = h.shape, memory.values.shape
        K = N // B
        # A source is read once for all its queries, whether steps or hypotheses.
        queries = h.view(T, B, K, H).permute(1, 0, 2, 3).reshape(B, T * K, H)
        context, weights = self.attention(queries, memory)  # (B, T·K, M), (B, T·K, S)
        return tuple(
            one.view(B, T, K, size).permute(1, 0, 2, 3).reshape(T, N, size)
            for one, size in ((context, M), (weights, S))
        )


class Bridge(nn.Module):
    """The decoder's first states from the encoder's last: h = tanh(W [h→; h←] + b), other states side by side.

    A cell state keeps its meaning that way, and a normaliser such as sLSTM's stays positive.

    Args:
        layers: of encoder and decoder.
        size: units of a decoder layer, and of an encoder layer in all its directions.
    """

    def __init__(self, layers: int, size: int) -> None:
        super().__init__()
        self.h = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))

    def forward(self, ends: States) -> States:
        """A state a decoder layer, from those of each layer and direction of the encoder."""
        states, directions = [], len(ends) // len(self.h)
        for layer, linear in enumerate(self.h):
            of_layer = ends[layer * directions : (layer + 1) * directions]
            pairs = zip(of_layer[0]._fields, *of_layer, strict=True)
            whole = {name: torch.cat(tensors, -1) for name, *tensors in pairs}  # (B, H)
            states.append(State(**{**whole, "h": torch.tanh(linear(whole["h"]))}))
        return tuple(states)

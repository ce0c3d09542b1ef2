"""The decoder: from its state and the last symbols of targets to the scores of the next symbols."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell, States, select
from recurra.layers import Attention, Memory, Readout, StackMasks
from recurra.layers.masks import dropout_mask
from recurra.layers.streaming import StackStep
from recurra.tasks.translator.options import NetworkOptions


class DecoderState(NamedTuple):
    """The state after some steps of N = B · K targets: for each of B sources K adjacent rows, such as hypotheses."""

    recurrent: States
    """A state per layer, tensors (N, H)."""
    feed: Tensor | None
    """o of the last step (N, H), which the next step reads; None without input feeding."""
    memory: Memory | None
    """The B sources, one row for all K targets of a source; None without attention."""
    coverage: Tensor | None
    """The attention weights (N, S), summed over the steps so far; None without attention."""

    def select(self, rows: Tensor) -> DecoderState:
        """Returns the state of some targets.

        Args:
            rows: int64 (M,), in any order in which the targets of a source are adjacent and equally many per source.
        """
        recurrent = select(self.recurrent, rows)
        feed = None if self.feed is None else self.feed.index_select(0, rows)
        if self.memory is None or self.coverage is None:
            return DecoderState(recurrent, feed, None, None)
        memory, B = self.memory, len(self.memory.values)
        K = len(self.coverage) // B
        sources = torch.unique_consecutive(rows // K)
        # The memory is usually the largest part of the state: it is copied only if a source is dropped or moved.
        if len(sources) < B or not torch.equal(sources, torch.arange(B, device=rows.device)):
            memory = memory.select(sources)
        return DecoderState(recurrent, feed, memory, self.coverage.index_select(0, rows))


class DecoderOutput(NamedTuple):
    """The output of the decoder for T steps of N targets."""

    o: Tensor
    """(T, N, H), from which `Decoder.scores` computes the scores of the next symbols."""
    state: DecoderState
    """After the last step."""
    weights: Tensor | None
    """Attention weights (T, N, S); None without attention."""


class StackSteps(NamedTuple):
    """The recurrent stacks of a decoder, prepared for single steps."""

    recurrent: StackStep
    """The layers that attention is computed from."""
    above: StackStep | None
    """The layers above attention; None without."""


class _DropoutMasks(NamedTuple):
    """Masks that hold for all steps of a batch; all are None in evaluation mode.

    Without locked dropout the first three are None in training too: each step then draws masks of its own.
    """

    embedding: Tensor | None = None
    """(1, N, E)."""
    output: Tensor | None = None
    """For o, (1, N, H)."""
    between: Tensor | None = None
    """For the input of the layers above attention, (1, N, H + M)."""
    below: StackMasks | None = None
    """Inside the layers that attention is computed from."""
    above: StackMasks | None = None
    """Inside the layers above attention."""


class Decoder(nn.Module):
    """o_t = tanh(W_c [c_t; h_t]): h_t from a recurrent stack over the embedding of y_{t-1}, c_t from attention.

    With input feeding the stack also reads o_{t-1}, and attention is computed from its top layer (Luong et al. 2015,
    eq. 5 and section 3.3). Without, attention is computed from the first layer, and the layers above it read
    [h_t; c_t] (Wu et al. 2016, section 3): they too know what was attended to before, but all steps of a layer can be
    computed together. Without attention o_t = h_t: the encoder-decoder of Sutskever et al. 2014. The scores of the
    next symbol are W_y o_t + b, or W_y W_p o_t + b with W_y the embedding if it is tied.

    Args:
        vocabulary_size: number of target symbols, V, the end symbol included.
        memory_size: features of the encoder's outputs, M.
        options: the options of the network.
        cell: the recurrent cell.
    """

    def __init__(self, vocabulary_size: int, memory_size: int, options: NetworkOptions, cell: Cell) -> None:
        super().__init__()
        recurrent, E, H = options.recurrent, options.embedding_size, options.recurrent.hidden_size
        self.embedding, self.scale = nn.Embedding(vocabulary_size, E), 1.0
        if options.tied:
            # N(0, 1) suits an input, N(0, 1/E) the softmax: scaled where it is read, one matrix is both. With small
            # inputs the symbols can hardly be distinguished at first, and attention settles before they are.
            nn.init.normal_(self.embedding.weight, std=E**-0.5)
            self.scale = E**0.5
        self.feeds = options.attends and options.input_feeding
        # Attention from the first layer needs layers on both sides of it, each stack with a state of its own.
        below = recurrent.num_layers if self.feeds or not options.attends else 1
        above = recurrent.num_layers - below
        # The bridge computes the first state, so none is learned.
        changed: dict[str, Any] = {"cell": cell, "bidirectional": False, "learn_initial_state": False}
        self.recurrent = recurrent.stack(E + H if self.feeds else E, num_layers=below, **changed)
        self.above = recurrent.stack(H + memory_size, num_layers=above, **changed) if above else None
        self.attention = self.combine = None
        if options.attends:
            self.attention = Attention(H, memory_size, options.attention)
            self.combine = nn.Linear(memory_size + H, H, bias=False)
        self.dropout, self.locked = recurrent.dropout, recurrent.locked_dropout
        self.project = nn.Linear(H, E, bias=False) if options.tied else nn.Identity()
        tied = self.embedding.weight if options.tied else None
        self.readout = Readout(E if options.tied else H, vocabulary_size, tied=tied)

    def start(self, recurrent: States, memory: Memory | None) -> DecoderState:
        """Returns the state before the first symbol, from the states that the bridge computed."""
        feed = torch.zeros_like(recurrent[-1].h) if self.feeds else None
        coverage = None if memory is None else torch.zeros_like(memory.values[..., 0])  # (B, S)
        return DecoderState(recurrent, feed, memory, coverage)

    def forward(
        self, tokens: Tensor, state: DecoderState, *, lengths: Tensor | None = None, sampling: float = 0.0
    ) -> DecoderOutput:
        """Reads T symbols of each target and returns the outputs after each.

        Args:
            tokens: int64 (T, N).
            state: of the N targets.
            lengths: int64 (N,), the steps of each target; all T if None.
            sampling: the share of symbols that are replaced by the decoder's own last output, drawn from torch's
                global generator.
        """
        masks = self._draw_masks(tokens.shape[1])
        # A step that reads the output of the last one cannot be computed with it.
        if (self.feeds and len(tokens) > 1) or sampling:
            return self._run_step_by_step(tokens, state, masks, sampling)
        return self._run(self._embed(tokens), state, masks, lengths)

    def step(self, tokens: Tensor, state: DecoderState, stacks: StackSteps) -> DecoderOutput:
        """Reads a symbol of each target, int64 (N,), with `stacks` in place of the recurrent stacks."""
        return self._run(self._embed(tokens[None]), state, self._draw_masks(len(tokens)), None, stacks)

    def scores(self, o: Tensor) -> Tensor:
        """Returns the scores (…, V) of the next symbol from o (…, H)."""
        scores: Tensor = self.readout(self.project(o))
        return scores

    def _embed(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self.embedding(tokens) * self.scale
        return embedded

    def _run_step_by_step(
        self, tokens: Tensor, state: DecoderState, masks: _DropoutMasks, sampling: float
    ) -> DecoderOutput:
        # One lookup for all steps if the symbols are known beforehand.
        embedded = None if sampling else self._embed(tokens)  # (T, N, E)
        steps = list[DecoderOutput]()
        for t in range(len(tokens)):
            if embedded is None:
                x = self._embed(self._mix_own_outputs(tokens[t], steps, sampling))[None]
            else:
                x = embedded[t : t + 1]  # (1, N, E)
            steps.append(self._run(x, state, masks, None))
            state = steps[-1].state
        weights = [step.weights for step in steps if step.weights is not None]
        return DecoderOutput(torch.cat([step.o for step in steps]), state, torch.cat(weights) if weights else None)

    def _mix_own_outputs(self, tokens: Tensor, steps: list[DecoderOutput], sampling: float) -> Tensor:
        """Replaces a share of the symbols (N,) by the most probable ones after the last step (Bengio et al. 2015)."""
        if not steps:
            return tokens
        with torch.no_grad():
            own = self.scores(steps[-1].o[0]).argmax(-1)
        return torch.where(torch.rand(tokens.shape, device=tokens.device) < sampling, own, tokens)

    def _run(
        self,
        x: Tensor,
        state: DecoderState,
        masks: _DropoutMasks,
        lengths: Tensor | None,
        stacks: StackSteps | None = None,
    ) -> DecoderOutput:
        """Runs the steps of embedded symbols x (T, N, E); T is 1 with input feeding."""
        read_below, read_above = (self.recurrent, self.above) if stacks is None else stacks
        x = self._drop(x, masks.embedding)
        if state.feed is not None:
            x = torch.cat([x, state.feed[None]], -1)  # (1, N, E + H)
        below = self.recurrent.num_layers
        h, recurrent = read_below(x, state.recurrent[:below], lengths=lengths, masks=masks.below)  # (T, N, H)
        if self.attention is None or self.combine is None or state.memory is None or state.coverage is None:
            return DecoderOutput(self._drop(h, masks.output), DecoderState(recurrent, None, None, None), None)
        context, weights = self._attend(h, state.memory)  # (T, N, M), (T, N, S)
        if read_above is not None:
            read = self._drop(torch.cat([h, context], -1), masks.between)  # (T, N, H + M)
            h, last = read_above(read, state.recurrent[below:], lengths=lengths, masks=masks.above)
            recurrent = (*recurrent, *last)
        o = self._drop(torch.tanh(self.combine(torch.cat([context, h], -1))), masks.output)
        # Coverage ranks hypotheses and is in no loss, so it keeps no graph.
        coverage = state.coverage + weights.detach().sum(0)
        return DecoderOutput(o, DecoderState(recurrent, o[-1] if self.feeds else None, state.memory, coverage), weights)

    def _attend(self, h: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Returns contexts (T, N, M) and weights (T, N, S) for h (T, N, H), N = B · K targets of B sources."""
        assert self.attention is not None
        (T, N, H), B = h.shape, len(memory.values)
        K = N // B

        def ungroup(x: Tensor) -> Tensor:  # (B, T·K, size) to (T, N, size)
            return x.view(B, T, K, x.shape[-1]).permute(1, 0, 2, 3).reshape(T, N, x.shape[-1])

        # The keys of a source are read once for all its queries, whether these are steps or hypotheses.
        queries = h.view(T, B, K, H).permute(1, 0, 2, 3).reshape(B, T * K, H)
        context, weights = self.attention(queries, memory)  # (B, T·K, M), (B, T·K, S)
        return ungroup(context), ungroup(weights)

    def _draw_masks(self, rows: int) -> _DropoutMasks:
        """Draws the dropout masks of all steps of `rows` targets."""
        if not self.training:
            return _DropoutMasks()
        like, E, H = self.embedding.weight, self.embedding.embedding_dim, self.recurrent.output_size
        locked = self.dropout if self.locked else 0.0
        return _DropoutMasks(
            dropout_mask(like, (1, rows, E), locked),
            dropout_mask(like, (1, rows, H), locked),
            dropout_mask(like, (1, rows, 0 if self.above is None else self.above.input_size), locked),
            self.recurrent.draw_masks(rows),
            None if self.above is None else self.above.draw_masks(rows),
        )

    def _drop(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Applies dropout to x (T, N, features): the mask of all steps, or without one a mask drawn for each step."""
        if mask is not None:
            return x * mask
        return torch.dropout(x, self.dropout, self.training and not self.locked)


class DecoderStep:
    """The decoder as a `recurra.decoding.Step`; the recurrent stacks of few targets run on streams.

    Args:
        decoder: in evaluation mode.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        above = None if decoder.above is None else StackStep(decoder.above)
        self._stacks = StackSteps(StackStep(decoder.recurrent), above)

    def __call__(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Returns float32 log-probabilities (N, V) of the symbols after `tokens` int64 (N,), and the next state."""
        output = self._decoder.step(tokens, state, self._stacks)
        return self._decoder.scores(output.o[0]).float().log_softmax(-1), output.state

    def select(self, state: DecoderState, rows: Tensor) -> DecoderState:
        """Returns the state of some targets; see `DecoderState.select`."""
        return state.select(rows)

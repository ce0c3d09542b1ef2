"""The network of a translator: one network reads the source to its end, a second writes the target from there."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.tasks.cell_names import make_cell
from recurra.tasks.translator.corpus import Batch, Sources
from recurra.tasks.translator.decoder import Bridge, Decoder, DecoderState
from recurra.tasks.translator.options import NetworkOptions


class TranslatorNetwork(nn.Module):
    """p(y | x) = Π_t p(y_t | y_1 … y_{t-1}, x): an encoder, by default in both directions, a bridge, a decoder.

    Args:
        source_size: how many source symbols there are, END included.
        target_size: how many target symbols, END included.
        options: what a person chose.
        cell: the recurrent cell; the one that `options` names where None.

    Raises:
        InputError: an option that does not fit.
    """

    def __init__(
        self, source_size: int, target_size: int, options: NetworkOptions, *, cell: Cell | None = None
    ) -> None:
        super().__init__()
        recurrent = options.recurrent
        cell = cell or make_cell(recurrent)
        self.embedding = nn.Embedding(source_size, options.embedding_size)
        directions = 1 + recurrent.bidirectional
        self.encoder = recurrent.stack(
            options.embedding_size, cell=cell, hidden_size=recurrent.hidden_size // directions
        )
        self.drop_embedding, self.drop = recurrent.dropout_layer(), recurrent.dropout_layer()
        self.bridge = Bridge(recurrent.num_layers, recurrent.hidden_size)
        self.decoder = Decoder(target_size, self.encoder.output_size, options, cell)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.weight.device

    def encode(self, sources: Sources) -> DecoderState:
        """Reads sources; the decoder's state before the first symbol of their targets."""
        x = self.drop_embedding(self.embedding(sources.tokens))  # (S, B, E)
        m, ends = self.encoder(x, lengths=sources.lengths)  # (S, B, H)
        attention = self.decoder.attention
        memory = None if attention is None else attention.prepare(self.drop(m), sources.lengths)
        return self.decoder.start(self.bridge(ends), memory)

    def forward(self, batch: Batch, *, sampling: float = 0.0) -> Tensor:
        """The scores (N, V) of all target symbols of a batch, those of the first step first, without padding.

        Args:
            batch: pairs.
            sampling: the share of the decoder's inputs that are its own outputs.
        """
        state = self.encode(batch.sources)
        written = self.decoder(batch.inputs, state, lengths=batch.lengths, sampling=sampling)
        return self.decoder.scores(written.o[batch.inside])  # (T, B, H) to (N, H)


@dataclass(frozen=True)
class Step:
    """One step of a translator as decoding wants it: tokens (N,) and a state to log-probabilities (N, V)."""

    network: TranslatorNetwork

    def __call__(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Log-probabilities (N, V) of the symbol after `tokens` (N,), and the next state."""
        written = self.network.decoder(tokens[None], state)
        return self.network.decoder.scores(written.o[0]).float().log_softmax(-1), written.state

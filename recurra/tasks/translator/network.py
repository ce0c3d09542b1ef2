"""The network of a translator: an encoder reads the source, a bridge passes its last states on, a decoder writes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.cells import Cell, State, States
from recurra.tasks.cell_names import make_cell
from recurra.tasks.translator.corpus import PairBatch, SourceBatch
from recurra.tasks.translator.decoder import Decoder, DecoderState
from recurra.tasks.translator.options import NetworkOptions


class TranslatorNetwork(nn.Module):
    """p(y | x) = Π_t p(y_t | y_1 … y_{t-1}, x), computed by an encoder (by default bidirectional) and a decoder.

    Args:
        source_size: number of source symbols, the end symbol included.
        target_size: number of target symbols V, the end symbol included.
        options: the options of the network.
        cell: the recurrent cell; if None, the one that `options` names.

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
        """The device of the weights."""
        return self.embedding.weight.device

    def encode(self, sources: SourceBatch) -> DecoderState:
        """Reads sources; returns the decoder's state before the first symbol of their targets."""
        x = self.drop_embedding(self.embedding(sources.tokens))  # (S, B, E)
        m, last = self.encoder(x, lengths=sources.lengths)  # (S, B, H)
        attention = self.decoder.attention
        memory = None if attention is None else attention.prepare(self.drop(m), sources.lengths)
        return self.decoder.start(self.bridge(last), memory)

    def forward(self, batch: PairBatch, *, sampling: float = 0.0) -> Tensor:
        """Returns the scores (N, V) of all N target symbols of a batch, without padding, those of the first step first.

        Args:
            batch: pairs.
            sampling: the share of the decoder's inputs that are its own outputs.
        """
        state = self.encode(batch.sources)
        output = self.decoder(batch.inputs, state, lengths=batch.lengths, sampling=sampling)
        # Padding is left out before the scores: each position costs V · E products.
        return self.decoder.scores(output.o[batch.inside])  # (T, B, H) to (N, H)


class Bridge(nn.Module):
    """The decoder's first states from the encoder's last ones: h = tanh(W [h→; h←] + b), other states concatenated.

    Concatenated, a cell state keeps its meaning, and a normaliser such as that of the sLSTM stays positive.

    Args:
        num_layers: of the encoder and of the decoder.
        size: hidden units of a decoder layer, and of all directions of an encoder layer together.
    """

    def __init__(self, num_layers: int, size: int) -> None:
        super().__init__()
        self.h = nn.ModuleList(nn.Linear(size, size) for _ in range(num_layers))

    def forward(self, last: States) -> States:
        """Returns a state per decoder layer, from those of each layer and direction of the encoder."""
        states, directions = [], len(last) // len(self.h)
        for layer, linear in enumerate(self.h):
            of_layer = last[layer * directions : (layer + 1) * directions]
            by_name = zip(of_layer[0]._fields, *of_layer, strict=True)
            joined = {name: torch.cat(tensors, -1) for name, *tensors in by_name}  # (B, H)
            states.append(State(**{**joined, "h": torch.tanh(linear(joined["h"]))}))
        return tuple(states)

"""The network of a transcriber: convolutions that reduce time, recurrent layers, and scores of symbols per step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers import Readout
from recurra.layers.time_convolution import TimeConvolution
from recurra.tasks.transcriber.options import NetworkOptions

# Frames before and after the present one that each convolution at the front reads.
_CONTEXT = 2


class TranscriberNetwork(nn.Module):
    """Scores (T', B, V) of the symbols, of which 0 is the blank of CTC, from features (T, B, F).

    Args:
        features: the number of features of a frame, F.
        symbols: V, the blank included.
        options: the options of the network.
        cell: the recurrent cell; None for the one that `options` names.

    Raises:
        InputError: an option that does not fit.
    """

    def __init__(self, features: int, symbols: int, options: NetworkOptions, *, cell: Cell | None = None) -> None:
        super().__init__()
        recurrent = options.recurrent
        self.front = nn.ModuleList()
        size = features
        for stride in options.strides:
            self.front.append(
                TimeConvolution(size, options.conv_channels, past=_CONTEXT, future=_CONTEXT, stride=stride)
            )
            size = options.conv_channels
        self.drop_input, self.drop_output = recurrent.dropout_layer(), recurrent.dropout_layer()
        import os
        self.mode = os.environ.get("NM", "0")
        if self.mode in "12":
            self.norm = nn.LayerNorm(size)
        if self.mode == "2":
            d = 1 + recurrent.bidirectional
            self.stacks = nn.ModuleList([recurrent.stack(size if i == 0 else recurrent.hidden_size * d, cell=cell, num_layers=1) for i in range(recurrent.num_layers)])
            self.norms = nn.ModuleList([nn.LayerNorm(recurrent.hidden_size * d) for _ in range(recurrent.num_layers)])
        self.recurrent = recurrent.stack(size, cell=cell)
        size = self.recurrent.output_size
        self.lookahead = (
            TimeConvolution(size, size, future=options.lookahead, depthwise=True) if options.lookahead else None
        )
        self.readout = Readout(size, symbols)
        with torch.no_grad():
            if self.lookahead is not None:
                # It starts as the present step alone.
                self.lookahead.weight.zero_()[:, :, 0] = 1
                self.lookahead.bias.zero_()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.readout.weight.device

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Returns the steps of the scores, (B,), of rows with `lengths` frames."""
        for layer in self.front:
            lengths = layer.output_lengths(lengths)
        return lengths

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the scores (T', B, V), before the softmax, and their lengths (B,).

        Args:
            features: (T, B, F), normalised.
            lengths: (B,) int64, the frames of each row.
        """
        x = features
        for layer in self.front:
            x, lengths = layer(x, lengths)
            x = torch.relu(x)
        if self.mode in "12":
            x = self.norm(x)
        if self.mode == "2":
            h = x
            for stack, norm in zip(self.stacks, self.norms):
                h, _ = stack(self.drop_input(h), lengths=lengths)
                h = norm(h)
        else:
            h, _ = self.recurrent(self.drop_input(x), lengths=lengths)  # (T', B, H)
        h = self.drop_output(h)
        if self.lookahead is not None:
            h, _ = self.lookahead(h, lengths)
        return self.readout(h), lengths

"""The network of a transcriber: convolutions that reduce time, recurrent layers, and scores of symbols per step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers import Readout
from recurra.layers.time_convolution import TimeConvolution
from recurra.tasks.cell_names import make_cell
from recurra.tasks.transcriber.options import NetworkOptions

# Frames before and after the present one that each convolution at the front reads.
_CONTEXT = 2


class TranscriberNetwork(nn.Module):
    """Scores (T', B, V) of the symbols, of which 0 is the blank of CTC, from features (T, B, F).

    Layer normalisation follows the convolutions and each recurrent layer. Without it, training remained for many epochs
    in the state in which CTC writes blanks only: on recordings of digits the loss after 90 seconds was 1.2 nats per
    character without, 0.5 with normalisation of the gates, and 0.3 with this one, which costs less.

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
        recurrent, size = options.recurrent, features
        cell = cell or make_cell(recurrent)
        self.front = nn.ModuleList()
        for stride in options.strides:
            self.front.append(
                TimeConvolution(size, options.conv_channels, past=_CONTEXT, future=_CONTEXT, stride=stride)
            )
            size = options.conv_channels
        self.front_norm = nn.LayerNorm(size)
        # Stacks of one layer each, because the normalisation is between them.
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        for _ in range(recurrent.num_layers):
            self.layers.append(recurrent.stack(size, cell=cell, num_layers=1, residual=False))
            size = int(self.layers[-1].output_size)  # type: ignore[arg-type]
            self.norms.append(nn.LayerNorm(size))
        self.residual, self.drop = recurrent.residual, recurrent.dropout_layer()
        self.lookahead = lookahead(size, options.lookahead) if options.lookahead else None
        self.readout = Readout(size, symbols)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.readout.weight.device

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Returns the steps of the scores, (B,), of rows with `lengths` frames."""
        for layer in self.front:
            lengths = layer.output_lengths(lengths)  # type: ignore[operator]
        return lengths

    def blocks(self) -> Iterator[tuple[nn.Module, nn.Module, bool]]:
        """Yields each recurrent layer, the normalisation after it, and whether its input is added to its output."""
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            yield layer, norm, self.residual and number > 0

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the scores (T', B, V), before the softmax, and their lengths (B,).

        Args:
            features: (T, B, F), normalised.
            lengths: (B,) int64, the frames of each row.
        """
        x = features
        for convolution in self.front:
            x, lengths = convolution(x, lengths)
            x = torch.relu(x)
        h = self.drop(self.front_norm(x))  # (T', B, C)
        for layer, norm, residual in self.blocks():
            y, _ = layer(h, lengths=lengths)
            h = self.drop(norm(y + h if residual else y))  # (T', B, H)
        if self.lookahead is not None:
            h, _ = self.lookahead(h, lengths)
        return self.readout(h), lengths


def lookahead(size: int, steps: int) -> TimeConvolution:
    """Returns the convolution of each feature over later steps (Amodei et al. 2016), at first the present step alone.

    Args:
        size: features.
        steps: later steps that are read.
    """
    layer = TimeConvolution(size, size, future=steps, depthwise=True)
    with torch.no_grad():
        layer.weight.zero_()[:, :, 0] = 1
        layer.bias.zero_()
    return layer

"""Convolutions over time that give the same result for whole sequences, padded batches and streams."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import InputError


class TimeConvolution(nn.Module):
    """y_t = Σ_k W_k x_{t·s + k - past} + b, k = 0 … past + future: one step of y for every s steps of x.

    Steps before the start and past the end of a sequence are zeros, whatever a batch has there.

    Args:
        input_size: features of x.
        output_size: features of y.
        past: steps of x before the present one that y_t reads.
        future: steps of x after the present one that y_t reads; a stream is late by as many.
        stride: s.
        depthwise: each feature of y reads only the same feature of x; the sizes must be equal.

    Raises:
        InputError: a number out of range.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        past: int = 0,
        future: int = 0,
        stride: int = 1,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        if min(input_size, output_size, stride) < 1 or min(past, future) < 0:
            raise InputError(
                f"TimeConvolution: input_size={input_size}, output_size={output_size}, stride={stride} must be 1 or "
                f"more, past={past} and future={future} 0 or more"
            )
        if stride > 1 + past + future:
            raise InputError(f"TimeConvolution: stride={stride}: steps of x would be skipped: raise past or future")
        if depthwise and input_size != output_size:
            raise InputError(f"TimeConvolution: depthwise: sizes {input_size} and {output_size} are not equal")
        self.input_size, self.output_size = input_size, output_size
        self.past, self.future, self.stride, self.depthwise = past, future, stride, depthwise
        width = 1 + past + future
        self.weight = nn.Parameter(torch.empty(output_size, 1 if depthwise else input_size, width))
        self.bias = nn.Parameter(torch.empty(output_size))
        # The variance of x is kept through a rectifier (He et al. 2015).
        bound = (6 / (width * self.weight.shape[1])) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    @property
    def width(self) -> int:
        """Steps of x that a step of y reads."""
        return 1 + self.past + self.future

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Returns the steps of y of rows with `lengths` (B,) steps of x: ⌈L / s⌉."""
        return (lengths + self.stride - 1) // self.stride

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Returns y (⌈T/s⌉, B, output_size) and its lengths (B,) of x (T, B, input_size) with lengths (B,) int64.

        y is not defined past a row's end.
        """
        T = len(x)
        inside = torch.arange(T, device=x.device)[:, None] < lengths  # (T, B)
        x = x.masked_fill(~inside[:, :, None], 0)
        # As many zeros at the end as the last step reads, whose position is a multiple of s.
        reach = (T - 1) // self.stride * self.stride + 1 + self.future
        x = F.pad(x, (0, 0, 0, 0, self.past, max(0, reach - T)))
        return self.valid(x), self.output_lengths(lengths)

    def valid(self, x: Tensor) -> Tensor:
        """Returns y of all windows that lie within x (T, B, input_size), with no padding: (T', B, output_size)."""
        if self.depthwise:
            steps = (len(x) - self.width) // self.stride + 1
            windows = x.unfold(0, self.width, self.stride)[:steps]  # (T', B, I, width)
            return (windows * self.weight[:, 0]).sum(-1) + self.bias
        windows = x.unfold(0, self.width, self.stride)  # (T', B, I, width)
        steps, B = windows.shape[:2]
        flat = windows.reshape(steps * B, self.input_size * self.width)
        y = F.linear(flat, self.weight.reshape(self.output_size, -1), self.bias)
        return y.view(steps, B, self.output_size)

    def stream(self, rows: int = 1) -> ConvolutionStream:
        """Returns the convolution as a stream of `rows` sequences."""
        return ConvolutionStream(self, rows)

    def extra_repr(self) -> str:
        """The sizes and the steps that y reads."""
        depthwise = ", depthwise=True" if self.depthwise else ""
        return (
            f"{self.input_size}, {self.output_size}, past={self.past}, future={self.future}, stride={self.stride}"
            f"{depthwise}"
        )


class ConvolutionStream:
    """A `TimeConvolution` over x that arrives in parts: the parts of y together are y of the whole.

    Args:
        convolution: the layer, whose present parameters are used.
        rows: sequences in parallel, B.
    """

    def __init__(self, convolution: TimeConvolution, rows: int) -> None:
        self._convolution, self._rows = convolution, rows
        self.reset()

    def reset(self) -> None:
        """Starts a new sequence."""
        layer = self._convolution
        self._held = layer.weight.new_zeros(layer.past, self._rows, layer.input_size)
        self._steps = self._emitted = 0

    def accept(self, x: Tensor) -> Tensor:
        """Returns the steps of y (n, B, output_size) that x (t, B, input_size) completes; n may be 0."""
        self._steps += len(x)
        return self._advance(x, last=None)

    def finish(self) -> Tensor:
        """Returns the last steps of y, which read zeros past the end."""
        layer = self._convolution
        total = -(-self._steps // layer.stride)
        zeros = layer.weight.new_zeros(layer.future + layer.stride, self._rows, layer.input_size)
        return self._advance(zeros, last=total - self._emitted)

    def _advance(self, x: Tensor, *, last: int | None) -> Tensor:
        layer = self._convolution
        with torch.no_grad():
            held = torch.cat([self._held, x])
            steps = max(0, (len(held) - layer.width) // layer.stride + 1)
            if last is not None:
                steps = min(steps, last)
            if not steps:
                self._held = held
                return x.new_zeros(0, self._rows, layer.output_size)
            y = layer.valid(held[: (steps - 1) * layer.stride + layer.width])
            self._held = held[steps * layer.stride :]
        self._emitted += steps
        return y

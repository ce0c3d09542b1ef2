"""Convolutions over time: whole sequences, padded batches and streams agree."""

import numpy as np
import pytest
import torch

from recurra.errors import InputError
from recurra.layers.time_convolution import TimeConvolution

SHAPES = [(2, 2, 1, False), (2, 2, 2, False), (1, 3, 3, False), (0, 4, 1, True), (0, 1, 2, False)]


def convolution(past, future, stride, depthwise):
    torch.manual_seed(0)
    return TimeConvolution(3, 3 if depthwise else 5, past=past, future=future, stride=stride, depthwise=depthwise)


@pytest.mark.parametrize("shape", SHAPES)
def test_y_equals_the_formula(shape):
    past, future, stride, depthwise = shape
    layer, x = convolution(*shape), torch.randn(7, 1, 3)
    y, lengths = layer(x, torch.tensor([7]))
    padded = np.zeros((7 + past + future + stride, 3))
    padded[past : past + 7] = x[:, 0].numpy()
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    assert lengths.tolist() == [-(-7 // stride)] == [len(y)]
    for t in range(len(y)):
        window = padded[t * stride : t * stride + 1 + past + future]  # (width, 3)
        one = (weight[:, 0] * window.T).sum(1) if depthwise else np.einsum("oik,ki->o", weight, window)
        np.testing.assert_allclose(y[t, 0].detach().numpy(), one + bias, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_padded_row_equals_the_row_alone(shape):
    layer, x = convolution(*shape), torch.randn(9, 2, 3)
    y, lengths = layer(x, torch.tensor([9, 4]))
    alone, length = layer(x[:4, 1:], torch.tensor([4]))
    assert lengths[1] == length[0]
    torch.testing.assert_close(y[: int(length), 1], alone[:, 0])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("T", [1, 2, 5, 12])
def test_a_stream_equals_the_whole(shape, T):
    layer, x = convolution(*shape), torch.randn(T, 1, 3)
    whole, _ = layer(x, torch.tensor([T]))
    generator = np.random.default_rng(T)
    stream, parts, start = layer.stream(), [], 0
    while start < T:
        size = int(generator.integers(0, 4))
        parts.append(stream.accept(x[start : start + size]))
        start += size
    torch.testing.assert_close(torch.cat([*parts, stream.finish()]), whole)


def test_invalid_sizes_are_refused():
    with pytest.raises(InputError, match="stride=0 must be 1 or more"):
        TimeConvolution(3, 3, stride=0)
    with pytest.raises(InputError, match="stride=2: steps of x would be skipped"):
        TimeConvolution(3, 3, stride=2)
    with pytest.raises(InputError, match="sizes 3 and 4 are not equal"):
        TimeConvolution(3, 4, depthwise=True)

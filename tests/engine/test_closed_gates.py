"""Gates that are nearly closed: numbers far below 1 are relatively as exact as others."""

import pytest
import torch

from recurra.layers import LSTM

BIASES = [-14.0, -20.0, -50.0, -80.0]


def outputs_and_gradients(layer, x):
    layer.zero_grad()
    x = x.clone().requires_grad_()
    y, (h, c) = layer(x)
    scale = y.detach().abs().max()  # so that the gradients of an output near 1e-35 are no subnormal numbers
    mix = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).view(y.shape)
    ((y / scale * mix).sum() + (c / scale).sum()).backward()
    return [y.detach(), h.detach(), c.detach(), x.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("bias", BIASES)
def test_an_lstm_with_a_closed_input_gate_is_relatively_exact(bias):
    torch.manual_seed(0)
    layer = LSTM(4, 16, engine="cpu")
    exact = torch.nn.LSTM(4, 16).double()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("bias_ih"):
                parameter[:16] = bias
    exact.load_state_dict({name: tensor.double() for name, tensor in layer.state_dict().items()})
    x = torch.randn(5, 3, 4)
    names = ["y", "h", "c", "x", *(name for name, _ in layer.named_parameters())]
    got, want = outputs_and_gradients(layer, x), outputs_and_gradients(exact, x.double())
    for name, one, other in zip(names, got, want, strict=True):
        assert (other != 0).any(), name
        # A sum of many numbers may cancel: then its error is that of its parts.
        atol = 4e-6 * other.abs().max().item()
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("bias", [-90.0, -100.0])
def test_an_input_gate_that_is_subnormal_is_not_0(bias):
    torch.manual_seed(0)
    layer = LSTM(4, 16, engine="cpu")
    exact = torch.nn.LSTM(4, 16).double()
    with torch.no_grad():
        layer.bias_ih_l0[:16] = bias
    exact.load_state_dict({name: tensor.double() for name, tensor in layer.state_dict().items()})
    x = torch.randn(5, 3, 4)
    y, want = layer(x)[0], exact(x.double())[0]
    assert (y != 0).any() or bias == -100
    torch.testing.assert_close(y.double(), want, rtol=1e-5, atol=8 * 2.0**-149)

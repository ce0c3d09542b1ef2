"""What the maps of the studies are made of, against recurrences whose gradients and exponents are known."""

import math

import pytest
import torch

from recurra.cells import find_cell
from recurra.cells.elman import Elman
from recurra.diagnosis.studies import sweep
from recurra.diagnosis.studies.relu_layer import growth, norms
from recurra.diagnosis.studies.sweep import Networks, gradient_by_lag, is_kept, lyapunov_exponent


def generator():
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize(("variance", "theory"), [(3.0, 1.5), (2.0, 1.0), (1.5, 0.75)])
def test_relu_activations_grow_at_the_rate_of_theory(variance, theory):
    draws = (torch.Generator().manual_seed(seed) for seed in range(32))
    rates = torch.stack([growth(norms(1024, variance, steps=30, generator=one)) for one in draws])
    assert float(rates.mean()) == pytest.approx(theory, rel=0.05)


def test_norms_are_those_of_the_recurrence_written_out():
    measured = norms(8, 3.0, steps=4, generator=generator())
    again = generator()
    layer = torch.nn.RNN(1, 8, nonlinearity="relu", bias=False)
    bound = 1 / math.sqrt(8)  # in the order of the layer: W_ih, W_hh by torch, then W_hh anew
    layer.weight_ih_l0.data.uniform_(-bound, bound, generator=again)
    layer.weight_hh_l0.data.uniform_(-bound, bound, generator=again)
    W = torch.empty(8, 8).normal_(0, math.sqrt(3 / 8), generator=again)
    h = torch.randn(8, generator=again).relu()
    written = [h]
    for _ in range(3):
        written.append((W @ written[-1]).relu())
    wanted = torch.stack([one.norm() for one in written]) / h.norm()
    torch.testing.assert_close(measured.float(), wanted, rtol=1e-5, atol=0)


def test_a_rotation_scaled_keeps_its_scale_to_the_power_of_the_lag():
    Q = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    networks = Networks(Elman("identity"), torch.stack([0.9 * Q, 1.1 * Q]), {})
    gradients = gradient_by_lag(networks, networks.start(), lags=20, generator=generator())
    lags = torch.arange(21, dtype=torch.float64)
    torch.testing.assert_close(gradients, torch.stack([0.9**lags, 1.1**lags]), rtol=1e-10, atol=0)


def test_the_lyapunov_exponent_of_a_linear_recurrence_is_the_logarithm_of_its_largest_eigenvalue():
    values = torch.tensor([0.8, 0.5, -0.3, 0.1], dtype=torch.float64)
    V = torch.randn(4, 4, dtype=torch.float64)
    networks = Networks(Elman("identity"), (V @ torch.diag(values) @ torch.linalg.inv(V))[None], {})
    exponent = lyapunov_exponent(networks, networks.start(), steps=200, generator=generator())
    assert float(exponent) == pytest.approx(math.log(0.8), abs=1e-3)


def test_with_w_hh_zero_an_lstm_keeps_its_forget_gate_to_the_power_of_the_lag(monkeypatch):
    monkeypatch.setattr(sweep, "NOISE", 0.0)
    networks = Networks.drawn(find_cell("lstm"), [1e-30], 5, generator(), bias={"f": 2.0})
    state = networks.settled(50, generator())
    gradients = gradient_by_lag(networks, state, lags=30, generator=generator())[0]
    f = 1 / (1 + math.exp(-2))
    torch.testing.assert_close(
        gradients[1:] / gradients[1], f ** torch.arange(30, dtype=torch.float64), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("name", ["elman", "gru", "coupled_lstm"])
def test_side_by_side_is_one_by_one(name):
    cell, scales = find_cell(name), [0.5, 4.0]
    together = Networks.drawn(cell, scales, 7, generator())
    both = gradient_by_lag(together, together.start(), lags=6, generator=generator())
    for place, scale in enumerate(scales):
        alone = Networks.drawn(cell, [scale], 7, generator())
        assert torch.equal(alone.hh[0], together.hh[place])
        # The arriving gradients differ, so all that must agree is the drawn state they were taken at.
        a, b = alone.settled(5, generator()), together.settled(5, generator())
        torch.testing.assert_close(a.h[0], b.h[place])
    assert both.shape == (2, 7)
    assert torch.equal(both[:, 0], torch.ones(2, dtype=torch.float64))


def test_kept_means_within_ten_at_every_lag():
    kept = is_kept(torch.tensor([[1.0, 5, 10], [1, 11, 1], [1, 0.05, 1], [1, 0.1, 0.2]]))
    assert kept.tolist() == [True, False, False, True]

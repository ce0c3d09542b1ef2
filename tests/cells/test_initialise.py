"""Initialisation by its statistics and by the values it promises."""

import math

import pytest
import torch

from recurra.cells import GRU, LSTM, Elman, Initialisation, Weights
from recurra.errors import InputError

H = 200


def filled(cell, how, *, input_size=50, bias=True):
    G, R = len(cell.gates), len(cell.recurrent)
    shapes = (G * H, input_size), (R * H, H), (G * H,), (R * H,)
    weights = Weights(*(torch.full(shape, math.nan) for shape in shapes))
    weights = weights if bias else weights._replace(b_ih=None, b_hh=None)
    cell.initialise(weights, how, torch.Generator().manual_seed(0))
    return weights


def test_torchs_default_is_uniform_within_one_over_the_root_of_h():
    for tensor in filled(LSTM(), Initialisation())[:4]:
        bound = 1 / math.sqrt(H)
        assert tensor.abs().max() <= bound
        assert tensor.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize("s", [1.5, 2, 3])
def test_normal_recurrent_weights_have_variance_s_over_n(s):
    hh = filled(Elman("relu"), Initialisation(recurrent="normal", variance=s)).hh
    assert hh.var().item() == pytest.approx(s / H, rel=0.03)
    assert abs(hh.mean().item()) < 4 * math.sqrt(s / H) / H


def test_orthogonal_blocks_keep_lengths():
    for block in filled(GRU(), Initialisation(recurrent="orthogonal")).hh.chunk(3):
        torch.testing.assert_close(block @ block.T, torch.eye(H), rtol=0, atol=1e-5)


def test_identity_blocks():
    assert torch.equal(filled(Elman("relu"), Initialisation(recurrent="identity")).hh, torch.eye(H))


def test_xavier_input_weights_are_scaled_gate_by_gate():
    ih = filled(LSTM(), Initialisation(input="xavier")).ih
    assert ih.abs().max() <= math.sqrt(6 / (50 + H))
    assert ih.std().item() == pytest.approx(math.sqrt(2 / (50 + H)), rel=0.05)


def test_the_forget_bias_is_the_sum_of_both_biases_and_touches_no_other_gate():
    weights = filled(LSTM(), Initialisation(forget_bias=1.5))
    both = (weights.b_ih + weights.b_hh).view(4, H)
    assert (both[1] == 1.5).all()
    assert both[[0, 2, 3]].abs().max() <= 2 / math.sqrt(H)
    both = (lambda w: (w.b_ih + w.b_hh).view(3, H))(filled(GRU(), Initialisation(forget_bias=1.5)))
    assert (both[1] == 1.5).all()


def test_chrono_spreads_time_scales_and_mirrors_the_input_gate():
    weights = filled(LSTM(), Initialisation(chrono=100))
    i, f, *_ = (weights.b_ih + weights.b_hh).view(4, H)
    assert torch.equal(i, -f)
    times = f.exp()
    assert times.min() >= 1
    assert times.max() <= 99
    assert times.mean().item() == pytest.approx(50, rel=0.1)


def test_one_generator_state_gives_one_start():
    a, b = (filled(LSTM(), Initialisation(recurrent="orthogonal", chrono=9)) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"recurrent": "ortogonal"}, "Did you mean 'orthogonal'"),
        ({"input": "xavyer"}, "Did you mean 'xavier'"),
        ({"recurrent": "normal"}, "variance=None"),
        ({"variance": 2.0}, "applies only to recurrent='normal'"),
        ({"recurrent": "normal", "variance": -1.0}, "must be above 0"),
        ({"chrono": 2}, "3 steps or more"),
        ({"chrono": 9, "forget_bias": 1.0}, "choose one of them"),
    ],
)
def test_settings_that_contradict_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Initialisation(**fields)


def test_a_forget_bias_needs_a_forget_gate_and_a_bias():
    with pytest.raises(InputError, match="no gate that keeps its state"):
        filled(Elman(), Initialisation(forget_bias=1.0))
    with pytest.raises(InputError, match="bias=False"):
        filled(LSTM(), Initialisation(forget_bias=1.0), bias=False)

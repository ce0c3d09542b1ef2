import pytest
import torch
from table import MADE

import recurra
from recurra.diagnosis.gates import dead_units, gate_use, ranges
from recurra.diagnosis.patching import evaluation_mode
from recurra.diagnosis.recording import record_sequences


def use_of(layer, x, **given):
    with evaluation_mode(layer), record_sequences(layer) as sequences:
        layer(x, **given)
    return {use.gate: use for use in gate_use(sequences[0].trajectories[0])}, sequences[0].trajectories[0]


def test_biases_decide_what_is_saturated_and_stuck():
    layer = recurra.LSTM(2, 4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0[4:6] = 5.0  # f of two units
        layer.bias_ih_l0[6:8] = -5.0  # of the two others
        layer.bias_ih_l0[8:12] = 3.0  # g
    uses, _ = use_of(layer, torch.randn(6, 3, 2))
    f, i, g = uses["f"], uses["i"], uses["g"]
    assert (f.low, f.high, f.stuck) == (0.5, 0.5, 1.0)
    assert (i.low, i.high, i.stuck, i.mean) == (0, 0, 0, 0.5)
    assert (g.lowest, g.highest, g.high) == (-1, 1, 1.0)
    assert f.histogram[0] == f.histogram[-1] == 0.5
    assert i.histogram[12] == 1.0


def test_an_elman_network_shows_its_h():
    layer = recurra.RNN(2, 4)
    with torch.no_grad():
        layer.bias_ih_l0.copy_(torch.tensor([9.0, -9.0, 9.0, 0.0]))
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.zero_()
    uses, _ = use_of(layer, torch.randn(6, 3, 2))
    assert uses["h"].saturated == 0.75
    assert (uses["h"].low, uses["h"].high) == (0.25, 0.5)


def test_dead_units_and_steps_past_the_end():
    layer = recurra.RNN(2, 4, nonlinearity="relu")
    with torch.no_grad():
        layer.bias_ih_l0.copy_(torch.tensor([-99.0, -99.0, -99.0, 99.0]))
        layer.weight_hh_l0.zero_()
    uses, trajectory = use_of(layer, torch.randn(6, 3, 2), lengths=torch.tensor([6, 2, 0]))
    assert dead_units(trajectory) == 0.75
    assert uses["h"].saturated == 0  # a function without bounds saturates nowhere
    assert uses["h"].mean > 20  # padding, which is 0, would pull it down


@pytest.mark.parametrize("name", MADE)
def test_shares_of_every_cell_add_up(name):
    uses, trajectory = use_of(recurra.Recurrent(MADE[name](), 3, 5), torch.randn(8, 2, 3))
    assert set(uses) == set(trajectory.cell.formula.shown or ("h",))
    for use in uses.values():
        assert sum(use.histogram) == pytest.approx(1, abs=1e-5)


def test_the_range_of_a_gate_is_that_of_its_function():
    assert ranges(MADE["gru"]())["z"] == (0, 1)
    assert ranges(MADE["gru"]())["n"] == (-1, 1)
    assert ranges(MADE["gru-relu"]())["n"] is None
    assert ranges(MADE["slstm-exp"]())["i"] is None

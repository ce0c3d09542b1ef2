"""Everything random in a layer: drawn once, kept over windows, with the means it should have."""

import copy

import pytest
import table
import torch

from recurra.cells import Elman
from recurra.layers import LSTM, Recurrent

CELL_NAMES = list(table.MADE)
T, B = 6, 3


def filled(layer, **values):
    """The layer with its parameters set: those named to a number, the others to 0."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(values.get(name, 0.0))
    return layer


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_dropout_is_one_mask_a_sequence_and_sleeps_in_evaluation(cell):
    layer, x = Recurrent(cell, 3, 5, recurrent_dropout=0.5), torch.randn(T, B, 3)
    masks = layer.draw_masks(B)
    assert masks.recurrent[0].shape == (B, 5)
    assert set(masks.recurrent[0].unique().tolist()) <= {0.0, 2.0}
    assert not torch.equal(layer(x)[0], layer(x)[0])
    assert torch.equal(layer(x, masks=masks)[0], layer(x, masks=masks)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    plain = Recurrent(cell, 3, 5)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x)[0], plain(x)[0])
    assert not torch.allclose(layer(x, masks=masks)[0], layer(x)[0])  # asked for: dropout in evaluation


def test_each_layer_and_direction_is_dropped_by_its_own_mask():
    layer, x = Recurrent("gru", 3, 4, 2, bidirectional=True, recurrent_dropout=0.5), torch.randn(T, B, 3)
    ones = torch.ones(B, 4)
    for index, suffix in enumerate(("_l0", "_l0_reverse", "_l1", "_l1_reverse")):
        masks = layer.draw_masks(B)._replace(
            recurrent=tuple(ones * (place != index) for place in range(4)),
        )
        plain = Recurrent("gru", 3, 4, 2, bidirectional=True)
        plain.load_state_dict(layer.state_dict())
        with torch.no_grad():
            getattr(plain, "weight_hh" + suffix).zero_()
        torch.testing.assert_close(layer(x, masks=masks)[0], plain(x)[0])


@pytest.mark.parametrize("locked", [False, True])
def test_windows_with_the_masks_of_one_draw_equal_the_whole(locked):
    layer = Recurrent(
        "lstm", 3, 4, 3, dropout=0.3, locked_dropout=locked, recurrent_dropout=0.3, weight_drop=0.3, zoneout=0.3,
        residual=True, layer_norm=True, dtype=torch.float64,
    )  # fmt: skip
    x = torch.randn(T, B, 3, dtype=torch.float64)
    masks = layer.draw_masks(B, T, torch.Generator().manual_seed(1))
    whole, last = layer(x, masks=masks)
    first, state = layer(x[:2], masks=masks.window(0, 2))
    second, end = layer(x[2:], state, masks=masks.window(2, T))
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)
    for a, b in zip(end, last, strict=True):
        torch.testing.assert_close(a.c, b.c, rtol=0, atol=1e-12)
    again = layer(x, masks=layer.draw_masks(B, T, torch.Generator().manual_seed(1)))[0]
    assert torch.equal(again, whole)


def test_masks_of_a_sequence_leave_those_of_the_steps_to_each_call():
    layer = Recurrent("gru", 3, 4, 2, zoneout=0.5, dropout=0.5, recurrent_dropout=0.5)
    masks = layer.draw_masks(B)
    assert masks.zoneout == ((), ())
    assert masks.between == (None,)
    x = torch.randn(T, B, 3)
    assert not torch.equal(layer(x, masks=masks)[0], layer(x, masks=masks)[0])
    full = layer.draw_masks(B, T)
    assert full.zoneout[1][0].shape == (T, B, 4)
    assert full.between[0].shape == (T, B, 4)
    assert torch.equal(layer(x, masks=full)[0], layer(x, masks=full)[0])


def test_rates_are_kept_and_means_too():
    layer = Recurrent("lstm", 3, 200, 2, zoneout={"c": 0.5}, recurrent_dropout=0.25, weight_drop=0.1, dropout=0.4)
    masks = layer.draw_masks(50, 8, torch.Generator().manual_seed(0))
    h, c = masks.zoneout[0]
    assert h is None
    assert c.mean().item() == pytest.approx(0.5, abs=0.01)
    for mask, rate in ((masks.recurrent[0], 0.25), (masks.weight[1], 0.1), (masks.between[0], 0.4)):
        assert (mask == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
        assert mask.mean().item() == pytest.approx(1, abs=0.02)


def test_zoneout_in_evaluation_mixes_by_the_rate():
    # h_t = 1 whatever came before, so with rate 1/4 each step goes 3/4 of what is left of the way.
    layer = filled(Recurrent(Elman("identity"), 3, 4, zoneout=0.25), bias_ih_l0=1.0).eval()
    y = layer(torch.zeros(T, B, 3))[0]
    want = 1 - 0.25 ** torch.arange(1.0, T + 1)
    torch.testing.assert_close(y, want[:, None, None].expand_as(y))


def test_zoneout_while_training_has_the_expectation_of_evaluation():
    layer = filled(Recurrent(Elman("identity"), 3, 500, zoneout=0.25), bias_ih_l0=1.0)
    y = layer(torch.zeros(3, 40, 3))[0]
    assert set(y.unique().tolist()) == {0.0, 1.0}
    assert y.mean((1, 2)).tolist() == pytest.approx([0.75, 0.9375, 0.984375], abs=0.01)


def test_weight_drop_is_one_mask_a_call_and_runs_on_torchs_kernels():
    layer, x = LSTM(3, 4, weight_drop=0.5), torch.randn(T, B, 3)
    assert layer.explain(x).engine == "native"
    masks = layer.draw_masks(B)
    plain = LSTM(3, 4)
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        plain.weight_hh_l0.mul_(masks.weight[0])
    torch.testing.assert_close(layer(x, masks=masks)[0], plain(x)[0])
    layer(x, masks=masks)[0].sum().backward()
    assert (layer.weight_hh_l0.grad[masks.weight[0] == 0] == 0).all()


def test_a_rate_changed_later_is_the_rate_used():
    layer = copy.deepcopy(Recurrent("gru", 3, 4, recurrent_dropout=0.5))
    layer.recurrent_dropout = 0.0
    x = torch.randn(T, B, 3)
    assert torch.equal(layer(x)[0], layer(x)[0])

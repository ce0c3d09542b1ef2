"""Dropout between layers: the rates that torch.nn takes, the numbers it drops from one seed, its warning."""

import pytest
import torch
from twins import LAYERS, assert_equal, batch, packed, twins

import recurra.layers

each_layer = pytest.mark.parametrize("kind", LAYERS)


def seeded(layer, x):
    torch.manual_seed(11)
    return layer(x)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize("rate", [0, 0.0, 0.2, 0.5, 0.9, 1, 1.0])
@each_layer
def test_one_seed_drops_what_torch_drops(kind, rate, bidirectional):
    theirs, ours = twins(kind, num_layers=3, dropout=rate, bidirectional=bidirectional)
    assert_equal(seeded(ours, batch()), seeded(theirs, batch()), torch.float32)


@each_layer
def test_nothing_is_dropped_in_evaluation(kind):
    theirs, ours = twins(kind, num_layers=2, dropout=0.9)
    without = twins(kind, num_layers=2)[1]
    without.load_state_dict(ours.state_dict())
    assert_equal(ours.eval()(batch()), theirs.eval()(batch()), torch.float32)
    assert_equal(ours(batch()), without(batch()), torch.float32)


@each_layer
def test_a_rate_of_1_passes_nothing_on_and_no_gradient_down(kind):
    _, ours = twins(kind, num_layers=2, dropout=1)
    x = batch().requires_grad_()
    y, _ = ours(x)
    assert torch.equal(y, ours(2 * x)[0])
    y.sum().backward()
    assert torch.isfinite(ours.weight_ih_l0.grad).all()
    assert (x.grad == 0).all()
    assert (ours.weight_hh_l1.grad != 0).any() or kind == "relu"


@pytest.mark.parametrize("locked", [False, True], ids=["each step", "locked"])
@each_layer
def test_a_rate_of_1_by_drawn_masks_is_0_not_nan(kind, locked):
    class_name, fixed = LAYERS[kind]
    layer = getattr(recurra.layers, class_name)(3, 4, 2, dropout=1.0, locked_dropout=locked, **fixed)
    masks = layer.draw_masks(3, 5, torch.Generator().manual_seed(0))
    assert (masks.between[0] == 0).all()
    assert torch.isfinite(layer(batch(), masks=masks)[0]).all()
    assert torch.isfinite(layer(batch())[0]).all()


@pytest.mark.parametrize("p", [0, 1, 1.0])
def test_locked_dropout_takes_the_same_rates(p):
    y = recurra.layers.LockedDropout(p)(torch.ones(2, 3, 4))
    assert (y == (1 - p)).all()


@each_layer
def test_the_rate_can_be_changed_afterwards(kind):
    theirs, ours = twins(kind, num_layers=2, dropout=0.5)
    for layer in (theirs, ours):
        layer.dropout = 0.0
    assert_equal(ours(batch()), theirs(batch()), torch.float32)
    for layer in (theirs, ours):
        layer.dropout = 0.7
    assert_equal(seeded(ours, batch()), seeded(theirs, batch()), torch.float32)


@each_layer
def test_the_share_dropped_from_a_packed_batch(kind):
    _, ours = twins(kind, sizes=(3, 64), num_layers=2, dropout=0.3)
    shares = []
    ours._dropped, drop = lambda x, mask: shares.append(drop(x, mask)) or shares[-1], ours._dropped
    x = torch.randn(20, 8, 3)
    ours(packed(x, [20] * 8))
    dropped = (shares[0] == 0).float().mean().item()
    # ReLU is 0 for about half of its units itself.
    assert dropped > 0.25 if kind == "relu" else dropped == pytest.approx(0.3, abs=0.03)


@each_layer
def test_a_rate_with_one_layer_warns_as_torch_does(kind):
    class_name, fixed = LAYERS[kind]
    for module in (torch.nn, recurra.layers):
        with pytest.warns(UserWarning, match="num_layers") as caught:
            getattr(module, class_name)(3, 4, dropout=0.5, **fixed)
        assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "\n" not in str(caught[0].message)


@pytest.mark.filterwarnings("error")
@each_layer
def test_no_warning_without_a_rate_or_with_two_layers(kind):
    class_name, fixed = LAYERS[kind]
    getattr(recurra.layers, class_name)(3, 4, dropout=0.0, **fixed)
    getattr(recurra.layers, class_name)(3, 4, 2, dropout=0.5, **fixed)

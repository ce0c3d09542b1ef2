import math

import pytest
import torch
from torch import nn
from training_toy import Stopping, Toy, same, weights

from recurra.errors import RecurraError
from recurra.training import Loss, TrainingOptions, read_checkpoint, train
from recurra.training.meter import Meter


def ignore(metrics):
    pass


def fails(toy, folder, match, **changes):
    options = TrainingOptions(**{"steps": 20, "checkpoint_every": 1e-9, **changes})
    with pytest.raises(RecurraError, match=match) as caught:
        train(toy, options, folder, save_best=ignore)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Breaking(Toy):
    """Breaks in update 8, in the way given."""

    def __init__(self, how):
        super().__init__()
        self.how, self.losses = how, 0

    def loss(self, network, batch, state):
        self.losses += 1
        loss = super().loss(network, batch, state)
        if self.losses >= 8:
            return Loss(self.how(self.network, loss.total), loss.count, loss.state)
        return loss


def test_the_module_that_broke_is_named(tmp_path):
    toy = Toy()

    class Overflow(nn.Module):
        def forward(self, x):
            return x * torch.tensor(float("inf")) if toy.updates.place == 8 else x

    toy.network.dropout = nn.Sequential(nn.Dropout(0.3), Overflow())
    before = {}
    toy_loss = toy.loss

    def loss(network, batch, state):
        before.update(weights(toy))
        return toy_loss(network, batch, state)

    toy.loss = loss
    message = fails(
        toy, tmp_path, r"update 8: the loss is nan: the first output that is not finite is that of dropout\.1"
    )
    assert "(Overflow)" in message
    assert message.count("e-") + message.count(".") >= 5
    norms = message.split("Last gradient norms: ")[1].split(". ")[0].split(", ")
    assert len(norms) == 5
    assert all(0 < float(norm) < 10 for norm in norms)
    assert "--learning-rate below 0.003" in message
    # Neither the weights in memory nor those on the disk took part.
    assert same(weights(toy), before)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 7
    assert same(read_checkpoint(tmp_path / "checkpoint.pt")["network"], before)
    assert not toy.network.rnn._forward_hooks


def test_the_batch_is_computed_again_with_the_same_dropout(tmp_path):
    toy, drawn = Toy(), []

    class Unlucky(nn.Module):
        def forward(self, x):
            draw = float(torch.rand(()))
            if toy.updates.place < 8 or drawn not in ([], [draw]):
                return x
            drawn[:] = [draw]
            return x / 0.0

    toy.network.dropout = nn.Sequential(nn.Dropout(0.3), Unlucky())
    fails(toy, tmp_path, r"that is not finite is that of dropout\.1 \(Unlucky\)")


def test_a_parameter_that_is_not_finite_is_named(tmp_path):
    toy = Toy()
    with torch.no_grad():
        toy.network.rnn.bias_hh_l0[3] = float("nan")
    fails(toy, tmp_path, r"parameter rnn\.bias_hh_l0 is not finite")


def test_the_loss_itself_is_named(tmp_path):
    fails(
        Breaking(lambda network, total: total / 0.0),
        tmp_path,
        "update 8: the loss is inf: every module's output is finite",
    )


def test_a_gradient_is_named(tmp_path):
    def how(network, total):
        # finite value, infinite slope
        return total + (network.output.bias[0] * 0.0).sqrt() + (network.rnn.bias_ih_l0[0] * 0.0).sqrt()

    message = fails(
        Breaking(how),
        tmp_path,
        r"update 8: the gradient norm is nan: the gradient of parameter output\.bias and 1 more ",
    )
    assert message.split("Last gradient norms: ")[1].split(". Stopped")[0].endswith("nan")
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 7


def test_an_overflowing_norm_is_told_apart(tmp_path):
    message = fails(
        Breaking(lambda network, total: total * 1e25), tmp_path, "each gradient is finite, but their squares"
    )
    assert "--clip below 1" in message


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    toy = Toy()

    def overflow():
        with torch.no_grad():
            toy.network.output.weight[0] = float("inf")

    options = TrainingOptions(steps=20, checkpoint_every=1e-9, valid_every=20)
    with pytest.raises(RecurraError, match=r"update 6: parameter output\.weight is not finite after the update"):
        train(toy, options, tmp_path, save_best=ignore, progress=Stopping(6, overflow))
    saved = read_checkpoint(tmp_path / "checkpoint.pt")
    assert saved["step"] == 5
    assert all(torch.isfinite(tensor).all() for tensor in saved["network"].values())


def test_a_validation_loss_that_is_not_finite_stops(tmp_path):
    with pytest.raises(RecurraError, match="update 1: the validation loss is nan: every parameter is finite"):
        train(Toy(validation=[math.nan]), TrainingOptions(steps=3), tmp_path, save_best=ignore)


def test_a_best_model_that_is_not_finite_is_never_saved(tmp_path):
    # Without held-out data nothing but the weights tells.
    toy, saved = Toy(validation=()), []

    def overflow():
        with torch.no_grad():
            toy.network.output.weight[0] = float("inf")

    options = TrainingOptions(steps=6)
    with pytest.raises(RecurraError, match=r"update 6: parameter output\.weight is not finite"):
        train(toy, options, tmp_path, save_best=saved.append, progress=Stopping(6, overflow))
    assert saved == []


def test_numbers_left_on_a_device_are_found_at_the_next_reading(monkeypatch):
    # What a GPU does: numbers wait, and the first that is not finite is known by its update.
    meter = Meter()
    monkeypatch.setattr("recurra.training.meter._READ_EVERY", 10)
    for step in range(1, 8):
        total = torch.tensor(float("nan") if step == 4 else 1.0, device="cpu")
        norm = torch.tensor(float("inf") if step == 3 else 2.0)
        meter._waiting.append((step, total, norm))
    meter.updates = 7
    assert meter.broken is None
    meter.sums(0.0)
    assert meter.broken == (3, "gradient norm")
    assert list(meter.last_norms) == [math.inf, 2.0, 2.0, 2.0, 2.0]

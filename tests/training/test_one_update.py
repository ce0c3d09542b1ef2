"""The gradient of an update, its clipping, and what the loop counts."""

import pytest
import torch
from torch.nn import functional as F
from training_toy import Batch, Toy, same, weights

from recurra.errors import RecurraError
from recurra.training import Loss, TrainingOptions, read_checkpoint, train


def ignore(metrics):
    pass


def gradient(toy):
    return {name: parameter.grad.clone() for name, parameter in toy.network.named_parameters()}


def one_step(toy, folder, **changes):
    """Train one update with plain gradient descent and no limit, and give the gradient it left."""
    options = TrainingOptions(**{"steps": 1, "optimizer": "sgd", "clip": None, "weight_decay": 0.0, **changes})
    train(toy, options, folder, save_best=ignore)
    return gradient(toy)


class Uneven(Toy):
    """One update of sequences that start afresh, in batches of the given numbers of rows."""

    def __init__(self, *rows, extra=None):
        super().__init__(dropout=0.0)
        x = torch.arange(4 * sum(rows)).reshape(4, -1) % 7
        self.batches = [Batch(part, (part * 2) % 7, True) for part in x.split(rows, dim=1)]
        self.extra = extra

    @property
    def updates(self):
        return self

    @updates.setter
    def updates(self, value):
        pass

    epoch = 0

    def updates_per_epoch(self):
        return 1

    def update(self):
        return self.batches

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass

    def loss(self, network, batch, state):
        loss = super().loss(network, batch, state)
        penalty = None if self.extra is None else self.extra * network.output.weight.pow(2).mean()
        return Loss(loss.total, loss.count, loss.state, penalty)


@pytest.mark.parametrize("extra", [None, 0.7])
def test_several_batches_give_the_gradient_of_one(tmp_path, extra):
    whole = one_step(Uneven(6, extra=extra), tmp_path / "whole")
    parts = one_step(Uneven(1, 3, 2, extra=extra), tmp_path / "parts")
    for name, expected in whole.items():
        torch.testing.assert_close(parts[name], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("extra", [None, 0.7])
def test_it_is_that_of_the_mean_loss_per_token(tmp_path, extra):
    toy = Uneven(1, 3, 2, extra=extra)
    logits = [toy.network(batch.x, None)[0].flatten(0, 1) for batch in toy.batches]
    loss = F.cross_entropy(torch.cat(logits), torch.cat([batch.y.flatten() for batch in toy.batches]))
    if extra is not None:
        loss = loss + extra * toy.network.output.weight.pow(2).mean()
    expected = torch.autograd.grad(loss, list(toy.network.parameters()))
    got = one_step(toy, tmp_path)
    for (name, value), wanted in zip(got.items(), expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-7, msg=name)


def test_a_regulariser_is_not_reported(tmp_path):
    # Reported is the cross-entropy alone; the penalty is a hundred times larger.
    reported = []
    for name, extra in (("without", None), ("with", 1e3)):
        toy = Uneven(3, extra=extra)
        toy.describe = lambda loss: reported.append(loss) or {}
        one_step(toy, tmp_path / name)
    assert reported[0] == reported[1]


def test_state_is_carried_and_cut_between_batches(tmp_path):
    toy = Toy(pieces=2, dropout=0.0)
    first, second = toy.updates.update()
    toy.updates.place = 0
    h = None
    total = 0.0
    for batch in (first, second):
        logits, h = toy.network(batch.x, h)
        h = h.detach()
        total = total + F.cross_entropy(logits.flatten(0, 1), batch.y.flatten(), reduction="sum")
    expected = torch.autograd.grad(total / (first.count + second.count), list(toy.network.parameters()))
    got = one_step(toy, tmp_path)
    for value, wanted in zip(got.values(), expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-7)


def test_fresh_drops_the_state(tmp_path):
    seen = []

    class Watched(Toy):
        def loss(self, network, batch, state):
            seen.append((batch.fresh, state is None))
            return super().loss(network, batch, state)

    toy = Watched()
    train(toy, TrainingOptions(epochs=2), tmp_path, save_best=ignore)
    assert len(seen) == 2 * toy.updates.updates_per_epoch()
    assert all(fresh == dropped for fresh, dropped in seen)
    assert sum(fresh for fresh, _ in seen) == 2


@pytest.mark.parametrize("by", ["norm", "value"])
def test_clipping(tmp_path, by):
    free = one_step(Toy(), tmp_path / "free")
    norm = torch.cat([value.flatten() for value in free.values()]).norm()
    limit = float(norm) / 3 if by == "norm" else 0.01
    clipped = one_step(Toy(), tmp_path / "clipped", clip=limit, clip_by=by)
    for name, value in free.items():
        wanted = value * (limit / norm) if by == "norm" else value.clamp(-limit, limit)
        torch.testing.assert_close(clipped[name], wanted, rtol=1e-4, atol=1e-7)
    # What is logged is the norm before.
    meter = read_checkpoint(tmp_path / "clipped" / "checkpoint.pt")["processes"][0]["meter"]
    assert meter["last_norms"] == pytest.approx([float(norm)])


def test_a_gradient_below_the_limit_is_left_alone(tmp_path):
    free = one_step(Toy(), tmp_path / "free")
    assert same(free, one_step(Toy(), tmp_path / "limited", clip=1e6))


def test_validation_leaves_no_trace(tmp_path):
    often, never = Toy(), Toy()
    train(often, TrainingOptions(steps=12, valid_every=1), tmp_path / "often", save_best=ignore)
    train(never, TrainingOptions(steps=12, valid_every=12), tmp_path / "never", save_best=ignore)
    assert often.validations == 12
    assert never.validations == 1
    assert same(weights(often), weights(never))
    assert often.network.training


def test_validation_is_in_evaluation_mode_without_gradients(tmp_path):
    seen = []

    class Watched(Toy):
        def validate(self, network):
            seen.append((network.training, network.dropout.training, torch.is_grad_enabled()))
            return super().validate(network)

    train(Watched(), TrainingOptions(steps=2, valid_every=1), tmp_path, save_best=ignore)
    assert seen == [(False, False, False)] * 2


def test_a_part_kept_in_evaluation_mode_stays_so(tmp_path):
    class Frozen(Toy):
        def loss(self, network, batch, state):
            network.dropout.eval()
            return super().loss(network, batch, state)

    toy = Frozen()
    train(toy, TrainingOptions(steps=2, valid_every=1), tmp_path, save_best=ignore)
    assert not toy.network.dropout.training
    assert toy.network.rnn.training


def test_an_update_without_losses_is_an_error(tmp_path):
    class Empty(Toy):
        def loss(self, network, batch, state):
            raise AssertionError("never computed")

    toy = Empty()
    toy.updates.update = lambda: []
    with pytest.raises(RecurraError, match="update 1: its 0 batches count no number to learn from"):
        train(toy, TrainingOptions(steps=2), tmp_path, save_best=ignore)


def test_a_batch_that_miscounts_is_an_error(tmp_path):
    class Miscounting(Toy):
        def loss(self, network, batch, state):
            batch.count += 1
            return Loss(network.output.weight.sum(), batch.count - 1)

    with pytest.raises(RecurraError, match="the loss sums over 15 numbers but its batch counts 16"):
        train(Miscounting(), TrainingOptions(steps=2), tmp_path, save_best=ignore)

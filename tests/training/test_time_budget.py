"""A time limit becomes a number of updates, once, and the trial leaves nothing behind. The clock is a fake."""

import math

import pytest
import torch
from torch import nn
from training_toy import Stopping, Toy, same, weights

from recurra.errors import InputError
from recurra.training import Interrupted, TrainingOptions, budget, read_checkpoint, train
from recurra.training.plan import Costs, Plan, make_plan, plan_within
from recurra.training.session import make_session
from recurra.training.signals import Interruption


class Timed(Toy):
    """Takes seconds of its own clock: for a loss, the first ones longer, and for a validation."""

    def __init__(self, *, update=0.5, validation=2.0, warm_up=(), **toy):
        super().__init__(**toy)
        self.now, self.losses = 1000.0, 0
        self.update_seconds, self.validation_seconds, self.warm_up = update, validation, list(warm_up)

    def clock(self):
        return self.now

    def loss(self, network, batch, state):
        self.losses += 1
        self.now += self.warm_up.pop(0) if self.warm_up else self.update_seconds
        return super().loss(network, batch, state)

    def validate(self, network):
        self.now += self.validation_seconds
        return super().validate(network)


class Turned(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x.flatten(0, 1)).view_as(x)


def ignore(metrics):
    pass


def run(toy, folder, **changes):
    return train(toy, TrainingOptions(**changes), folder, save_best=ignore, clock=toy.clock)


@pytest.mark.parametrize("warm_up", [(), (9.0, 2.0, 1.0)])
def test_the_run_fills_its_time_and_no_more(tmp_path, warm_up):
    toy = Timed(warm_up=warm_up)
    result = run(toy, tmp_path, max_minutes=2)
    assert result.stopped_because == "finished"
    assert 0.93 * 120 <= toy.now - 1000 <= 120
    assert read_checkpoint(tmp_path / "checkpoint.pt")["plan"][0] == result.step


def test_time_spent_before_counts(tmp_path):
    toy = Timed()
    options = TrainingOptions(max_minutes=2)
    train(toy, options, tmp_path, save_best=ignore, clock=toy.clock, started=toy.now - 60)
    assert 0.85 * 60 <= toy.now - 1000 <= 60


def test_it_equals_a_run_of_that_many_steps(tmp_path):
    timed = Timed(pieces=2)
    result = run(timed, tmp_path / "timed", max_minutes=1)
    every = read_checkpoint(tmp_path / "timed" / "checkpoint.pt")["plan"][1]
    counted = Toy(pieces=2)
    options = TrainingOptions(steps=result.step, valid_every=every)
    train(counted, options, tmp_path / "counted", save_best=ignore)
    assert timed.losses > 2 * result.step  # the trial did compute
    assert same(weights(timed), weights(counted))


def test_the_trial_leaves_everything_as_it_was(tmp_path):
    toy = Timed()
    toy.network.output = nn.Sequential(
        toy.network.output, Turned(7)
    )  # keeps statistics, which move without any learning rate
    session = make_session(toy, TrainingOptions(max_minutes=1, optimizer="adamw"), toy.clock)
    torch.manual_seed(5)
    before, place, drawn = weights(toy), toy.updates.state_dict(), torch.get_rng_state()
    plan = budget.plan_by_trial(session, tmp_path, started=toy.now, interruption=Interruption())
    assert plan.total_steps > 50
    assert same(weights(toy), before)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.equal(toy.updates.state_dict()["generator"], place["generator"])
    assert (toy.updates.epoch, toy.updates.place) == (0, 0)
    assert session.optimizer.state_dict()["state"] == {}
    assert (session.step, session.carried_state, session.meter.updates) == (0, None, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_does_not_time_again(tmp_path):
    toy = Timed()
    options = TrainingOptions(max_minutes=1)
    stop = Stopping(20, lambda: stopper.__setattr__("requested", True))
    stopper = None

    def grab(self):
        nonlocal stopper
        stopper = self
        return self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Interruption, "__enter__", grab)
        with pytest.raises(Interrupted):
            train(toy, options, tmp_path, save_best=ignore, clock=toy.clock, progress=stop)
    planned = read_checkpoint(tmp_path / "checkpoint.pt")["plan"]
    slow = Timed(update=50.0)
    result = train(slow, options, tmp_path, save_best=ignore, clock=slow.clock, resume=True)
    assert result.step == planned[0]
    assert slow.losses == planned[0] - 20


def test_an_interrupt_ends_the_trial(tmp_path):
    toy = Timed()
    session = make_session(toy, TrainingOptions(max_minutes=1), toy.clock)
    interruption = Interruption()
    interruption.requested = True
    with pytest.raises(Interrupted, match="nothing was trained yet"):
        budget.plan_by_trial(session, tmp_path, started=toy.now, interruption=interruption)


def test_too_little_time_is_said(tmp_path):
    with pytest.raises(InputError, match=r"max_minutes=0\.05: .* an update takes 5 s and a validation 2 s"):
        run(Timed(update=5.0), tmp_path, max_minutes=0.05)


def test_a_warm_up_longer_than_what_fits_is_said(tmp_path):
    with pytest.raises(InputError, match=r"warmup_steps=5000 but the run has \d+ updates"):
        run(Timed(), tmp_path, max_minutes=1, warmup_steps=5000)


@pytest.mark.parametrize("seconds", [10.0, 300.0, 5000.0])
@pytest.mark.parametrize("costs", [Costs(0.05, 0.0, 0.0), Costs(0.05, 2.0, 0.1), Costs(1.0, 0.5, 0.01)])
def test_the_longest_plan_that_fits(costs, seconds):
    options = TrainingOptions(max_minutes=seconds / 60)
    plan = plan_within(options, 400, costs, seconds)

    def cost(total, validations):
        saves = seconds / 60 + 2 + validations
        return total * costs.update + validations * costs.validation + saves * costs.save

    spent = cost(plan.total_steps, plan.validations())
    assert spent <= 0.98 * seconds
    assert spent + 2 * (costs.update + costs.validation + costs.save) > 0.98 * seconds
    assert plan.validations() * costs.validation <= max(0.05 * seconds, costs.validation)
    if costs.validation == 0:
        assert plan.validations() >= 10


def test_validations_asked_for_are_kept():
    plan = plan_within(TrainingOptions(max_minutes=1, valid_every=10), 400, Costs(0.1, 5.0, 0.0), 60.0)
    assert plan.valid_every == 10
    assert plan.total_steps * 0.1 + math.ceil(plan.total_steps / 10) * 5 <= 60


def test_lengths_in_steps_and_epochs():
    assert make_plan(TrainingOptions(steps=100), 400) == Plan(100, 10)
    assert make_plan(TrainingOptions(epochs=2.5), 400) == Plan(1000, 100)
    assert make_plan(TrainingOptions(epochs=20), 40) == Plan(800, 40)
    assert make_plan(TrainingOptions(steps=100, valid_every=30), 400) == Plan(100, 30)
    assert make_plan(TrainingOptions(epochs=20, least_steps=800), 40) == Plan(800, 40)
    assert make_plan(TrainingOptions(epochs=20, least_steps=801), 40) == Plan(801, 41)
    assert make_plan(TrainingOptions(epochs=15, least_steps=3000), 10) == Plan(3000, 200)
    assert make_plan(TrainingOptions(epochs=15, least_steps=3000, valid_every=50), 10) == Plan(3000, 50)
    plan = Plan(100, 30)
    assert [step for step in range(1, 101) if plan.validates(step)] == [30, 60, 90, 100]
    assert plan.validations() == 4
    with pytest.raises(InputError, match="the run has no length"):
        make_plan(TrainingOptions(), 40)

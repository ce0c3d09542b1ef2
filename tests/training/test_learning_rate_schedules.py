import math

import pytest
import torch
from torch.optim import lr_scheduler

from recurra.training import SCHEDULES
from recurra.training.schedules import Plateau, Schedule

TOTAL, WARM_UP = 50, 8


def shares(name, *, warmup=WARM_UP, **changes):
    schedule = Schedule(name, warmup, **changes)
    return [schedule.share(step, TOTAL) for step in range(TOTAL)]


def torch_shares(make, steps):
    """The rates of a torch scheduler around an optimizer with rate 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = make(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_up_rises_linearly_to_the_full_rate(schedule):
    assert shares(schedule)[:WARM_UP] == [(step + 1) / WARM_UP for step in range(WARM_UP)]
    assert shares(schedule)[WARM_UP] == 1.0
    expected = torch_shares(lambda o: lr_scheduler.LinearLR(o, 1 / WARM_UP, total_iters=WARM_UP - 1), WARM_UP)
    assert shares(schedule)[:WARM_UP] == pytest.approx(expected)


def test_a_warm_up_ratio_is_that_many_updates_of_the_run():
    assert shares("cosine", warmup=None, warmup_ratio=WARM_UP / TOTAL) == shares("cosine")
    assert shares("cosine", warmup=None, warmup_ratio=0.99 / TOTAL) == shares("cosine", warmup=0)
    # Updates that are set have priority.
    assert shares("linear", warmup=0, warmup_ratio=0.5) == shares("linear", warmup=0)


@pytest.mark.parametrize(
    ("name", "changes", "make"),
    [
        ("cosine", {}, lr_scheduler.CosineAnnealingLR),
        (
            "cosine",
            {"final": 0.1},
            lambda o, n: lr_scheduler.CosineAnnealingLR(o, n, eta_min=0.1),
        ),
        (
            "linear",
            {"final": 0.2},
            lambda o, n: lr_scheduler.LinearLR(o, 1.0, 0.2, total_iters=n),
        ),
        ("step", {"every": 7, "decay": 0.3}, lambda o, n: lr_scheduler.StepLR(o, 7, gamma=0.3)),
        ("constant", {}, lambda o, n: lr_scheduler.ConstantLR(o, factor=1.0)),
    ],
)
def test_equals_torch(name, changes, make):
    rest = TOTAL - WARM_UP
    assert shares(name, **changes)[WARM_UP:] == pytest.approx(torch_shares(lambda o: make(o, rest), rest))


def test_closed_forms():
    f = 0.1
    cosine = shares("cosine", warmup=0, final=f)
    assert cosine[TOTAL // 2] == pytest.approx(f + (1 - f) / 2)
    assert cosine[10] == pytest.approx(f + (1 - f) * (1 + math.cos(math.pi / 5)) / 2)
    assert shares("linear", warmup=0)[10] == pytest.approx(0.8)
    # Ten falls in a run by default, never below the final share.
    assert shares("step", warmup=0)[::5] == pytest.approx([0.5**fall for fall in range(10)])
    assert shares("step", warmup=0, final=0.2)[-1] == 0.2


def test_the_first_update_of_a_long_run_is_not_zero_and_the_last_not_the_end():
    assert shares("cosine")[0] > 0
    assert shares("cosine")[-1] > 0


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_equals_torch(patience):
    losses = [3.0, 2.0, 2.0, 2.1, 1.9, 1.95, 1.9, 2.5, 2.5, 2.5, 2.5, 1.0, 1.1, 1.1, 1.1, 1.1]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch waits for more than `patience` bad validations, ours for as many.
    theirs = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience - 1, threshold=0.0, min_lr=0.2)
    ours = Plateau(decay=0.5, patience=patience, least=0.2)
    for loss in losses:
        before = ours.share
        fell = ours.observe(loss)
        theirs.step(loss)
        assert ours.share == pytest.approx(optimizer.param_groups[0]["lr"])
        assert fell == (ours.share < before)
    assert ours.share < 1


def test_plateau_keeps_its_place():
    a, b = Plateau(0.5, 2, 0.0), Plateau(0.5, 2, 0.0)
    for loss in (1.0, 2.0, 2.0, 2.0):
        a.observe(loss)
    b.load_state_dict(a.state_dict())
    assert b == a
    assert b.observe(2.0)
    assert b.share == 0.25

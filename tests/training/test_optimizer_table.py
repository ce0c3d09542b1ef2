import time

import pytest
import torch
from torch import nn
from training_toy import Toy

from recurra.errors import InputError
from recurra.training import OPTIMIZERS, TrainingOptions
from recurra.training.optimizers import make_optimizer
from recurra.training.schedules import Schedule
from recurra.training.session import make_session

ORACLES = {
    "adamw": (torch.optim.AdamW, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
    "adam": (torch.optim.Adam, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
    "nadam": (torch.optim.NAdam, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
    "radam": (torch.optim.RAdam, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
    "sgd": (torch.optim.SGD, {"momentum": 0.8, "weight_decay": 0.1}),
    "rmsprop": (torch.optim.RMSprop, {"momentum": 0.8, "alpha": 0.95, "weight_decay": 0.1}),
    "adagrad": (torch.optim.Adagrad, {"weight_decay": 0.1}),
    "adafactor": (torch.optim.Adafactor, {"weight_decay": 0.1}),
}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2))


def step(net, optimizer, times=3):
    for turn in range(times):
        optimizer.zero_grad()
        (net(torch.arange(8.0).reshape(2, 4) - turn) ** 2).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_torch_with_decay_on_matrices_only(name):
    assert ORACLES.keys() == OPTIMIZERS.keys()
    rule, settings = ORACLES[name]
    ours, theirs = network(), network()
    matrices = [p for p in theirs.parameters() if p.ndim > 1]
    vectors = [p for p in theirs.parameters() if p.ndim < 2]
    step(ours, make_optimizer(ours, name, learning_rate=0.05, weight_decay=0.1, momentum=0.8, beta2=0.95))
    step(theirs, rule([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=0.05, **settings))
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-5, atol=1e-6)


def test_vectors_are_not_decayed():
    net = network()
    optimizer = make_optimizer(net, "sgd", learning_rate=0.1, weight_decay=0.5)
    before = [p.detach().clone() for p in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, net.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * 0.95 if old.ndim > 1 else old)


def test_frozen_parameters_stay_out():
    net = network()
    net[0].requires_grad_(False)
    optimizer = make_optimizer(net, "adamw", learning_rate=0.1, weight_decay=0.0)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
    with pytest.raises(InputError, match="no parameter that needs a gradient"):
        make_optimizer(net.requires_grad_(False), "adamw", learning_rate=0.1, weight_decay=0.0)


def test_what_the_options_say_reaches_rule_and_schedule():
    rule = {"optimizer": "rmsprop", "learning_rate": 0.5, "weight_decay": 0.1, "momentum": 0.8, "beta2": 0.95}
    course = {"schedule": "step", "warmup_steps": 2, "final_learning_rate": 0.2, "decay": 0.3, "decay_every": 4}
    session = make_session(Toy(), TrainingOptions(steps=10, **rule, **course), time.monotonic)
    matrices, vectors = session.optimizer.param_groups
    for group, weight_decay in ((matrices, 0.1), (vectors, 0.0)):
        told = {name: group[name] for name in ("lr", "weight_decay", "momentum", "alpha")}
        assert told == {"lr": 0.5, "weight_decay": weight_decay, "momentum": 0.8, "alpha": 0.95}
    assert session.schedule == Schedule("step", warmup=2, final=0.2, decay=0.3, every=4)

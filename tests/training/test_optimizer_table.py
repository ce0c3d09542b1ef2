import pytest
import torch
from torch import nn

from recurra.errors import InputError
from recurra.training import OPTIMIZERS, TrainingOptions
from recurra.training.optimizers import make_optimizer

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
    for time in range(times):
        optimizer.zero_grad()
        (net(torch.arange(8.0).reshape(2, 4) - time) ** 2).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_torch_with_decay_on_matrices_only(name):
    assert ORACLES.keys() == OPTIMIZERS.keys()
    rule, settings = ORACLES[name]
    ours, theirs = network(), network()
    options = TrainingOptions(optimizer=name, learning_rate=0.05, weight_decay=0.1, momentum=0.8, beta2=0.95)
    matrices = [p for p in theirs.parameters() if p.ndim > 1]
    vectors = [p for p in theirs.parameters() if p.ndim < 2]
    step(ours, make_optimizer(ours, options))
    step(theirs, rule([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], lr=0.05, **settings))
    for mine, yours in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-5, atol=1e-6)


def test_vectors_are_not_decayed():
    net = network()
    optimizer = make_optimizer(net, TrainingOptions(optimizer="sgd", weight_decay=0.5, learning_rate=0.1))
    before = [p.detach().clone() for p in net.parameters()]
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, net.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old * 0.95 if old.ndim > 1 else old)


def test_frozen_parameters_stay_out():
    net = network()
    net[0].requires_grad_(False)
    optimizer = make_optimizer(net, TrainingOptions())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
    with pytest.raises(InputError, match="no parameter that needs a gradient"):
        make_optimizer(net.requires_grad_(False), TrainingOptions())

import torch
from torch import nn

import recurra
from recurra.diagnosis import diagnose


class Echo(nn.Module):
    """Gives back its input of `delay` steps ago, by a chain of linear units."""

    def __init__(self, delay, kind=recurra.RNN):
        super().__init__()
        self.layer = kind(1, delay + 1, nonlinearity="identity")
        with torch.no_grad():
            for parameter in self.layer.parameters():
                parameter.zero_()
            self.layer.weight_ih_l0[0] = 1.0
            self.layer.weight_hh_l0[1:, :-1] = torch.eye(delay)

    def forward(self, x):
        return self.layer(x)[0][..., -1]


def examined(x, target, delay):
    return diagnose(Echo(delay), x, lambda y: (y - target).square()).context


def test_it_is_the_delay_that_has_to_be_bridged():
    x = torch.randn(64, 50, 1)
    target = torch.cat([torch.zeros(3, 50), x[:-3, :, 0]])
    found = examined(x, target, 3)
    assert found.steps == (1, 2, 4, 8, 16, 32, 48)
    assert found.useful == 4
    assert found.losses[-1] < 1e-6
    assert found.losses[1] > 0.8  # with two steps the echo of the third has not come


def test_every_context_is_read_at_the_same_positions():
    x = torch.randn(64, 2, 1)
    # The loss is the position itself, whatever was read: contexts that were compared elsewhere would differ.
    found = diagnose(Echo(3), x, lambda y: y * 0 + torch.arange(64.0)[:, None]).context
    assert len(set(found.losses)) == 1


def test_a_state_that_is_given_is_part_of_the_whole_context_alone():
    x, layer = torch.randn(64, 4, 4), nn.GRU(4, 3)
    fresh, given = (
        diagnose(layer, batch, lambda out: out[0].sum(-1)).context for batch in ((x,), (x, torch.full((1, 4, 3), 50.0)))
    )
    assert fresh.losses[:-1] == given.losses[:-1]
    assert fresh.losses[-1] != given.losses[-1]


def test_it_is_not_told_where_it_cannot_be():
    x = torch.randn(64, 2, 4)
    assert diagnose(nn.GRU(4, 3), x, lambda out: out[0].sum()).context is None
    assert diagnose(nn.GRU(4, 3, bidirectional=True), x, lambda out: out[0].sum(-1)).context is None
    assert diagnose(nn.GRU(4, 3), x).context is None
    assert diagnose(nn.GRU(4, 3), x, lambda out: out[0].sum(-1)).context is not None

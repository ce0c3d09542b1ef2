"""The layer for any cell: stacks, directions, initial states and arguments."""

import pytest
import table
import torch

from recurra.cells import Elman, Initialisation, State
from recurra.errors import InputError
from recurra.layers import LockedDropout, Readout, Recurrent


@pytest.mark.parametrize("name", list(table.MADE))
def test_stacks_of_every_cell_in_both_directions_carry_rows_to_their_own_end(name):
    layer = Recurrent(table.MADE[name](), 3, 4, 2, bidirectional=True, dtype=torch.float64)
    x, lengths = torch.randn(6, 3, 3, dtype=torch.float64), torch.tensor([6, 2, 4])
    y, state = layer(x, lengths=lengths)
    assert y.shape == (6, 3, 8)
    assert len(state) == 4
    for row, length in enumerate(lengths):
        alone, last = layer(x[:length, row])
        torch.testing.assert_close(y[:length, row], alone, rtol=0, atol=1e-12)
        for a, b in zip(state, last, strict=True):
            torch.testing.assert_close(a.h[row], b.h, rtol=0, atol=1e-12)


def test_the_backward_direction_reads_the_future():
    layer = Recurrent("gru", 3, 4, bidirectional=True)
    x = torch.randn(6, 1, 3)
    changed = x.clone()
    changed[4] += 1
    before, after = layer(x)[0], layer(changed)[0]
    assert torch.equal(before[:4, :, :4], after[:4, :, :4])
    assert (before[:5, :, 4:] != after[:5, :, 4:]).any(-1).all()
    assert torch.equal(before[5:, :, 4:], after[5:, :, 4:])


def test_the_state_given_back_continues_the_sequence():
    layer = Recurrent("lstm", 3, 4, 2, batch_first=True)
    x = torch.randn(2, 7, 3)
    whole, last = layer(x)
    first, state = layer(x[:, :3])
    second, end = layer(x[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(end, last)


def test_a_learned_initial_state_is_used_and_gets_a_gradient():
    layer = Recurrent("lstm", 3, 4, 2, learn_initial_state=True)
    x = torch.randn(5, 2, 3)
    with torch.no_grad():
        layer.initial_c_l0.fill_(3.0)
    y, _ = layer(x)
    given, _ = layer(x, layer.initial_state(2))
    assert torch.equal(y, given)
    y.sum().backward()
    assert (layer.initial_c_l0.grad != 0).any()
    assert (layer.initial_h_l1.grad != 0).any()
    zeros = tuple(state.map(torch.zeros_like) for state in layer.initial_state(2))
    assert not torch.allclose(layer(x, zeros)[0], y)


def test_initialisation_reaches_every_layer():
    layer = Recurrent("lstm", 3, 4, 2, bidirectional=True, init=Initialisation(forget_bias=2.0))
    for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        weights = layer.weights(suffix)
        assert ((weights.b_ih + weights.b_hh)[4:8] == 2).all()


def test_locked_dropout_drops_a_unit_for_the_whole_sequence():
    layer = Recurrent(Elman("identity"), 3, 50, 2, dropout=0.5, locked_dropout=True)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.zero_()
            if name in ("bias_ih_l0",):
                parameter.fill_(1.0)
        layer.weight_ih_l1.copy_(torch.eye(50))
    y = layer(torch.zeros(6, 2, 3))[0]
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert (y == y[:1]).all()
    assert (y[:, 0] != y[:, 1]).any()


def test_locked_dropout_keeps_the_mean_and_sleeps_in_evaluation():
    x, drop = torch.ones(5, 8, 1000), LockedDropout(0.25)
    assert drop(x).mean().item() == pytest.approx(1, abs=0.03)
    assert drop.eval()(x) is x


def test_the_readout_is_g_of_a_linear_map_and_can_be_tied():
    embedding = torch.nn.Embedding(7, 4)
    tied = Readout(4, 7, "sigmoid", tied=embedding.weight)
    h = torch.randn(2, 3, 4)
    torch.testing.assert_close(tied(h), torch.sigmoid(h @ embedding.weight.T + tied.bias))
    tied(h).sum().backward()
    assert (embedding.weight.grad != 0).any()
    with pytest.raises(InputError, match=r"tied weight is \(7, 4\), expected \(7, 5\)"):
        Readout(5, 7, tied=embedding.weight)


def test_explain_says_the_engine_and_the_reason():
    x = torch.zeros(5, 2, 3)
    assert Recurrent("lstm", 3, 4).explain(x).engine == "native"
    assert "no kernel for Leaky()" in Recurrent(table.Leaky, 3, 4).explain(x).why


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recurrent("lstm", 0, 4), "input_size=0 must be a whole number above 0"),
        (lambda: Recurrent("lstm", 3, 4, dropout=1.5), "dropout=1.5"),
        (lambda: Recurrent("lstm", 3, 4, engine="fast"), "no engine 'fast'"),
        (lambda: Recurrent("lstm", 3, 4, proj_size=4), "proj_size=4 must be between 0 and hidden_size=4"),
        (lambda: Recurrent("lsmt", 3, 4), "Did you mean 'lstm'"),
        (
            lambda: Recurrent("lstm", 3, 4, 2)(torch.zeros(5, 2, 3), (State(h=torch.zeros(2, 4)),)),
            "1 states, expected",
        ),
        (
            lambda: Recurrent("lstm", 3, 4)(torch.zeros(5, 2, 3), (State(h=torch.zeros(2, 4)),)),
            r"has the states \('h', 'c'\)",
        ),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(InputError, match=message):
        make()

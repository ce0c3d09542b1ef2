"""Gradients by lag against Jacobians that autograd computes by brute force."""

import pytest
import torch
from table import MADE
from torch import nn
from torch.autograd.functional import jacobian

import recurra
from recurra.cells import State
from recurra.diagnosis.lags import gradient_by_lag
from recurra.diagnosis.loss_by_time import loss_by_time
from recurra.diagnosis.patching import evaluation_mode
from recurra.diagnosis.recording import record_sequences

T, B, I, H = 9, 2, 3, 4


class Reader(nn.Module):
    def __init__(self, layer, width):
        super().__init__()
        self.layer, self.readout = layer, nn.Linear(width, 2, dtype=torch.float64)

    def forward(self, x):
        return self.readout(self.layer(x)[0]).square().sum(-1)


def measured(network, x, loss=lambda losses: losses, *, reverse=False):
    """The lags of all layers of the network's first sequence that run that way."""
    with evaluation_mode(network), record_sequences(network) as sequences:
        losses = loss(network(x))
    layers = [one for one in sequences[0].trajectories if one.reverse is reverse]
    return gradient_by_lag(layers, loss_by_time(losses, sequences[-1], reverse=reverse))


def flatten(state):
    return torch.cat(list(state), -1)


def unflat(vector, like):
    parts = vector.split([tensor.shape[-1] for tensor in like], -1)
    return State(**dict(zip(like._fields, parts, strict=True)))


@pytest.mark.parametrize("name", MADE)
def test_equals_brute_force_for_every_cell(name):
    layer = recurra.Recurrent(MADE[name](), I, H, dtype=torch.float64)
    network, x = Reader(layer, H), torch.randn(T, B, I, dtype=torch.float64)
    (lags,) = measured(network, x)
    assert lags.norms.shape[1:] == (T, B)
    # The last of the times looked at is the last step.
    for lag in range(1, T):
        _, (at,) = layer(x[: T - lag])

        def last_loss(vector, lag=lag, at=at):
            y, _ = layer(x[T - lag :], (unflat(vector, at),))
            return network.readout(y[-1]).square().sum(-1)

        brute = jacobian(last_loss, flatten(at)).diagonal(dim1=0, dim2=1).norm(dim=0)  # (B,)
        torch.testing.assert_close(lags.norms[-1, lag], brute, rtol=1e-5, atol=1e-12)


def test_lower_layers_count_what_goes_through_those_above():
    below, above = (recurra.Recurrent("lstm", size, H, dtype=torch.float64) for size in (I, H))
    stack = recurra.Recurrent("lstm", I, H, 2, dtype=torch.float64)
    stack.load_state_dict(
        {
            key.replace("_l0", f"_l{n}"): value
            for n, one in enumerate((below, above))
            for key, value in one.state_dict().items()
        }
    )
    network, x = Reader(stack, H), torch.randn(T, B, I, dtype=torch.float64)
    lower, upper = measured(network, x)
    for lag in range(1, T):
        p = T - lag
        y, (one,) = below(x[:p])
        _, (two,) = above(y[:-1]) if p > 1 else (None, above.initial_state(B))

        def last_loss(vector, p=p, one=one, two=two):
            state = unflat(vector, one)
            outputs = torch.cat([state.h[None], below(x[p:], (state,))[0]])
            return network.readout(above(outputs, (two,))[0][-1]).square().sum(-1)

        brute = jacobian(last_loss, flatten(one)).diagonal(dim1=0, dim2=1).norm(dim=0)
        torch.testing.assert_close(lower.norms[-1, lag], brute, rtol=1e-5, atol=1e-12)
    assert not torch.allclose(lower.mean, upper.mean)


@pytest.mark.parametrize("reverse", [False, True])
def test_one_number_is_divided_into_the_losses_of_each_step(reverse):
    layer = nn.GRU(I, H, bidirectional=True, dtype=torch.float64)
    network, x = Reader(layer, 2 * H), torch.randn(T, B, I, dtype=torch.float64)
    (apart,) = measured(network, x, reverse=reverse)
    (together,) = measured(network, x, torch.sum, reverse=reverse)
    torch.testing.assert_close(apart.norms, together.norms, equal_nan=True)
    assert apart.norms[-1, T - 1].min() > 0


def test_rows_end_where_they_end():
    layer, x = recurra.GRU(I, H, dtype=torch.float64), torch.randn(T, B, I, dtype=torch.float64)

    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, lengths=torch.tensor([T, 5]))[0].sum(-1)

    (padded,) = measured(Padded(), x)
    short, alone = x[:5, 1:], Padded()
    alone.forward = lambda x: layer(x)[0].sum(-1)
    (unpadded,) = measured(alone, short)
    torch.testing.assert_close(padded.norms[-1, :5, 1], unpadded.norms[-1, :, 0])
    assert padded.norms[-1, 5:, 1].isnan().all()
    assert not padded.norms[-1, :, 0].isnan().any()


def test_a_loop_of_single_steps_is_one_sequence():
    whole = nn.LSTM(I, H, dtype=torch.float64)
    step = nn.LSTMCell(I, H, dtype=torch.float64)
    step.load_state_dict({key.removesuffix("_l0"): value for key, value in whole.state_dict().items()})

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = step

        def forward(self, x):
            state, outputs = None, []
            for one in x:
                state = self.step(one, state)
                outputs.append(state[0])
            return torch.stack(outputs).sum(-1)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = whole

        def forward(self, x):
            return self.layer(x)[0].sum(-1)

    x = torch.randn(T, B, I, dtype=torch.float64)
    (stepped,), (at_once,) = measured(Loop(), x), measured(Whole(), x)
    torch.testing.assert_close(stepped.norms, at_once.norms, equal_nan=True)


def test_a_loss_of_the_last_state_is_the_loss_at_the_end():
    layer, x = nn.LSTM(I, H, batch_first=True, dtype=torch.float64), torch.randn(B, T, I, dtype=torch.float64)
    by_state, by_output = nn.Module(), nn.Module()
    by_state.layer = by_output.layer = layer
    by_state.forward = lambda x: layer(x)[1][0].sum()
    by_output.forward = lambda x: layer(x)[0][:, -1].sum()
    (state,), (output,) = measured(by_state, x), measured(by_output, x)
    torch.testing.assert_close(state.norms[-1], output.norms[-1])
    # Times without a loss have no part in the mean.
    torch.testing.assert_close(state.mean, state.norms[-1].mean(-1))


@pytest.mark.parametrize("kind", [recurra.RNN, nn.RNN, lambda *sizes: recurra.Recurrent("elman", *sizes)])
def test_what_reads_output_and_last_state_counts_each_once(kind):
    network = nn.Module()
    network.layer = kind(I, H)

    def forward(x):
        y, last = network.layer(x)
        return y.sum() + (last if isinstance(last, torch.Tensor) else last[0].h).sum()

    network.forward = forward
    (lags,) = measured(network, torch.randn(T, B, I))
    torch.testing.assert_close(lags.norms[-1, 0], torch.full((B,), 2 * H**0.5, dtype=torch.float64))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_rows_that_start_anew_are_recorded_as_they_run(bidirectional):
    layer = recurra.LSTM(I, H, 2, bidirectional=bidirectional, dtype=torch.float64)
    x, resets = torch.randn(T, B, I, dtype=torch.float64), torch.zeros(T, B, dtype=torch.bool)
    resets[4, 0] = resets[6, 1] = True
    want, last = layer(x, resets=resets)
    with record_sequences(layer) as sequences:
        y, states = layer(x, resets=resets)
    torch.testing.assert_close(y, want)
    torch.testing.assert_close(states, last)
    after = sequences[0].trajectories[0].steps[3].after.h  # of step 3
    (gradient,) = torch.autograd.grad(sequences[0].trajectories[0].steps[4].after.h.sum(), after)
    assert (gradient[0] == 0).all()
    assert (gradient[1] != 0).all()

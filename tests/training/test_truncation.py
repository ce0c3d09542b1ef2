"""Truncated backpropagation in a script of one's own: windows, carried state, cut graphs."""

import textwrap

import pytest
import torch

import recurra.layers
from recurra.errors import InputError
from recurra.layers import LSTM, Recurrent
from recurra.training.truncation import truncated

MODULES = {
    "recurra.LSTM": lambda: recurra.layers.LSTM(3, 4, 2),
    "recurra.GRU": lambda: recurra.layers.GRU(3, 4),
    "Recurrent": lambda: Recurrent("lstm", 3, 4, 2),
    "torch.nn.LSTM": lambda: torch.nn.LSTM(3, 4, 2),
    "torch.nn.GRU": lambda: torch.nn.GRU(3, 4),
}
each_module = pytest.mark.parametrize("kind", list(MODULES))


def flat(nest):
    return [nest] if isinstance(nest, torch.Tensor) else [tensor for item in nest for tensor in flat(item)]


@each_module
def test_windows_together_are_the_whole(kind):
    module, x = MODULES[kind](), torch.randn(10, 2, 3)
    windows = list(truncated(module, x, window=4))
    assert [one.steps for one in windows] == [slice(0, 4), slice(4, 8), slice(8, 10)]
    whole, last = module(x)
    torch.testing.assert_close(torch.cat([one.y for one in windows]), whole)
    for a, b in zip(flat(windows[-1].state), flat(last), strict=True):
        torch.testing.assert_close(a, b)


@each_module
def test_gradients_stop_at_the_edge_of_a_window_and_nowhere_else(kind):
    module, x = MODULES[kind](), torch.randn(6, 2, 3, requires_grad=True)
    for steps, y, _ in truncated(module, x, window=3):
        (reached,) = torch.autograd.grad(y[-1].sum(), x, retain_graph=True)
        inside = torch.zeros(6, dtype=torch.bool)
        inside[steps] = True
        assert (reached[inside] != 0).flatten(1).any(1).all()
        assert (reached[~inside] == 0).all()


@each_module
def test_one_window_over_all_is_full_backpropagation(kind):
    module, x = MODULES[kind](), torch.randn(6, 2, 3)
    (only,) = truncated(module, x, window=100)
    got = torch.autograd.grad(only.y.sin().sum(), list(module.parameters()))
    want = torch.autograd.grad(module(x)[0].sin().sum(), list(module.parameters()))
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)


@each_module
def test_a_state_given_is_continued_and_detached(kind):
    module, x = MODULES[kind](), torch.randn(8, 2, 3, requires_grad=True)
    *_, (_, _, state) = truncated(module, x[:5], window=5)
    (more,) = truncated(module, x[5:], state, window=5)
    torch.testing.assert_close(more.y, module(x)[0][5:])
    (reached,) = torch.autograd.grad(more.y.sum(), x)
    assert (reached[:5] == 0).all()


def test_batch_first_and_one_sequence_alone():
    layer = LSTM(3, 4, batch_first=True)
    x = torch.randn(2, 7, 3)
    y = torch.cat([one.y for one in truncated(layer, x, window=3)], 1)
    torch.testing.assert_close(y, layer(x)[0])
    alone = torch.cat([one.y for one in truncated(layer, x[0], window=3)])
    torch.testing.assert_close(alone, layer(x[0])[0])


def test_lengths_are_divided_among_the_windows():
    layer, x, lengths = LSTM(3, 4), torch.randn(9, 4, 3), torch.tensor([7, 2, 0, 4])
    windows = list(truncated(layer, x, window=3, lengths=lengths))
    assert [one.steps for one in windows] == [slice(0, 3), slice(3, 6), slice(6, 7)]
    whole, last = layer(x, lengths=lengths)
    torch.testing.assert_close(torch.cat([one.y for one in windows]), whole[:7])
    for a, b in zip(windows[-1].state, last, strict=True):
        torch.testing.assert_close(a, b)


def test_masks_of_one_draw_go_to_every_window():
    layer, x = Recurrent("gru", 3, 4, recurrent_dropout=0.5, weight_drop=0.5), torch.randn(9, 2, 3)
    masks = layer.draw_masks(2)
    y = torch.cat([one.y for one in truncated(layer, x, window=4, masks=masks)])
    torch.testing.assert_close(y, layer(x, masks=masks)[0])


def test_the_state_of_ones_own_module_may_be_any_nest():
    class Mine(torch.nn.Module):
        def forward(self, x, state):
            total = x.cumsum(0) + (0 if state is None else state["inner"][0])
            return total, {"inner": [total[-1]], "steps": 1}

    x = torch.ones(5, 1, requires_grad=True)
    last = list(truncated(Mine(), x, window=2))[-1]
    assert last.y.item() == 5
    (reached,) = torch.autograd.grad(last.y.sum(), x)
    assert reached.flatten().tolist() == [0, 0, 0, 0, 1]


def test_the_lines_of_the_docstring_run_and_learn():
    _, _, rest = truncated.__doc__.partition("(Williams & Peng 1990):\n")
    code = textwrap.dedent(rest.partition("The last `state`")[0])
    assert len(code.strip().splitlines()) <= 9
    names = {"torch": torch, "truncated": truncated}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(code, names)
        before = names["head"].weight.clone()
        exec("for steps, y, state in" + code.partition("for steps, y, state in")[2], names)
    assert names["loss"].isfinite()
    assert not torch.equal(names["head"].weight, before)
    assert names["steps"] == slice(80, 100)


def test_what_cannot_be_windowed_is_said():
    with pytest.raises(InputError, match="window=0 must be"):
        truncated(LSTM(3, 4), torch.zeros(5, 2, 3), window=0)
    with pytest.raises(InputError, match=r"torch.nn.GRU takes no lengths. Change it to recurra.GRU"):
        truncated(torch.nn.GRU(3, 4), torch.zeros(5, 2, 3), window=2, lengths=torch.tensor([5, 2]))

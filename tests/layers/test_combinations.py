"""The options of a layer together: whatever is drawn works, or is refused in one line that says why."""

import pytest
import table
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.cells import Cell, Gates, State
from recurra.errors import InputError
from recurra.layers import LSTM, Recurrent, StackMasks

CELL_NAMES = list(table.MADE)
T, B = 6, 3


def square(cell):
    """Whether the recurrent matrix is a function of a square one, which cannot be projected."""
    return getattr(type(cell), "recurrent_weight", None) is not getattr(Cell, "recurrent_weight", None)


OPTIONS = {
    "num_layers": st.integers(1, 3),
    "bidirectional": st.booleans(),
    "bias": st.booleans(),
    "batch_first": st.booleans(),
    "proj_size": st.sampled_from([0, 2]),
    "layer_norm": st.booleans(),
    "dropout": st.sampled_from([0.0, 0.4]),
    "locked_dropout": st.booleans(),
    "recurrent_dropout": st.sampled_from([0.0, 0.4]),
    "weight_drop": st.sampled_from([0.0, 0.4]),
    "zoneout": st.sampled_from([0.0, 0.4]),
    "connection": st.sampled_from([None, "residual", "highway"]),
    "learn_initial_state": st.booleans(),
}


@pytest.mark.parametrize("cell", CELL_NAMES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(drawn=st.fixed_dictionaries(OPTIONS), lengths=st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_whatever_is_combined_rows_are_independent_or_the_layer_says_why_not(cell, drawn, lengths):
    """Each row of a padded batch equals the row alone with its masks, and evaluation repeats."""
    drawn = dict(drawn)
    connection = drawn.pop("connection")
    obstacle = why_not(table.MADE[cell](), connection, **drawn)
    if connection:
        drawn[connection] = True
    if obstacle:
        with pytest.raises(InputError, match=obstacle):
            Recurrent(table.MADE[cell](), 3, 4, **drawn)(torch.zeros(1, 1, 3))
        return
    layer = Recurrent(table.MADE[cell](), 3, 4, **drawn, dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 3, generator=g, dtype=torch.float64)
    masks, counts = layer.draw_masks(3, 4, g), torch.tensor(lengths)
    turned = (lambda tensor: tensor.transpose(0, 1)) if layer.batch_first else (lambda tensor: tensor)
    y, last = layer(turned(x), lengths=counts, masks=masks)
    y = turned(y)
    for row, length in enumerate(lengths):
        mine = row_of(masks, row)
        alone, end = layer(turned(x[:length, row : row + 1]), masks=mine.window(0, length))
        torch.testing.assert_close(y[:length, row : row + 1], turned(alone), rtol=0, atol=1e-12)
        assert (y[length:, row] == 0).all()
        for a, b in zip(last, end, strict=True):
            for got, want in zip(a, b, strict=True):
                torch.testing.assert_close(got[row], want[0], rtol=0, atol=1e-12)
    layer.eval()
    assert torch.equal(layer(turned(x))[0], layer(turned(x))[0])


def why_not(cell, connection, *, num_layers, recurrent_dropout, weight_drop, proj_size, **_):
    if not cell.recurrent and (recurrent_dropout or weight_drop):
        return "has no W_hh"
    if connection and num_layers == 1:
        return f"{connection}=True connects each layer"
    return "Omit proj_size" if proj_size and square(cell) else None


def row_of(masks, row):
    def of(mask):
        return None if mask is None else mask[:, row : row + 1]

    recurrent = tuple(mask if mask is None else mask[row : row + 1] for mask in masks.recurrent)
    zoneout = tuple(tuple(map(of, each)) for each in masks.zoneout)
    return StackMasks(recurrent, masks.weight, tuple(map(of, masks.between)), zoneout)


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_every_parameter_of_every_option_gets_a_gradient(cell):
    cell = table.MADE[cell]()
    layer = Recurrent(cell, 3, 4, 2, layer_norm=True, highway=True, learn_initial_state=True, bidirectional=True)
    y, state = layer(torch.randn(T, B, 3))
    (y.sin().sum() + sum((tensor**2).sum() for one in state for tensor in one)).backward()
    for name, parameter in layer.named_parameters():
        assert not parameter.numel() or (parameter.grad is not None and parameter.grad.isfinite().all()), name
        # relu units may all sleep; what the options added must not
        if name.startswith(("weight_highway", "gain_ih")):
            assert (parameter.grad != 0).any(), name


class Alone(Cell):
    """A cell without any recurrent product."""

    gates = ("n",)
    recurrent = ()

    def step(self, x, u, s, p):
        return State(h=s.h + x.n), Gates()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recurrent("gru", 3, 4, residual=True), "residual=True connects each layer .* num_layers=1"),
        (lambda: Recurrent("gru", 3, [4, 5], highway=True), r"must have one size, not \[4, 5\]"),
        (lambda: Recurrent("gru", 3, 4, 2, highway=True, residual=True), "choose one"),
        (lambda: Recurrent("gru", 3, [4, 5], 3), "is for 2 layers but num_layers=3"),
        (lambda: Recurrent("gru", 3, []), "is for 0 layers"),
        (lambda: Recurrent("gru", 3, [4, 0]), "hidden_size=0 must be a whole number above 0"),
        (lambda: Recurrent("gru", 3, [4, 5], proj_size=4), "proj_size=4 must be between 0 and hidden_size=4"),
        (lambda: LSTM(3, [4, 5]), "Use recurra.Recurrent"),
        (lambda: Recurrent("gru", 3, 4, zoneout=1.0), "zoneout=1.0 must lie in"),
        (lambda: Recurrent("lstm", 3, 4, zoneout={"d": 0.1}), "zoneout names the state 'd', which the cell lacks"),
        (lambda: Recurrent("gru", 3, 4, recurrent_dropout=-0.1), "recurrent_dropout=-0.1 must lie in"),
        (lambda: Recurrent(Alone, 3, 4, recurrent_dropout=0.1), "but Alone has no W_hh"),
        (lambda: Recurrent(Alone, 3, 4, weight_drop=0.1), "but Alone has no W_hh"),
        (lambda: Recurrent("gru", 3, 1, layer_norm=True), "needs 2 hidden units"),
        (
            lambda: Recurrent("gru", 3, 4, recurrent_dropout=0.5)(
                torch.zeros(5, 2, 3), masks=Recurrent("gru", 3, 4, recurrent_dropout=0.5).draw_masks(3)
            ),
            r"a mask of recurrent_dropout is \(3, 4\), expected \(2, 4\)",
        ),
        (
            lambda: Recurrent("gru", 3, 4, 2, dropout=0.5, zoneout=0.5)(
                torch.zeros(5, 2, 3), masks=Recurrent("gru", 3, 4, 2, dropout=0.5).draw_masks(2, 4)
            ),
            r"a mask of dropout is \(4, 2, 4\), expected \(5, 2, 4\)",
        ),
        (
            lambda: Recurrent("gru", 3, 4)(torch.zeros(5, 2, 3), masks=Recurrent("gru", 3, 4, 2).draw_masks(2)),
            "masks for 2 layers and directions, expected 1",
        ),
        (
            lambda: Recurrent("gru", 3, 4, layer_norm=True, engine="native")(torch.zeros(5, 2, 3)),
            "engine 'native' cannot run this: torch.nn has no layer normalisation",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_line(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)

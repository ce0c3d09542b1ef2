"""What the layers take beyond torch.nn's: each option's meaning, and what cannot be combined."""

import copy

import pytest
import table
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.cells import Cell, Elman, Gates, State
from recurra.errors import InputError
from recurra.layers import GRU, LSTM, RNN, Recurrent, StackMasks

CELL_NAMES = list(table.MADE)
T, B = 6, 3


def square(cell):
    """Whether the recurrent matrix is a function of a square one, which cannot be projected."""
    return getattr(type(cell), "recurrent_weight", None) is not getattr(Cell, "recurrent_weight", None)


def filled(layer, **values):
    """The layer with its parameters set: those named to a number, the others to 0."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.fill_(values.get(name, 0.0))
    return layer


def test_an_activation_reaches_the_cell_and_is_refused_where_there_is_none():
    assert Recurrent("elman", 3, 4, activation="gelu").cell == Elman("gelu")
    assert RNN(3, 4, nonlinearity="gelu").cell == Elman("gelu")
    with pytest.raises(InputError, match="RNN: activation='gelu' is called nonlinearity"):
        RNN(3, 4, activation="gelu")
    with pytest.raises(InputError, match="has no option 'activation'"):
        Recurrent(table.Leaky, 3, 4, activation="gelu")
    with pytest.raises(InputError, match="is made already"):
        Recurrent(Elman(), 3, 4, activation="gelu")


def test_layer_norm_makes_the_output_independent_of_the_scale_of_the_weights():
    layer = LSTM(3, 8, layer_norm=True, bias=False, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64) * 10
    before = layer(x)[0]
    with torch.no_grad():
        layer.weight_ih_l0.mul_(3)
        layer.weight_hh_l0.mul_(5)
    # ε is all that sees the scale.
    torch.testing.assert_close(layer(x)[0], before, rtol=0, atol=1e-2)
    assert not torch.allclose(layer(2 * x)[0], Recurrent("lstm", 3, 8, bias=False, dtype=torch.float64)(x)[0])


def test_layer_norm_has_gains_of_one_and_the_cell_state_its_own():
    layer = LSTM(3, 4, 2, layer_norm=True)
    names = {name for name, _ in layer.named_parameters()}
    new = {"gain_ih_l0", "gain_hh_l0", "gain_c_l0", "shift_c_l0"}
    assert new <= names
    assert len(names) == 2 * (4 + len(new))
    assert (layer.gain_c_l1 == 1).all()
    assert (layer.shift_c_l1 == 0).all()
    assert "gain_h_l0" not in dict(GRU(3, 4, layer_norm=True).named_parameters())


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_dropout_is_one_mask_a_sequence_and_sleeps_in_evaluation(cell):
    layer, x = Recurrent(cell, 3, 5, recurrent_dropout=0.5), torch.randn(T, B, 3)
    masks = layer.draw_masks(B)
    assert masks.recurrent[0].shape == (B, 5)
    assert set(masks.recurrent[0].unique().tolist()) <= {0.0, 2.0}
    assert not torch.equal(layer(x)[0], layer(x)[0])
    assert torch.equal(layer(x, masks=masks)[0], layer(x, masks=masks)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    plain = Recurrent(cell, 3, 5)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x)[0], plain(x)[0])
    assert not torch.allclose(layer(x, masks=masks)[0], layer(x)[0])  # asked for: dropout in evaluation


@pytest.mark.parametrize("locked", [False, True])
def test_windows_with_the_masks_of_one_draw_equal_the_whole(locked):
    layer = Recurrent(
        "lstm", 3, 4, 3, dropout=0.3, locked_dropout=locked, recurrent_dropout=0.3, weight_drop=0.3, zoneout=0.3,
        residual=True, layer_norm=True, dtype=torch.float64,
    )  # fmt: skip
    x = torch.randn(T, B, 3, dtype=torch.float64)
    masks = layer.draw_masks(B, T, torch.Generator().manual_seed(1))
    whole, last = layer(x, masks=masks)
    first, state = layer(x[:2], masks=masks.window(0, 2))
    second, end = layer(x[2:], state, masks=masks.window(2, T))
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)
    for a, b in zip(end, last, strict=True):
        torch.testing.assert_close(a.c, b.c, rtol=0, atol=1e-12)
    again = layer(x, masks=layer.draw_masks(B, T, torch.Generator().manual_seed(1)))[0]
    assert torch.equal(again, whole)


def test_masks_of_a_sequence_leave_those_of_the_steps_to_each_call():
    layer = Recurrent("gru", 3, 4, 2, zoneout=0.5, dropout=0.5, recurrent_dropout=0.5)
    masks = layer.draw_masks(B)
    assert masks.zoneout == ((), ())
    assert masks.between == (None,)
    x = torch.randn(T, B, 3)
    assert not torch.equal(layer(x, masks=masks)[0], layer(x, masks=masks)[0])
    full = layer.draw_masks(B, T)
    assert full.zoneout[1][0].shape == (T, B, 4)
    assert full.between[0].shape == (T, B, 4)
    assert torch.equal(layer(x, masks=full)[0], layer(x, masks=full)[0])


def test_rates_are_kept_and_means_too():
    layer = Recurrent("lstm", 3, 200, 2, zoneout={"c": 0.5}, recurrent_dropout=0.25, weight_drop=0.1, dropout=0.4)
    masks = layer.draw_masks(50, 8, torch.Generator().manual_seed(0))
    h, c = masks.zoneout[0]
    assert h is None
    assert c.mean().item() == pytest.approx(0.5, abs=0.01)
    for mask, rate in ((masks.recurrent[0], 0.25), (masks.weight[1], 0.1), (masks.between[0], 0.4)):
        assert (mask == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
        assert mask.mean().item() == pytest.approx(1, abs=0.02)


def test_zoneout_in_evaluation_mixes_by_the_rate():
    # h_t = 1 whatever came before, so with rate 1/4 each step goes 3/4 of what is left of the way.
    layer = filled(Recurrent(Elman("identity"), 3, 4, zoneout=0.25), bias_ih_l0=1.0).eval()
    y = layer(torch.zeros(T, B, 3))[0]
    want = 1 - 0.25 ** torch.arange(1.0, T + 1)
    torch.testing.assert_close(y, want[:, None, None].expand_as(y))


def test_zoneout_while_training_has_the_expectation_of_evaluation():
    layer = filled(Recurrent(Elman("identity"), 3, 500, zoneout=0.25), bias_ih_l0=1.0)
    y = layer(torch.zeros(3, 40, 3))[0]
    assert set(y.unique().tolist()) == {0.0, 1.0}
    assert y.mean((1, 2)).tolist() == pytest.approx([0.75, 0.9375, 0.984375], abs=0.01)


def test_weight_drop_is_one_mask_a_call_and_runs_on_torchs_kernels():
    layer, x = LSTM(3, 4, weight_drop=0.5), torch.randn(T, B, 3)
    assert layer.explain(x).engine == "native"
    masks = layer.draw_masks(B)
    plain = LSTM(3, 4)
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        plain.weight_hh_l0.mul_(masks.weight[0])
    torch.testing.assert_close(layer(x, masks=masks)[0], plain(x)[0])
    layer(x, masks=masks)[0].sum().backward()
    assert (layer.weight_hh_l0.grad[masks.weight[0] == 0] == 0).all()


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_projection_narrows_what_is_emitted_and_carries_on(cell):
    layer = Recurrent(table.MADE[cell](), 3, 5, 2, proj_size=2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    if square(layer.cell):
        with pytest.raises(InputError, match="Leave proj_size out"):
            layer(x)
        return
    y, state = layer(x)
    assert y.shape == (T, B, 4)
    wide = layer.cell.formula.reads_h
    assert [one.h.shape for one in state] == [(B, 5 if wide else 2)] * 4
    last = state[2].h @ layer.weight_hr_l1.T if wide else state[2].h
    torch.testing.assert_close(y[-1, :, :2], last)
    forward = Recurrent(table.MADE[cell](), 3, 5, proj_size=2, dtype=torch.float64)
    first, carried = forward(x[:2])
    second, _ = forward(x[2:], carried)
    torch.testing.assert_close(torch.cat([first, second]), forward(x)[0], rtol=0, atol=1e-12)


def test_a_projected_gru_keeps_its_state_wide_and_its_door_torchs():
    y, h = GRU(3, 5, 2, proj_size=2)(torch.randn(T, B, 3))
    assert y.shape == (T, B, 2)
    assert h.shape == (2, B, 5)
    layer = GRU(3, 5, proj_size=2)
    assert layer(torch.randn(T, B, 3), torch.zeros(1, B, 5))[1].shape == (1, B, 5)


def test_residual_layers_add_what_they_read_and_keep_padding_zero():
    layer = Recurrent("gru", 3, 4, 2, residual=True, dtype=torch.float64)
    x, lengths = torch.randn(T, B, 3, dtype=torch.float64), torch.tensor([6, 2, 0])
    y, _ = layer(x, lengths=lengths)
    lower, upper = Recurrent("gru", 3, 4, dtype=torch.float64), Recurrent("gru", 4, 4, dtype=torch.float64)
    lower.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("_l0")})
    upper.load_state_dict({k.replace("_l1", "_l0"): v for k, v in layer.state_dict().items() if k.endswith("_l1")})
    below = lower(x, lengths=lengths)[0]
    torch.testing.assert_close(y, below + upper(below, lengths=lengths)[0])
    assert (y[2:, 1] == 0).all()
    assert (y[:, 2] == 0).all()


def test_a_highway_gate_passes_or_carries():
    layer = Recurrent("gru", 3, 4, 3, highway=True, bidirectional=True)
    assert layer.weight_highway_l1.shape == (8, 8)
    assert (layer.bias_highway_l2 == -1).all()
    assert not hasattr(layer, "weight_highway_l0")
    x, lengths = torch.randn(T, B, 3), torch.tensor([6, 2, 0])
    below = Recurrent("gru", 3, 4, bidirectional=True)
    below.load_state_dict({k: v for k, v in layer.state_dict().items() if "_l0" in k})
    plain = Recurrent("gru", 3, 4, 3, bidirectional=True)
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if "highway" not in k})
    for gate, want in ((-100.0, below), (100.0, plain)):
        with torch.no_grad():
            for parameter in (layer.bias_highway_l1, layer.bias_highway_l2):
                parameter.fill_(gate)
        torch.testing.assert_close(layer(x, lengths=lengths)[0], want(x, lengths=lengths)[0])


def test_layers_of_unequal_size():
    layer = Recurrent("lstm", 3, [6, 4, 2], bidirectional=True)
    y, state = layer(torch.randn(T, B, 3))
    assert y.shape == (T, B, 4)
    assert [one.c.shape[1] for one in state] == [6, 6, 4, 4, 2, 2]
    assert layer.weight_ih_l1.shape == (16, 12)
    assert layer.num_layers == 3
    assert layer(torch.randn(T, B, 3), state)[0].shape == (T, B, 4)


@pytest.mark.parametrize("batch_first", [False, True])
def test_gates_on_request_by_name_for_each_layer_and_direction(batch_first):
    layer = LSTM(3, 4, 2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    x = torch.randn(B, T, 3, dtype=torch.float64)
    y, (h, c), gates = layer(x if batch_first else x.transpose(0, 1), return_gates=True)
    shape = (B, T, 4) if batch_first else (T, B, 4)
    assert [one._fields for one in gates] == [("i", "f", "g", "o")] * 4
    assert all(gate.shape == shape for one in gates for gate in one)
    # c_0 = i g and h_0 = o tanh(c_0) from a state of zeros, in the first layer's forward direction
    first = gates[0]
    i, g, o = (tensor[:, 0] if batch_first else tensor[0] for tensor in (first.i, first.g, first.o))
    bottom = LSTM(3, 4, dtype=torch.float64)
    bottom.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("_l0")})
    torch.testing.assert_close(bottom(x[:, 0][None])[0][0], o * torch.tanh(i * g))
    assert len(layer(x if batch_first else x.transpose(0, 1))) == 2
    del y, h, c


def test_gates_of_one_sequence_alone_and_of_a_packed_one():
    layer = GRU(3, 4)
    assert layer(torch.randn(T, 3), return_gates=True)[2][0].z.shape == (T, 4)
    packed = torch.nn.utils.rnn.pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    gates = layer(packed, return_gates=True)[2]
    assert gates[0].z.shape == (4, 2, 4)
    assert (gates[0].z[2:, 1] == 0).all()
    assert (gates[0].z[:2, 1] > 0).all()


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
    return "Leave proj_size out" if proj_size and square(cell) else None


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


def test_the_repr_names_what_is_not_at_its_default():
    layer = Recurrent("gru", 3, [5, 4], zoneout=0.1, layer_norm=True)
    assert repr(layer) == f"Recurrent({layer.cell}, 3, (5, 4), layer_norm=True, zoneout={{'h': 0.1}})"


def test_a_rate_changed_later_is_the_rate_used():
    layer = copy.deepcopy(Recurrent("gru", 3, 4, recurrent_dropout=0.5))
    layer.recurrent_dropout = 0.0
    x = torch.randn(T, B, 3)
    assert torch.equal(layer(x)[0], layer(x)[0])


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
        (lambda: Recurrent("gru", 3, [4, 5], highway=True), r"must be of one width, not \[4, 5\]"),
        (lambda: Recurrent("gru", 3, 4, 2, highway=True, residual=True), "choose one"),
        (lambda: Recurrent("gru", 3, [4, 5], 3), "gives 2 layers but num_layers=3"),
        (lambda: Recurrent("gru", 3, []), "gives 0 layers"),
        (lambda: Recurrent("gru", 3, [4, 0]), "hidden_size=0 must be a whole number above 0"),
        (lambda: Recurrent("gru", 3, [4, 5], proj_size=4), "proj_size=4 must lie within 0 and hidden_size=4"),
        (lambda: LSTM(3, [4, 5]), "Use recurra.Recurrent"),
        (lambda: Recurrent("gru", 3, 4, zoneout=1.0), "zoneout of h=1.0 must lie in"),
        (lambda: Recurrent("lstm", 3, 4, zoneout={"d": 0.1}), "zoneout has no state 'd'"),
        (lambda: Recurrent("gru", 3, 4, recurrent_dropout=-0.1), "recurrent_dropout=-0.1 must lie in"),
        (lambda: Recurrent(Alone, 3, 4, recurrent_dropout=0.1), "but Alone has no W_hh"),
        (lambda: Recurrent(Alone, 3, 4, weight_drop=0.1), "but Alone has no W_hh"),
        (lambda: Recurrent("gru", 3, 1, layer_norm=True), "needs two units"),
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

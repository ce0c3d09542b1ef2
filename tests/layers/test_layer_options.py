"""What the layers take beyond torch.nn's, one by one."""

import pytest
import table
import torch

from recurra.cells import Cell, Elman
from recurra.errors import InputError
from recurra.layers import GRU, LSTM, RNN, Recurrent

CELL_NAMES = list(table.MADE)
T, B = 6, 3


def square(cell):
    """Whether the recurrent matrix is a function of a square one, which cannot be projected."""
    return getattr(type(cell), "recurrent_weight", None) is not getattr(Cell, "recurrent_weight", None)


def test_an_activation_reaches_the_cell_and_is_refused_where_there_is_none():
    assert Recurrent("elman", 3, 4, activation="gelu").cell == Elman("gelu")
    assert RNN(3, 4, nonlinearity="gelu").cell == Elman("gelu")
    with pytest.raises(InputError, match="RNN: activation='gelu' is called nonlinearity"):
        RNN(3, 4, activation="gelu")
    with pytest.raises(InputError, match="has no option 'activation'"):
        Recurrent(table.Leaky, 3, 4, activation="gelu")
    with pytest.raises(InputError, match="is an instance already"):
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
    assert (layer.gain_ih_l0 == 1).all()
    assert (layer.gain_hh_l1 == 1).all()
    assert (layer.gain_c_l1 == 1).all()
    assert (layer.shift_c_l1 == 0).all()
    assert "gain_h_l0" not in dict(GRU(3, 4, layer_norm=True).named_parameters())


@pytest.mark.parametrize("cell", CELL_NAMES)
def test_a_projection_narrows_what_is_emitted_and_carries_on(cell):
    layer = Recurrent(table.MADE[cell](), 3, 5, 2, proj_size=2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    if square(layer.cell):
        with pytest.raises(InputError, match="Omit proj_size"):
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


def test_the_repr_names_what_is_not_at_its_default():
    layer = Recurrent("gru", 3, [5, 4], zoneout=0.1, layer_norm=True)
    assert repr(layer) == f"Recurrent({layer.cell}, 3, (5, 4), layer_norm=True, zoneout={{'h': 0.1}})"

"""What is particular to one cell: options, starts, the limits of numbers. That each equals its oracle is a law."""

import pytest
import torch

from recurra.cells import CELLS, SLSTM, CoupledLSTM, IndRNN, Initialisation, MinGRU, MinLSTM, State, Weights, find_cell
from recurra.engine import Request, choose, run
from recurra.errors import InputError


def make(cell, *, T=1, B=2, I=3, H=4, scale=1.0, dtype=torch.float64):
    """Random weights and input, times `scale`, and the zero state."""
    g = torch.Generator().manual_seed(0)

    def normal(*shape):
        return scale * torch.randn(*shape, generator=g, dtype=dtype)

    G, R = len(cell.gates), len(cell.recurrent)
    vectors = tuple(normal(H) for _ in cell.vectors)
    weights = Weights(normal(G * H, I), normal(R * H, H), normal(G * H), normal(R * H), None, vectors)
    state = State(**{name: torch.zeros(B, H, dtype=dtype) for name in cell.states})
    return Request(cell, normal(T, B, I), state, weights)


def started(cell, how, H=200):
    """The parameters a cell begins with."""
    G, R = len(cell.gates), len(cell.recurrent)
    weights = Weights(torch.empty(G * H, 5), torch.empty(R * H, H), torch.empty(G * H), torch.empty(R * H))
    weights = weights._replace(vectors=tuple(torch.full((H,), 9.0) for _ in cell.vectors))
    cell.initialise(weights, how, torch.Generator().manual_seed(0))
    return weights


def f(a):
    return a / (1 + abs(a))


# One step from zeros, all weights 0, the candidate's bias 2: every gate is 1/2.
FIRST_STEP = {
    "elman": f(2),
    "lstm": f(f(2) / 2) / 2,
    "peephole_lstm": f(f(2) / 2) / 2,
    "coupled_lstm": f(f(2) / 2) / 2,
    "slstm": f(2) / 2,
    "min_lstm": f(2) / 2,
    "gru": f(2) / 2,
    "cho_gru": f(2) / 2,
    "minimal_gated_unit": f(2) / 2,
    "min_gru": f(2) / 2,
    "indrnn": f(2),
    "orthogonal_rnn": f(2),
    "antisymmetric_rnn": 0.1 * f(2),
    "gated_antisymmetric_rnn": 0.1 * f(2) / 2,
}


def test_every_cell_of_the_table_has_its_first_step():
    assert set(FIRST_STEP) == set(CELLS)


@pytest.mark.parametrize("activation", ["softsign", torch.nn.functional.softsign], ids=["name", "function"])
@pytest.mark.parametrize("name", CELLS)
def test_an_activation_by_name_or_function_takes_the_place_of_the_default(name, activation):
    cell = find_cell(name, activation=activation)
    request = make(cell, H=1, scale=0.0)
    candidate = next(cell.gates.index(gate) for gate in ("g", "n", "h") if gate in cell.gates)
    request.weights.b_ih[candidate] = 2.0
    assert run(request).y.flatten().tolist() == pytest.approx([FIRST_STEP[name]] * 2)


@pytest.mark.parametrize("name", CELLS)
def test_an_activation_that_does_not_exist_is_refused(name):
    with pytest.raises(InputError, match="no activation 'rellu'. Did you mean 'relu'"):
        find_cell(name, activation="rellu")


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_torchs_kernels_are_for_torchs_activation(name):
    assert choose(make(find_cell(name), T=2)).engine == "native"
    assert choose(make(find_cell(name, activation=torch.tanh), T=2)).engine == "native"
    assert choose(make(find_cell(name, activation="relu"), T=2)).engine == "unroll"


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
def test_the_stabiliser_keeps_slstm_finite_where_exponentials_overflow(forget):
    request = make(SLSTM(forget), T=20, scale=30.0, dtype=torch.float32)
    result = run(request)
    assert result.state.m.abs().max() > 100  # exp of it is beyond float32
    assert result.y.isfinite().all()
    assert result.y.abs().max() <= 1
    assert (result.state.n >= 1).all()


@pytest.mark.parametrize("bias", [-300.0, 0.0, 300.0])
def test_the_first_step_of_slstm_has_nothing_to_forget_and_any_input_gate_fills_it(bias):
    cell = SLSTM()
    request = make(cell, dtype=torch.float32)
    free = run(request).y
    i, rest = request.weights.b_ih.split([4, 12])
    request.weights.b_ih.copy_(torch.cat([i + bias, rest[:4] - bias, rest[4:]]))
    torch.testing.assert_close(run(request).y, free)


def test_gates_of_min_lstm_share_a_whole_where_both_underflow():
    cell = MinLSTM()
    request = make(cell, H=1, scale=0.0, dtype=torch.float32)
    request.weights.b_ih.copy_(torch.tensor([-1000.0, -1000.0, 3.0]))
    assert run(request).y.flatten().tolist() == [1.5, 1.5]
    request.weights.b_ih[0] = -1010.0
    assert run(request).y.flatten().tolist() == pytest.approx([3.0, 3.0], rel=1e-4)


def test_the_coupled_cell_state_stays_below_one():
    state = run(make(CoupledLSTM(), T=50, scale=3.0)).state
    assert 0.9 < state.c.abs().max() <= 1


def test_the_recurrence_of_indrnn_starts_between_0_and_1():
    (u,) = started(IndRNN(), Initialisation()).vectors
    assert 0 <= u.min() < 0.05
    assert 0.95 < u.max() <= 1
    assert u.mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", ["min_gru", "min_lstm", "indrnn"])
def test_an_initialisation_of_a_matrix_that_a_cell_has_not_is_refused(name):
    with pytest.raises(InputError, match="recurrent='orthogonal' initialises W_hh, which this cell lacks"):
        started(find_cell(name), Initialisation(recurrent="orthogonal"))


@pytest.mark.parametrize(("name", "gate", "bias"), [
    ("lstm", 1, 2.0),
    ("peephole_lstm", 1, 2.0),
    ("coupled_lstm", 0, 2.0),
    ("slstm", 1, 2.0),
    ("min_lstm", 0, 2.0),
    ("gru", 1, 2.0),
    ("cho_gru", 1, 2.0),
    ("minimal_gated_unit", 0, -2.0),  # these weigh the new
    ("min_gru", 0, -2.0),
    ("gated_antisymmetric_rnn", 1, -2.0),
])  # fmt: skip
def test_a_forget_bias_makes_every_gated_cell_keep_its_state(name, gate, bias):
    cell = find_cell(name)
    weights = started(cell, Initialisation(forget_bias=2.0))
    both = weights.b_ih.view(-1, 200)[gate].clone()
    if cell.gates[gate] in cell.recurrent:
        both += weights.b_hh.view(-1, 200)[cell.recurrent.index(cell.gates[gate])]
    assert (both == bias).all()
    if "i" in cell.gates:
        assert (weights.b_ih.view(-1, 200)[cell.gates.index("i")] != -bias).all()


def test_chrono_is_mirrored_where_a_gate_weighs_the_new():
    z = started(MinGRU(), Initialisation(chrono=100)).b_ih.view(2, 200)[0]
    assert (-z).exp().min() >= 1
    assert (-z).exp().mean().item() == pytest.approx(50, rel=0.1)


def test_chrono_is_refused_for_an_exponential_forget_gate():
    with pytest.raises(InputError, match="chrono is defined for a sigmoid"):
        started(SLSTM("exp"), Initialisation(chrono=100))
    assert (started(SLSTM("exp"), Initialisation(forget_bias=3.0)).b_ih.view(4, 200)[1] == 3).all()


def test_a_forget_gate_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="no forget gate 'sigmod'. Did you mean 'sigmoid'"):
        SLSTM("sigmod")

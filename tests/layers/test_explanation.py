"""`recurra.explain`, and layers that compute again what they do not keep."""

import pytest
import table
import torch

import recurra
from recurra.layers import GRU, LSTM, Recurrent


def test_every_layer_and_direction_says_what_runs_it_and_what_it_keeps():
    x = torch.zeros(64, 32, 64)
    said = recurra.explain(LSTM(64, 128, num_layers=2, bidirectional=True), x)
    assert list(said) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    assert said.engine == "cpu"
    # Two states and four gates of 128 numbers in float32, 64 steps of 32 rows: 6 MiB.
    assert said.kept == (
        "of every step the states h, c, σ(x.i + u.i), σ(x.f + u.f), tanh(x.g + u.g), σ(x.o + u.o); 6.0 MiB"
    )
    assert str(said).splitlines()[1].startswith("l0_reverse  cpu: compiled loops are the fastest engine")


def test_what_is_kept_depends_on_what_is_asked():
    x = torch.zeros(100, 32, 64)
    assert "every 10th step" in recurra.explain(GRU(64, 128, recompute=True), x).kept
    with torch.no_grad():
        assert recurra.explain(GRU(64, 128), x).kept == "nothing, because gradients are disabled"
    assert recurra.explain(GRU(64, 128, engine="unroll"), x).kept.startswith("every intermediate result")


def test_another_module_is_refused_in_one_line():
    with pytest.raises(recurra.InputError, match="LSTM is not a recurrent layer of recurra"):
        recurra.explain(torch.nn.LSTM(3, 4), torch.zeros(2, 1, 3))


@pytest.mark.parametrize("engine", ["cpu", "unroll"])
@pytest.mark.parametrize("recompute", [True, 3])
def test_recomputation_changes_no_number(engine, recompute):
    def gradients(recompute):
        torch.manual_seed(0)
        layer = Recurrent(table.Leaky, 3, 8, 2, bidirectional=True, engine=engine, recompute=recompute).double()
        x = torch.randn(11, 4, 3, dtype=torch.float64, requires_grad=True)
        y, _ = layer(x, lengths=torch.tensor([11, 4, 0, 7]))
        y.square().sum().backward()
        return [y, x.grad, *(p.grad for p in layer.parameters())]

    for got, want in zip(gradients(recompute), gradients(False), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("recompute", [-1, 2.5, "yes"])
def test_a_number_of_steps_must_be_one(recompute):
    with pytest.raises(recurra.InputError, match="True, False or a number of steps"):
        GRU(3, 4, recompute=recompute)

"""The door to a diagnosis: verdicts that are known beforehand, and strangers' networks left as they were."""

import json

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra
from recurra.cells import Initialisation
from recurra.diagnosis import diagnose
from recurra.errors import InputError


def verdict_of(cell, *, hidden=128, steps=140, **options):
    x = torch.randn(steps, 4, 16)
    (layer,) = diagnose(recurra.Recurrent(cell, 16, hidden, **options), x).layers
    return layer


@pytest.mark.parametrize(("variance", "kind", "rate"), [(3, "explodes", 1.5**0.5), (1.5, "vanishes", 0.75**0.5)])
def test_relu_layers_explode_and_vanish(variance, kind, rate):
    init = Initialisation(recurrent="normal", variance=variance)
    layer = verdict_of("elman", hidden=256, activation="relu", init=init)
    assert layer.verdict.kind == kind
    assert layer.measures.rate == pytest.approx(rate, rel=0.1)
    assert "N(0, 2/n)" in str(layer)


def test_an_lstm_with_forget_bias_1_vanishes():
    layer = verdict_of("lstm", init=Initialisation(forget_bias=1))
    assert layer.verdict.kind == "vanishes"
    assert layer.measures.memory < 40
    (forget,) = (use for use in layer.measures.gates if use.gate == "f")
    assert forget.mean == pytest.approx(0.73, abs=0.02)
    assert "f is 0.73 on average" in layer.verdict.text
    assert "chrono=" in " ".join(layer.verdict.advice)


def test_without_feedback_it_loses_just_its_forget_gate_a_step():
    layer = recurra.LSTM(16, 64, init=Initialisation(forget_bias=1))
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0.zero_()
    (found,) = diagnose(layer, torch.randn(60, 4, 16)).layers
    assert found.measures.rate == pytest.approx(0.731, abs=0.001)


def test_an_lstm_with_chrono_initialisation_keeps_its_gradient():
    layer = verdict_of("lstm", init=Initialisation(chrono=200))
    assert layer.verdict.kind == "keeps"
    assert 0.1 <= layer.measures.left[100] <= 10


def test_a_chaotic_network_is_called_so():
    layer = verdict_of("elman", init=Initialisation(recurrent="normal", variance=4))
    assert layer.verdict.kind == "explodes"
    assert layer.measures.exponents[0] > 0.05
    assert "chaotic" in layer.verdict.text


def test_what_overflows_is_named_with_its_step():
    layer = recurra.RNN(4, 8, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.eye(8) * 1e3)
    (found,) = diagnose(layer, torch.rand(40, 2, 4)).layers
    assert found.verdict.kind == "not finite"
    assert "not finite from step 1" in found.verdict.text
    assert "grows by 1e+03 per step" in found.verdict.text
    assert (found.measures.exponents, found.measures.singular_values) == ((), {})


def test_a_layer_cut_off_from_the_loss_is_silent():
    class Cut(nn.Module):
        def __init__(self):
            super().__init__()
            self.below, self.above = nn.GRU(4, 8), nn.GRU(8, 8)

        def forward(self, x):
            return self.above(self.below(x)[0].detach())[0]

    below, above = diagnose(Cut(), torch.randn(30, 2, 4)).layers
    assert (below.verdict.kind, above.verdict.kind) == ("silent", "vanishes")
    assert (below.measures.name, above.measures.name) == ("below", "above")


def test_a_loss_that_reads_late_is_not_silent():
    def late(output):
        return torch.cat([output[0][:3] * 0, output[0][:-3]]).sum(-1)

    (found,) = diagnose(nn.GRU(4, 8), torch.randn(40, 2, 4), late).layers
    assert found.measures.gradient[:3] == (0, 0, 0)
    assert found.measures.left[3] == 1
    assert 5 < found.measures.memory < 40
    assert found.verdict.kind == "vanishes"


class Stranger(nn.Module):
    """Somebody's tagger: packed, batch first, dropout, frozen embedding, a buffer, and numbers drawn in forward."""

    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(20, 8).requires_grad_(False)
        self.rnn = kind(8, 12, num_layers=2, batch_first=True, bidirectional=True, dropout=0.5)
        self.norm = nn.BatchNorm1d(24)
        self.out = nn.Linear(24, 5)

    def forward(self, tokens, lengths):
        x = self.embedding(tokens) + 0.01 * torch.randn(*tokens.shape, 8)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.out(self.norm(y.transpose(1, 2)).transpose(1, 2))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU, recurra.LSTM])
def test_a_stranger_is_left_as_it_was(kind):
    model = Stranger(kind)
    model.norm.eval()
    tokens, lengths = torch.randint(20, (3, 16)), torch.tensor([9, 16, 12])
    targets = torch.randint(5, (3, 16))
    model(tokens, lengths).sum().backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    grads = {key: None if p.grad is None else p.grad.clone() for key, p in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    inside = [set(module.__dict__) for module in model.modules()]
    generator = torch.get_rng_state()

    def loss(scores):
        return nn.functional.cross_entropy(scores.transpose(1, 2), targets, reduction="none")

    found = diagnose(model, {"tokens": tokens, "lengths": lengths}, loss)

    assert [layer.measures.name for layer in found.layers] == [
        *("rnn layer 1", "rnn layer 1 reverse", "rnn layer 2", "rnn layer 2 reverse")
    ]
    assert all(len(layer.measures.left) > 9 for layer in found.layers)
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in model.modules()] == modes
    assert [set(module.__dict__) for module in model.modules()] == inside
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert type(model.rnn) is kind
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    for key, p in model.named_parameters():
        assert (p.grad is None) == (grads[key] is None)
        assert p.grad is None or torch.equal(p.grad, grads[key])


def test_a_network_is_whole_again_after_an_error():
    layer = nn.LSTM(4, 8)

    def loss(output):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        diagnose(layer, torch.randn(5, 2, 4), loss)
    assert "forward" not in layer.__dict__
    assert layer.training


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_torchs_layers_measure_as_their_namesakes(kind):
    theirs = getattr(nn, kind)(4, 8, 2)
    ours = getattr(recurra, kind)(4, 8, 2)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(30, 2, 4)
    for one, two in zip(diagnose(theirs, x).layers, diagnose(ours, x).layers, strict=True):
        assert one.measures.gradient == two.measures.gradient
        assert one.measures.exponents == two.measures.exponents


@pytest.mark.parametrize("shape", [(0, 2, 4), (9, 0, 4)])
def test_a_batch_of_nothing_gets_a_line(shape):
    with pytest.raises(InputError, match="expected at least one step and one row"):
        diagnose(nn.GRU(4, 8), torch.randn(shape))


def test_one_step_is_too_short_to_tell():
    (layer,) = diagnose(nn.LSTM(4, 8), torch.randn(1, 2, 4)).layers
    assert layer.verdict.kind == "too short"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes_are_measured(dtype):
    (layer,) = diagnose(nn.GRU(4, 8).to(dtype), torch.randn(30, 2, 4, dtype=dtype)).layers
    assert 0.3 < layer.measures.rate < 0.95


def test_frozen_weights_and_parametrised_ones_are_measured():
    layer = torch.nn.utils.parametrizations.orthogonal(nn.RNN(4, 16), "weight_hh_l0").requires_grad_(False)
    (found,) = diagnose(layer, 0.01 * torch.randn(60, 2, 4)).layers
    assert found.verdict.kind in ("keeps", "fades")  # an orthogonal W_hh, near the linear part of tanh
    assert not any(parameter.requires_grad for parameter in layer.parameters())


def test_findings_are_json():
    found = json.loads(json.dumps(diagnose(recurra.RNN(4, 8, nonlinearity="relu"), torch.randn(30, 2, 4)).to_dict()))
    (layer,) = found["layers"]
    assert layer["verdict"]["kind"] == "vanishes"
    assert layer["memory"] < 30
    assert found["context"] is None


@pytest.mark.parametrize(
    ("network", "loss", "message"),
    [
        (nn.Linear(4, 8), None, "no recurrent layer"),
        (nn.GRU(4, 8), lambda output: output[0].detach(), r"has no gradient.*no_grad\(\) or a detach\(\)"),
        (nn.GRU(4, 8), lambda output: 3.0, "is float, expected a floating-point tensor"),
    ],
)
def test_what_cannot_be_examined_gets_a_line(network, loss, message):
    with pytest.raises(InputError, match=message):
        diagnose(network, torch.randn(12, 2, 4), loss)

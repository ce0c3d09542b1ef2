"""Number types under autocast on a CPU: those of torch.nn."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import recurra

T, B, I, H = 5, 2, 3, 4
KINDS = {
    "RNN": {}, "GRU": {}, "LSTM": {}, "LSTM projected": {"proj_size": 3}, "RNN relu": {"nonlinearity": "relu"},
    "GRU of two layers": {"num_layers": 2, "bidirectional": True},
}  # fmt: skip


def tensors(result):
    return [result] if isinstance(result, torch.Tensor) else [t for part in result for t in tensors(part)]


def run(module, x, packed):
    y, last = module(pack_padded_sequence(x, torch.tensor([5, 3])) if packed else x)
    return [y.data if packed else y, *tensors(last)]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("given", ["float32", "converted"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", list(KINDS))
def test_outputs_and_states_have_torchs_dtypes(kind, dtype, given, packed):
    if kind == "LSTM" and given == "float32" and not packed:
        pytest.skip("oneDNN's LSTM, which torch.nn takes here, does not run on every processor")
    ours, theirs = (getattr(module, kind.split()[0])(I, H, **KINDS[kind]) for module in (recurra, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(T, B, I).to(torch.float32 if given == "float32" else dtype)
    with torch.autocast("cpu", dtype=dtype):
        got, want = run(ours, x, packed), run(theirs, x, packed)
    assert [tensor.dtype for tensor in got] == [tensor.dtype for tensor in want]
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one.float(), other.float(), rtol=0, atol=3e-2)
    got[0].float().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in ours.parameters())


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_autocast_that_is_off_within_changes_nothing(kind):
    layer, x = getattr(recurra, kind)(8, 64), torch.randn(40, 80, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.autocast("cpu", enabled=False):
        y = layer(x)[0]
    assert torch.equal(y, layer(x)[0])


def test_an_lstm_returns_float32_of_float32_as_torchs_loop_of_steps():
    layer, x = recurra.LSTM(I, H), torch.randn(T, B, I)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = run(layer, x, False)
    assert {tensor.dtype for tensor in results} == {torch.float32}

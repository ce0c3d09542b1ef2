"""`to_torch`: the module of torch.nn that computes the same on the same parameters, and the tools that need it."""

import warnings

import pytest
import torch
from torch import nn
from twins import CELLS, LAYERS, SHAPES, assert_equal, batch, name_of, twins

import recurra.layers
from recurra.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script` is deprecated",
    r"ignore:(?s).*torch\.ao\.quantization is deprecated:DeprecationWarning",
    r"ignore:torch\.quantize_per_tensor",
)


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_becomes_torchs_own(kind, shape):
    theirs, ours = twins(kind, dropout=0.5 if shape["num_layers"] > 1 else 0.0, **shape)
    converted = ours.eval().to_torch()
    assert type(converted) is type(theirs)
    assert repr(converted) == repr(theirs)
    assert not converted.training
    assert_equal(converted(batch()), theirs.eval()(batch()), torch.float32)
    for a, b in zip(converted.parameters(), ours.parameters(), strict=True):
        assert a.data_ptr() == b.data_ptr()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_becomes_torchs_own(kind, bias):
    theirs, ours = twins(kind, CELLS, bias=bias)
    converted = ours.to_torch()
    assert type(converted) is type(theirs)
    assert repr(converted) == repr(theirs)
    assert_equal(converted(batch()[0]), theirs(batch()[0]), torch.float32)


def test_an_update_of_one_is_an_update_of_the_other():
    _, ours = twins("LSTM")
    converted = ours.to_torch()
    converted(batch())[0].sum().backward()
    with torch.no_grad():
        for parameter in converted.parameters():
            parameter -= 0.1 * parameter.grad
    assert_equal(ours(batch()), converted(batch()), torch.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_norm": True}, "layer_norm=True"),
        ({"recurrent_dropout": 0.1}, "recurrent_dropout=0.1"),
        ({"weight_drop": 0.2}, "weight_drop=0.2"),
        ({"zoneout": 0.1}, "zoneout="),
        ({"num_layers": 2, "residual": True}, "residual=True"),
        ({"num_layers": 2, "highway": True}, "highway=True"),
        ({"learn_initial_state": True}, "learn_initial_state=True"),
        ({"num_layers": 2, "dropout": 0.1, "locked_dropout": True}, "locked_dropout=True"),
        ({"proj_size": 2}, "proj_size=2"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_options_that_torch_lacks_are_named(options, message):
    with pytest.raises(InputError, match=f"^GRU: torch.nn.GRU lacks {message}") as caught:
        recurra.layers.GRU(3, 4, **options).to_torch()
    assert "\n" not in str(caught.value)


def test_activations_that_torch_lacks_are_named():
    with pytest.raises(InputError, match=r"torch.nn.RNN lacks the cell Elman\(activation='gelu'\)"):
        recurra.layers.RNN(3, 4, nonlinearity="gelu").to_torch()
    with pytest.raises(InputError, match="torch.nn.RNNCell lacks the cell"):
        recurra.layers.RNNCell(3, 4, nonlinearity="gelu").to_torch()


@pytest.mark.parametrize("kind", LAYERS)
def test_torch_jit_script(kind):
    _, ours = twins(kind, num_layers=2, bidirectional=True)
    want = ours(batch())
    scripted = torch.jit.script(nn.Sequential(ours))
    assert_equal(scripted(batch()), want, torch.float32)


@pytest.mark.parametrize("kind", CELLS)
def test_torch_jit_script_of_a_cell(kind):
    _, ours = twins(kind, CELLS, bias=kind != "GRU")
    assert_equal(torch.jit.script(ours)(batch()[0]), ours(batch()[0]), torch.float32)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_quantisation_after_the_conversion(kind):
    _, ours = twins(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(ours.to_torch()), {getattr(nn, kind)})
    assert "Quantized" in repr(model[0])
    torch.testing.assert_close(model(batch())[0], ours(batch())[0], rtol=0, atol=0.05)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_quantisation_before_it_warns_and_leaves_the_layer_right(kind):
    _, ours = twins(kind)
    with pytest.warns(UserWarning, match=rf"{kind}: torch.ao.quantization replaces torch.nn's own classes only"):
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(ours, nn.Linear(4, 2)))
    assert type(model[0]) is type(ours)
    assert_equal(model[0](batch()), ours(batch()), torch.float32)

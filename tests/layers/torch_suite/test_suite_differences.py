"""Each difference from torch.nn is what differences.py says, and the page has exactly these rows."""

import re
import warnings
from pathlib import Path

import pytest
import torch
from calls import CALLS
from differences import DIFFERENCES, EXCEPTIONS
from torch import nn
from torch.nn.utils import skip_init
from twins import LAYERS, batch, packed, twins

import recurra.layers
from recurra.errors import InputError, InputTypeError, RecurraError

PAGE = (Path(__file__).parents[3] / "docs" / "switching.md").read_text()


def isinstance_of_torchs_class():
    for name in ("RNN", "LSTM", "GRU"):
        ours = getattr(recurra.layers, name)(3, 4)
        assert isinstance(ours, nn.RNNBase)
        assert not isinstance(ours, nn.RNN | nn.LSTM | nn.GRU)
    assert isinstance(recurra.layers.LSTMCell(3, 4), nn.LSTMCell)
    # The reason: this is what torch.compile does with torch's own class.
    with pytest.raises(torch._dynamo.exc.Unsupported, match="RNN, GRU, or LSTM"):
        torch.compile(nn.LSTM(3, 4), backend="eager", fullgraph=True)(batch())
    torch.compile(recurra.layers.LSTM(3, 4), backend="eager", fullgraph=True)(batch()[:2])
    torch._dynamo.reset()


def quantisation():
    model = nn.Sequential(recurra.layers.LSTM(3, 4))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s).*torch\.ao\.quantization is deprecated")
        with pytest.warns(UserWarning, match=r"LSTM: torch.ao.quantization replaces .* put layer.to_torch\(\)"):
            kept = torch.ao.quantization.quantize_dynamic(model)
    assert isinstance(kept[0], recurra.layers.LSTM)


def scripting():
    layer = recurra.layers.LSTM(3, 4)
    want = layer(batch())[0]
    torch.testing.assert_close(torch.jit.script(nn.Sequential(layer))(batch())[0], want)
    with pytest.raises(InputError, match="lacks layer_norm=True"):
        torch.jit.script(recurra.layers.LSTM(3, 4, layer_norm=True))


def symbolic_tracing():
    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return isinstance(module, nn.RNNBase) or super().is_leaf_module(module, name)

    model = nn.Sequential(recurra.layers.LSTM(3, 4))
    with pytest.raises(InputTypeError, match="is_leaf_module"):
        torch.fx.symbolic_trace(model)
    traced = torch.fx.GraphModule(model, Tracer().trace(model))
    torch.testing.assert_close(traced(batch())[0], model(batch())[0])


def no_steps():
    theirs, ours = twins("GRU")
    hx = torch.randn(1, 3, 4)
    with pytest.raises(RuntimeError, match="sequence length"):
        theirs(batch()[:0], hx)
    y, last = ours(batch()[:0], hx)
    assert y.shape == (0, 3, 4)
    assert torch.equal(last, hx)


def nested():
    with pytest.raises(InputTypeError, match="lengths="):
        recurra.layers.GRU(3, 4)(torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(1, 3)]))


def errors():
    with pytest.raises(InputTypeError, match="x is a list, expected a tensor"):
        recurra.layers.GRU(3, 4)([[0.0, 0.0, 0.0]])


def projection():
    assert recurra.layers.GRU(3, 4, proj_size=2)(batch())[0].shape[-1] == 2
    assert recurra.layers.RNN(3, 4, proj_size=2)(batch())[0].shape[-1] == 2


def nonlinearity():
    assert recurra.layers.RNN(3, 4, nonlinearity=torch.sin)(batch())[0].abs().max() < 1
    with pytest.raises(InputError, match="there is no activation 'gelo'. Did you mean 'gelu'"):
        recurra.layers.RNNCell(3, 4, nonlinearity="gelo")


def skipping():
    assert skip_init(recurra.layers.LSTM, 3, 4).weight_ih_l0.device.type == "cpu"


def tuples():
    cell = recurra.layers.GRUCell(3, 4)
    h = torch.randn(3, 4)
    assert torch.equal(cell(batch()[0], (h,)), cell(batch()[0], h))


def truth():
    with pytest.raises(InputTypeError, match="num_layers=True must be a whole number above 0, not a bool"):
        recurra.layers.LSTM(3, 4, True)


def dropout():
    theirs, ours = twins("GRU", num_layers=2, dropout=0.5)
    outputs = []
    for layer in (theirs, ours):
        torch.manual_seed(0)
        outputs.append(layer(packed(batch(), [5, 4, 1]))[0].data)
    assert not torch.equal(*outputs)
    assert outputs[0].shape == outputs[1].shape


def flat_weights():
    _, ours = twins("LSTM")
    ours._flat_weights = [getattr(ours, name) for name in ours._flat_weights_names]
    with pytest.raises(RecurraError, match="To replace a parameter, use setattr"):
        ours._flat_weights = [tensor.clone() for tensor in ours._flat_weights]


CHECKS = {
    "class": isinstance_of_torchs_class,
    "quantization": quantisation,
    "script": scripting,
    "fx": symbolic_tracing,
    "no steps": no_steps,
    "nested": nested,
    "errors": errors,
    "projection": projection,
    "nonlinearity": nonlinearity,
    "skip_init": skipping,
    "tuple": tuples,
    "truth": truth,
    "dropout": dropout,
    "flat weights": flat_weights,
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_difference_is_as_described(name):
    CHECKS[name]()


def test_each_difference_has_a_check():
    assert set(CHECKS) == set(DIFFERENCES)


def test_the_exceptions_are_calls_that_there_are_and_differences_that_are_named():
    for (kind, name), expected in EXCEPTIONS.items():
        assert name in CALLS[kind], (kind, name)
        assert expected.difference in DIFFERENCES


def test_the_page_has_one_row_for_each_and_no_other():
    table = PAGE.split("### Where recurra differs on purpose", 1)[1].split("\n#", 1)[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in table.splitlines() if line[:1] == "|"
    ]
    assert rows[0] == ("", "torch.nn", "recurra", "why")
    assert [tuple(row) for row in rows[2:]] == [tuple(difference) for difference in DIFFERENCES.values()]


def test_the_page_names_the_count(collected):
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    counted = re.search(r"(\d[\d,]*) checks", PAGE)
    assert counted is not None
    if set(collected) < files:
        pytest.skip("the count is of all files of the folder")
    assert sum(collected.values()) >= int(counted[1].replace(",", ""))


def test_all_layers_are_in_the_table():
    assert {"RNN", "LSTM", "GRU"} == {name for name, _ in LAYERS.values()}

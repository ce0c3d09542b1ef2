"""What code reads from a layer of torch.nn it reads from ours: attributes, lists of weights, the repr, helpers."""

import inspect

import pytest
import torch
from torch import nn
from twins import LAYERS, SHAPES, B, batch, name_of, packed, state_for, tensors_of, twins

import recurra.layers

each_layer = pytest.mark.parametrize("kind", LAYERS)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=name_of)
NAMES = [
    "mode",
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
    "proj_size",
    "training",
]


@each_shape
@each_layer
def test_plain_attributes(kind, shape):
    theirs, ours = twins(kind, dropout=0.25 if shape["num_layers"] > 1 else 0.0, **shape)
    for name in NAMES:
        assert getattr(ours, name) == getattr(theirs, name), name
        assert type(getattr(ours, name)) is type(getattr(theirs, name)), name
    if ours.mode.startswith("RNN"):
        assert ours.nonlinearity == theirs.nonlinearity


@each_shape
@each_layer
def test_the_repr(kind, shape):
    theirs, ours = twins(kind, dropout=0.5 if shape["num_layers"] > 1 else 0.0, **shape)
    assert repr(ours) == repr(theirs)
    assert ours.extra_repr() == theirs.extra_repr()


@each_shape
@each_layer
def test_lists_of_weights(kind, shape):
    theirs, ours = twins(kind, **shape)
    assert ours._flat_weights_names == theirs._flat_weights_names
    assert ours._all_weights == theirs._all_weights
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    for mine, their in zip(ours.all_weights, theirs.all_weights, strict=True):
        assert [tensor.shape for tensor in mine] == [tensor.shape for tensor in their]
    assert all(
        tensor is getattr(ours, name) for tensor, name in zip(ours._flat_weights, ours._flat_weights_names, strict=True)
    )
    assert hasattr(ours, "bias_ih_l0") == hasattr(theirs, "bias_ih_l0") == shape["bias"]


@each_shape
@each_layer
def test_shapes_of_states_by_torchs_helpers(kind, shape):
    theirs, ours = twins(kind, **shape)
    x, rows = batch(), packed(batch(), [5, 4, 1])
    for arguments in ((x, None), (rows.data, rows.batch_sizes)):
        assert ours.get_expected_hidden_size(*arguments) == theirs.get_expected_hidden_size(*arguments)
        if ours.mode == "LSTM":
            assert ours.get_expected_cell_size(*arguments) == theirs.get_expected_cell_size(*arguments)
    rows = 5 if shape["batch_first"] else B
    hx = state_for(ours, rows)
    ours.check_forward_args(x, hx, None)
    ours.check_input(x, None)
    with pytest.raises(RuntimeError):
        ours.check_forward_args(x, state_for(ours, rows + 1), None)


@each_layer
def test_permute_hidden(kind):
    theirs, ours = twins(kind, num_layers=2)
    order = torch.tensor([2, 0, 1])
    mine, their = (layer.permute_hidden(state_for(layer), order) for layer in (ours, theirs))
    for one, other in zip(tensors_of(mine), tensors_of(their), strict=True):
        assert torch.equal(one, other)


@each_layer
def test_weights_replaced_one_by_one(kind):
    theirs, ours = twins(kind, num_layers=2)
    for layer in (theirs, ours):
        torch.manual_seed(4)
        layer.weight_hh_l0 = nn.Parameter(torch.randn_like(layer.weight_hh_l0))
        layer.flatten_parameters()
    torch.testing.assert_close(ours(batch())[0], theirs(batch())[0])
    assert ours._flat_weights[1] is ours.weight_hh_l0


@each_layer
def test_a_weight_that_is_computed(kind):
    # What implementations of weight drop do to a layer of torch.nn.
    _, ours = twins(kind)
    raw = nn.Parameter(ours.weight_hh_l0.detach().clone())
    del ours._parameters["weight_hh_l0"]
    ours.flatten_parameters()
    ours.register_parameter("weight_hh_l0_raw", raw)
    ours.weight_hh_l0 = 0.5 * raw
    ours._flat_weights = [getattr(ours, name) for name in ours._flat_weights_names]
    ours(batch())[0].sin().sum().backward()
    assert (raw.grad != 0).any()


@each_layer
def test_the_initialisation_loops_of_other_code(kind):
    model = nn.Sequential(nn.Linear(3, 3), twins(kind)[1])
    seen = 0
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            for name, parameter in module.named_parameters():
                if "weight_hh" in name:
                    nn.init.orthogonal_(parameter)
                elif "weight" in name:
                    nn.init.xavier_uniform_(parameter.data)
                else:
                    parameter.data.fill_(0)
                seen += 1
            module.flatten_parameters()
    assert seen == len(model[1]._flat_weights)
    assert (model[1].bias_ih_l0 == 0).all()
    assert torch.isfinite(model[1](batch())[0]).all()


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_no_public_name_of_torchs_class_is_missing(kind):
    theirs, ours = getattr(torch.nn, kind)(3, 4), getattr(recurra.layers, kind)(3, 4)
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(ours))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_arguments_stand_where_torchs_documentation_has_them(kind):
    documented = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]
    if kind == "RNN":
        documented.insert(3, "nonlinearity")
    parameters = list(inspect.signature(getattr(recurra.layers, kind)).parameters)
    assert parameters[: len(documented)] == documented
    assert parameters[len(documented) :] == ["proj_size", "device", "dtype", "more"]
    forward = list(inspect.signature(getattr(recurra.layers, kind).forward).parameters)
    assert forward[:3] == list(inspect.signature(getattr(torch.nn, kind).forward).parameters)


@pytest.mark.parametrize(
    ("activation", "mode"),
    [("tanh", "RNN_TANH"), ("relu", "RNN_RELU"), ("gelu", "RNN_GELU"), (torch.sin, "RNN_SIN"), (nn.Tanh(), "RNN_TANH")],
)
def test_the_mode_of_an_rnn(activation, mode):
    assert recurra.layers.RNN(3, 4, nonlinearity=activation).mode == mode

"""Arguments of a wrong type are refused in one line, as an error of ours that is a TypeError too."""

import pickle

import pytest
import torch

from recurra.errors import InputError, InputShapeError, InputTypeError, RecurraError
from recurra.layers import GRU, LockedDropout, Recurrent, Step

X = torch.zeros(5, 2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Recurrent(None, 3, 4), "a cell is a NoneType, expected a name"),
        (lambda: Recurrent("gru", 3, "4"), "hidden_size='4' must be a whole number above 0, not a str"),
        (lambda: Recurrent("gru", 3, [4, "5"]), "hidden_size='5' must be a whole number"),
        (lambda: Recurrent("gru", 3, 4, bias=None), "bias=None must be True or False"),
        (lambda: Recurrent("gru", 3, 4, bidirectional="no"), "bidirectional='no' must be True or False"),
        (lambda: Recurrent("gru", 3, 4, dropout=True), "dropout=True must be a number, not a bool"),
        (lambda: Recurrent("gru", 3, 4, recurrent_dropout="0.1"), "recurrent_dropout='0.1' must be a number"),
        (lambda: Recurrent("gru", 3, 4, weight_drop=None), "weight_drop=None must be a number"),
        (lambda: Recurrent("gru", 3, 4, zoneout="0.1"), "zoneout='0.1' must be a number"),
        (lambda: Recurrent("gru", 3, 4, zoneout={"h": "0.1"}), "zoneout of h='0.1' must be a number"),
        (lambda: Recurrent("gru", 3, 4, proj_size="2"), "proj_size='2' must be a whole number, 0 or more"),
        (lambda: Recurrent("gru", 3, 4, engine=None), "engine=None must be the name of an engine"),
        (lambda: Recurrent("gru", 3, 4, init="xavier"), "init='xavier' must be a recurra.Initialisation"),
        (lambda: Step("gru", 3, 4, init={}), "init={} must be a recurra.Initialisation"),
        (lambda: Step("gru", 3, 4.0), "hidden_size=4.0 must be a whole number"),
        (lambda: Recurrent("gru", 3, 4)([X]), "x is a list, expected a tensor"),
        (lambda: Recurrent("gru", 3, 4)(X, torch.zeros(1, 2, 4)), "a state is a Tensor, expected a State"),
        (lambda: Recurrent("gru", 3, 4)(X, [None]), "a state is a NoneType, expected a State"),
        (lambda: Recurrent("gru", 3, 4)(X, masks=0.5), "masks is a float, expected the result of layer.draw_masks"),
        (lambda: Step("lstm", 3, 4)(X[0], (X[0], X[0])), "a state is a tuple, expected a State"),
        (lambda: GRU(3, 4)(X, lengths=[5, 3]), "lengths is a list, expected an int64 tensor"),
        (lambda: LockedDropout("0.5"), "p='0.5' must be a number"),
    ],
)
def test_a_wrong_type_is_named(call, message):
    with pytest.raises(InputTypeError, match=message) as caught:
        call()
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [RecurraError, InputError, InputShapeError, InputTypeError])
def test_errors_survive_a_process_boundary(kind):
    error = pickle.loads(pickle.dumps(kind("GRU: one line")))
    assert type(error) is kind
    assert str(error) == "GRU: one line"


def test_an_error_of_shape_is_what_torch_raises_and_what_recurra_raises():
    assert issubclass(InputShapeError, RuntimeError)
    assert issubclass(InputShapeError, ValueError)
    assert issubclass(InputShapeError, InputError)
    with pytest.raises(RuntimeError, match="x has 4 features but input_size=3"):
        GRU(3, 4)(torch.zeros(5, 2, 4))

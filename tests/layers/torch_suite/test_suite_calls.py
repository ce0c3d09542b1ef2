"""What torch.nn accepts, ours accept with the same result; what it refuses, ours refuse with its type of error."""

import pytest
import torch
from calls import CALLS
from differences import EXCEPTIONS
from twins import assert_equal, tensors_of

import recurra.layers
from recurra.errors import InputError

CASES = [(kind, name) for kind, calls in CALLS.items() for name in calls]
# Python's own error where a call does not fit a signature, torch's own where tensors do not fit each other.
NOT_OURS = {
    *("no arguments", "one argument", "an unknown argument", "an argument twice", "nonlinearity="),
    *("no x", "x twice", "state= by name", "x on another device", "an integer dtype", "x of integers"),
}


def outcome(call, module):
    """What a call on a module class returns or raises."""
    torch.manual_seed(0)
    try:
        return call(module)
    except Exception as error:
        return error


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:dropout option adds dropout")
@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_the_outcome_is_torchs(kind, name):
    call = CALLS[kind][name]
    theirs, ours = outcome(call, getattr(torch.nn, kind)), outcome(call, getattr(recurra.layers, kind))
    expected = EXCEPTIONS.get((kind, name))
    if expected is not None:
        want, got = (type(one) if isinstance(one, Exception) else None for one in (theirs, ours))
        assert want is expected.torch
        assert got is None if expected.ours is None else isinstance(ours, expected.ours)
    elif isinstance(theirs, Exception):
        assert isinstance(ours, type(theirs)), f"{type(ours).__name__} {ours} for {type(theirs).__name__} {theirs}"
    else:
        assert not isinstance(ours, Exception), ours
        if isinstance(theirs, torch.nn.Module | str):
            assert repr(ours) == repr(theirs)
        else:
            assert_equal(ours, theirs, torch.float32) if tensors_of(theirs)[0].dtype.itemsize > 2 else None
    if isinstance(ours, Exception) and name not in NOT_OURS:
        assert isinstance(ours, InputError)
    if isinstance(ours, InputError):
        assert "\n" not in str(ours)
        assert str(ours).startswith((f"{kind}: ", "there is no activation", "an activation is"))

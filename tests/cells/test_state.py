"""States: true named tuples that survive what programs do to them."""

import copy
import pickle

import pytest
import torch
from torch.utils import _pytree

from recurra.cells import State, detach, from_tensors, select, to_tensors
from recurra.errors import InputError


def two_layers():
    return tuple(State(h=torch.arange(6.0).view(3, 2) + k, c=torch.ones(3, 2) * k) for k in range(2))


def equal(one, other):
    return type(one) is type(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_state_is_read_by_name_and_by_place():
    state = State(h=torch.ones(1), c=torch.zeros(1))
    h, c = state
    assert h is state.h
    assert c is state.c
    assert state._fields == ("h", "c")


def test_pickle_copy_and_pytrees_keep_the_type():
    state = two_layers()[1]
    for again in (
        pickle.loads(pickle.dumps(state)),
        copy.deepcopy(state),
        _pytree.tree_map(torch.clone, state),
    ):
        assert isinstance(again, State)
        assert equal(again, state)


def test_rows_are_selected_in_the_order_asked_for():
    picked = select(two_layers(), torch.tensor([2, 0, 2]))
    assert picked[0].h.tolist() == [[4, 5], [0, 1], [4, 5]]
    assert picked[1].c.tolist() == [[1, 1]] * 3


def test_a_detached_state_has_the_numbers_and_no_graph():
    state = (State(h=torch.ones(1, 1, requires_grad=True) * 2),)
    cut = detach(state)
    assert cut[0].h.item() == 2
    assert not cut[0].h.requires_grad


def test_states_go_to_another_dtype():
    assert two_layers()[0].to(torch.float64).h.dtype == torch.float64


def test_flat_tensors_come_back_in_the_cells_order_however_a_file_sorts_them():
    flat = to_tensors(two_layers())
    again = from_tensors(dict(sorted(flat.items())), ("h", "c"))
    assert [state._fields for state in again] == [("h", "c")] * 2
    assert all(equal(a, b) for a, b in zip(again, two_layers(), strict=True))


@pytest.mark.parametrize("lost", ["0.h", "1.c"])
def test_a_saved_state_with_a_tensor_missing_is_refused(lost):
    flat = to_tensors(two_layers())
    del flat[lost]
    with pytest.raises(InputError, match="saved state: its entries are"):
        from_tensors(flat, ("h", "c"))

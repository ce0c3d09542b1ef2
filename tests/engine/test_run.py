"""The door: which engine runs what, and what it refuses."""

import pytest
import table
import torch
from test_conformance import change, make

from recurra.cells import LSTM
from recurra.engine import choose, run
from recurra.errors import InputError


def test_torch_kernels_run_what_they_fit_and_the_reference_the_rest():
    assert choose(make("lstm")).engine == "native"
    assert choose(make("elman-relu")).engine == "native"
    assert choose(make("elman-gelu")) == ("unroll", "torch.nn has no kernel for Elman(activation='gelu')")
    assert choose(make("user's leaky")).engine == "unroll"


def test_a_single_step_on_a_cpu_is_unrolled():
    assert choose(make("lstm", T=1)).engine == "unroll"
    assert choose(make("lstm", T=1), "native").engine == "native"


def test_a_cell_derived_from_a_known_one_is_not_mistaken_for_it():
    class Mine(LSTM):
        pass

    assert choose(change(make("lstm"), cell=Mine())).engine == "unroll"


def test_an_engine_asked_for_by_name_that_cannot_raises():
    with pytest.raises(InputError, match="engine 'native' cannot run this: torch.nn has no kernel for Elman"):
        run(make("elman-gelu"), "native")


def test_a_misspelt_engine_is_told_its_neighbours():
    with pytest.raises(InputError, match="no engine 'nativ'. Did you mean 'native'"):
        run(make("lstm"), "nativ")


def test_no_steps_leave_the_state_as_it_was():
    request = make("user's leaky", T=0)
    result = run(request)
    assert result.y.shape == (0, 3, 6)
    assert torch.equal(result.state.h, request.state.h)


def test_the_table_of_tests_holds_both_users_cells():
    assert {"user's leaky", "user's odd"} <= set(table.MADE)

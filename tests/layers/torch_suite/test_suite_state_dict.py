"""State dicts go both ways between torch.nn's modules and ours; what does not fit is refused as torch refuses it."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from twins import CELLS, LAYERS, SHAPES, H, I, assert_equal, batch, name_of, twins

EVERY = [*((kind, LAYERS) for kind in LAYERS), *((kind, CELLS) for kind in CELLS)]
each_module = pytest.mark.parametrize(
    ("kind", "table"), EVERY, ids=[f"{kind}{' cell' * (table is CELLS)}" for kind, table in EVERY]
)


def run(module, table):
    return module(batch() if table is LAYERS else batch()[0])


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
@pytest.mark.parametrize("kind", LAYERS)
def test_both_directions(kind, shape):
    theirs, ours = twins(kind, **shape)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    fresh_theirs, fresh_ours = (twins(kind, **shape)[index] for index in range(2))
    assert str(fresh_ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
    assert str(fresh_theirs.load_state_dict(ours.state_dict())) == "<All keys matched successfully>"
    assert_equal(fresh_ours(batch()), theirs(batch()), torch.float32)
    assert_equal(fresh_theirs(batch()), ours(batch()), torch.float32)


@each_module
def test_as_part_of_a_model(kind, table):
    theirs, ours = (nn.ModuleDict({"encoder": module}) for module in twins(kind, table))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_equal(run(ours["encoder"], table), run(theirs["encoder"], table), torch.float32)


@each_module
def test_assigning_instead_of_copying(kind, table):
    theirs, ours = twins(kind, table)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    assert ours._parameters.keys() == theirs._parameters.keys()
    for mine, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.data_ptr() == their.data_ptr()


@each_module
def test_missing_and_unexpected_names(kind, table):
    for module in twins(kind, table):
        state = module.state_dict()
        first = next(iter(state))
        moved = {("other" if name == first else name): tensor for name, tensor in state.items()}
        with pytest.raises(RuntimeError, match=rf"(?s)Missing key.*{first}.*Unexpected key.*other"):
            module.load_state_dict(moved)
        result = module.load_state_dict(moved, strict=False)
        assert (result.missing_keys, result.unexpected_keys) == ([first], ["other"])


@each_module
def test_weights_of_other_sizes(kind, table):
    larger = twins(kind, table, sizes=(I, H + 1))[1].state_dict()
    for module in twins(kind, table):
        with pytest.raises(RuntimeError, match="size mismatch for weight_ih"):
            module.load_state_dict(larger)


@each_module
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=["double", "half", "bfloat16"])
def test_weights_of_another_dtype_are_converted(kind, table, dtype):
    theirs, ours = twins(kind, table)
    state = {name: tensor.to(dtype) for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict(state)
    assert all(parameter.dtype == torch.float32 for parameter in ours.parameters())
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, state[name].float())


@each_module
def test_deepcopy_and_pickle(kind, table):
    _, ours = twins(kind, table)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), copy.copy(ours)):
        assert type(twin) is type(ours)
        assert repr(twin) == repr(ours)
        assert_equal(run(twin, table), run(ours, table), torch.float32)
    twin = copy.deepcopy(ours)
    with torch.no_grad():
        twin.weight_hh_l0.zero_() if table is LAYERS else twin.weight_hh.zero_()
    assert not torch.equal(*(next(iter(m.state_dict()[n] for n in m.state_dict() if "hh" in n)) for m in (ours, twin)))


@each_module
def test_torch_save_and_load_of_the_module(kind, table):
    _, ours = twins(kind, table)
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    twin = torch.load(file, weights_only=False)
    assert_equal(run(twin, table), run(ours, table), torch.float32)
    assert twin.state_dict().keys() == ours.state_dict().keys()


@each_module
def test_torch_save_and_load_of_the_weights(kind, table):
    theirs, ours = twins(kind, table)
    file = io.BytesIO()
    torch.save(ours.state_dict(), file)
    file.seek(0)
    theirs.load_state_dict(torch.load(file, weights_only=True))
    assert_equal(run(ours, table), run(theirs, table), torch.float32)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_pickle_holds_no_list_of_weights_that_could_grow_stale(kind):
    _, ours = twins(kind)
    assert not {"_flat_weights", "_flat_weight_refs", "_all_weights", "mode"} & set(ours.__getstate__())
    twin = pickle.loads(pickle.dumps(ours))
    twin.weight_hh_l0 = nn.Parameter(torch.zeros_like(twin.weight_hh_l0))
    assert twin._flat_weights[1] is twin.weight_hh_l0

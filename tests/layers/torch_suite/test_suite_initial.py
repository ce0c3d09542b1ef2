"""How parameters begin: the same numbers as torch.nn's from one seed, within its bounds, or not at all."""

import math

import pytest
import torch
from torch.nn.utils import skip_init
from twins import CELLS, LAYERS, SHAPES, name_of

import recurra.layers

EVERY = [*((kind, LAYERS) for kind in LAYERS), *((kind, CELLS) for kind in CELLS)]
each_module = pytest.mark.parametrize(
    ("kind", "table"), EVERY, ids=[f"{kind}{' cell' * (table is CELLS)}" for kind, table in EVERY]
)


def both(kind, table, *sizes, seed=None, **arguments):
    class_name, fixed = table[kind]
    modules = []
    for library in (torch.nn, recurra.layers):
        if seed is not None:
            torch.manual_seed(seed)
        modules.append(getattr(library, class_name)(*sizes, **fixed, **arguments))
    return modules


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
@pytest.mark.parametrize("kind", LAYERS)
def test_one_seed_gives_torchs_layers(kind, shape):
    theirs, ours = both(kind, LAYERS, 3, 4, seed=5, **shape)
    for (name, a), (other, b) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@each_module
def test_one_seed_gives_torchs_numbers_in_each_dtype(kind, table, bias, dtype):
    theirs, ours = both(kind, table, 3, 4, seed=6, bias=bias, dtype=dtype)
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        assert a.dtype == b.dtype == dtype
        assert torch.equal(a, b)


@each_module
def test_the_generator_stands_where_torch_leaves_it(kind, table):
    class_name, fixed = table[kind]
    after = []
    for library in (torch.nn, recurra.layers):
        torch.manual_seed(7)
        getattr(library, class_name)(3, 4, **fixed)
        after.append(torch.rand(3))
    assert torch.equal(*after)


@pytest.mark.parametrize("hidden", [3, 4, 100])
@each_module
def test_within_one_over_the_root_of_the_units(kind, table, hidden):
    _, ours = both(kind, table, 3, hidden)
    bound = 1 / math.sqrt(hidden)
    values = torch.cat([parameter.detach().flatten() for parameter in ours.parameters()])
    assert values.abs().max() <= bound
    if hidden == 100:
        assert values.abs().max() > 0.95 * bound
        assert abs(values.mean()) < 0.05 * bound


@each_module
def test_reset_parameters(kind, table):
    theirs, ours = both(kind, table, 3, 4)
    for module in (theirs, ours):
        torch.manual_seed(8)
        module.reset_parameters()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        assert torch.equal(a, b)


@each_module
def test_skip_init_leaves_the_generator_alone(kind, table):
    class_name, fixed = table[kind]
    torch.manual_seed(9)
    before = torch.get_rng_state()
    module = skip_init(getattr(recurra.layers, class_name), 3, 4, **fixed)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.device.type == "cpu" for parameter in module.parameters())
    module.reset_parameters()
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())


@each_module
def test_the_meta_device(kind, table):
    theirs, ours = both(kind, table, 3, 4, device="meta")
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        assert a.is_meta
        assert b.is_meta
        assert a.shape == b.shape
    ours.to_empty(device="cpu").load_state_dict(both(kind, table, 3, 4)[0].state_dict())
    assert not any(parameter.is_meta for parameter in ours.parameters())


@each_module
def test_the_default_dtype(kind, table):
    torch.set_default_dtype(torch.float64)
    try:
        _, ours = both(kind, table, 3, 4)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(parameter.dtype == torch.float64 for parameter in ours.parameters())

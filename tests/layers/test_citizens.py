"""Each layer among PyTorch's own tools. docs/switching.md has the table of what is tried here."""

import copy
import pickle
import warnings

import pytest
import table
import torch
from torch.func import functional_call, grad, vmap
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, vector_to_parameters
from torch.nn.utils.parametrizations import orthogonal, weight_norm
from torch.utils._pytree import tree_map

from recurra.errors import InputError
from recurra.layers import GRU, LSTM, RNN, GRUCell, LSTMCell, Readout, Recurrent, RNNCell

T = 3
MADE = {
    "RNN": lambda **more: RNN(3, 4, 2, **more),
    "LSTM": lambda **more: LSTM(3, 4, 2, bidirectional=True, **more),
    "GRU": lambda **more: GRU(3, 4, 2, **more),
    "Recurrent of a cell of one's own": lambda **more: Recurrent(table.Odd(), 3, 4, 2, **more),
    "LSTM with options": lambda **more: LSTM(3, 4, 2, layer_norm=True, zoneout=0.1, recurrent_dropout=0.1, **more),
}
STEPS = {
    "RNNCell": lambda **more: RNNCell(3, 4, **more),
    "LSTMCell": lambda **more: LSTMCell(3, 4, **more),
    "GRUCell": lambda **more: GRUCell(3, 4, **more),
}
ALL = {**MADE, **STEPS, "Readout": lambda **more: Readout(3, 4, **more)}
each_layer = pytest.mark.parametrize("kind", list(MADE))
each_module = pytest.mark.parametrize("kind", list(ALL))


def made(kind, **more):
    return ALL[kind](**more).eval()


def example(kind):
    return torch.randn(2, 3) if kind in STEPS else torch.randn(T, 2, 3)


def output(result):
    """The first tensor of what a module returns."""
    while isinstance(result, tuple):
        result = result[0]
    return result


@pytest.fixture(autouse=True)
def fresh_compiler():
    yield
    torch._dynamo.reset()


@each_module
def test_torch_compile_as_one_graph(kind):
    module, x = made(kind), example(kind)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(output(compiled(x)), output(module(x)))


@pytest.mark.parametrize("kind", ["GRU", "LSTM with options"])
def test_torch_compile_with_lengths_and_gradients(kind):
    module, x, lengths = made(kind), example(kind), torch.tensor([T, 2])
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    want, got = module(x, lengths=lengths)[0], compiled(x, lengths=lengths)[0]
    torch.testing.assert_close(got, want)
    a, b = (torch.autograd.grad(y.sin().sum(), module.weight_hh_l0)[0] for y in (want, got))
    torch.testing.assert_close(a, b)


@each_module
def test_torch_export(kind):
    module, x = made(kind), example(kind)
    exported = torch.export.export(module, (x,)).module()
    torch.testing.assert_close(output(exported(x)), output(module(x)))


@each_layer
def test_torch_export_with_lengths_and_a_batch_of_any_size(kind):
    module, x, lengths = made(kind), example(kind), torch.tensor([T, 2])
    rows = torch.export.Dim("rows", min=2, max=64)
    first, second = ("x", "state") if kind.startswith("Recurrent") else ("input", "hx")
    shapes = {first: {1: rows}, second: None, "lengths": {0: rows}}
    exported = torch.export.export(module, (x, None), {"lengths": lengths}, dynamic_shapes=shapes).module()
    more, of_each = torch.randn(T, 7, 3), torch.tensor([T, 1, 0, T, 2, 1, 2])
    torch.testing.assert_close(exported(more, None, lengths=of_each)[0], module(more, lengths=of_each)[0])


@each_module
def test_autocast_to_bfloat16(kind):
    module, x = made(kind), example(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = output(module(x))
    assert y.dtype in (torch.bfloat16, torch.float32)
    # bfloat16 rounds at 4e-3; a normalisation of few units multiplies that.
    torch.testing.assert_close(y.float(), output(module(x)), rtol=0, atol=1e-1)
    y.float().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in module.parameters())


@each_module
def test_vmap_over_a_stack_of_parameters(kind):
    module, x = made(kind), example(kind)
    stacked = {name: torch.stack([p, 2 * p]) for name, p in module.named_parameters()}
    both = vmap(lambda parameters: output(functional_call(module, parameters, (x,))))(stacked)
    for index in range(2):
        one = {name: tensor[index] for name, tensor in stacked.items()}
        torch.testing.assert_close(both[index], output(functional_call(module, one, (x,))))


@each_module
def test_gradients_of_each_row_by_vmap_of_grad(kind):
    module, x = made(kind), example(kind)
    parameters, rows = dict(module.named_parameters()), x.dim() - 2

    def loss(parameters, x):
        return output(functional_call(module, parameters, (x.unsqueeze(rows),))).sin().sum()

    of_rows = vmap(grad(loss), in_dims=(None, rows))(parameters, x)
    for row in range(2):
        want = grad(loss)(parameters, x.select(rows, row))
        for name, tensor in want.items():
            torch.testing.assert_close(of_rows[name][row], tensor, rtol=1e-4, atol=1e-5)


@each_module
def test_deepcopy_and_pickle_of_the_module(kind):
    module, x = made(kind), example(kind)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(output(twin(x)), output(module(x)))
        for a, b in zip(module.parameters(), twin.parameters(), strict=True):
            assert a.data_ptr() != b.data_ptr() or not a.numel()


@each_module
def test_state_dict_hooks_are_called_and_can_rename(kind):
    module, seen = made(kind), []
    module.register_state_dict_pre_hook(lambda *_: seen.append("before"))
    module._register_load_state_dict_pre_hook(lambda state, prefix, *_: state.update({}) or seen.append(prefix))
    other = torch.nn.ModuleDict({"inner": module})
    saved = {name: torch.randn_like(tensor) for name, tensor in other.state_dict().items()}
    other.load_state_dict(saved)
    assert seen == ["before", "inner."]
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, saved["inner." + name])


@each_module
def test_meta_device_then_memory_then_weights(kind):
    source, x = made(kind), example(kind)
    with torch.device("meta"):
        module = made(kind)
    assert all(parameter.is_meta for parameter in module.parameters())
    assert output(module(x.to("meta"))).shape == output(source(x)).shape
    module.to_empty(device="cpu").load_state_dict(source.state_dict())
    assert torch.equal(output(module(x)), output(source(x)))
    with torch.device("meta"):
        assigned = made(kind)
    assigned.load_state_dict(source.state_dict(), assign=True)
    assert torch.equal(output(assigned(x)), output(source(x)))


@pytest.mark.parametrize("parametrise", [weight_norm, orthogonal])
@each_layer
def test_parametrisations_of_a_weight_train_and_copy(kind, parametrise):
    module, x = made(kind), example(kind)
    before = output(module(x)).detach()
    parametrise(module, "weight_hh_l0")
    y = output(module(x))
    if parametrise is weight_norm:
        torch.testing.assert_close(y, before)
    else:
        W = module.weight_hh_l0
        torch.testing.assert_close(W.T @ W, torch.eye(4), rtol=0, atol=1e-5)
        assert not torch.allclose(y, before)
    y.sin().sum().backward()
    assert any((p.grad != 0).any() for p in module.parametrizations.weight_hh_l0.parameters())
    assert torch.equal(output(copy.deepcopy(module)(x)), y)


@each_module
def test_clipping_and_parameters_as_a_vector(kind):
    module, x = made(kind), example(kind)
    output(module(x)).sin().sum().backward()
    norm = clip_grad_norm_(module.parameters(), 1e-3)
    assert norm > 1e-3
    clipped = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
    assert clipped.norm().item() == pytest.approx(1e-3, rel=1e-3)
    vector = parameters_to_vector(module.parameters()).detach()
    y = output(module(x))
    vector_to_parameters(torch.zeros_like(vector), module.parameters())
    assert not torch.equal(output(module(x)), y)
    vector_to_parameters(vector, module.parameters())
    assert torch.equal(output(module(x)), y)


@pytest.mark.parametrize("kind", ["LSTM with options"])
def test_training_with_masks_inside_a_compiled_graph(kind):
    module, x = ALL[kind](), example(kind)
    masks = module.draw_masks(2, T, torch.Generator().manual_seed(0))
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, masks=masks)[0], module(x, masks=masks)[0])


def test_vmap_over_parameters_and_masks_drawn_outside():
    module, x = GRU(3, 4, 2, dropout=0.5, recurrent_dropout=0.5, zoneout=0.5), torch.randn(T, 2, 3)
    drawn = [module.draw_masks(2, T, torch.Generator().manual_seed(seed)) for seed in range(2)]
    masks = tree_map(lambda *each: None if each[0] is None else torch.stack(each), *drawn)
    dims = tree_map(lambda mask: None if mask is None else 0, masks)
    parameters = dict(module.named_parameters())
    both = vmap(lambda masks: functional_call(module, parameters, (x,), {"masks": masks})[0], in_dims=(dims,))(masks)
    for index in range(2):
        torch.testing.assert_close(both[index], module(x, masks=drawn[index])[0])


def test_a_pickled_parametrised_module_is_torchs_to_refuse():
    module = weight_norm(GRU(3, 4), "weight_hh_l0")
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(module)


def test_inside_torch_func_native_by_name_is_refused_in_one_line():
    module, x = GRU(3, 4, engine="native"), torch.randn(T, 2, 3)
    stacked = {name: torch.stack([p, p]) for name, p in module.named_parameters()}
    with pytest.raises(InputError, match="no rule for torch.func"):
        vmap(lambda parameters: functional_call(module, parameters, (x,))[0])(stacked)


@pytest.mark.slow
def test_the_inductor_backend():
    module, x = RNN(3, 4).eval(), torch.randn(2, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(module, fullgraph=True)
        torch.testing.assert_close(compiled(x)[0], module(x)[0])

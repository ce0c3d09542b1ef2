"""Ours as nn.Modules among others: containers, hooks, optimizers, freezing, dtypes, pruning, memory."""

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_, parameters_to_vector, prune, vector_to_parameters
from torch.nn.utils.parametrizations import spectral_norm
from twins import LAYERS, assert_equal, batch, packed, results, state_for, tensors_of, twins

each_layer = pytest.mark.parametrize("kind", LAYERS)


@each_layer
def test_in_containers(kind):
    theirs, ours = twins(kind)
    assert_equal(nn.Sequential(ours)(batch()), nn.Sequential(theirs)(batch()), torch.float32)
    modules = nn.ModuleList([ours, nn.Linear(2, 2)])
    assert modules[0] is ours
    assert [name for name, _ in modules.named_modules()] == ["", "0", "1"]
    assert list(ours.children()) == []
    assert next(nn.ModuleDict({"a": ours}).parameters()) is ours.weight_ih_l0


@each_layer
def test_forward_hooks(kind):
    _, ours = twins(kind)
    seen = []
    ours.register_forward_pre_hook(lambda module, arguments: (2 * arguments[0],))
    ours.register_forward_hook(lambda module, arguments, output: seen.append(output) or (output[0] + 1, output[1]))
    y, _ = ours(batch())
    torch.testing.assert_close(y, seen[0][0] + 1)
    torch.testing.assert_close(seen[0][0], ours.forward(2 * batch())[0])


@each_layer
def test_hooks_with_keywords(kind):
    _, ours = twins(kind)
    hx, seen = state_for(ours), []
    ours.register_forward_pre_hook(lambda module, arguments, keywords: seen.append(set(keywords)), with_kwargs=True)
    assert_equal(ours(input=batch(), hx=hx), ours(batch(), hx), torch.float32)
    assert seen == [{"input", "hx"}, set()]


@each_layer
def test_backward_hooks_of_the_module(kind):
    both = []
    for layer in twins(kind, dtype=torch.float64):
        seen = []
        layer.register_full_backward_hook(lambda module, inside, outside, seen=seen: seen.extend([*inside, *outside]))
        x = batch(torch.float64).requires_grad_()
        y, _ = layer(x)
        y.sin().sum().backward()
        both.append([*(one for one in seen if one is not None), x.grad])
    assert_equal(both[1], both[0])


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop", "Adagrad"])
@each_layer
def test_three_steps_of_an_optimizer(kind, optimizer):
    theirs, ours = twins(kind, num_layers=2, dtype=torch.float64)
    for layer in (theirs, ours):
        rule = getattr(torch.optim, optimizer)(layer.parameters(), 0.01)
        for _ in range(3):
            rule.zero_grad()
            layer(batch(torch.float64))[0].square().mean().backward()
            rule.step()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("frozen", ["all", "weight_ih", "weight_hh", "bias"])
@each_layer
def test_frozen_parameters(kind, frozen):
    both = []
    for layer in twins(kind, num_layers=2, dtype=torch.float64):
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(not (frozen == "all" or name.startswith(frozen)))
        x = batch(torch.float64).requires_grad_()
        layer(x)[0].sin().sum().backward()
        both.append([x.grad, *(parameter.grad for parameter in layer.parameters())])
    for a, b in zip(*both, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@each_layer
def test_nothing_needs_a_gradient(kind):
    _, ours = twins(kind)
    y, _ = ours.requires_grad_(False)(batch())
    assert not y.requires_grad


@pytest.mark.parametrize("change", ["in place", "by data", "by copy"])
@each_layer
def test_parameters_changed_between_calls(kind, change):
    theirs, ours = twins(kind)
    for layer in (theirs, ours):
        layer(batch())
        with torch.no_grad():
            for parameter in layer.parameters():
                if change == "in place":
                    parameter.mul_(0.5)
                elif change == "by data":
                    parameter.data = 0.5 * parameter.data
                else:
                    parameter.copy_(0.5 * parameter)
    assert_equal(ours(batch()), theirs(batch()), torch.float32)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=["double", "bfloat16", "half"])
@each_layer
def test_conversions_to_another_dtype(kind, dtype):
    theirs, ours = (layer.to(dtype) for layer in twins(kind))
    x = batch().to(dtype)
    want, got = theirs(x), ours(x)
    assert [t.dtype for t in tensors_of(got)] == [t.dtype for t in tensors_of(want)]
    tolerance = {torch.float64: 1e-10, torch.bfloat16: 3e-2, torch.float16: 4e-3}[dtype]
    for a, b in zip(tensors_of(got), tensors_of(want), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
    assert ours.float().weight_ih_l0.dtype == torch.float32


@each_layer
def test_memory_shared_and_formats(kind):
    theirs, ours = twins(kind)
    ours.share_memory()
    assert all(parameter.is_shared() for parameter in ours.parameters())
    ours.to(memory_format=torch.channels_last)
    ours.cpu()
    assert_equal(ours(batch()), theirs(batch()), torch.float32)


@each_layer
def test_vectors_of_parameters_and_clipping(kind):
    theirs, ours = twins(kind, dtype=torch.float64)
    assert torch.equal(parameters_to_vector(ours.parameters()), parameters_to_vector(theirs.parameters()))
    for layer in (theirs, ours):
        vector_to_parameters(0.3 * parameters_to_vector(layer.parameters()), layer.parameters())
        layer(batch(torch.float64))[0].square().sum().backward()
        layer.norm = clip_grad_norm_(layer.parameters(), 0.1)
        clip_grad_value_(layer.parameters(), 0.01)
    torch.testing.assert_close(ours.norm, theirs.norm)
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=1e-10)


@each_layer
def test_functional_call_with_other_weights(kind):
    theirs, ours = twins(kind, dtype=torch.float64)
    other = {name: torch.randn_like(parameter) for name, parameter in ours.named_parameters()}
    want, got = (torch.func.functional_call(layer, other, (batch(torch.float64),)) for layer in (theirs, ours))
    assert_equal(got, want)
    assert_equal(ours(batch(torch.float64)), theirs(batch(torch.float64)))


@each_layer
def test_pruning_a_weight(kind):
    theirs, ours = twins(kind)
    for layer in (theirs, ours):
        prune.l1_unstructured(layer, "weight_hh_l0", amount=0.5)
    assert torch.equal(ours.weight_hh_l0_mask, theirs.weight_hh_l0_mask)
    torch.testing.assert_close(ours(batch())[0], theirs(batch())[0])
    prune.remove(ours, "weight_hh_l0")
    assert isinstance(ours.weight_hh_l0, nn.Parameter)
    torch.testing.assert_close(ours(batch())[0], theirs(batch())[0])


@each_layer
def test_a_spectral_norm(kind):
    for layer in twins(kind):
        spectral_norm(layer, "weight_hh_l0", n_power_iterations=20)
        assert torch.linalg.matrix_norm(layer.weight_hh_l0, 2).item() == pytest.approx(1, rel=1e-2)
        layer(batch())[0].sin().sum().backward()
        assert layer.parametrizations.weight_hh_l0.original.grad is not None


@each_layer
def test_apply_and_modes(kind):
    _, ours = twins(kind)
    names = []
    ours.apply(lambda module: names.append(type(module).__name__))
    assert names == [type(ours).__name__]
    assert not ours.eval().training
    assert ours.train().training
    ours(batch())[0].sum().backward()
    ours.zero_grad()
    assert all(parameter.grad is None for parameter in ours.parameters())


@each_layer
def test_a_packed_batch_comes_back_with_the_order_it_had(kind):
    theirs, ours = twins(kind, num_layers=2, bidirectional=True, dtype=torch.float64)
    rows = packed(batch(torch.float64), [2, 5, 4])
    (want, _), (got, _) = theirs(rows), ours(rows)
    assert torch.equal(got.batch_sizes, want.batch_sizes)
    assert torch.equal(got.sorted_indices, want.sorted_indices)
    assert torch.equal(got.unsorted_indices, want.unsorted_indices)
    unpad = nn.utils.rnn.unpad_sequence
    for a, b in zip(*(unpad(*nn.utils.rnn.pad_packed_sequence(each)) for each in (got, want)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@each_layer
def test_sequences_packed_from_a_list(kind):
    theirs, ours = twins(kind, dtype=torch.float64)
    pieces = [torch.randn(length, 3, dtype=torch.float64) for length in (2, 6, 1)]
    both = [results(layer, nn.utils.rnn.pack_sequence(pieces, enforce_sorted=False)) for layer in (theirs, ours)]
    assert_equal(both[1][0], both[0][0])
    assert_equal(both[1][1], both[0][1])


@each_layer
def test_data_parallel_without_devices_is_the_layer(kind):
    theirs, ours = twins(kind)
    assert_equal(nn.DataParallel(ours)(batch()), theirs(batch()), torch.float32)
    assert type(ours._replicate_for_data_parallel()) is type(ours)

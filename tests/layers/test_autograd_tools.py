"""Layers among autograd's tools, on the compiled engine and below its threshold, as torch.nn's and the reference."""

import copy
from functools import partial

import pytest
import table
import torch
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.func import functional_call, grad, jvp, vmap
from torch.utils.checkpoint import checkpoint

import recurra
from recurra.errors import InputError

# Above and below what is worth compiling for.
SIZES = {"compiled": (40, 80, 32, 64), "small": (5, 3, 2, 4)}
KINDS = ["LSTM", "GRU", "RNN", "user's cell"]


def pair(kind, size, dtype=torch.float32):
    """A layer of recurra's, what it must equal, and an input."""
    T, B, I, H = SIZES[size]
    if kind == "user's cell":
        ours = recurra.Recurrent(table.Leaky(), I, H, dtype=dtype)
        theirs = recurra.Recurrent(table.Leaky(), I, H, dtype=dtype, engine="unroll")
    else:
        ours, theirs = (getattr(module, kind)(I, H, dtype=dtype) for module in (recurra, torch.nn))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(T, B, I, generator=torch.Generator().manual_seed(0), dtype=dtype)
    with torch.no_grad():
        ours(x)
    assert (recurra.explain(ours, x).engine == "cpu") == (size == "compiled")
    return ours, theirs, x


def use_of(module, x, run):
    """What `run` returns for a module and an input of its own, and all gradients."""
    x = x.clone().requires_grad_()
    result = run(module, x)
    return [*result, x.grad, *(parameter.grad for parameter in module.parameters())]


def backward_of(y):
    y.sin().sum().backward()
    return [y]


def checkpointed(reentrant):
    return lambda m, x: backward_of(checkpoint(lambda x: m(x)[0], x, use_reentrant=reentrant))


def nested(m, x):
    def inner(x):
        return checkpoint(lambda x: m(x)[0], x, use_reentrant=False).sin()

    return backward_of(checkpoint(inner, x, use_reentrant=False))


def kept_on_cpu(m, x):
    with save_on_cpu():
        y = m(x)[0]
    return backward_of(y)


def hooked_once(m, x):
    packed, unpacked = [], []

    def unpack(tensor):
        unpacked.append(tensor)
        return tensor

    with saved_tensors_hooks(lambda tensor: packed.append(tensor) or tensor.clone(), unpack):
        y = m(x)[0]
    result = backward_of(y)
    assert packed
    assert len(packed) == len(unpacked)
    return result


def twice(m, x):
    loss = m(x)[0].sin().sum()
    loss.backward(retain_graph=True)
    loss.backward()
    return []


def penalty(m, x):
    (first,) = torch.autograd.grad(m(x)[0].sin().sum(), x, create_graph=True)
    first.square().sum().backward()
    return [first]


def penalty_of_weights(m, x):
    first = torch.autograd.grad(m(x)[0].sin().mean(), list(m.parameters()), create_graph=True)
    sum(tensor.square().sum() for tensor in first).backward()
    return [*first]


def checkpointed_penalty(m, x):
    y = checkpoint(lambda x: m(x)[0], x, use_reentrant=False)
    (first,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
    return [torch.autograd.grad(first.square().sum(), x)[0]]


def batched(m, x):
    y = m(x)[0]
    directions = torch.randn(2, *y.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad(y, [x, *m.parameters()], directions, is_grads_batched=True)


def hessian(m, x):
    one = torch.ones(1)
    return [torch.autograd.functional.hessian(lambda scale: m(x * scale)[0][-1, 0].sum(), one, vectorize=True)]


def negative_views(m, x):
    y = m(torch._neg_view(x))[0]
    y.backward(torch._neg_view(torch.ones_like(y)))
    return [y]


def conjugates(m, x):
    y = m(torch.complex(x, x).conj().imag)[0]
    return backward_of(y)


def anomaly(m, x):
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        return backward_of(m(x)[0])


def without_batch(m, x):
    y, _ = m(x[:, :0])
    y.sum().backward()
    return [y]


USES = [
    checkpointed(False), checkpointed(True), nested, kept_on_cpu, hooked_once, twice, penalty, penalty_of_weights,
    checkpointed_penalty, batched, hessian, negative_views, conjugates, anomaly, without_batch,
]  # fmt: skip
NAMES = ["checkpoint", "reentrant checkpoint", *(use.__name__ for use in USES[2:])]


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet implemented the batching rule")
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use", USES, ids=NAMES)
def test_a_use_of_autograd_gives_what_torch_gives(use, kind, size):
    ours, theirs, x = pair(kind, size)
    got, want = use_of(ours, x, use), use_of(theirs, x, use)
    assert len(got) == len(want) > 4
    for one, other in zip(got, want, strict=True):
        assert (one is None) == (other is None)
        if other is not None and other.numel():
            scale = 1 + other.abs().max().item()  # sums over many rows
            torch.testing.assert_close(one / scale, other / scale, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_may_give_saved_tensors_back_in_another_layout(kind):
    ours, _, x = pair(kind, "compiled")  # oneDNN's LSTM computes other numbers then

    def other_layout(m, x):
        with saved_tensors_hooks(lambda t: t, lambda t: t.mT.contiguous().mT if t.dim() > 1 else t):
            y = m(x)[0]
        return backward_of(y)

    twin = copy.deepcopy(ours)
    got, want = use_of(ours, x, other_layout), use_of(twin, x, lambda m, x: backward_of(m(x)[0]))
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_torch_func_transforms_a_layer_above_the_threshold(kind):
    ours, theirs, x = pair(kind, "compiled")
    parameters = dict(ours.named_parameters())
    (y, change) = jvp(lambda x: ours(x)[0], (x,), (torch.ones_like(x),))
    torch.testing.assert_close(y, theirs(x)[0])
    both = vmap(lambda scale: ours(x * scale)[0])(torch.tensor([1.0, 1.0 + 1e-3]))
    torch.testing.assert_close(both[0], y)
    assert torch.isfinite(change).all()
    gradient = grad(lambda p: functional_call(ours, p, (x,))[0].mean())(parameters)
    theirs(x)[0].mean().backward()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad)


@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0"])
def test_a_weight_written_between_forward_and_backward_raises_as_in_torch(name, kind, size):
    for module, x in (pair(kind, size)[::2], pair(kind, size)[1:]):
        y = module(x.requires_grad_())[0]
        with torch.no_grad():
            getattr(module, name).mul_(0.5)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_drops_are_drawn_again_by_a_checkpoint(kind):
    T, B, I, H = SIZES["compiled"]
    cell = table.Leaky() if kind == "user's cell" else {"RNN": "elman"}.get(kind, kind.lower())
    layer = recurra.Recurrent(cell, I, H, 2, dropout=0.5, recurrent_dropout=0.2, zoneout=0.1)
    x = torch.randn(T, B, I)
    gradients = []
    for call in (lambda x: layer(x)[0], lambda x: checkpoint(lambda x: layer(x)[0], x, use_reentrant=False)):
        torch.manual_seed(3)
        leaf = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(call(leaf).sin().sum(), leaf)[0])
    assert torch.equal(*gradients)


def _y(module, x):
    return module(x)[0]


def test_operators_recorded_by_a_dispatch_mode_are_all_there():
    from torch.fx.experimental.proxy_tensor import make_fx

    for kind in KINDS:
        ours, _, x = pair(kind, "compiled")
        graph = make_fx(partial(_y, ours))(x)
        torch.testing.assert_close(graph(2 * x), ours(2 * x)[0])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_an_input_of_another_dtype_raises_one_line_of_torchs_type(kind):
    for size in SIZES:
        ours, theirs, x = pair(kind, size)
        for dtype in (torch.float64, torch.float16):
            with pytest.raises(ValueError, match="does not match"):
                theirs(x.to(dtype))
            with pytest.raises(InputError, match=f"x is {dtype} but the weights are torch.float32") as raised:
                ours(x.to(dtype))
            assert isinstance(raised.value, ValueError)
            assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="x is a sparse tensor"):
        ours(x.to_sparse())
    h = torch.zeros(1, 3, 4, dtype=torch.float64)
    with pytest.raises(InputError, match="the state's h is torch.float64 but the weights are"):
        ours(x, (h, h) if kind == "LSTM" else h)


def test_an_empty_batch_with_lengths():
    none = torch.zeros(0, dtype=torch.int64)
    for kind in KINDS:
        ours, _, x = pair(kind, "small")
        y, _ = ours(x[:, :0], lengths=none)
        assert y.shape == (5, 0, 4)


@pytest.mark.parametrize("kind", ["LSTM", "user's cell"])
def test_packed_sequences_where_the_default_device_is_another(kind):
    ours, _, x = pair(kind, "compiled")
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.arange(80) % 40 + 1, enforce_sorted=False)
    want = ours(packed)[0].data
    with torch.device("meta"):
        y = ours(packed)[0].data
    assert torch.equal(y, want)


@pytest.mark.parametrize("kind", ["LSTM", "user's cell"])
def test_data_parallel_training_in_one_process(kind, tmp_path):
    ours, theirs, x = pair(kind, "compiled")
    rendezvous = f"file://{tmp_path / 'meet'}"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(ours)
        wrapped(x)[0].mean().backward()
    finally:
        torch.distributed.destroy_process_group()
    theirs(x)[0].mean().backward()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)

"""A layer of torch.nn and ours with its weights, inputs for both, and what both compute from them."""

import itertools

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import recurra.layers

T, B, I, H = 5, 3, 3, 4
LAYERS = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM": ("LSTM", {}),
    "projected LSTM": ("LSTM", {"proj_size": 2}),
    "GRU": ("GRU", {}),
}
CELLS = {
    "tanh": ("RNNCell", {}),
    "relu": ("RNNCell", {"nonlinearity": "relu"}),
    "LSTM": ("LSTMCell", {}),
    "GRU": ("GRUCell", {}),
}
SHAPES = [
    dict(zip(("num_layers", "bidirectional", "bias", "batch_first"), values, strict=True))
    for values in itertools.product((1, 2), (False, True), (True, False), (False, True))
]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 3e-6}


def name_of(value):
    """The name of a case."""
    if isinstance(value, dict):
        return "-".join(f"{key}={value[key]}" for key in value) or "plain"
    return str(value)


def twins(kind, table=LAYERS, sizes=(I, H), **arguments):
    """Theirs and ours, the weights equal."""
    class_name, fixed = table[kind]
    theirs = getattr(torch.nn, class_name)(*sizes, **fixed, **arguments)
    ours = getattr(recurra.layers, class_name)(*sizes, **fixed, **arguments)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def state_for(layer, rows=B, dtype=torch.float32, seed=7):
    """A first state for a layer, (L·D, B, H) or a pair for LSTM; without B where rows is None."""
    generator = torch.Generator().manual_seed(seed)
    places = layer.num_layers * (1 + layer.bidirectional)
    sizes = [layer.proj_size or layer.hidden_size]
    sizes += [layer.hidden_size] if layer.mode == "LSTM" else []
    middle = () if rows is None else (rows,)
    parts = [torch.randn(places, *middle, size, generator=generator, dtype=dtype) for size in sizes]
    return tuple(parts) if len(parts) > 1 else parts[0]


def batch(dtype=torch.float32, seed=1):
    return torch.randn(T, B, I, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def tensors_of(value):
    """All tensors of a result in their order; of a packed sequence all its parts."""
    if value is None:
        return []
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in tensors_of(part)]


def results(module, *arguments, inputs=(), **keywords):
    """The outputs of a call, then the gradients of the inputs and of all parameters."""
    module.zero_grad()
    output = module(*arguments, **keywords)
    floating = [tensor for tensor in tensors_of(output) if tensor.is_floating_point()]
    scales = [torch.linspace(0.5, 1.5, tensor.numel()).view(tensor.shape) for tensor in floating]
    loss = sum((tensor * scale).sin().sum() for tensor, scale in zip(floating, scales, strict=True))
    wanted = [*inputs, *module.parameters()]
    gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
    return output, gradients


def assert_equal(one, other, dtype=torch.float64):
    """The same kinds, shapes, dtypes and numbers."""
    assert type(one) is type(other)
    ones, others = tensors_of(one), tensors_of(other)
    assert len(ones) == len(others)
    for a, b in zip(ones, others, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def packed(x, lengths, batch_first=False):
    """X (T, B, I) packed, whatever the order of the lengths."""
    falling = all(a >= b for a, b in itertools.pairwise(lengths))
    made = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=falling)
    assert isinstance(made, PackedSequence)
    return made

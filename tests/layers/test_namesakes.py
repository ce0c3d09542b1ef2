"""RNN, LSTM and GRU against their torch.nn namesakes: names, weights, values, gradients, doors."""

import itertools
import pickle

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import recurra.layers
from recurra.errors import InputError

KINDS = ("RNN", "LSTM", "GRU")
VARIANTS = [
    dict(zip(("num_layers", "bidirectional", "bias", "batch_first", "proj_size"), values, strict=True))
    for values in itertools.product((1, 2), (False, True), (True, False), (False, True), (0, 2))
]


def pair(kind, variant, **more):
    """A torch layer and ours with its weights, in float64."""
    arguments = {**variant, **more, "dtype": torch.float64}
    if kind != "LSTM":
        arguments.pop("proj_size", None)
    theirs = getattr(torch.nn, kind)(3, 4, **arguments)
    ours = getattr(recurra.layers, kind)(3, 4, **arguments)
    assert ours.load_state_dict(theirs.state_dict()) is not None
    return theirs, ours


def start(kind, layer, rows):
    g = torch.Generator().manual_seed(5)
    count = layer.num_layers * (1 + layer.bidirectional)
    sizes = (layer.proj_size or 4, 4) if kind == "LSTM" else (4,)
    parts = tuple(torch.randn(count, rows, size, generator=g, dtype=torch.float64) for size in sizes)
    return parts if kind == "LSTM" else parts[0]


def flat(state):
    return list(state) if isinstance(state, tuple) else [state]


def close(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ["auto", "unroll"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(str(int(v)) for v in variant.values()))
def test_outputs_and_all_gradients_equal_torch(kind, variant, engine):
    theirs, ours = pair(kind, variant)
    ours.engine = engine
    x = torch.randn((5, 6, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for layer in (theirs, ours):
        given = x.clone().requires_grad_()
        y, state = layer(given, start(kind, layer, 5 if layer.batch_first else 6))
        (y.sin().sum() + sum(part.cos().sum() for part in flat(state))).backward()
        gradients = dict(layer.named_parameters())
        results.append((y, flat(state), given.grad, {name: p.grad for name, p in gradients.items()}))
    (y, state, dx, grads), (y2, state2, dx2, grads2) = results
    close(y, y2)
    close(dx, dx2)
    for a, b in zip(state, state2, strict=True):
        close(a, b)
    assert list(grads) == list(grads2)
    for name in grads:
        close(grads[name], grads2[name])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_come_back_as_torch_packs_them(kind, enforce_sorted, bidirectional):
    theirs, ours = pair(kind, {"num_layers": 2, "bidirectional": bidirectional})
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    lengths = torch.tensor([6, 5, 5, 2] if enforce_sorted else [2, 5, 6, 5])
    packed = pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
    want, state = theirs(packed, start(kind, theirs, 4))
    got, state2 = ours(packed, start(kind, ours, 4))
    assert isinstance(got, PackedSequence)
    close(got.data, want.data)
    assert torch.equal(got.batch_sizes, want.batch_sizes)
    close(pad_packed_sequence(got)[0], pad_packed_sequence(want)[0])
    for a, b in zip(flat(state), flat(state2), strict=True):
        close(a, b)
    y, state3 = ours(x, start(kind, ours, 4), lengths=lengths)
    close(y, pad_packed_sequence(want)[0])
    for a, b in zip(flat(state3), flat(state2), strict=True):
        close(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_without_a_batch(kind):
    theirs, ours = pair(kind, {"num_layers": 2, "bidirectional": True})
    x = torch.randn(6, 3, dtype=torch.float64)
    hx = start(kind, ours, 1)
    hx = tuple(part[:, 0] for part in hx) if kind == "LSTM" else hx[:, 0]
    for arguments in ((x,), (x, hx)):
        want, state = theirs(*arguments)
        got, state2 = ours(*arguments)
        close(got, want)
        for a, b in zip(flat(state), flat(state2), strict=True):
            assert a.shape == b.shape
            close(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_the_initial_weights_of_torch(kind):
    torch.manual_seed(3)
    theirs = getattr(torch.nn, kind)(3, 4, 2, bidirectional=True)
    torch.manual_seed(3)
    ours = getattr(recurra.layers, kind)(3, 4, 2, bidirectional=True)
    for (name, a), (name2, b) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert name == name2
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_our_state_dict_loads_into_torch(kind):
    theirs = getattr(torch.nn, kind)(3, 4, 2, bidirectional=True)
    ours = getattr(recurra.layers, kind)(3, 4, 2, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(theirs(x)[0], ours(x)[0])


def test_arguments_by_position_are_torchs():
    assert recurra.layers.RNN(3, 4, 2, "relu", False, True).cell.activation == "relu"
    lstm = recurra.layers.LSTM(3, 4, 2, False, True, 0.5, True, 2)
    assert (lstm.num_layers, lstm.bias, lstm.batch_first, lstm.dropout) == (2, False, True, 0.5)
    assert (lstm.bidirectional, lstm.proj_size) == (True, 2)
    assert repr(lstm) == repr(torch.nn.LSTM(3, 4, 2, False, True, 0.5, True, 2))
    with pytest.raises(TypeError, match="multiple values for argument 'num_layers'"):
        recurra.layers.GRU(3, 4, 2, num_layers=3)


def test_dropout_acts_between_layers_while_training_only():
    layer = recurra.layers.LSTM(3, 4, 2, dropout=0.5)
    x = torch.randn(5, 2, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_a_pickled_layer_computes_the_same():
    layer, x = recurra.layers.LSTM(3, 4), torch.randn(5, 2, 3)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x)[0], layer(x)[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: layer(torch.zeros(5, 2, 4)), r"GRU: x has 4 features but input_size=3 \(x is \(5, 2, 4\)\)"),
        (lambda layer: layer(torch.zeros(3)), r"x is \(3,\), expected \(time, batch, 3\)"),
        (lambda layer: layer(torch.zeros(5, 2, 3, dtype=torch.int64)), "expected floating point"),
        (lambda layer: layer(torch.zeros(5, 2, 3), torch.zeros(1, 3, 4)), r"state's h is \(3, 4\), expected"),
        (
            lambda layer: layer(torch.zeros(5, 2, 3), torch.zeros(2, 2, 4)),
            r"h of hx is \(2, 2, 4\), expected \(1,",
        ),
        (
            lambda layer: layer(torch.zeros(5, 2, 3), lengths=torch.tensor([6, 1])),
            "lengths range from 1 to 6 but",
        ),
        (lambda layer: layer(torch.zeros(5, 2, 3), lengths=torch.tensor([2.0, 1])), r"expected int64 \(2,\)"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(recurra.layers.GRU(3, 4))
    assert "\n" not in str(caught.value)

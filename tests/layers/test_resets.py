"""`resets=`: steps at which rows start anew, on every engine and with every option of a layer."""

from itertools import pairwise

import pytest
import table
import torch
from torch.nn.utils.rnn import pack_sequence

import recurra
from recurra.cells import State
from recurra.errors import InputError
from recurra.layers import Recurrent, StackMasks
from recurra.training.truncation import truncated

T, B, I, H = 9, 4, 3, 5
CELL_NAMES = list(table.MADE)
LENGTHS = torch.tensor([9, 4, 0, 6])
both_directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["one direction", "two directions"])
with_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])


def some_resets(steps=T, rows=B, seed=0, rate=0.3):
    """Random resets, among them at the first and the last step, two in a row, and a row without any."""
    resets = torch.rand(steps, rows, generator=torch.Generator().manual_seed(seed)) < rate
    resets[0, 0] = resets[-1, 0] = True
    resets[2:4, 1 % rows] = True
    resets[:, 3 % rows] &= rows < 4
    return resets


def spans(resets, lengths):
    """For each row the first step of each piece and the one after its last."""
    for row, column in enumerate(resets.t().tolist()):
        stop = len(column) if lengths is None else int(lengths[row])
        borders = sorted({0, *(t for t in range(stop) if column[t]), stop})
        yield row, list(pairwise(borders))


def of_masks(masks, row, start, stop):
    """The masks of one row and some steps."""

    def cut(mask):
        return None if mask is None else mask[:, row : row + 1] if len(mask) == 1 else mask[start:stop, row : row + 1]

    return StackMasks(
        tuple(None if mask is None else mask[row : row + 1] for mask in masks.recurrent),
        masks.weight,
        tuple(map(cut, masks.between)),
        tuple(tuple(map(cut, states)) for states in masks.zoneout),
    )


def piece_by_piece(layer, x, state, resets, lengths=None, masks=None):
    """y and the last states, by running each piece alone; the definition of resets."""
    y, last = x.new_zeros(*x.shape[:2], layer.output_size), [[] for _ in layer._positions]
    parts = []
    for row, pieces in spans(resets, lengths):
        passed = tuple(one.map(lambda tensor, row=row: tensor[row : row + 1]) for one in state)
        ends = []
        for start, stop in pieces:
            keywords = {} if masks is None else {"masks": of_masks(masks, row, start, stop)}
            begin = None if resets[start, row] else passed if start == 0 else None
            piece, end = layer(x[start:stop, row : row + 1], begin, **keywords)
            parts.append((row, start, stop, piece))
            ends.append(end)
        for index, position in enumerate(layer._positions):
            last[index].append(passed[index] if not ends else ends[0 if position.reverse else -1][index])
    for row, start, stop, piece in parts:
        y = y.index_put((torch.arange(start, stop), torch.tensor([row])), piece[:, 0])
    columns = [State(**{f: torch.cat([getattr(s, f) for s in rows]) for f in rows[0]._fields}) for rows in last]
    return y, tuple(columns)


def state_of(layer, rows, dtype, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        State(**{n: torch.randn(rows, k, generator=generator, dtype=dtype) for n, k in position.states.items()})
        for position in layer._positions
    )


def results(layer, x, state, run):
    """y, the last states, and the gradients of x, the passed state and all parameters."""
    x = x.clone().requires_grad_()
    state = tuple(one.map(lambda tensor: tensor.clone().requires_grad_()) for one in state)
    y, last = run(x, state)
    tensors = [tensor for one in last for tensor in one]
    loss = y.sin().sum() + sum((tensor * (k + 2)).cos().sum() for k, tensor in enumerate(tensors))
    leaves = [x, *(tensor for one in state for tensor in one), *layer.parameters()]
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    zeros = (torch.zeros_like(leaf) for leaf in leaves)
    return [y, *tensors], [zero if g is None else g for g, zero in zip(gradients, zeros, strict=True)]


def assert_equals_pieces(layer, x, resets, lengths=None, masks=None, **tolerance):
    state, keywords = state_of(layer, x.shape[1], x.dtype), {} if masks is None else {"masks": masks}
    got = results(layer, x, state, lambda x, s: layer(x, s, lengths=lengths, resets=resets, **keywords))
    want = results(layer, x, state, lambda x, s: piece_by_piece(layer, x, s, resets, lengths, masks))
    for ours, theirs in zip(got, want, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("name", CELL_NAMES)
@both_directions
@with_lengths
def test_every_cell_equals_its_pieces_run_alone(name, bidirectional, lengths):
    torch.manual_seed(0)
    layer = Recurrent(table.MADE[name](), I, H, 2, bidirectional=bidirectional, engine="unroll", dtype=torch.float64)
    x = torch.randn(T, B, I, dtype=torch.float64)
    assert_equals_pieces(layer, x, some_resets(), lengths, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELL_NAMES)
@both_directions
@with_lengths
def test_every_cell_compiled_equals_its_pieces_run_alone(name, bidirectional, lengths):
    torch.manual_seed(0)
    layer = Recurrent(table.MADE[name](), I, H, bidirectional=bidirectional, engine="cpu")
    assert_equals_pieces(layer, torch.randn(T, B, I), some_resets(), lengths, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lstm", "gru", "elman", "elman-relu"])
@both_directions
@with_lengths
def test_kernels_of_torch_equal_pieces_run_alone(name, bidirectional, lengths):
    torch.manual_seed(0)
    layer = Recurrent(table.MADE[name](), I, H, 2, bidirectional=bidirectional, engine="native", dtype=torch.float64)
    x = torch.randn(T, B, I, dtype=torch.float64)
    assert_equals_pieces(layer, x, some_resets(), lengths, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("engine", ["unroll", "cpu"])
@pytest.mark.parametrize(
    "options",
    [
        {"learn_initial_state": True},
        {"residual": True},
        {"highway": True},
        {"layer_norm": True},
        {"proj_size": 4, "residual": True},
        {"recompute": 2},
        {"recompute": True, "bidirectional": False},
        {"dropout": 0.4, "recurrent_dropout": 0.4, "weight_drop": 0.4, "zoneout": {"h": 0.2, "c": 0.4}},
        {"dropout": 0.4, "locked_dropout": True, "zoneout": 0.3, "recompute": 4},
        {"zoneout": 0.3, "evaluation": True},
    ],
    ids=",".join,
)
def test_options_of_layers(options, engine):
    torch.manual_seed(0)
    options = {"bidirectional": "residual" not in options and "highway" not in options} | options
    evaluation = options.pop("evaluation", False)
    layer = Recurrent("lstm", I, H, 2, engine=engine, dtype=torch.float64, **options).train(not evaluation)
    if "learn_initial_state" in options:
        for name, parameter in layer.named_parameters():
            if name.startswith("initial"):
                torch.nn.init.normal_(parameter)
    masks = None if evaluation else layer.draw_masks(B, T)
    x = torch.randn(T, B, I, dtype=torch.float64)
    assert_equals_pieces(layer, x, some_resets(), LENGTHS, masks, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("engine", ["unroll", "cpu", "native"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_no_gradient_crosses_a_reset(engine, bidirectional):
    layer = Recurrent("lstm", I, H, bidirectional=bidirectional, engine=engine)
    x, resets = torch.randn(T, B, I, requires_grad=True), torch.zeros(T, B, dtype=torch.bool)
    resets[4, 1] = True
    y, _ = layer(x, resets=resets)
    (after,) = torch.autograd.grad(y[4:, 1].sin().sum(), x, retain_graph=True)
    (before,) = torch.autograd.grad(y[:4, 1].sin().sum(), x)
    assert (after[:4] == 0).all()
    assert (after[4:, 1] != 0).all()
    assert (before[4:] == 0).all()
    assert (before[:4, 1] != 0).all()


@pytest.mark.parametrize("engine", ["unroll", "cpu", "native"])
@pytest.mark.parametrize("shape", [(1, 3), (6, 1), (1, 1)])
@pytest.mark.parametrize("value", [False, True])
def test_resets_everywhere_and_nowhere(engine, shape, value):
    layer = Recurrent("gru", I, H, 2, bidirectional=True, engine=engine, dtype=torch.float64)
    x = torch.randn(*shape, I, dtype=torch.float64)
    resets = torch.full(shape, value)
    assert_equals_pieces(layer, x, resets, rtol=1e-12, atol=1e-12)
    if not value:
        state = state_of(layer, shape[1], x.dtype)
        with_resets = results(layer, x, state, lambda x, s: layer(x, s, resets=resets))
        without = results(layer, x, state, layer)
        for one, other in zip(with_resets, without, strict=True):
            assert all(map(torch.equal, one, other))


@pytest.mark.parametrize("engine", ["unroll", "cpu", "native"])
def test_the_rows_without_resets_are_as_in_any_batch(engine):
    layer = Recurrent("lstm", I, H, engine=engine, dtype=torch.float64)
    x, resets = torch.randn(T, B, I, dtype=torch.float64), some_resets()
    assert not resets[:, 3].any()
    torch.testing.assert_close(layer(x, resets=resets)[0][:, 3], layer(x)[0][:, 3], rtol=1e-13, atol=1e-14)


def test_drawn_masks_are_those_without_resets():
    layer = Recurrent("gru", I, H, 2, dropout=0.5, recurrent_dropout=0.5, zoneout=0.5, dtype=torch.float64)
    x, resets = torch.randn(T, B, I, dtype=torch.float64), some_resets()
    ys = []
    for keywords in ({}, {"resets": resets}):
        torch.manual_seed(3)
        ys.append(layer(x, **keywords)[0])
    assert torch.equal(ys[0][:, 3], ys[1][:, 3])  # the row without resets


@pytest.mark.parametrize("engine", ["unroll", "cpu"])
def test_gates_are_those_of_the_pieces(engine):
    layer = Recurrent("lstm", I, H, bidirectional=True, engine=engine, dtype=torch.float64)
    x, resets = torch.randn(T, B, I, dtype=torch.float64), some_resets()
    _, _, gates = layer(x, resets=resets, lengths=LENGTHS, return_gates=True)
    checked = 0
    for row, pieces in spans(resets, LENGTHS):
        for start, stop in pieces:
            alone = layer(x[start:stop, row : row + 1], return_gates=True)[2]
            for one, other in zip(gates, alone, strict=True):
                torch.testing.assert_close(one.f[start:stop, row], other.f[:, 0])
                checked += 1
    assert checked > 8
    assert (gates[0].f[4:, 1] == 0).all()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_namesakes_batch_first_and_one_sequence_alone(kind):
    layer = getattr(recurra, kind)(I, H, 2, batch_first=True, bidirectional=True)
    x, resets = torch.randn(B, T, I), some_resets().t()
    y, last = layer(x, resets=resets)
    alone, _ = layer(x[0], resets=resets[0])
    torch.testing.assert_close(alone, y[0])
    layer.batch_first = False
    turned, last_too = layer(x.transpose(0, 1), resets=resets.t())
    assert torch.equal(turned.transpose(0, 1), y)
    torch.testing.assert_close(last, last_too)
    torch.testing.assert_close(layer(x[0, 3:6])[0], layer(x[0, 3:6], resets=torch.tensor([True, False, False]))[0])


def test_windows_divide_the_resets_and_equal_the_whole():
    layer = Recurrent("lstm", I, H, 2, dtype=torch.float64)
    x, resets = torch.randn(T, B, I, dtype=torch.float64), some_resets()
    whole, last = layer(x, resets=resets, lengths=LENGTHS)
    windows = list(truncated(layer, x, window=4, lengths=LENGTHS, resets=resets))
    torch.testing.assert_close(torch.cat([one.y for one in windows]), whole)
    torch.testing.assert_close(windows[-1].state, last)
    cuts = resets.clone()
    cuts[::4] = True  # where every window starts anew, truncation cuts nothing
    parts = [one.y for one in truncated(layer, x, window=4, resets=cuts)]
    got = torch.autograd.grad(torch.cat(parts).sin().sum(), list(layer.parameters()))
    want = torch.autograd.grad(layer(x, resets=cuts)[0].sin().sum(), list(layer.parameters()))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    rows_first = recurra.GRU(I, H, batch_first=True)
    x = torch.randn(B, T, I)
    y = torch.cat([one.y for one in truncated(rows_first, x, window=4, resets=resets.t())], 1)
    torch.testing.assert_close(y, rows_first(x, resets=resets.t())[0])


def test_second_derivatives_of_the_compiled_engine():
    gradients = []
    for engine in ("cpu", "unroll"):
        torch.manual_seed(0)
        layer = Recurrent("gru", I, H, bidirectional=True, engine=engine, dtype=torch.float64)
        x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
        y, _ = layer(x, resets=some_resets(), lengths=LENGTHS)
        (dx,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
        gradients.append(torch.autograd.grad(dx.pow(2).sum(), [x, *layer.parameters()], allow_unused=True))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_compiled_by_torch_and_exported(kind):
    layer, x = getattr(recurra, kind)(I, H, bidirectional=True), torch.randn(3, B, I)
    resets, other = torch.tensor([[False, True, False, True]] * 3), torch.zeros(3, B, dtype=torch.bool)
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for one in (resets, other):
        torch.testing.assert_close(compiled(x, resets=one)[0], layer(x, resets=one)[0])
    exported = torch.export.export(layer, (x,), {"resets": resets}).module()
    torch.testing.assert_close(exported(x, resets=other)[0], layer(x, resets=other)[0])
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("resets", "message"),
    [
        (torch.zeros(T, B), r"resets is torch.float32, expected torch.bool, True where a row starts anew"),
        (torch.zeros(B, T, dtype=torch.bool), r"resets is \(4, 9\), expected \(9, 4\), \(time, batch\) of x"),
        (torch.zeros(T, dtype=torch.bool), r"resets is \(9,\), expected \(9, 4\)"),
        ([[False] * B] * T, "resets is a list, expected a bool tensor"),
    ],
)
def test_what_is_no_mask_of_the_steps_is_refused_in_one_line(resets, message):
    for layer in (recurra.LSTM(I, H), Recurrent("gru", I, H)):
        with pytest.raises(InputError, match=message) as refused:
            layer(torch.zeros(T, B, I), resets=resets)
        assert "\n" not in str(refused.value)


def test_packed_sequences_and_layers_of_torch_are_refused():
    with pytest.raises(InputError, match="resets= does not go with a packed sequence: pad it"):
        recurra.GRU(I, H)(pack_sequence([torch.zeros(3, I)]), resets=torch.zeros(3, 1, dtype=torch.bool))
    resets = torch.zeros(T, B, dtype=torch.bool)
    with pytest.raises(InputError, match=r"torch.nn.GRU takes no resets. Change it to recurra.GRU"):
        truncated(torch.nn.GRU(I, H), torch.zeros(T, B, I), window=2, resets=resets)
    with pytest.raises(InputError, match="resets is a list, expected a bool tensor"):
        truncated(recurra.GRU(I, H), torch.zeros(T, B, I), window=2, resets=[True])

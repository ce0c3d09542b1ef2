"""The translator's network: equal to a loop written apart, padded as alone, and what it is without attention."""

import copy

import numpy as np
import pytest
import small_translators as small
import torch

from recurra.bundle.weights import load_weights, save_weights
from recurra.tasks.fields import read_fields
from recurra.tasks.translator.corpus import SourceBatch, make_batch, pad_sources
from recurra.tasks.translator.network import TranslatorNetwork
from recurra.tasks.translator.options import NetworkOptions

KINDS = [
    {"attention": "none"},
    {"attention": "none", "num_layers": 2, "tied": False},
    {"attention": "dot"},
    {"attention": "general", "num_layers": 2},
    {"attention": "additive", "tied": False},
    {"attention": "general", "input_feeding": False},
    {"attention": "additive", "num_layers": 3, "input_feeding": False},
    {"attention": "dot", "num_layers": 2, "input_feeding": False, "tied": False},
    {"attention": "general", "num_layers": 2, "bidirectional": False},
]
CELLS = [("gru", None, "gru"), ("elman", None, "elman"), ("slstm", None, "slstm"), ("own", small.Leaky, "user's leaky")]


def by_row(scores, lengths):
    """Scores (N, V), those of the first step first, as one (T, V) a row."""
    rows = [[] for _ in lengths]
    left = iter(scores)
    for t in range(max(lengths)):
        for row, length in enumerate(lengths):
            if t < length:
                rows[row].append(next(left))
    assert next(left, None) is None
    return [torch.stack(row) for row in rows]


def check_by_hand(net, name):
    pairs = small.pairs()
    by_pair = by_row(net(make_batch(pairs)).detach(), [len(target) + 1 for _, target in pairs])
    for scores, (source, target) in zip(by_pair, pairs, strict=True):
        np.testing.assert_allclose(scores.numpy(), small.scores(net, name, source, target), atol=1e-10)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_padded_batch_equals_a_loop_over_each_pair(options):
    check_by_hand(small.network(**options), "lstm")


@pytest.mark.parametrize(("cell", "own", "name"), CELLS, ids=[cell for cell, *_ in CELLS])
@pytest.mark.parametrize("feeding", [True, False])
def test_so_it_does_with_every_kind_of_cell(cell, own, name, feeding):
    cell = "lstm" if own else cell
    check_by_hand(small.network(cell, own=own and own(), num_layers=2, input_feeding=feeding), name)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_what_stands_in_the_padding_is_never_read(options):
    net, batch = small.network(**options), small.batch()
    outside = torch.arange(len(batch.sources.tokens))[:, None] >= batch.sources.lengths
    sources = SourceBatch(batch.sources.tokens.masked_fill(outside, 7), batch.sources.lengths)
    other = type(batch)(sources, batch.inputs.masked_fill(~batch.inside, 5), batch.targets, batch.lengths)

    def run(batch):
        net.zero_grad()
        scores = net(batch)
        scores.sin().sum().backward()
        return [scores, *(parameter.grad.clone() for parameter in net.parameters())]

    for one, two in zip(run(batch), run(other), strict=True):
        torch.testing.assert_close(one, two, atol=1e-12, rtol=0)


def test_the_gradient_of_a_batch_is_the_sum_of_its_pairs_alone():
    for options in KINDS[2:6]:
        net, pairs = small.network(**options), small.pairs()
        net(make_batch(pairs)).sin().sum().backward()
        whole = {name: parameter.grad.clone() for name, parameter in net.named_parameters()}
        net.zero_grad()
        for pair in pairs:
            net(make_batch([pair])).sin().sum().backward()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(parameter.grad, whole[name], atol=1e-9, rtol=1e-9)
            assert parameter.grad.abs().sum() > 0, name


def test_without_attention_the_source_is_known_by_the_bridge_alone():
    net, (one, two) = small.network(attention="none"), (pad_sources([pair[0]]) for pair in small.pairs()[:2])
    assert not [name for name, _ in net.decoder.named_parameters() if "attention" in name or "combine" in name]
    state, other = net.encode(one), net.encode(two)
    assert state.memory is None
    assert state.coverage is None
    assert state.feed is None
    inputs = torch.tensor([[0], [3], [4]])
    first, second = net.decoder(inputs, state).o, net.decoder(inputs, other).o
    assert (first - second).abs().max() > 1e-3
    assert torch.equal(net.decoder(inputs, state._replace(recurrent=other.recurrent)).o, second)


def test_with_attention_it_is_known_by_the_memory_as_well():
    net, one = small.network(), pad_sources([small.pairs()[0][0]])
    state = net.encode(one)
    changed = state._replace(memory=state.memory._replace(values=state.memory.values.flip(1)))
    inputs = torch.tensor([[0], [3]])
    assert (net.decoder(inputs, state).o - net.decoder(inputs, changed).o).abs().max() > 1e-3


def test_the_tied_embedding_is_one_tensor_through_copies_and_files(tmp_path):
    net = small.network(dtype=torch.float32)
    twin = copy.deepcopy(net)
    for one in (net, twin):
        assert one.decoder.readout.weight is one.decoder.embedding.weight
    assert twin.decoder.embedding.weight is not net.decoder.embedding.weight
    save_weights(net, tmp_path / "w")
    other = small.network(seed=5, dtype=torch.float32)
    batch = small.batch()
    assert not torch.equal(net(batch), other(batch))
    load_weights(other, tmp_path / "w")
    assert other.decoder.readout.weight is other.decoder.embedding.weight
    assert torch.equal(net(batch), other(batch))
    loose = small.network(tied=False)
    assert loose.decoder.readout.weight is not loose.decoder.embedding.weight


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_bfloat16_stays_near_float32_and_trains(options):
    net, batch = small.network(dtype=torch.float32, **options), small.batch()
    wanted = net(batch)
    with torch.autocast("cpu", torch.bfloat16):
        scores = net(batch)
    assert (scores.float() - wanted).abs().max() < 0.06 * wanted.abs().max()
    scores.float().logsumexp(-1).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.parametrize("options", KINDS[2:6], ids=str)
def test_engines_agree_on_the_whole(options):
    """`auto` compiles here only what is large enough; the named engine must say the same either way."""
    sizes = {"hidden_size": 64, "embedding_size": 16, "dropout": 0.0, **options}
    torch.manual_seed(3)
    nets = [
        TranslatorNetwork(
            small.SOURCES, small.TARGETS, read_fields(NetworkOptions, {**sizes, "engine": engine}, where="test")
        )
        for engine in ("auto", "unroll")
    ]
    nets[1].load_state_dict(nets[0].state_dict())
    batch = small.batch([(12, 9), (7, 11), (3, 4)])
    one, two = (net.eval()(batch) for net in nets)
    torch.testing.assert_close(one, two, atol=2e-5, rtol=1e-4)

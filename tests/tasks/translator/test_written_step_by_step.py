"""The decoder: step by step as the whole, hypotheses side by side as alone, one draw of dropout a sentence."""

import pytest
import small_translators as small
import torch

from recurra.tasks.translator.corpus import pad_sources
from recurra.tasks.translator.decoder import DecoderState, DecoderStep

KINDS = [
    {"attention": "none", "num_layers": 2},
    {"attention": "dot"},
    {"attention": "general", "num_layers": 2},
    {"attention": "additive", "num_layers": 3, "input_feeding": False},
    {"attention": "general", "input_feeding": False},
    {"attention": "additive", "cell": "slstm"},
    {"attention": "general", "cell": "gru", "num_layers": 2, "input_feeding": False},
    {"attention": "general", "num_layers": 3, "bidirectional": False, "layer_norm": True, "input_feeding": False},
    {"attention": "dot", "num_layers": 2, "zoneout": 0.3, "residual": True, "learn_initial_state": True},
]


def written(net, tokens, state):
    """o (T, N, H) by one call a step."""
    steps = []
    for row in tokens:
        one = net.decoder(row[None], state)
        steps.append(one.o)
        state = one.state
    return torch.cat(steps), state


def flat(state: DecoderState):
    memory = [] if state.memory is None else list(state.memory)
    return [*(tensor for one in state.recurrent for tensor in one), state.feed, state.coverage, *memory]


def check_equal(one: DecoderState, two: DecoderState):
    for left, right in zip(flat(one), flat(two), strict=True):
        torch.testing.assert_close(left, right, atol=1e-12, rtol=0)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_step_by_step_equals_the_whole(options):
    net, batch = small.network(**options), small.batch()
    state = net.encode(batch.sources)
    whole = net.decoder(batch.inputs, state)
    o, last = written(net, batch.inputs, state)
    torch.testing.assert_close(o, whole.o, atol=1e-12, rtol=0)
    check_equal(last, whole.state)
    if net.decoder.attention is not None:
        torch.testing.assert_close(last.coverage, whole.weights.sum(0), atol=1e-12, rtol=0)
        torch.testing.assert_close(whole.weights.sum(-1), torch.ones_like(o[..., 0]), atol=1e-12, rtol=0)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_hypotheses_side_by_side_equal_each_alone(options):
    net, batch = small.network(**options), small.batch([(6, 1), (2, 1), (4, 1)])
    state = net.encode(batch.sources)
    K, tokens = 3, torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8, 1], [2, 2, 1, 3, 4, 4, 8, 7, 6]])
    together, _ = written(net, tokens, state.select(torch.arange(3).repeat_interleave(K)))
    for place in range(3 * K):
        alone, _ = written(net, tokens[:, [place]], state.select(torch.tensor([place // K])))
        torch.testing.assert_close(together[:, [place]], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize(
    "rows",
    [
        [1, 0, 3, 3, 5, 4],  # exchanged and doubled within a source
        [4, 5, 0, 0],  # a source dropped, the others in another order
        [4, 5, 2, 3, 0, 1],  # all sources in another order
        [0, 2, 4],  # fewer of each
        [1, 1, 0, 3, 3, 3],  # more of each, a source dropped
    ],
    ids=str,
)
def test_chosen_targets_go_on_as_they_would_have(options, rows):
    net, batch = small.network(**options), small.batch([(6, 1), (2, 1), (4, 1)])
    _, state = written(net, torch.tensor([[1, 2, 3, 4, 5, 6]]), net.encode(batch.sources).select(torch.arange(6) // 2))
    goes_on = torch.tensor([[7, 8, 1, 2, 3, 4]])
    whole, after = written(net, goes_on, state)
    chosen = torch.tensor(rows)
    o, last = written(net, goes_on[:, chosen], state.select(chosen))
    torch.testing.assert_close(o, whole[:, chosen], atol=1e-12, rtol=0)
    check_equal(last, after.select(chosen))


def test_nothing_given_is_changed():
    net, batch = small.network(num_layers=2), small.batch()
    state = net.encode(batch.sources)
    before = [tensor.clone() for tensor in flat(state)]
    once, _ = written(net, batch.inputs, state)
    assert torch.equal(once, written(net, batch.inputs, state)[0])
    assert all(torch.equal(one, two) for one, two in zip(before, flat(state), strict=True))


def dropped(net, batch, **options):
    """What is zero while training: of embeddings read, of what layers above attention read, of o; each (T, N, size)."""
    E, seen = net.decoder.embedding.embedding_dim, {"x": [], "above": []}
    hooks = [net.decoder.recurrent.register_forward_pre_hook(lambda _, x: seen["x"].append(x[0][..., :E] == 0))]
    if net.decoder.above is not None:
        hooks.append(net.decoder.above.register_forward_pre_hook(lambda _, x: seen["above"].append(x[0] == 0)))
    o = net.decoder(batch.inputs, net.encode(batch.sources), lengths=batch.lengths, **options).o
    for hook in hooks:
        hook.remove()
    return {**{name: torch.cat(masks) for name, masks in seen.items() if masks}, "o": o == 0}


@pytest.mark.parametrize("sampling", [0.0, 0.5])
@pytest.mark.parametrize("feeding", [True, False])
def test_one_draw_of_dropout_serves_all_steps_of_a_sentence(feeding, sampling):
    net = small.network(hidden_size=64, embedding_size=32, num_layers=2, input_feeding=feeding, dropout=0.5).train()
    batch = small.batch([(4, 5)] * 6)
    masks = dropped(net, batch, sampling=sampling)
    assert masks.keys() == ({"x", "o"} if feeding else {"x", "above", "o"})
    for name, zeros in masks.items():
        assert len(zeros) == 6, name
        assert (zeros == zeros[:1]).all(), name
        assert (zeros[0, 0] != zeros[0, 1]).any(), name
        assert 0.35 < zeros[0].double().mean() < 0.65, name
    again = dropped(net, batch, sampling=sampling)
    assert (masks["o"] != again["o"]).any()
    assert not dropped(net.eval(), batch)["o"].any()


@pytest.mark.parametrize("feeding", [True, False])
def test_without_locked_dropout_each_step_drops_other_units(feeding):
    sizes = {"hidden_size": 64, "embedding_size": 32, "num_layers": 2, "input_feeding": feeding}
    net = small.network(dropout=0.5, locked_dropout=False, **sizes).train()
    batch = small.batch([(4, 5)] * 6)
    masks = dropped(net, batch)
    assert masks.keys() == ({"x", "o"} if feeding else {"x", "above", "o"})
    for name, zeros in masks.items():
        assert len(zeros) == 6, name
        assert all((zeros[t] != zeros[0]).any() for t in range(1, 6)), name
        assert 0.35 < zeros.double().mean() < 0.65, name
    memory = net.encode(batch.sources).memory.values == 0  # (B, S, M)
    assert (memory != memory[:, :1]).any()
    assert not dropped(net.eval(), batch)["o"].any()


def test_dropout_is_the_same_in_both_ways_of_running(monkeypatch):
    net = small.network(num_layers=3, input_feeding=False, dropout=0.4, recurrent_dropout=0.3).train()
    batch = small.batch([(4, 5)] * 3)
    drawn = net.decoder._draw_masks(3)
    monkeypatch.setattr(net.decoder, "_draw_masks", lambda rows: drawn)
    net.drop.eval()
    net.drop_embedding.eval()
    net.encoder.eval()
    state = net.encode(batch.sources)
    whole, steps = net.decoder(batch.inputs, state).o, written(net, batch.inputs, state)[0]
    torch.testing.assert_close(whole, steps, atol=1e-12, rtol=0)
    monkeypatch.undo()
    assert (net.decoder(batch.inputs, state).o - whole).abs().max() > 1e-3


def test_a_memory_is_dropped_alike_at_all_its_places():
    net = small.network(hidden_size=64, dropout=0.5).train()
    memory = net.encode(small.batch([(5, 1)] * 4).sources).memory
    zeros = memory.values == 0  # (B, S, M)
    assert (zeros == zeros[:, :1]).all()
    assert 0.35 < zeros.double().mean() < 0.65


@pytest.mark.parametrize("options", KINDS[:5], ids=str)
def test_scheduled_sampling_of_nothing_is_off_and_of_all_reads_its_own_outputs(options):
    net, batch = small.network(**options), small.batch([(6, 7), (2, 5), (4, 6)])
    state = net.encode(batch.sources)
    forced = net.decoder(batch.inputs, state).o
    torch.testing.assert_close(net.decoder(batch.inputs, state, sampling=1e-12).o, forced, atol=1e-12, rtol=0)
    tokens, outputs, after = batch.inputs[0], [], state
    for _ in range(len(batch.inputs)):
        one = net.decoder(tokens[None], after)
        outputs.append(one.o)
        after, tokens = one.state, net.decoder.scores(one.o[0]).argmax(-1)
    own = torch.cat(outputs)
    torch.testing.assert_close(net.decoder(batch.inputs, state, sampling=1 - 1e-12).o, own, atol=1e-12, rtol=0)
    assert (own - forced).abs().max() > 1e-3


def test_scheduled_sampling_replaces_the_share_asked_for_and_learns_through_no_choice():
    net, batch = small.network(), small.batch([(3, 30)] * 40)
    read = []
    net.decoder.embedding.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    kept = []

    def watched(scores):
        kept.append(scores.requires_grad)

    net.decoder.readout.register_forward_hook(lambda _, inputs, scores: watched(scores))
    net(batch, sampling=0.25).sum().backward()
    assert kept == [False] * 30 + [True]
    tokens = torch.stack(read)
    assert torch.equal(tokens[0], batch.inputs[0])
    # An own output may be the true symbol by chance.
    assert 0.15 < (tokens != batch.inputs)[1:].double().mean() < 0.27


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_step_of_decoding_tells_log_probabilities(options):
    net = small.network(dtype=torch.float32, **options)
    state = net.encode(pad_sources([pair[0] for pair in small.pairs()]))
    log_probs, after = DecoderStep(net.decoder)(torch.tensor([0, 3, 4, 5]), state)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(4))
    wanted = net.decoder.scores(net.decoder(torch.tensor([[0, 3, 4, 5]]), state).o[0])
    torch.testing.assert_close(log_probs, wanted.log_softmax(-1))
    assert len(after.recurrent) == net.bridge.h.__len__()

"""Steps of decoding on streams equal those of the layers, and their states are values."""

import pytest
import small_translators as small
import torch
from test_translated_in_batches import sources, translator
from test_written_step_by_step import KINDS

from recurra.decoding import BeamOptions, SamplingOptions
from recurra.engine.stream import Stream, by_rows
from recurra.tasks.translator.corpus import pad_sources
from recurra.tasks.translator.decoder import DecoderStep


@pytest.fixture
def runs(monkeypatch):
    """The numbers of rows of the steps on streams."""
    rows, run = [], Stream.run

    def counted(self, x):
        rows.append(self.rows)
        return run(self, x)

    monkeypatch.setattr(Stream, "run", counted)
    return rows


def flat(state):
    return [*(tensor for one in state.recurrent for tensor in one), state.feed, state.coverage]


def check_close(one, other):
    torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=0)
    for left, right in zip(flat(one[1]), flat(other[1]), strict=True):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_steps_are_those_of_the_layers_and_states_are_values(options, runs):
    net = small.network(dtype=torch.float32, engine="auto", **options)
    step, tokens = DecoderStep(net.decoder), torch.tensor([0, 3, 4, 5])

    def layers(tokens, state):
        output = net.decoder(tokens[None], state)
        return net.decoder.scores(output.o[0]).log_softmax(-1), output.state

    start = net.encode(pad_sources([pair[0] for pair in small.pairs()]))
    _, first = step(tokens, start)
    # Two continuations of a state in turns, and one of two hypotheses for each source.
    left, right = step(tokens + 1, first), step(tokens + 2, first)
    rows, wide = torch.arange(4).repeat_interleave(2), torch.arange(8)
    several = step(wide, step.select(first, rows))
    check_close(step(tokens, left[1]), layers(tokens, layers(tokens + 1, first)[1]))
    check_close(step(tokens, right[1]), layers(tokens, layers(tokens + 2, first)[1]))
    check_close(several, layers(wide, first.select(rows)))
    check_close(step(tokens, start), layers(tokens, start))
    stacks = 1 if net.decoder.above is None else 2
    assert sorted(runs) == [4] * 6 * stacks + [8] * stacks


@pytest.mark.parametrize("options", [{}, {"input_feeding": False, "num_layers": 2}, {"attention": "none"}], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_translations_are_those_of_the_layers(monkeypatch, cell, options):
    model, texts = translator(cell=cell, **options), sources(12)

    def translations():
        yield from (model.translate([text], beam=beam) for text in texts for beam in (1, 5, 20))
        yield model.translate(texts[:3], beam=4)
        yield [one.text for best in model.outputs(texts, BeamOptions(beam=3, nbest=3)) for one in best]
        yield [one.text for (one,) in model.sample(texts, seed=1)]
        yield [one.text for (one,) in model.sample(texts, SamplingOptions(repetition_penalty=1.5), seed=1)]

    on_streams = list(translations())
    monkeypatch.setattr(by_rows, "MOST_ROWS", 0)
    assert on_streams == list(translations())


def test_many_rows_gradients_training_and_float64_run_on_the_layers(runs):
    start = pad_sources([pair[0] for pair in small.pairs()])
    for net in (small.network(engine="auto"), small.network(dtype=torch.float32, engine="auto").train()):
        with torch.no_grad():
            DecoderStep(net.decoder)(torch.arange(4), net.encode(start))
    net = small.network(dtype=torch.float32, engine="auto")
    assert DecoderStep(net.decoder)(torch.arange(4), net.encode(start))[0].requires_grad
    with torch.no_grad():
        state = net.encode(start).select(torch.arange(4).repeat_interleave(5))
        DecoderStep(net.decoder)(torch.zeros(20, dtype=torch.int64), state)
        assert runs == []
        DecoderStep(net.decoder)(torch.arange(4), net.encode(start))
    assert runs == [4]

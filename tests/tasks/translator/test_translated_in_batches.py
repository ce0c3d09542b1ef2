"""From sources to targets: batched as alone, in order, whatever their lengths; searches and scores agree."""

import math
import random
from itertools import islice

import numpy as np
import pytest
import small_translators as small
import torch

from recurra.data.tokenizers.char import CharTokenizer
from recurra.decoding import BeamOptions
from recurra.errors import InputError
from recurra.tasks.translator import predict as module
from recurra.tasks.translator.corpus import pad_sources
from recurra.tasks.translator.decoder import DecoderStep
from recurra.tasks.translator.model import Translator
from recurra.tasks.translator.options import NetworkOptions
from recurra.tasks.translator.vocabulary import EOS, Side, Vocabulary

# Ends, unknown symbols and these make the sizes of `small_translators`.
READ, WRITTEN = "abcdefghi", "\ntuvwxy"


def translator(max_length_ratio=1.0, **options):
    vocabulary = Vocabulary(Side(CharTokenizer(list(READ))), Side(CharTokenizer(sorted(WRITTEN))))
    assert (vocabulary.source.size, vocabulary.target.size) == (small.SOURCES, small.TARGETS)
    net = small.network(dtype=torch.float32, seed=2, **options)
    return Translator(net, vocabulary, NetworkOptions(), max_length_ratio)


def sources(count, longest=14, seed=0):
    g = random.Random(seed)
    return ["".join(g.choices(READ, k=g.randrange(longest))) for _ in range(count)]


def texts_and_totals(outputs):
    outputs = list(outputs)
    return [[one.text for one in best] for best in outputs], [one.log_probability for best in outputs for one in best]


@pytest.mark.parametrize("attention", ["none", "general"])
@pytest.mark.parametrize("options", [{"beam": 1}, {"beam": 4, "nbest": 3, "coverage_penalty": 0.2}], ids=str)
def test_a_batch_of_sources_gives_in_order_what_each_alone_gives(attention, options, monkeypatch):
    model, texts_read, search = translator(attention=attention), sources(30), BeamOptions(**options)
    monkeypatch.setattr(module, "_BATCH_SYMBOLS", 200)
    texts, totals = texts_and_totals(model.outputs(texts_read, search))
    alone, sums = texts_and_totals(next(model.outputs([source], search)) for source in texts_read)
    assert texts == alone
    assert len({text for best in texts for text in best}) > 10
    assert len(totals) >= 30
    np.testing.assert_allclose(totals, sums, atol=1e-4)


def test_a_source_of_thousands_of_symbols_among_short_ones_and_empty_ones():
    model = translator(max_length_ratio=0.002)
    texts = ["abc", "", "abcdefghi" * 556, "  \t", "cab", "\u3000", "i"]
    translations = model.translate(texts, beam=2)
    assert [translations[place] for place in (1, 3, 5)] == ["", "", ""]
    for place in (0, 2, 4, 6):
        assert translations[place]
        assert translations[place] == model.translate([texts[place]], beam=2)[0]
    assert model.translate([]) == []
    assert [best[0] for best in model.outputs([" "])] == [module.Translation("", 0.0, 0.0)]


def test_sources_are_read_as_they_are_needed():
    model = translator()
    read = []

    def endless():
        while True:
            read.append(1)
            yield "ab"

    assert len(list(islice(model.outputs(endless(), BeamOptions(beam=1)), 3))) == 3
    assert len(read) <= 1024


@pytest.mark.parametrize("attention", ["none", "additive"])
def test_greedy_takes_the_most_probable_symbol_at_each_step(attention):
    model = translator(attention=attention)
    barred = [model.vocabulary.target.unknown_id, *model.vocabulary.target.line_break_ids]
    assert len(barred) == 2
    for source, translation in zip(sources(12), model.translate(sources(12), beam=1), strict=True):
        ids = model.vocabulary.source.encode(source)
        if not len(ids):
            continue
        with torch.no_grad():
            state, token, written = model.network.encode(pad_sources([ids])), torch.tensor([EOS]), []
            for _ in range(len(ids) + 1 + 10):
                log_probs, state = DecoderStep(model.network.decoder)(token, state)
                log_probs[:, barred] = -math.inf
                token = log_probs.argmax(-1)
                if int(token) == EOS:
                    break
                written.append(int(token))
        assert translation == model.vocabulary.target.decode(written)


def test_no_output_has_an_unknown_symbol_or_the_end_of_a_line():
    model = translator()
    target = model.vocabulary.target
    with torch.no_grad():
        model.network.decoder.readout.bias[[target.unknown_id, *target.line_break_ids]] += 50.0
    translations = model.translate(sources(20), beam=2)
    assert sum(map(len, translations)) > 20
    assert set("".join(translations)) <= set("tuvwxy")


@pytest.mark.parametrize("options", [{"attention": "none"}, {}, {"input_feeding": False, "num_layers": 2}], ids=str)
def test_the_score_of_a_given_pair_is_the_sum_of_its_steps(options, monkeypatch):
    monkeypatch.setattr(module, "_BATCH_SYMBOLS", 60)
    model = translator(**options)
    g = random.Random(1)
    pairs = [(source, "".join(g.choices("tuvwxy", k=g.randrange(9)))) for source in [*sources(12), "", "a" * 40]]
    scores = list(model.score(pairs))
    for (source, target), score in zip(pairs, scores, strict=True):
        state, token, total = model.network.encode(pad_sources([model.vocabulary.source.encode(source)])), EOS, 0.0
        for following in [*model.vocabulary.target.encode(target).tolist(), EOS]:
            with torch.no_grad():
                log_probs, state = DecoderStep(model.network.decoder)(torch.tensor([token]), state)
            total, token = total + float(log_probs[0, following]), following
        assert score == pytest.approx(total, abs=1e-4)
    assert len(scores) == 14


def test_outputs_are_ranked_by_their_probability_length_and_coverage():
    model, texts = translator(), sources(12)
    with torch.no_grad():
        model.network.decoder.readout.bias[EOS] += 3.0
    search = BeamOptions(beam=4, nbest=4, length_penalty=0.7, coverage_penalty=0.3)
    finished = 0
    for source, best in zip(texts, model.outputs(texts, search), strict=True):
        scores = []
        for one in best:
            (score,) = model.score([(source, one.text)])
            if not source or score != pytest.approx(one.log_probability, abs=1e-3):
                continue  # cut short, its end not counted
            scores.append(one.score)
            coverage = model.attention(source, one.text).weights.sum(0)
            penalty = 0.3 * np.log(np.minimum(coverage, 1)).sum()
            wanted = one.log_probability / ((5 + len(one.text) + 1) / 6) ** 0.7 + penalty
            assert one.score == pytest.approx(wanted, abs=1e-3)
        assert scores == sorted(scores, reverse=True)
        finished += len(scores)
    assert finished > 10


def test_where_it_looked_has_a_row_a_symbol_written_and_a_column_a_symbol_read():
    model = translator()
    source, target, weights = model.attention("abz", "tu")
    assert source == ["a", "b", "<unk>", ""]
    assert target == ["t", "u", ""]
    assert weights.shape == (3, 4)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(weights[:2], model.attention("abz", "ty").weights[:2], atol=1e-6)
    with pytest.raises(InputError, match="no attention: train one with --attention general"):
        translator(attention="none").attention("ab", "t")


def test_wrong_calls_are_answered_in_a_line():
    with pytest.raises(InputError, match=r"sources is the string 'abc', expected a list of texts: write \['abc'\]"):
        translator().translate("abc")
    with pytest.raises(InputError, match="beem"):
        translator().translate(["abc"], beem=3)

"""Outputs that reach the most symbols that their source allows: marked, and their log-probability has no end."""

import io
import json
import math
import sys

import pytest
import small_translators as small
import torch

from recurra.data import CharTokenizer, WordTokenizer
from recurra.data.lines import Line
from recurra.data.pair_files import open_pairs
from recurra.decoding import BeamOptions, SamplingOptions
from recurra.tasks.translator.corpus import pad_sources
from recurra.tasks.translator.decoder import DecoderStep
from recurra.tasks.translator.model import Translator
from recurra.tasks.translator.options import EvaluationOptions, NetworkOptions
from recurra.tasks.translator.predict import Translation
from recurra.tasks.translator.report import evaluate, report
from recurra.tasks.translator.verbs import translations
from recurra.tasks.translator.verbs.attention_plot import AttentionPlot
from recurra.tasks.translator.vocabulary import EOS, Side, Vocabulary

READ, WRITTEN = "abcdefghi", "tuvwxyz"
SOURCES = ["abc", "", "a", "hgfedcba", "ii"]


def translator(end=0.0):
    """A translator of random weights; `end` is added to the score of the end symbol."""
    vocabulary = Vocabulary(Side(CharTokenizer(list(READ))), Side(CharTokenizer(list(WRITTEN))))
    network = small.network(dtype=torch.float32, seed=2)
    with torch.no_grad():
        network.decoder.readout.bias[EOS] += end
    return Translator(network, vocabulary, NetworkOptions(), 1.0)


@pytest.mark.parametrize("options", [BeamOptions(beam=1), BeamOptions(beam=4, nbest=4), BeamOptions(block_repeats=2)])
def test_an_endless_output_is_marked_and_has_the_log_probability_of_its_symbols(options):
    endless = translator(end=-30.0)
    for source, n_best in zip(SOURCES, endless.outputs(SOURCES, options), strict=True):
        for one in n_best:
            assert one.finished == (not source)
            if not source:
                continue
            assert len(one.text) > len(source) + 5
            (with_end,) = endless.score([(source, one.text)])
            # The end alone costs some thirty nats, which the log-probability of an unfinished output has not.
            assert one.log_probability > with_end + 20
            assert one.log_probability == pytest.approx(prefix(endless, source, one.text), abs=1e-3)


def prefix(model, source, text):
    """log p of the symbols of a text without its end, step by step."""
    step, total, symbol = DecoderStep(model.network.decoder), 0.0, EOS
    with torch.inference_mode():
        state = model.network.encode(pad_sources([model.vocabulary.source.encode(source)]))
        for token in model.vocabulary.target.encode(text).tolist():
            log_probs, state = step(torch.tensor([symbol]), state)
            total, symbol = total + float(log_probs[0, token]), token
    return total


@pytest.mark.parametrize("options", [BeamOptions(beam=1), BeamOptions(beam=4, nbest=4)])
def test_a_finished_output_has_the_log_probability_of_the_same_text_when_it_is_given(options):
    model = translator(end=4.0)
    pairs = [
        (source, one)
        for source, n_best in zip(SOURCES, model.outputs(SOURCES, options), strict=True)
        for one in n_best
        if source and one.finished
    ]
    assert len(pairs) >= 3
    scores = list(model.score((source, one.text) for source, one in pairs))
    assert [one.log_probability for _, one in pairs] == pytest.approx(scores, abs=1e-3)


def test_drawn_outputs_are_marked_too():
    model = translator()
    drawn = [one for (one,) in model.sample(SOURCES * 20, SamplingOptions(temperature=1.5), seed=1)]
    finished = [one.finished for one in drawn]
    assert sum(finished) > 20
    for source, one in zip(SOURCES * 20, drawn, strict=True):
        if source and one.finished:
            assert one.log_probability == pytest.approx(next(model.score([(source, one.text)])), abs=1e-3)
    endless = [one for (one,) in translator(end=-30.0).sample(SOURCES, SamplingOptions(), seed=1)]
    assert [one.finished for one in endless] == [not source for source in SOURCES]
    assert endless[0].log_probability == pytest.approx(prefix(translator(end=-30.0), "abc", endless[0].text), abs=1e-3)


def test_evaluation_counts_outputs_that_were_cut(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("abc\ttuv\na\tw\nii\tzz\n")
    model = translator(end=-30.0)
    scores = evaluate(model.network, model.vocabulary, open_pairs([path]), EvaluationOptions(), max_length_ratio=1.0)
    assert scores["cut"] == 3
    assert "3 of 3 outputs were cut at the length limit" in report(scores)
    ending = translator(end=9.0)
    scores = evaluate(ending.network, ending.vocabulary, open_pairs([path]), EvaluationOptions(), max_length_ratio=1.0)
    assert scores["cut"] == 0
    assert "cut" not in report({**scores, "examples": []})


def test_lines_that_were_cut_have_one_notice_and_a_field(capsys):
    whole, cut = Translation("tu", -1.0, -2.0), Translation("vw", -3.0, -4.0, finished=False)
    notice = translations.CutCounter()
    for number, n_best in enumerate([[whole], [cut], [whole, cut], [cut]], start=1):
        notice.add(Line(number, "ab", "ab\n"), n_best)
    notice.report()
    err = capsys.readouterr().err
    assert "2 translations were cut at the length limit" in err
    assert "line 2" in err
    line = Line(7, "ab", "ab\n")
    assert (
        translations.as_text(line, [whole, cut], scores=False, numbered=True) == "7\t-1.0000\ttu\n7\t-3.0000\tvw\tcut\n"
    )
    assert translations.as_text(line, [cut], scores=True, numbered=False) == "-3.0000\tvw\tcut\n"
    assert translations.as_text(line, [cut], scores=False, numbered=False) == "vw\n"
    outputs = json.loads(translations.as_object(line, [whole, cut]))["outputs"]
    assert [one["finished"] for one in outputs] == [True, False]
    translations.CutCounter().report()
    assert capsys.readouterr().err == ""


def test_the_verb_says_that_an_output_was_cut(reverser, tmp_path, capsysbinary, monkeypatch):
    import recurra.tasks.translator.verbs.translate as verb

    def endless(*arguments, **options):
        model = original(*arguments, **options)
        with torch.no_grad():
            model.network.decoder.readout.bias[EOS] -= 30.0
        return model

    original = verb.open_model
    monkeypatch.setattr(verb, "open_model", endless)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\nabc\n")))
    verb.translate(reverser, scores=True, beam=1)
    out, err = capsysbinary.readouterr()
    assert out.decode().splitlines()[1].endswith("\tcut")
    assert b"1 translation was cut" in err
    assert b"line 2" in err


def test_attention_of_an_unfinished_output_has_no_row_for_the_end(tmp_path):
    model = translator()
    whole, cut = model.attention("abc", "tuv"), model.attention("abc", "tuv", finished=False)
    assert (whole.target, cut.target) == ([*"tuv", ""], [*"tuv"])
    assert cut.weights.shape == (3, 4)
    assert (cut.weights == whole.weights[:3]).all()
    pytest.importorskip("matplotlib")
    plot = AttentionPlot(tmp_path / "plot.png", model)
    plot.add("abc", "tuv", finished=False)
    assert (tmp_path / "plot.png").exists()


def pairs_of(tmp_path, content):
    path = tmp_path / "pairs.tsv"
    path.write_text(content)
    return open_pairs([path])


def word_translator(words):
    """A translator to some words, its weights those of the largest vocabulary's first rows."""
    vocabulary = Vocabulary(Side(CharTokenizer(list(READ))), Side(WordTokenizer(["<unk>", "<eos>", *words])))
    assert vocabulary.target.size == small.TARGETS
    return Translator(small.network(dtype=torch.float32, seed=2), vocabulary, NetworkOptions(), 1.0)


def test_unknown_target_words_are_counted_and_pay_for_their_spelling(tmp_path):
    model = word_translator(["one", "two", "three", "four", "five", "six"])
    pairs = pairs_of(tmp_path, "abc\tone eleven two\na\t<unk> six\nii\tseventy\n")
    scores = evaluate(model.network, model.vocabulary, pairs, EvaluationOptions(beam=1), max_length_ratio=1.0)
    assert (scores["unknown"], scores["unknown_share"]) == (2, 2 / 9)
    spell = model.vocabulary.target.tokenizer.spelling_nats
    bits = (scores["loss"] * 9 + spell("eleven") + spell("seventy")) / math.log(2)
    assert scores["bits_per_char"] == pytest.approx(bits / (len("one eleven two") + len("<unk> six") + 7 + 3))
    known = scores["loss"] * 9
    for source, before, after in (("abc", "one", "one <unk>"), ("ii", "", "<unk>")):
        known += prefix(model, source, after) - prefix(model, source, before)
    assert scores["perplexity_known"] == pytest.approx(math.exp(known / 7), rel=1e-3)
    assert "22.22 %  of the target symbols" in report({**scores, "examples": []})


def test_a_given_target_with_unknown_words_is_not_more_probable_for_them():
    model = word_translator(["one", "two", "three", "four", "five", "six"])
    spelled, literal = model.score([("abc", "one eleven"), ("abc", "one <unk>")])
    assert spelled == pytest.approx(literal - model.vocabulary.target.tokenizer.spelling_nats("eleven"), abs=1e-4)
    assert model.vocabulary.target.missing("one <unk> <eos> x") == ["<eos>", "x"]

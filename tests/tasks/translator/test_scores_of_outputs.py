"""Scores of outputs: equal to sacrebleu's; with several references the nearest counts."""

import sys

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from recurra.data import CharTokenizer, WordTokenizer
from recurra.errors import InputError, RecurraError
from recurra.metrics import check_bleu
from recurra.tasks.translator.report import count_edits, report, score_outputs
from recurra.tasks.translator.vocabulary import Side

WORDS = Side(WordTokenizer(["<unk>", "<eos>", "the", "cat", "sat", "on", "mat", "a", "dog"]))
CHARACTERS = Side(CharTokenizer(["a", "b", "c"]))


def test_bleu_and_chrf_are_what_sacrebleu_says_called_directly():
    outputs = ["the cat sat on the mat", "a dog sat", ""]
    references = [["the cat sat on a mat"], ["the dog sat"], ["the cat"]]
    scores = score_outputs(outputs, references, side=WORDS)
    streams = [[one for (one,) in references]]
    for name, metric in (("bleu", BLEU()), ("chrf", CHRF())):
        assert scores[name] == metric.corpus_score(outputs, streams).score
        assert scores[f"{name}_signature"] == str(metric.get_signature())
    assert 0 < scores["bleu"] < 100


def test_references_of_different_number_go_to_sacrebleu_as_such():
    outputs, references = (
        ["the cat sat on the mat", "a dog sat"],
        [["the dog", "the cat sat on a mat"], ["the dog sat"]],
    )
    scores = score_outputs(outputs, references, side=WORDS)
    streams = [["the dog", "the dog sat"], ["the cat sat on a mat", None]]
    assert scores["bleu"] == BLEU().corpus_score(outputs, streams).score
    assert "nrefs:var" in scores["bleu_signature"]
    first = score_outputs(outputs, [one[:1] for one in references], side=WORDS)
    assert scores["bleu"] > first["bleu"]
    assert scores["chrf"] > first["chrf"]


def test_exact_and_token_errors_count_the_nearest_reference():
    outputs = ["the cat", "a dog sat", "the mat"]
    references = [["a dog", "the cat"], ["the dog sat on a mat", "the dog sat"], ["the mat sat on a mat"]]
    scores = score_outputs(outputs, references, side=WORDS, bleu=False)
    assert scores == {"exact": pytest.approx(1 / 3), "word_error": pytest.approx(2 / 3), "token_error": 5 / 11}
    assert count_edits(outputs, references, side=WORDS) == [0, 1, 4]


def test_symbols_that_are_unknown_are_compared_by_their_spelling():
    assert count_edits(["the elk"], [["the elk"]], side=WORDS) == [0]
    assert count_edits(["the elk"], [["the emu"]], side=WORDS) == [1]
    assert count_edits(["the <unk>"], [["the emu"]], side=WORDS) == [1]
    assert count_edits(["axb", "äbc"], [["ayb"], ["äbc"]], side=CHARACTERS) == [1, 0]


def test_nothing_to_score_and_ways_to_cut_that_are_not_known_are_refused():
    with pytest.raises(InputError, match="no outputs to score"):
        score_outputs([], [], side=WORDS)
    with pytest.raises(InputError, match="no bleu_tokenize 'zho'. Did you mean 'zh'"):
        check_bleu("zho")
    assert "tok:zh" in score_outputs(["汉字"], [["汉字"]], side=CHARACTERS, tokenize="zh")["bleu_signature"]


def test_without_sacrebleu_only_what_needs_it_fails_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    assert score_outputs(["abc"], [["abd"]], side=CHARACTERS, bleu=False)["token_error"] == pytest.approx(1 / 3)
    with pytest.raises(RecurraError, match=r"pip install 'recurra\[translate\]'"):
        score_outputs(["abc"], [["abd"]], side=CHARACTERS)


def test_the_report_shows_scores_signatures_and_what_is_furthest_off():
    scores = score_outputs(["a dog"], [["the dog", "dog", "cat", "mat"]], side=WORDS)
    example = {"place": "t.tsv:7", "source": "ein Hund", "output": "a dog", "references": ["the dog"] * 5, "edits": 1}
    text = report({**scores, "loss": 1.5, "sentences": 1, "seen": 1, "unknown": 0, "cut": 0, "examples": [example]})
    assert "1.5000 nats per symbol" in text
    assert scores["bleu_signature"] in text
    assert "1 of 1 sources are in the training data" in text
    assert "t.tsv:7\n    source     ein Hund\n    output     a dog\n    reference  the dog\n" in text
    assert "… and 2 more references" in text

"""A trained translator: order, beams, given targets, draws, attention; saved and loaded it says the same."""

import numpy as np
import pytest
import reversing
import torch

import recurra
from recurra.decoding import BeamOptions, SamplingOptions
from recurra.errors import InputError, RecurraError


@pytest.fixture(scope="module")
def model(reverser):
    return recurra.load(reverser)


def test_it_has_learned_to_write_words_backwards(model):
    sources = list(dict.fromkeys(reversing.words(100, seed=9)))
    translations = model.translate(sources)
    assert sum(one == source[::-1] for one, source in zip(translations, sources, strict=True)) >= 0.95 * len(sources)


def test_outputs_come_in_order_and_do_not_depend_on_their_neighbours(model):
    sources = ["abc", "", "d", "abcda", " ", "ba"]
    together = model.translate(sources, beam=3, coverage_penalty=0.3)
    assert together == [model.translate([one], beam=3, coverage_penalty=0.3)[0] for one in sources]
    assert (together[1], together[4]) == ("", "")
    assert together[0] == "cba"


def test_what_is_not_covered_does_not_count_padding(model):
    options = BeamOptions(coverage_penalty=0.5)
    together = [n_best[0].score for n_best in model.outputs(["a", "ba", "abcdabcd"], options)]
    alone = [next(model.outputs([one], options))[0].score for one in ("a", "ba", "abcdabcd")]
    assert together == pytest.approx(alone, abs=1e-3)


def test_sources_are_read_as_they_are_needed(model):
    read = []

    def sources():
        for word in ("ab", "cd", "da"):
            read.append(word)
            yield word

    outputs = model.outputs(sources(), window=1)
    next(outputs)
    assert read == ["ab"]
    next(outputs)
    assert read == ["ab", "cd"]


def test_n_best_are_sorted_and_distinct_and_their_log_probabilities_those_of_given_targets(model):
    (n_best,) = model.outputs(["abca"], BeamOptions(beam=6, nbest=6, length_penalty=0.0))
    assert len({one.text for one in n_best}) == 6
    assert [one.score for one in n_best] == sorted((one.score for one in n_best), reverse=True)
    forced = list(model.score(("abca", one.text) for one in n_best))
    assert forced == pytest.approx([one.log_probability for one in n_best], abs=1e-4)
    assert [one.score for one in n_best] == pytest.approx([one.log_probability for one in n_best])


def test_given_pairs_are_scored_alike_alone_and_together(model):
    pairs = [("abc", "cba"), ("a", "bbbbbbb"), ("dcba", ""), ("", "a")]
    together = list(model.score(pairs))
    assert together == pytest.approx([next(model.score([pair])) for pair in pairs], abs=1e-4)
    assert together[0] > -1 > -5 > together[1]


def test_draws_depend_on_the_seed_and_the_row_alone(model):
    hot = SamplingOptions(temperature=3.0)
    sources = ["abca", "", "dd", "abcda"]
    first, again = ([one[0] for one in model.sample(sources, hot, seed=5)] for _ in range(2))
    assert first == again
    assert first[1].text == ""
    alone = [one[0].text for one in model.sample(sources[:1], hot, seed=5)]
    assert alone == [first[0].text]
    assert first != [one[0] for one in model.sample(sources, hot, seed=6)]
    assert [one[0].text for one in model.sample(sources, hot, seed=5, window=1)] == [one.text for one in first]
    (greedy,) = model.sample(["abc"], SamplingOptions(greedy=True), seed=0)
    assert greedy[0].text == model.translate(["abc"], beam=1)[0]
    (forced,) = model.score([("abca", first[0].text)])
    assert first[0].log_probability == pytest.approx(forced, abs=1e-3)


def test_longer_sources_than_any_seen_and_unknown_characters_work(model):
    translations = model.translate(["abcd" * 60, "axyzb", "汉字"])
    assert all("�" not in one for one in translations)
    assert len(translations[0]) > 5
    assert model.translate(["ab\ncd"]) == model.translate(["ab cd"])


def test_attention_tells_where_each_letter_was_read(model):
    looked = model.attention("abc", "cba")
    assert (looked.source, looked.target) == (["a", "b", "c", ""], ["c", "b", "a", ""])
    assert looked.weights.shape == (4, 4)
    assert looked.weights.sum(1) == pytest.approx(np.ones(4), abs=1e-5)


def test_a_string_in_place_of_a_list_and_misspelt_options_are_refused(model):
    with pytest.raises(InputError, match="expected a list of texts"):
        model.translate("abc")
    with pytest.raises(InputError, match="no option 'bem'. Did you mean 'beam'"):
        model.translate(["abc"], bem=3)
    with pytest.raises(InputError, match="evaluate: there is no option 'nbest'"):
        model.evaluate("x.tsv", nbest=2)


def test_evaluation_knows_what_was_trained_on_and_takes_the_best_target(model, tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("abc\txxx\nabc\tcba\nd\td\nbbacbbdacbd\ty\n")
    scores = model.evaluate(path)
    assert (scores["sentences"], scores["seen"]) == (3, 2)
    assert scores["exact"] == pytest.approx(2 / 3)
    assert [one["place"] for one in scores["examples"]] == [f"{path}:4"]
    assert scores["perplexity"] == pytest.approx(np.exp(scores["loss"]))


def test_greedy_evaluation_is_what_training_said_of_the_validation_data(model, reverser):
    import json

    metrics = json.loads((reverser / "metrics.json").read_text())
    scores = model.evaluate(reverser.parent / "valid.tsv", beam=1)
    assert scores["token_error"] == metrics["valid_token_error"]
    assert scores["exact"] == metrics["valid_exact"]
    assert scores["loss"] == pytest.approx(metrics["valid_loss"], rel=1e-3)


@pytest.fixture(scope="module")
def plain(reverser, tmp_path_factory):
    """A translator of words without attention after two steps, and its folder."""
    out = tmp_path_factory.mktemp("plain") / "m"
    options = {**reversing.TINY, "attention": "none", "best_by": "loss", "cell": "gru", "num_layers": 2, "steps": 2}
    return recurra.train("translator", reverser.parent / "train.tsv", out=out, **options), out


def test_saved_and_loaded_it_says_the_same(plain):
    trained, folder = plain
    loaded, sources = recurra.load(folder), ["abc", "dab", "c"]
    first, again = (list(one.outputs(sources, BeamOptions(nbest=3))) for one in (trained, loaded))
    assert first == again
    assert all(
        torch.equal(one, other)
        for one, other in zip(trained.network.parameters(), loaded.network.parameters(), strict=True)
    )


def test_attention_that_is_not_there_is_not_shown(plain):
    with pytest.raises(InputError, match="no attention: train one with --attention general"):
        plain[0].attention("a", "b")


def test_a_missing_sacrebleu_is_told_before_training_where_bleu_chooses(monkeypatch, reverser, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    options = {**reversing.TINY, "best_by": "bleu", "steps": 1}
    with pytest.raises(RecurraError, match="BLEU and chrF need sacrebleu"):
        recurra.train("translator", reverser.parent / "train.tsv", out=tmp_path / "m", **options)

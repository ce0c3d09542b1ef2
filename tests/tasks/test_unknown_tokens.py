"""Scores of language models whose vocabulary lacks a part of the text: a smaller vocabulary gains nothing."""

import gzip
import json
import math

import numpy as np
import pytest
import torch

import recurra
from recurra.data import WordTokenizer, build_tokenizer, encode, open_text
from recurra.errors import InputError
from recurra.tasks.fields import read_fields
from recurra.tasks.job import Job
from recurra.tasks.language_model.data import prepare
from recurra.tasks.language_model.evaluation import Nats, nats_in_order, nats_in_parts
from recurra.tasks.language_model.implementation import IMPLEMENTATION
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.options import NetworkOptions, TextOptions, WindowOptions
from recurra.tasks.language_model.report import PredictedText, report, scores_of
from recurra.tasks.language_model.verbs.score import score as score_verb
from recurra.training import TrainingOptions

SIZES = {"hidden_size": 16, "embedding_size": 8}
TRAINING = {**SIZES, "batch_size": 4, "update_every": 16, "seed": 1}
NOUNS = ["cat", "dog", "fox", "bird", "horse", "mouse", "cow", "sheep"]
VERBS = ["sees", "likes", "hears", "finds"]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory):
    generator = np.random.default_rng(0)
    lines = [
        f"the {generator.choice(NOUNS)} {generator.choice(VERBS)} the {generator.choice(NOUNS)}" for _ in range(600)
    ]
    path = tmp_path_factory.mktemp("sentences") / "text.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def models(sentences, tmp_path_factory):
    """The models of three, eight and all words, and one of characters."""
    folder = tmp_path_factory.mktemp("models")

    def train(name, **options):
        model = recurra.train("lm", sentences, out=folder / name, steps=150, learning_rate=1e-2, **TRAINING, **options)
        return model, json.loads((folder / name / "metrics.json").read_text()), folder / name

    return {
        "three": train("three", unit="word", vocabulary_size=3),
        "eight": train("eight", unit="word", vocabulary_size=8),
        "all": train("all", unit="word"),
        "char": train("char"),
    }


def test_a_smaller_vocabulary_has_more_bits_per_character(models, sentences):
    bits = {name: model.evaluate(sentences)["bits_per_char"] for name, (model, _, _) in models.items()}
    assert bits["all"] < bits["eight"] < bits["three"]
    assert bits["char"] < bits["three"]
    metrics = {name: metrics["valid_bits_per_char"] for name, (_, metrics, _) in models.items()}
    assert metrics["all"] < metrics["eight"] < metrics["three"]


def test_the_share_of_unknown_tokens_and_the_score_without_them_are_reported(models, sentences):
    model, metrics, _ = models["eight"]
    scores = model.evaluate(sentences)
    words = sentences.read_text().replace("\n", " <eos> ").split()
    unknown = [word for word in words[1:] if word not in model.tokenizer.symbols]
    assert scores["unknown_share"] == pytest.approx(len(unknown) / (len(words) - 1))
    tokens = torch.from_numpy(model.tokenizer.encode(sentences.read_text()))
    with torch.inference_mode():
        losses, *_ = model.network(tokens[:-1, None], model.network.initial_state(1))
        losses = torch.nn.functional.cross_entropy(losses[:, 0], tokens[1:], reduction="none")
    known = losses[tokens[1:] != 0]
    assert scores["perplexity"] == pytest.approx(math.exp(losses.mean()), rel=1e-4)
    assert scores["perplexity_known"] == pytest.approx(math.exp(known.mean()), rel=1e-4)
    spelling = sum(model.tokenizer.spelling_nats(word) for word in unknown)
    bits = (losses.double().sum().item() + spelling) / math.log(2) / (len(sentences.read_text()) - len("the"))
    assert scores["bits_per_char"] == pytest.approx(bits, rel=1e-5)
    assert 0 < metrics["valid_unknown_share"] < 1
    assert metrics["valid_perplexity_known"] != metrics["valid_perplexity"]
    assert "unknown share" in report(scores)
    assert "spelling" in report(scores)


def test_where_nothing_is_unknown_the_figures_are_those_of_all_tokens(models, sentences):
    model, metrics, _ = models["all"]
    scores = model.evaluate(sentences)
    assert scores["unknown"] == scores["unknown_share"] == scores["spelling_bits_per_char"] == 0
    assert scores["perplexity_known"] == scores["perplexity"]
    assert "valid_unknown_share" not in metrics
    assert "unknown share" not in report(scores)


def test_a_text_of_unknown_words_alone_has_no_score_without_them(models, tmp_path):
    text = tmp_path / "unknown.txt"
    text.write_text("zebra giraffe okapi")
    scores = models["all"][0].evaluate(text)
    assert scores["unknown_share"] == 1
    assert "perplexity_known" not in scores
    assert scores["bits_per_char"] > 3
    assert "okapi" not in report(scores)


def test_a_spelled_unknown_symbol_counts_as_a_word(models, tmp_path):
    text = tmp_path / "ptb.txt"
    text.write_text("the <unk> sees the cat\n" * 5)
    scores = models["all"][0].evaluate(text)
    assert scores["unknown"] == scores["unknown_share"] == 0
    assert scores["bits_per_char"] == pytest.approx(scores["loss"] * 29 / math.log(2) / (5 * 23 - 3))


def test_unknown_characters_pay_eight_bits_a_byte(models, tmp_path):
    text = tmp_path / "foreign.txt"
    text.write_text("the cät sees\n")
    model = models["char"][0]
    scores = model.evaluate(text)
    assert scores["spelling_bits_per_char"] == pytest.approx(16 / 12)
    assert scores["bits_per_char"] == pytest.approx(scores["loss"] / math.log(2) + 16 / 12)


def test_characters_cut_by_their_count_do_not_make_a_model_better(sentences, tmp_path):
    def bits(folder, **options):
        model = recurra.train("lm", sentences, out=tmp_path / folder, steps=60, **TRAINING, **options)
        return model.evaluate(sentences)["bits_per_char"]

    assert bits("cut", min_count=700) > bits("whole")


def test_training_shows_bits_with_the_cost_of_unknown_characters(sentences, tmp_path):
    prepared = prepare([sentences], TextOptions(min_count=700), tmp_path / "run")
    network, window = read_fields(NetworkOptions, SIZES, where="test"), WindowOptions(batch_size=2, update_every=8)
    job = Job(IMPLEMENTATION, prepared, {"network": network, "window": window, "training": TrainingOptions(seed=0)})
    shown = job.trainable.describe(1.0)["bits_per_char"]
    share = prepared.train.header.unknown / len(prepared.train)
    assert share > 0.1
    assert shown == pytest.approx((1 + prepared.train.header.spelling / len(prepared.train)) / math.log(2))
    assert shown > 1 / math.log(2) + 7 * share


@torch.no_grad()
@pytest.mark.parametrize(("parts", "context"), [(1, 0), (3, 100), (7, 16)])
def test_losses_on_unknown_tokens_are_the_same_in_parts(models, sentences, tmp_path, parts, context):
    model = models["eight"][0]
    corpus = encode(open_text(sentences), model.tokenizer, tmp_path / "tokens")
    tokens, places = corpus.tokens[:601], corpus.unknown_places[corpus.unknown_places < 601]
    network = model.network.eval()
    whole = nats_in_order(network, tokens, vocabulary=8, unknown=places)
    nats = nats_in_parts(network, tokens, vocabulary=8, unknown=places, parts=parts, context=context)
    assert 0 < whole.unknown < whole.total
    assert nats.unknown == pytest.approx(whole.unknown, rel=0.02)
    assert nats.total == pytest.approx(whole.total, rel=0.02)


def test_a_text_encoded_by_an_earlier_version_leaves_out_what_it_did_not_count():
    tokenizer = WordTokenizer(["<unk>", "<eos>", "a"])
    scores = scores_of(Nats(10.0, 0.0, 10), PredictedText(20, 4, None), tokenizer)
    assert scores.keys() == {"loss", "perplexity", "unknown_share"}


def notes_of(files, folder, **options):
    return "\n".join(prepare(files, TextOptions(unit="word", **options), folder).notes())


def test_notes_tell_words_that_were_cut_from_words_that_never_occurred(sentences, tmp_path):
    valid = tmp_path / "valid.txt"
    valid.write_text("the zebra sees the cat\n" * 10)
    whole = notes_of([sentences], tmp_path / "a", valid=[valid])
    assert "validation text: 10 of 60 tokens (16.7 %) never occur in the training text ('zebra')" in whole
    assert "learned as <unk>" not in whole
    cut = notes_of([sentences], tmp_path / "b", valid=[valid], vocabulary_size=3)
    assert "validation text: 30 of 60 tokens (50 %) are outside the vocabulary" in cut
    assert "training text: " in cut
    assert "are outside the vocabulary" in cut
    assert "learned as <unk>" in cut
    rare = notes_of([sentences], tmp_path / "c", valid=[valid], min_count=500)
    assert "never occur" not in rare


def test_a_model_to_go_on_from_lacks_words_of_the_training_text(models, tmp_path):
    text = tmp_path / "new.txt"
    text.write_text("the zebra sees the giraffe\n" * 100)
    tokenizer = models["all"][0].tokenizer
    prepared = prepare([text], TextOptions(unit="word"), tmp_path / "run", tokenizer=tokenizer)
    notes = "\n".join(prepared.notes())
    assert "never occur" not in notes
    assert "('zebra', 'giraffe')" in notes
    assert "learned as <unk>" in notes


def test_a_line_of_unknown_words_is_more_surprising_than_known_ones(models):
    model = models["eight"][0]
    known, unknown = model.score(["the the the", "xylophone xylophone xylophone"])
    assert unknown.unknown == 3
    assert known.unknown == known.spelling == 0
    assert unknown.nats > known.nats
    assert unknown.spelling == pytest.approx(3 * model.tokenizer.spelling_nats("xylophone"))
    assert unknown.perplexity == pytest.approx(math.exp((unknown.nats - unknown.spelling) / unknown.tokens))


def test_the_verb_says_how_many_tokens_are_unknown(models, tmp_path, capsys):
    folder, lines = models["eight"][2], tmp_path / "lines.txt"
    lines.write_text("the zebra\nthe the\n")
    score_verb(folder, lines, as_json=True)
    output = capsys.readouterr()
    first = json.loads(output.out.splitlines()[0])
    assert first["unknown"] == 1
    assert first["spelling_bits"] > 8
    assert "1 of 6 tokens (16.7 %) are outside the vocabulary" in output.err
    lines.write_text("the the\n")
    score_verb(folder, lines)
    assert capsys.readouterr().err == ""


def test_a_diverged_model_has_a_perplexity_that_can_be_read(sentences):
    model = LanguageModel.new(
        build_tokenizer("char", open_text(sentences)), read_fields(NetworkOptions, SIZES, where="test")
    )
    with torch.no_grad():
        model.network.embedding.weight.fill_(1.0)
        for parameter in model.network.parameters():
            parameter.mul_(1e6)
    scores = model.evaluate(sentences)
    assert scores["loss"] > 1000
    assert max(len(line) for line in report(scores).splitlines()) < 120
    assert "inf" in report(scores)


def test_packed_lines_are_refused_for_what_they_are(models, tmp_path):
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress(b"the cat\n" * 9))
    with pytest.raises(InputError, match="is compressed by gzip, expected text in UTF-8. Unpack it first"):
        score_verb(models["char"][2], path)

"""A language model in Python: generation, evaluation and scoring, and the errors of invalid arguments."""

import math

import pytest
import torch

import recurra
from recurra.data import build_tokenizer, encode, open_text
from recurra.decoding import SamplingOptions
from recurra.errors import InputError
from recurra.tasks.job import Job
from recurra.tasks.language_model import evaluation
from recurra.tasks.language_model.data import prepare
from recurra.tasks.language_model.evaluation import Nats, line_batches
from recurra.tasks.language_model.implementation import IMPLEMENTATION
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.options import NetworkOptions, TextOptions, WindowOptions
from recurra.tasks.language_model.report import PredictedText, predicted_characters, scores_of
from recurra.tasks.recurrent_options import RecurrentOptions
from recurra.training import TrainingOptions


@pytest.fixture
def model(trained):
    return recurra.load(trained)


@pytest.fixture
def words(tmp_path):
    """A model of words, not trained."""
    text = tmp_path / "words.txt"
    text.write_text("the cat sees a dog\n" * 9)
    torch.manual_seed(0)
    return LanguageModel.new(
        build_tokenizer("word", open_text(text)),
        NetworkOptions(recurrent=RecurrentOptions(hidden_size=6), embedding_size=3),
    )


def test_without_a_seed_every_text_is_another(model):
    assert len({model.generate("the", length=60) for _ in range(4)}) > 1


def test_sampling_may_be_given_as_keywords(model):
    options = {"temperature": 0.8, "top_p": 0.9}
    text = model.generate("the", length=60, seed=1, sampling=SamplingOptions(**options))
    assert model.generate("the", length=60, seed=1, **options) == text
    assert model.generate_many("the", samples=2, length=60, seed=1, **options)[0] == text
    assert "".join(piece for (piece,) in model.stream("the", length=60, seed=1, **options)) == text
    assert model.generate("the", length=60, seed=1, greedy=True) == model.generate("the", length=60, greedy=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples=0: expected a whole number of 1 or more"),
        ({"length": -1}, "length=-1: expected a whole number of 0 or more, or None"),
        ({"length": 2.5}, "length=2.5: expected"),
        ({"seed": -1}, "seed=-1: expected a whole number from 0 to"),
        ({"seed": 2**63}, "expected a whole number from 0 to"),
        ({"temprature": 1.0}, "no option 'temprature'. Did you mean 'temperature'"),
        ({"lenght": 3}, "Did you mean 'length'"),
        ({"top_k": 0}, "top_k=0"),
        ({"sampling": SamplingOptions(), "greedy": True}, "sampling and greedy: set either sampling or its fields"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(model, options, message):
    # The call itself refuses: nothing has been asked of the iterator yet.
    with pytest.raises(InputError, match=message):
        model.stream("the", **options)
    with pytest.raises(InputError, match=message):
        model.generate_many("the", **({"samples": 1} | options))


def test_between_two_pieces_the_caller_may_train(model):
    pieces = model.stream("the", length=3, seed=0)
    next(pieces)
    assert not torch.is_inference_mode_enabled()
    scores = model.score(["a", "b"], batch_size=1)
    next(scores)
    assert not torch.is_inference_mode_enabled()


def test_one_text_is_not_many(model):
    with pytest.raises(InputError, match="generate writes one text: for samples=2 use generate_many"):
        model.generate("the", samples=2)


def test_one_stop_string_is_not_its_letters(model):
    text = model.generate("the cat", length=60, seed=0, stop="sees a dog")
    assert text == model.generate("the cat", length=60, seed=0, stop=["sees a dog"])
    assert len(text) > 4


@pytest.mark.parametrize("prompt", ["", " ", "\t "])
def test_a_prompt_of_no_tokens_is_a_line_begun(words, prompt):
    assert words.generate(prompt, length=5, seed=0) == words.generate("\n", length=5, seed=0)


def test_one_file_or_several_are_evaluated_with_or_without_a_folder(model, text, tmp_path):
    wanted = model.evaluate([text], tmp_path)
    for files in (text, str(text), [str(text)]):
        assert model.evaluate(files) == wanted
    assert model.evaluate(text, folder=str(tmp_path)) == wanted
    assert model.evaluate([text, text])["tokens"] == 2 * wanted["tokens"]


def test_bits_per_character_count_the_characters_of_the_text(words, tmp_path):
    text = tmp_path / "held.txt"
    text.write_text("the zebra   sees\n an unknowable    dog\n" * 3)
    content = text.read_text()
    scores = words.evaluate(text)
    spelling = 3 * sum(map(words.tokenizer.spelling_nats, ["zebra", "an", "unknowable"]))
    assert words.tokenizer.missing(content) == ["zebra", "an", "unknowable"] * 3
    bits = (scores["loss"] * (scores["tokens"] - 1) + spelling) / math.log(2)
    assert scores["characters"] == len(content)
    assert scores["bits_per_char"] == pytest.approx(bits / (len(content) - len("the")))


def test_training_and_its_end_count_the_same_characters(tmp_path):
    text, held = tmp_path / "text.txt", tmp_path / "held.txt"
    text.write_text("the cat sees a dog\n" * 9)
    held.write_text("the zebra   sees\n an unknowable    dog\n" * 3)
    prepared = prepare([text], TextOptions(unit="word", valid=[held]), tmp_path / "run")
    window = WindowOptions(batch_size=1, update_every=4)
    network = NetworkOptions(recurrent=RecurrentOptions(hidden_size=6), embedding_size=3)
    options = {"network": network, "window": window, "training": TrainingOptions(seed=0)}
    job = Job(IMPLEMENTATION, prepared, options)
    scores, evaluated = job.final_scores(), job.model.evaluate(held)
    with torch.inference_mode():
        valid = job.trainable.validate(job.model.network)
    for name in ("loss", "perplexity", "bits_per_char"):
        assert scores[name] == pytest.approx(evaluated[name])
        assert valid[name] == pytest.approx(evaluated[name])


def test_every_unit_predicts_all_characters_but_the_first_token(words, model, text, tmp_path):
    corpus = encode(open_text(text), model.tokenizer, tmp_path / "char.bin")
    assert predicted_characters(corpus, model.tokenizer) == len(text.read_text()) - 1
    corpus = encode(open_text(text), words.tokenizer, tmp_path / "word.bin")
    first = words.tokenizer.characters(corpus.tokens[:1])
    assert predicted_characters(corpus, words.tokenizer) == len(text.read_text()) - first
    scores = scores_of(Nats(10.0, 0.0, 10), PredictedText(20, 0, 0.0), words.tokenizer)
    assert scores["bits_per_char"] == pytest.approx(0.5 / math.log(2))


LINES = ["the cat sees a dog.", "a", "", "my fox likes the cat. " * 20, "dog cat the zz", "my fox"]


def test_long_lines_score_the_same_in_windows(model, monkeypatch):
    whole = list(model.score(LINES))
    steps, forward = [], model.network.forward
    monkeypatch.setattr(evaluation, "_MAX_STEPS", 24)
    monkeypatch.setattr(evaluation, "_MAX_PADDED", 100)

    def counted(tokens, state, **options):
        steps.append(tokens.shape[0] * tokens.shape[1])
        return forward(tokens, state, **options)

    monkeypatch.setattr(model.network, "forward", counted)
    pieces = list(model.score(LINES))
    assert [(score.text, score.tokens) for score in pieces] == [(score.text, score.tokens) for score in whole]
    assert [score.nats for score in pieces] == pytest.approx([score.nats for score in whole], abs=1e-4)
    assert max(steps) <= 24


def test_a_batch_is_no_larger_than_its_padding_allows(model, monkeypatch):
    monkeypatch.setattr(evaluation, "_MAX_PADDED", 100)
    batches = list(line_batches(model.tokenizer, LINES, batch_size=4))
    assert [line.text for batch in batches for line in batch] == LINES
    assert all(len(batch) * max(len(line.tokens) for line in batch) <= 100 or len(batch) == 1 for batch in batches)
    assert max(map(len, batches)) > 1
    assert [len(batch) for batch in line_batches(model.tokenizer, ["a"] * 9, batch_size=4)] == [4, 4, 1]


def test_a_batch_of_no_lines_is_refused(model):
    with pytest.raises(InputError, match="batch_size=0: expected a whole number of 1 or more"):
        model.score(["a"], batch_size=0)

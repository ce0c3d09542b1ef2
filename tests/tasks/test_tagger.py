"""A tagger on files of a small grammar: it learns, repeats, resumes, and says the same of a sentence wherever it is."""

import json
import random
import re

import pytest
import tagging
import torch

import recurra
from recurra.cli.app import main
from recurra.errors import InputError
from recurra.tasks.tagger.batch import Forms
from recurra.training import Silent


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    for name, text in {
        "train.conllu": tagging.conllu(120),
        "test.conllu": tagging.conllu(40, seed=1),
        "train.tsv": tagging.columns(120),
        "test.tsv": tagging.columns(40, seed=1),
        "train.txt": tagging.columns(120, features=True),
    }.items():
        (folder / name).write_text(text)
    return folder


def trained(files, name, out, **options):
    return recurra.train("tagger", files / name, out=out, **{"epochs": 6, "min_count": 1, **tagging.TINY, **options})


@pytest.fixture(scope="module")
def tagger(files, tmp_path_factory):
    """Parts of speech, two labels at once."""
    out = tmp_path_factory.mktemp("tagger") / "pos"
    trained(files, "train.conllu", out, labels=["upos", "xpos"])
    return out


@pytest.fixture(scope="module")
def namer(files, tmp_path_factory):
    """Names, by a random field."""
    out = tmp_path_factory.mktemp("tagger") / "names"
    trained(files, "train.tsv", out)
    return out


SENTENCES = [["the", "cat", "sees", "a", "sees", "Rome", "."], ["the", "fox", "likes", "New", "York", "."], ["Rome"]]


def test_it_learns_and_scores_on_files(tagger, files):
    scores = recurra.load(tagger).evaluate(files / "test.conllu")
    assert scores["accuracy"] > 0.99
    assert scores["labels"]["xpos"]["accuracy"] > 0.99
    assert scores["words"] == sum(map(len, tagging.drawn(40, seed=1)))
    assert json.loads((tagger / "metrics.json").read_text())["valid_accuracy"] > 0.95


def test_one_word_has_the_label_of_its_place(tagger):
    model = recurra.load(tagger)
    assert model.tag(SENTENCES)[0] == ["DET", "NOUN", "VERB", "DET", "NOUN", "PROPN", "PUNCT"]
    assert model.tag(SENTENCES, label="xpos")[0] == ["DT", "NN", "VBZ", "DT", "NNS", "NNP", "."]


def test_spans_are_recognised_tagged_and_scored(namer, files):
    model = recurra.load(namer)
    assert model.scheme == "bio"
    assert model.network.decoders is not None
    assert model.tag(SENTENCES)[1] == ["O", "O", "O", "B-LOC", "I-LOC", "O"]
    scores = model.evaluate(files / "test.tsv")
    assert scores["f1"] > 0.95
    assert scores["labels"]["label"]["by_span"][0]["span"] == "LOC"


@pytest.mark.parametrize("which", ["tagger", "namer"])
def test_a_sentence_is_tagged_alike_alone_in_a_batch_and_in_another_order(which, request):
    model = recurra.load(request.getfixturevalue(which))
    sentences = [model.sentence([word for word, *_ in words]) for words in tagging.drawn(60, seed=5)]
    together = list(model.annotate(sentences, probabilities=True))
    order = random.Random(0).sample(range(60), 60)
    turned = dict(zip(order, model.annotate([sentences[place] for place in order], probabilities=True), strict=True))
    for place, one in enumerate(together):
        (alone,) = model.annotate([sentences[place]], probabilities=True, window=0)
        for other in (alone, turned[place]):
            assert other.labels == one.labels
            for name, shares in one.probabilities.items():
                torch.testing.assert_close(other.probabilities[name], shares, rtol=0, atol=1e-5)


def test_probabilities_of_a_bio_label_are_those_of_all_its_codes(namer):
    model = recurra.load(namer)
    (tagged,) = model.annotate([model.sentence(["the", "cat", "sees", "Rome", "."])], probabilities=True)
    assert tagged.labels["label"][3] == "B-LOC"
    assert tagged.probabilities["label"][3] > 0.5
    assert all(share <= 1.0001 for share in tagged.probabilities["label"])


@pytest.mark.parametrize("options", [{"labels": ["upos", "xpos"]}, {"decoder": "crf"}])
def test_saved_and_loaded_it_says_the_same(files, tmp_path, options):
    model = trained(files, "train.conllu", tmp_path / "m", **options, epochs=2)
    again = recurra.load(tmp_path / "m")
    sentences = [model.sentence(words) for words in SENTENCES]
    first, second = ([one.labels for one in each.annotate(sentences, probabilities=True)] for each in (model, again))
    assert first == second


def test_features_are_read_beside_the_word(files, tmp_path):
    model = trained(
        files, "train.txt", tmp_path / "m", feature_columns=[2], word_size=4, character_size=0, affix_size=0
    )
    assert model.vocabulary.features == [sorted(model.vocabulary.features[0], key=model.vocabulary.features[0].index)]
    assert "NNP" in model.vocabulary.features[0]
    # An unknown word is a place by its feature alone.
    assert model.tag([[("the", "DT"), ("x", "NN"), ("sees", "VBZ"), ("y", "NNP"), (".", ".")]])[0][3] == "B-LOC"
    with pytest.raises(InputError, match=r"sentence 0: 'the', expected a tuple of the word and 1 features"):
        model.tag([["the"]])


def test_of_long_words_the_first_and_last_characters_are_read(tagger):
    model = recurra.load(tagger)
    forms = Forms(["the" * 14, "t" + "#" * 500 + "e", "the"], model.codec)
    assert forms.lengths.tolist() == [40, 40, 3]
    characters, _ = forms.characters(torch.tensor([1, 2]).numpy())
    known = model.vocabulary.character_ids
    assert [characters[0, 0], characters[1, 0], characters[39, 0]] == [known["t"], 0, known["e"]]
    assert characters[:3, 1].tolist() == [known[letter] for letter in "the"]


def test_it_overfits_eight_sentences(files, tmp_path):
    path = tmp_path / "eight.tsv"
    path.write_text(tagging.columns(8))
    options = {"valid": [path], "steps": 60, "dropout": 0.0, "word_dropout": 0.0}
    model = recurra.train("tagger", path, out=tmp_path / "m", **{**tagging.TINY, **options})
    assert model.evaluate(path)["accuracy"] == 1.0


def test_labels_of_words_that_say_nothing_are_no_better_than_the_most_frequent(tmp_path):
    generator = random.Random(0)
    blocks = ["".join(f"w\t{generator.choice('AAAB')}\n" for _ in range(6)) + "\n" for _ in range(60)]
    path = tmp_path / "noise.tsv"
    path.write_text("".join(blocks))
    model = recurra.train("tagger", path, out=tmp_path / "m", **{**tagging.TINY, "steps": 40})
    assert 0.6 < model.evaluate(path)["accuracy"] < 0.85


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "num_layers": 2, "learn_initial_state": True}], ids=str)
def test_with_one_direction_words_are_tagged_as_they_arrive(files, tmp_path, options):
    chosen = {"labels": ["upos", "xpos"], "bidirectional": False, **options}
    model = trained(files, "train.conllu", tmp_path / "m", **chosen)
    stream = model.stream()
    for words, upos, xpos in zip(SENTENCES, model.tag(SENTENCES), model.tag(SENTENCES, label="xpos"), strict=True):
        labels = [stream.push(word) for word in words]
        assert [one["upos"] for one in labels] == upos
        assert [one["xpos"] for one in labels] == xpos
        stream.end()


def test_both_directions_and_random_fields_cannot_stream(tagger, namer):
    with pytest.raises(InputError, match="train one with --no-bidirectional"):
        recurra.load(tagger).stream()
    model = recurra.load(namer)
    model.network.recurrent.bidirectional = False
    with pytest.raises(InputError, match="train one with --decoder softmax"):
        model.stream()


def test_a_tagger_that_reads_a_language_model_cannot_stream(files, trained_language, tmp_path):
    options = {"language_model": trained_language, "bidirectional": False, "epochs": 1}
    model = trained(files, "train.conllu", tmp_path / "m", **options)
    with pytest.raises(InputError, match="train one without --language-model"):
        model.stream()


def test_pretrained_vectors_stand_for_words_that_training_never_had(files, tmp_path):
    vectors = tmp_path / "v.vec"
    known = {**dict.fromkeys(tagging.NOUNS, "1 0 0"), "unicorn": "1 0 0"}
    known |= {verb + "s": "0 1 0" for verb in tagging.VERBS} | {"ponders": "0 1 0", "the": "0 0 1"}
    vectors.write_text("".join(f"{word} {numbers}\n" for word, numbers in known.items()))
    options = {
        "vectors": vectors,
        "character_size": 0,
        "affix_size": 0,
        "word_dropout": 2.0,
        "bidirectional": False,
        "num_layers": 1,
    }
    trained(files, "train.conllu", tmp_path / "m", **options)
    model = recurra.load(tmp_path / "m")
    assert model.network.vectors.weight[0].tolist() == [0, 0, 0]
    assert model.network.vectors.weight[model.pretrained.rows["unicorn"]].tolist() == [1, 0, 0]
    assert model.tag([["the", "unicorn", "ponders"]]) == [["DET", "NOUN", "VERB"]]


def test_a_language_model_is_read_beside_and_kept_with_the_tagger(files, trained_language, tmp_path):
    model = trained(files, "train.conllu", tmp_path / "m", language_model=trained_language)
    before = recurra.load(trained_language).network.state_dict()
    for name, tensor in recurra.load(tmp_path / "m").network.language_model.state_dict().items():
        assert torch.equal(tensor, before[name])
    again = recurra.load(tmp_path / "m")
    sentences = [model.sentence(words) for words in SENTENCES]
    together = list(again.annotate(sentences, probabilities=True))
    for one, sentence in zip(together, sentences, strict=True):
        (alone,) = again.annotate([sentence], probabilities=True)
        assert alone.labels == one.labels
        torch.testing.assert_close(alone.probabilities, one.probabilities, rtol=0, atol=1e-5)
    assert again.evaluate(files / "test.conllu")["accuracy"] > 0.95


@pytest.fixture(scope="module")
def trained_language(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    text = "".join(" ".join(word for word, *_ in words) + "\n" for words in tagging.drawn(100))
    (folder / "text.txt").write_text(text)
    options = {"hidden_size": 12, "embedding_size": 4, "batch_size": 4, "update_every": 16, "steps": 20}
    recurra.train("lm", folder / "text.txt", out=folder / "lm", **options)
    return folder / "lm"


def test_a_run_that_is_stopped_and_resumed_ends_in_the_same_bits(files, tmp_path):
    whole = trained(files, "train.conllu", tmp_path / "whole", epochs=3)

    class Stop(Silent):
        def advance(self, step):
            if step == 13:
                raise RuntimeError("the machine fails")

    out = tmp_path / "parts"
    with pytest.raises(RuntimeError, match="the machine fails"):
        trained(files, "train.conllu", out, epochs=3, checkpoint_every=1e-9, progress=Stop())
    (out / "training" / "checkpoint.pt").stat()
    resumed = recurra.train("tagger", out=out, resume=True)
    for (name, one), other in zip(
        whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


def test_training_goes_on_from_a_tagger(tagger, files, tmp_path):
    model = recurra.train(
        "tagger", files / "test.conllu", out=tmp_path / "m", init_from=tagger, steps=1, learning_rate=1e-9
    )
    assert model.layout.names == ["upos", "xpos"]
    assert model.tag(SENTENCES)[0] == ["DET", "NOUN", "VERB", "DET", "NOUN", "PROPN", "PUNCT"]


def test_the_card_and_info_tell_the_scores(tagger, capsys):
    main(["info", str(tagger), "--json"])
    info = json.loads(capsys.readouterr().out)
    assert info["metrics"]["valid_accuracy"] > 0.95
    main(["info", str(tagger)])
    assert re.search(r"^  names +upos, xpos$", capsys.readouterr().out, re.MULTILINE)
    assert "recurra tag pos FILE" in (tagger / "README.md").read_text()

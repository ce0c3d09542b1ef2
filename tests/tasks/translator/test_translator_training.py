"""Training a translator: its loss, what validation tells, eight pairs learned by heart, a run cut in two."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import small_translators as small
import torch
import torch.nn.functional as F

import recurra
from recurra.data.pairs import Pair
from recurra.data.tokenizers.char import CharTokenizer
from recurra.errors import InputError
from recurra.tasks.job import Training
from recurra.tasks.translator import training as module
from recurra.tasks.translator.corpus import Facts, make_batch
from recurra.tasks.translator.model import Translator, _max_length_ratio
from recurra.tasks.translator.options import BatchOptions, NetworkOptions
from recurra.tasks.translator.predict import Translation
from recurra.tasks.translator.training import TranslatorObjective, loss_of, valid_scores
from recurra.tasks.translator.vocabulary import Side, Vocabulary
from recurra.training import Silent


class Corpus:
    """Pairs as a `PairCorpus` gives them."""

    def __init__(self, pairs):
        self.pairs, self.facts = pairs, Facts()
        self.source_lengths = np.array([len(source) for source, _ in pairs])
        self.target_lengths = np.array([len(target) for _, target in pairs])

    def pair(self, number):
        return self.pairs[number]


def translator(**options):
    vocabulary = Vocabulary(Side(CharTokenizer(list("abcdefghi"))), Side(CharTokenizer(list("tuvwxyz"))))
    return Translator(small.network(**options), vocabulary, NetworkOptions(), 1.0)


def training(model, **options):
    corpus = Corpus(small.pairs())
    return Training(TranslatorObjective(model, corpus, corpus, [], BatchOptions(**options)), seed=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_batch_is_the_sum_over_its_symbols_alone_and_smoothed(smoothing):
    model = translator()
    loss = training(model, label_smoothing=smoothing).loss(model.network, small.batch(), None)
    total = 0.0
    for source, target in small.pairs():
        scores = small.scores(model.network, "lstm", source, target)
        logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        for t, symbol in enumerate([*target, 0]):
            total -= (1 - smoothing) * logs[t, symbol] + smoothing * logs[t].mean()
    assert float(loss.total.detach()) == pytest.approx(total, rel=1e-10)
    assert loss.count == small.batch().count == sum(len(target) + 1 for _, target in small.pairs())


def test_validation_tells_the_loss_of_all_symbols_without_smoothing(monkeypatch):
    model = translator(dropout=0.5)
    pairs = small.pairs([(3, 4), (9, 2), (1, 1), (5, 0), (2, 7)])
    model.network.train()
    with torch.no_grad():
        model.network.eval()
        logs = [
            F.cross_entropy(model.network(one), one.targets[one.inside], reduction="sum")
            for one in (make_batch([pair]) for pair in pairs)
        ]
    wanted = float(sum(logs)) / sum(len(target) + 1 for _, target in pairs)
    model.network.train()
    assert loss_of(model, Corpus(pairs)) == pytest.approx(wanted, rel=1e-9)
    monkeypatch.setattr(module, "_BATCH_SYMBOLS", 15)
    assert loss_of(model, Corpus(pairs)) == pytest.approx(wanted, rel=1e-9)


def test_the_best_model_is_best_by_what_was_asked_for(monkeypatch):
    model, corpus = translator(), Corpus(small.pairs())
    pairs = [Pair("ab", ["tuvw", "ttt"], "f:1"), Pair("b", ["x"], "f:2")]

    def outputs(sources, options):
        assert options.beam == 1
        assert list(sources) == ["ab", "b"]
        return ([Translation(text, 0.0, 0.0)] for text in ("tuv", "x"))

    monkeypatch.setattr(model, "outputs", outputs)
    by = {best_by: valid_scores(model, corpus, pairs, best_by) for best_by in (None, "token_error", "exact", "bleu")}
    # One edit from either reference of four and three symbols: the nearest is of four.
    assert by["exact"]["error"] == by[None]["exact"] == 0.5
    assert by["token_error"]["error"] == by[None]["error"] == by["exact"]["token_error"] == pytest.approx(1 / 5)
    assert by["bleu"]["error"] == 1 - by["bleu"]["bleu"] / 100
    assert "bleu" not in by[None]
    monkeypatch.setattr(model, "outputs", None)
    alone = valid_scores(model, corpus, pairs, "loss")
    assert alone == {"loss": by[None]["loss"]}
    assert TranslatorObjective(model, corpus, corpus, pairs, BatchOptions(best_by="loss")).score_part() == 1


def test_sacrebleu_is_asked_for_before_training_and_only_where_it_is_needed(monkeypatch):
    def missing(*_):
        raise InputError("no sacrebleu")

    monkeypatch.setattr(module, "check_bleu", missing)
    training(translator())
    with pytest.raises(InputError, match="no sacrebleu"):
        training(translator(), best_by="bleu")


def test_outputs_may_grow_half_beyond_nearly_all_of_training():
    lengths = {"source_lengths": np.array([9] * 2000), "target_lengths": np.array([19] * 1999 + [9999])}
    assert _max_length_ratio(SimpleNamespace(**lengths)) == pytest.approx(1.5 * 2.0)


SMALL = {
    "source_unit": "char",
    "target_unit": "char",
    "hidden_size": 32,
    "embedding_size": 16,
    "engine": "unroll",
    "batch_tokens": 30,
    "log_every": 1000,
}
WORDS = ["tree", "a", "moon", "on", "sun", "it", "we", "cat"]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "eight.tsv"
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in WORDS))
    return path


@pytest.mark.parametrize("options", [{}, {"attention": "none"}, {"input_feeding": False, "cell": "gru"}], ids=str)
def test_eight_pairs_are_learned_by_heart(eight, tmp_path, options):
    model = recurra.train(
        "translator",
        eight,
        valid=[eight],
        out=tmp_path / "m",
        steps=240,
        valid_every=80,
        learning_rate=0.02,
        dropout=0.0,
        label_smoothing=0.0,
        **{**SMALL, "batch_tokens": 200, **options},
    )
    assert model.translate(WORDS, beam=1) == [word[::-1] for word in WORDS]
    loaded = recurra.load(tmp_path / "m")
    assert loaded.translate(WORDS) == [word[::-1] for word in WORDS]
    assert list(loaded.score([("sun", "nus")])) == list(model.score([("sun", "nus")]))
    assert math.exp(next(loaded.score([("moon", "noom")]))) > 0.8


def test_a_run_that_is_cut_in_two_ends_in_the_same_bits(eight, tmp_path):
    options = {"valid": [eight], "epochs": 4, "recurrent_dropout": 0.1, "scheduled_sampling": 0.3, **SMALL}
    whole = recurra.train("translator", eight, out=tmp_path / "whole", **options)

    class Stop(Silent):
        def advance(self, step):
            if step == 4:
                raise RuntimeError("the machine fails")

    out = tmp_path / "parts"
    with pytest.raises(RuntimeError, match="the machine fails"):
        recurra.train("translator", eight, out=out, checkpoint_every=1e-9, progress=Stop(), **options)
    assert (out / "training" / "checkpoint.pt").stat().st_size
    resumed = recurra.train("translator", out=out, resume=True)
    for (name, one), other in zip(
        whole.network.state_dict().items(), resumed.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


def as_written_before(folder, name):
    """Encoded pairs in the format before rows were `Ragged`: a file of ids a side, one of where both end."""
    ends = []
    for side in ("source", "target"):
        ends.append(np.fromfile(folder / f"{name}.{side}.ends.bin", dtype=np.int64))
        (folder / f"{name}.{side}.values.bin").rename(folder / f"{name}.{side}.bin")
        (folder / f"{name}.{side}.ends.bin").unlink()
        (folder / f"{name}.{side}.ragged.json").unlink()
    np.stack(ends, 1).tofile(folder / f"{name}.ends.bin")
    facts = json.loads((folder / f"{name}.json").read_text())
    del facts["format"]
    (folder / f"{name}.json").write_text(json.dumps(facts))


def test_a_run_interrupted_in_another_version_is_refused_in_one_line(eight, tmp_path):
    class Stop(Silent):
        def advance(self, step):
            if step == 2:
                raise RuntimeError("the machine fails")

    out, options = tmp_path / "m", {"valid": [eight], "epochs": 4, "checkpoint_every": 1e-9, **SMALL}
    with pytest.raises(RuntimeError, match="the machine fails"):
        recurra.train("translator", eight, out=out, progress=Stop(), **options)
    for name in ("train", "valid"):
        as_written_before(out / "training", name)
    with pytest.raises(InputError) as caught:
        recurra.train("translator", out=out, resume=True)
    assert str(caught.value).endswith(
        "train.json: encoded by another version of recurra. Name the files again, without --resume"
    )

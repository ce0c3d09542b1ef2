"""Diagnosis of taggers: the losses of a probe are those of evaluation, and each direction is measured on its own."""

import json
import shutil

import pytest
import tagging
import torch

import recurra
from recurra.cli.app import main
from recurra.diagnosis import diagnose
from recurra.errors import InputError

OPTIONS = {**tagging.TINY, "min_count": 1, "epochs": 2, "num_layers": 2}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    (folder / "train.conllu").write_text(tagging.conllu(60))
    (folder / "train.tsv").write_text(tagging.columns(60))
    return folder


@pytest.fixture(scope="module")
def folders(files, tmp_path_factory):
    """A tagger of two labels, one of spans by a random field, one that reads in one direction."""
    out = tmp_path_factory.mktemp("taggers")
    recurra.train("tagger", files / "train.conllu", out=out / "pos", labels=["upos", "xpos"], **OPTIONS)
    recurra.train("tagger", files / "train.tsv", out=out / "names", **OPTIONS)
    recurra.train("tagger", files / "train.conllu", out=out / "quick", bidirectional=False, **OPTIONS)
    return out


@pytest.mark.parametrize(("which", "file"), [("pos", "train.conllu"), ("names", "train.tsv")])
def test_the_losses_are_those_of_evaluation(folders, files, which, file):
    model = recurra.load(folders / which)
    probe = model.probe([files / file], folders, rows=100, steps=100)
    (batch,) = probe.batch
    scores = model.evaluate(files / file)
    assert batch.count == scores["words"]
    with torch.no_grad():
        total = probe.loss(model.network(batch)).sum()
    assert total / batch.count == pytest.approx(scores["loss"], rel=1e-5)


def test_losses_come_one_a_word_and_are_0_past_a_sentences_end(folders, files):
    model = recurra.load(folders / "pos")
    probe = model.probe([files / "train.conllu"], folders, rows=30, steps=100)
    (batch,) = probe.batch
    losses = probe.loss(model.network(batch))
    inside = torch.arange(len(losses))[:, None] < batch.lengths
    assert bool((losses[inside] > 0).all())
    assert not losses[~inside].any()
    assert (~inside).any()


def test_the_longest_sentences_of_so_many_words_are_chosen(folders, files):
    model = recurra.load(folders / "pos")
    lengths = sorted((len(one) for one in tagging.drawn(60)), reverse=True)
    assert lengths[0] > 6
    for most in (100, 6):
        (batch,) = model.probe([files / "train.conllu"], folders, rows=5, steps=most).batch
        assert sorted(batch.lengths.tolist(), reverse=True) == [one for one in lengths if one <= most][:5]
    with pytest.raises(InputError, match=r"train\.conllu: no sentence of at most 2 words. Increase --steps"):
        model.probe([files / "train.conllu"], folders, rows=5, steps=2)
    with pytest.raises(InputError, match=r"rows=0"):
        model.probe([files / "train.conllu"], folders, rows=0, steps=9)


def test_layers_and_directions_are_told_apart_and_a_direction_reads_what_it_can(folders):
    model = recurra.load(folders / "pos")
    probe = model.probe([], folders / "pos" / "training", rows=4, steps=100)
    layers = diagnose(model.network, probe.batch, probe.loss).layers
    names = [f"recurrent layer {place}{side}" for place in (1, 2) for side in ("", " reverse")]
    assert [layer.measures.name for layer in layers] == names
    for layer in layers:
        assert layer.measures.left[0] == 1
        assert layer.measures.left[3] > 0


def test_what_a_word_gains_from_those_before_it_is_measured_where_it_reads_forward_only(folders, tmp_path):
    text = tmp_path / "long.conllu"
    words = [f"{n}\tcat\t_\tNOUN\tNN\t_\t_\t_\t_\t_" for n in range(1, 41)]
    text.write_text("\n".join(words) + "\n\n")
    model = recurra.load(folders / "quick")
    probe = model.probe([text], tmp_path, rows=4, steps=100)
    assert diagnose(model.network, probe.batch, probe.loss).context is not None


def test_the_verb_examines_what_was_held_out(folders, tmp_path, capsys):
    for which in ("pos", "names"):
        main(["diagnose", str(folders / which), "--rows", "3", "--json"])
        report = json.loads(capsys.readouterr().out)
        assert len(report["layers"]) == 4
        assert report["layers"][0]["gradient"][0] > 0
    out = shutil.copytree(folders / "pos", tmp_path / "m")
    shutil.rmtree(out / "training")
    with pytest.raises(SystemExit):
        main(["diagnose", str(out)])
    assert "name a file with labels" in capsys.readouterr().err


def test_a_watched_run_logs_every_layer_and_ends_in_the_same_bits(files, tmp_path):
    options = {**OPTIONS, "steps": 4}
    del options["epochs"]
    watched = recurra.train("tagger", files / "train.conllu", out=tmp_path / "watched", monitor=True, **options)
    plain = recurra.train("tagger", files / "train.conllu", out=tmp_path / "plain", **options)
    for one, two in zip(watched.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.equal(one, two)
    log = [json.loads(line) for line in (tmp_path / "watched" / "log.jsonl").read_text().splitlines()]
    seen = [event for event in log if event["event"] == "monitor"]
    assert {1, 2, 4} <= {event["step"] for event in seen}
    for layer in ("recurrent layer 1", "recurrent layer 2 reverse", "spelling", "spelling reverse"):
        assert seen[0][f"{layer}/gradient_at_lag_1"] > 0

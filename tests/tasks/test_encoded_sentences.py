"""From files of labelled sentences to encoded corpora on disk: what is held out, reopening, other versions' files."""

import json

import numpy as np
import pytest
import tagging

import recurra
from recurra.errors import InputError
from recurra.tasks.tagger.data import prepare, reopen
from recurra.tasks.tagger.options import FileOptions
from recurra.training import Silent


@pytest.fixture
def sentences(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text(tagging.columns(100, features=True))
    return path


def prepared(path, folder, **options):
    return prepare([path], FileOptions(feature_columns=[2], min_count=1, **options), folder)


def test_sentences_come_back_from_disk(sentences, tmp_path):
    data = prepared(sentences, tmp_path / "data")
    again = reopen(tmp_path / "data")
    expected = [words for words, _ in zip(tagging.drawn(100), range(90), strict=False)]
    for corpus in (data.train, again.train):
        assert (len(corpus), corpus.words) == (90, sum(map(len, expected)))
        assert corpus.lengths.tolist() == [len(words) for words in expected]
        features, labels = data.codec.vocabulary.features[0], data.codec.vocabulary.labels[0]
        for number, words in enumerate(expected):
            rows = corpus.sentence(number).rows
            assert [corpus.forms[place] for place in rows[:, 0]] == [word for word, *_ in words]
            assert [features[place - 1] for place in rows[:, 1]] == [xpos for _, _, xpos, _ in words]
            outside = [label == "O" for *_, label in words]
            assert [labels[place] == "O" for place in rows[:, 2]] == outside


@pytest.mark.parametrize(("share", "kept"), [(0.1, 90), (0.07, 93), (0.001, 99), (0.999, 1)])
def test_the_last_share_of_the_sentences_is_held_out(sentences, tmp_path, share, kept):
    data = prepared(sentences, tmp_path / "data", valid_share=share)
    assert (len(data.train), len(data.valid)) == (kept, 100 - kept)


def test_a_lost_or_damaged_file_is_one_line(sentences, tmp_path):
    folder = tmp_path / "data"
    prepared(sentences, folder)
    names = sorted(path.name for path in folder.iterdir())
    assert len([name for name in names if name.startswith("train.")]) == 4
    for name in names:
        whole = (folder / name).read_bytes()
        for content in (None, whole[: len(whole) // 2]):
            (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
            with pytest.raises(InputError) as caught:
                reopen(folder)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)
            (folder / name).write_bytes(whole)


@pytest.mark.parametrize("change", [{"features": 0}, {"unseen": [{}, {}]}, {"forms": None, "more": 1}])
def test_a_header_that_does_not_fit_is_one_line(sentences, tmp_path, change):
    prepared(sentences, tmp_path / "data")
    path = tmp_path / "data" / "train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=r"train\.json: (does not fit|not the header)"):
        reopen(tmp_path / "data")


class Stop(Silent):
    def advance(self, step):
        if step == 2:
            raise RuntimeError("the machine fails")


def as_written_before(folder, name):
    """A corpus in the format before rows were `Ragged`: one file of rows, one of where sentences begin."""
    header = json.loads((folder / f"{name}.json").read_text())
    rows = np.fromfile(folder / f"{name}.rows.values.bin", dtype=np.int32)
    ends = np.fromfile(folder / f"{name}.rows.ends.bin", dtype=np.int64)
    for path in folder.glob(f"{name}.rows.*"):
        path.unlink()
    rows.tofile(folder / f"{name}.rows.bin")
    np.concatenate([[0], ends]).astype(np.int64).tofile(folder / f"{name}.starts.bin")
    del header["format"]
    header |= {"words": int(ends[-1]), "sentences": len(ends), "states": 0}
    (folder / f"{name}.json").write_text(json.dumps(header))


def test_a_run_interrupted_in_another_version_is_refused_in_one_line(sentences, tmp_path):
    out = tmp_path / "model"
    options = {**tagging.TINY, "feature_columns": [2], "epochs": 4, "checkpoint_every": 1e-9}
    with pytest.raises(RuntimeError, match="the machine fails"):
        recurra.train("tagger", sentences, out=out, progress=Stop(), **options)
    for name in ("train", "valid"):
        as_written_before(out / "training", name)
    with pytest.raises(InputError) as caught:
        recurra.train("tagger", out=out, resume=True)
    assert str(caught.value).endswith(
        "train.json: encoded by another version of recurra. Name the files again, without --resume"
    )

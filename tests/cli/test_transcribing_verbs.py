"""The commands for transcribers, with a model of one update: what is written, and what is refused."""

import io
import json
import sys
import types

import numpy as np
import pytest
import soundfile
from cli_runner import run_command

import recurra

RATE = 8000
TINY = {"hidden_size": 8, "num_layers": 1, "conv_channels": 8, "mels": 8, "steps": 2, "join": 0.0}


def tone(seconds, hertz):
    """A tone that rises to twice its pitch."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * times * (1 + times / seconds / 2))).astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with recordings, a manifest, a transcriber and a language model."""
    folder = tmp_path_factory.mktemp("speech")
    rows = ["audio,text,speaker"]
    for number in range(12):
        soundfile.write(folder / f"{number}.wav", tone(0.5, 200 + 300 * (number % 2)), RATE)
        rows.append(f"{number}.wav,{'ab'[number % 2]} c,{'xyz'[number % 3]}")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    (folder / "text.txt").write_text("a c\nb c\n" * 200)
    recurra.train("transcriber", folder / "train.csv", out=folder / "model", **TINY)
    recurra.train("lm", folder / "text.txt", out=folder / "lm", hidden_size=8, steps=2, update_every=8, batch_size=2)
    soundfile.write(folder / "long.wav", np.concatenate([tone(0.5, 300), tone(2, 900)]), RATE)
    return folder


@pytest.fixture
def command(capsys, place, monkeypatch):
    monkeypatch.chdir(place)
    return lambda *arguments: run_command(capsys, *arguments)


def test_each_recording_is_a_line(command):
    code, out, _ = command("transcribe", "model", "1.wav", "long.wav")
    assert (code, out.count("\n")) == (0, 2)
    code, out, _ = command("transcribe", "model", "1.wav", "long.wav", "--to", "json")
    first, second = map(json.loads, out.splitlines())
    assert (first["file"], first["seconds"], second["seconds"]) == ("1.wav", 0.5, 2.5)
    assert second["text"] == " ".join(word["text"] for word in second["words"])
    assert command("transcribe", "model", "long.wav", "--to", "vtt")[1].startswith("WEBVTT")


def test_raw_sound_on_stdin_is_that_of_the_file(command, monkeypatch, place):
    samples, _ = soundfile.read(place / "long.wav", dtype="int16")
    text = command("transcribe", "model", "long.wav")[1]
    for to in ("text", "json"):
        stdin = types.SimpleNamespace(buffer=io.BytesIO(samples.tobytes()), isatty=lambda: False, fileno=no_descriptor)
        monkeypatch.setattr(sys, "stdin", stdin)
        code, out, _ = command("transcribe", "model", "-", "--to", to)
        words = out.split() if to == "text" else [json.loads(line)["text"] for line in out.splitlines()]
        assert (code, words) == (0, text.split())


def no_descriptor():
    raise io.UnsupportedOperation


def test_the_other_recordings_are_transcribed_if_one_cannot_be(command, place):
    (place / "empty.wav").write_bytes(b"")
    code, out, err = command("transcribe", "model", "empty.wav", "1.wav")
    assert (code, out.count("\n")) == (2, 1)
    assert "empty.wav" in err
    assert "1 of 2 recordings could not be transcribed" in err


def test_evaluation_by_speaker_and_with_a_language_model(command):
    code, out, _ = command("evaluate", "model", "train.csv", "--json")
    scores = json.loads(out)
    assert code == 0
    assert scores["words"] == 24
    assert scores["wer"] == pytest.approx((scores["substitutions"] + scores["insertions"] + scores["deletions"]) / 24)
    assert set(scores["speakers"]) == {"x", "y", "z"}
    code, out, _ = command("evaluate", "model", "train.csv", "--language-model", "lm", "--tune")
    assert code == 0
    assert "--lm-weight" in out
    assert "said" in out


def test_recordings_that_cannot_be_used_are_listed_before_the_message(command, place):
    (place / "bad.csv").write_text("audio,text\n1.wav,a\nnone.wav,b\n2.wav,\n3.wav,c\n")
    code, _, err = command("train", "transcriber", "bad.csv", "--out", "new")
    lines = err.splitlines()
    assert code == 2
    assert any(line.startswith("recurra: bad.csv:3: none.wav: ") for line in lines)
    assert any(line.startswith("recurra: bad.csv:4: 2.wav: the text is empty") for line in lines)
    assert "--skip-bad" in lines[-1]
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["transcribe", "model", "1.wav", "--to", "pdf"], "there is no format 'pdf'"),
        (["transcribe", "model", "1.wav", "2.wav", "--to", "srt"], "subtitles of one recording, but 2 are named"),
        (["transcribe", "model", "1.wav", "-"], "cannot be mixed with files"),
        (["transcribe", "model", "1.wav", "--rate", "8000"], "--rate is for raw sound on stdin"),
        (["transcribe", "model", "1.wav", "--nonsense"], "Unknown option: --nonsense"),
        (["transcribe", "model", "gone.wav"], "gone.wav"),
        (["transcribe", "lm", "1.wav"], "which does not transcribe: expected a model for 'transcriber'"),
        (["transcribe", "model", "1.wav", "--language-model", "model"], "expected a model of `recurra train lm`"),
        (["transcribe", "model", "1.wav", "--hot-words", "xyz"], "xyz"),
        (["evaluate", "model", "train.csv", "--tune"], "nothing to tune without a language model"),
        (["train", "transcriber", "text.txt", "--out", "new"], "text.txt:1: the columns are"),
        (["train", "transcriber", "train.csv", "--normalise", "mean", "--out", "new"], "there is no normalise 'mean'"),
        (
            ["train", "transcriber", "train.csv", "--cepstra", "--out", "new"],
            "only for features that are read from files",
        ),
    ],
)
def test_what_is_refused_in_one_line(command, arguments, message, place):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (place / "new").exists()

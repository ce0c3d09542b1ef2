"""The whole path from sound to words without outside data: speech of espeak-ng, trained on, saved and transcribed."""

import io
import json
import random
import shutil
import subprocess
import sys
import types

import pytest
import soundfile
from cli_runner import run_command

import recurra

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]

WORDS = ("yes", "no", "stop", "left", "right", "open")
VOICES = ("en-us+m1", "en-us+m3", "en-us+f2", "en-us+f4")
OTHER_VOICES = ("en-gb+m7", "en-gb+f3")
SMALL = {"hidden_size": 64, "num_layers": 1, "conv_channels": 48, "mels": 24, "rate": 8000, "reduction": 4}


def say(path, text, voice, speed, pitch):
    """Writes a recording of 22,050 samples per second."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), text]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def record(folder, name, count, voices, generator):
    """Writes a manifest of recordings of one to three words."""
    rows = ["audio,text,speaker"]
    for number in range(count):
        text, voice = " ".join(generator.choices(WORDS, k=generator.randint(1, 3))), generator.choice(voices)
        say(folder / f"{name}{number}.wav", text, voice, generator.randint(130, 190), generator.randint(30, 70))
        rows.append(f"{name}{number}.wav,{text},{voice}")
    (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with recordings, and a transcriber that was trained on four voices."""
    folder, generator = tmp_path_factory.mktemp("spoken"), random.Random(0)
    record(folder, "train", 200, VOICES, generator)
    record(folder, "valid", 20, VOICES, generator)
    record(folder, "test", 40, OTHER_VOICES, generator)
    for word in WORDS:
        say(folder / f"{word}.wav", word, "en-us+m1", 150, 50)
    options = {"valid": [folder / "valid.csv"], "steps": 800, "valid_every": 200, "learning_rate": 5e-3}
    recurra.train("transcriber", folder / "train.csv", out=folder / "model", **SMALL, **options)
    return folder


@pytest.fixture
def command(capsys, place, monkeypatch):
    monkeypatch.chdir(place)
    return lambda *arguments: run_command(capsys, *arguments)


def test_most_words_of_voices_that_training_did_not_have_are_right(command):
    code, out, _ = command("evaluate", "model", "test.csv", "--json")
    scores = json.loads(out)
    assert code == 0
    # A model that writes nothing has 1.
    assert scores["wer"] < 0.35
    assert scores["cer"] < 0.2
    assert set(scores["speakers"]) == set(OTHER_VOICES)


def test_words_are_written_with_their_times(command, place):
    code, out, _ = command("transcribe", "model", *(f"{word}.wav" for word in WORDS), "--to", "json")
    assert code == 0
    transcripts = [json.loads(line) for line in out.splitlines()]
    right = [one["text"] == word for one, word in zip(transcripts, WORDS, strict=True)]
    assert sum(right) >= len(WORDS) - 1
    for one in transcripts:
        length = soundfile.info(place / one["file"]).duration
        assert one["seconds"] == pytest.approx(length, abs=1e-3)
        assert all(0 <= word["start"] < word["end"] <= length + 0.4 for word in one["words"])


def test_raw_sound_at_another_rate_is_transcribed_while_it_arrives(command, monkeypatch):
    samples, rate = soundfile.read("test0.wav", dtype="int16")
    _, whole, _ = command("transcribe", "model", "test0.wav")
    stdin = types.SimpleNamespace(buffer=io.BytesIO(samples.tobytes()), isatty=lambda: False, fileno=no_descriptor)
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, _ = command("transcribe", "model", "-", "--rate", rate)
    assert code == 0
    assert out.split() == whole.split() != []


def no_descriptor():
    raise io.UnsupportedOperation


def test_a_transcriber_can_be_diagnosed_and_monitored(command, place):
    code, out, err = command("diagnose", "model", "valid.csv", "--out", "report.html")
    assert code == 0, err
    assert out
    assert "<html" in (place / "report.html").read_text()[:200]
    options = {**SMALL, "valid": [place / "valid.csv"], "steps": 4, "monitor": True}
    recurra.train("transcriber", place / "train.csv", out=place / "monitored", **options)
    events = [json.loads(line) for line in (place / "monitored" / "log.jsonl").read_text().splitlines()]
    assert any("gradient" in json.dumps(event.get("monitor", event)) for event in events)

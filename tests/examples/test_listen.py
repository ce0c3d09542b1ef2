"""The example that listens to a recording: what it prints at the end is the text of the whole recording."""

import subprocess
import sys
from pathlib import Path

import soundfile
from tasks.transcriber.transcribing import RATE, sound, transcriber

import recurra
from recurra.bundle.bundle import save

EXAMPLE = Path(__file__).parents[2] / "examples" / "listen.py"


def test_listening_ends_with_the_text_of_the_whole_recording(tmp_path):
    soundfile.write(tmp_path / "speech.flac", sound(3), RATE)
    save(tmp_path / "model", transcriber(lookahead=3), metrics={}, summary="random weights")
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "model"), str(tmp_path / "speech.flac"), "0"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    *_, settled, factor = done.stdout.splitlines()
    text = recurra.load(tmp_path / "model").transcribe(tmp_path / "speech.flac").text
    assert len(text) > 5
    assert settled.split("s  ", 1)[1] == text
    assert factor.startswith("real-time factor 0.")
    assert len(done.stdout.splitlines()) > 5

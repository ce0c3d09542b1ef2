"""Where output goes: closed pipes, full disks, terminals that lack characters. None of it is a fault of the input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import reversing
from descriptors import CLOSED, read_terminal, run_on
from toys import TINY

import recurra

FULL = "/dev/full"
NO_SPACE = "recurra: stdout: the results cannot be written: No space left on device\n"

pytestmark = pytest.mark.skipif(not os.path.exists(FULL), reason="needs the devices of Linux")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models of a few steps on text with letters beyond ASCII and beyond latin-1, and input for each command."""
    folder = tmp_path_factory.mktemp("output")
    (folder / "lines.txt").write_text("die Füchse – 日本.\n" * 60, "utf-8")
    recurra.train("lm", folder / "lines.txt", out=folder / "lm", steps=2, **TINY)
    recurra.train("lm", folder / "lines.txt", out=folder / "bytes", steps=2, unit="byte", **TINY)
    sentence = "Die\tÜ\nFüchse\tx\n日本\tx\n\n"
    (folder / "words.tsv").write_text(sentence * 60, "utf-8")
    recurra.train("tagger", folder / "words.tsv", out=folder / "tagger", steps=2, hidden_size=8)
    (folder / "pairs.tsv").write_text(reversing.pairs(60).replace("a", "ä").replace("b", "日"), "utf-8")
    options = {**reversing.TINY, "steps": 2, "valid_every": 2}
    recurra.train(
        "translator", folder / "pairs.tsv", valid=[folder / "pairs.tsv"], out=folder / "translator", **options
    )
    (folder / "sources.txt").write_text("äcd\n日c\n" * 3, "utf-8")
    return folder


def commands(folder):
    """A command of each kind that prints results."""
    lm, tagger, translator = folder / "lm", folder / "tagger", folder / "translator"
    return [
        ("tag", tagger, folder / "words.tsv"),
        ("tag", tagger, folder / "words.tsv", "--to", "json"),
        ("translate", translator, folder / "sources.txt"),
        ("translate", translator, folder / "sources.txt", "--forced", folder / "sources.txt", "--json"),
        ("score", lm, folder / "lines.txt"),
        ("score", lm, folder / "lines.txt", "--json"),
        ("generate", lm, "--prompt", "Füchse – 日本", "--length", 9, "--seed", 0),
        ("generate", lm, "--prompt", "Füchse", "--length", 9, "--seed", 0, "--samples", 2),
        ("evaluate", tagger, folder / "words.tsv"),
        ("info", tagger),
        ("info", translator, "--json"),
        ("diagnose", lm, "--steps", 8, "--rows", 2),
        ("cells", "lstm"),
        ("cells", "--markdown"),
        ("--help",),
        ("train", "lm", "--help"),
    ]


def each(folder):
    chosen = commands(folder)
    assert len(chosen) == 16
    return chosen


def some(folder):
    """One of each way of writing: sentences, JSON, lines, a stream, a table, a help page."""
    chosen = [command for command in commands(folder) if command[0] in ("tag", "score", "generate", "--help")]
    assert len(chosen) == 7
    return chosen


def test_a_full_disk_is_named(folder):
    for command in each(folder):
        code, err = run_on(FULL, *command)
        assert (code, err.splitlines(keepends=True)[-1]) == (1, NO_SPACE), command
        assert "cannot be read" not in err


def test_a_reader_that_has_gone_ends_the_command_quietly(folder):
    for command in each(folder):
        reading, writing = os.pipe()
        os.close(reading)
        code, err = run_on(writing, *command)
        os.close(writing)
        assert code == 0, (command, err)
        assert not [line for line in err.splitlines() if line.startswith("recurra: ")], command


def test_a_closed_stdout_is_named_and_no_file_takes_its_place(folder):
    for command in some(folder):
        code, err = run_on(CLOSED, *command)
        assert code == 1, command
        assert err.splitlines()[-1] == "recurra: stdout: the results cannot be written: it is closed"


def test_terminals_of_few_characters_get_escapes_and_one_notice(folder):
    for encoding in ("ascii", "latin-1"):
        for command in some(folder):
            code, shown, err = read_terminal(*command, encoding=encoding)
            assert code == 0, (command, err)
            text = shown.decode(encoding)
            notices = [line for line in err.splitlines() if "written as escapes" in line]
            assert len(notices) == ("\\u" in text or "\\x" in text) * ("json" not in str(command)), (command, err)
    _, shown, err = read_terminal("score", folder / "lm", folder / "lines.txt", encoding="latin-1")
    assert shown.splitlines()[0].endswith("die Füchse \\u2013 \\u65e5\\u672c.".encode("latin-1"))
    assert err == (
        "recurra: stdout is written in latin-1: characters that it lacks are written as escapes, such as \\u2013. "
        "PYTHONIOENCODING=utf-8 writes UTF-8\n"
    )


def test_json_stays_json_on_such_a_terminal(folder):
    json_lines = [command for command in some(folder) if "json" in str(command[-1])]
    assert len(json_lines) == 2
    for command in json_lines:
        _, shown, err = read_terminal(*command, encoding="ascii")
        assert "escapes" not in err
        for line in shown.decode("ascii").splitlines():
            json.loads(line)
    _, shown, _ = read_terminal("score", folder / "lm", folder / "lines.txt", "--json", encoding="ascii")
    assert json.loads(shown.splitlines()[0])["text"] == "die Füchse – 日本."


def test_files_and_pipes_get_utf_8_whatever_the_locale(folder, tmp_path):
    for number, command in enumerate(some(folder)):
        written = {}
        for encoding in ("utf-8", "latin-1"):
            out = tmp_path / f"{number}-{encoding}"
            code, err = run_on(out, *command, encoding=encoding)
            assert code == 0, (command, err)
            assert "escapes" not in err
            written[encoding] = out.read_bytes()
        assert written["utf-8"].decode("utf-8")
        assert written["utf-8"] == written["latin-1"], command


def test_python_io_encoding_is_respected(folder, tmp_path):
    command = ("score", folder / "lm", folder / "lines.txt")
    for named, expected in (
        ("latin-1", "die Füchse \\u2013"),
        ("utf-16-le", "die Füchse – 日本."),
        ("latin-1:replace", "Füchse ? ??"),
    ):
        code, err = run_on(tmp_path / "out", *command, io_encoding=named)
        assert code == 0, err
        text = (tmp_path / "out").read_bytes().decode(named.partition(":")[0])
        assert expected in text.splitlines()[0]
        assert ("escapes" in err) == (named == "latin-1")
        (tmp_path / "out").unlink()


def test_bytes_that_are_no_text_go_out_as_they_came_in(folder, tmp_path):
    (tmp_path / "in").write_bytes(b"caf\xe9 \xff\n")
    for how in ({}, {"io_encoding": "latin-1"}, {"io_encoding": "utf-8"}):
        code, err = run_on(tmp_path / "out", "score", folder / "bytes", tmp_path / "in", **how)
        assert (code, err) == (0, "")
        assert (tmp_path / "out").read_bytes().endswith(b"\tcaf\xe9 \xff\n")
    code, err = run_on(tmp_path / "json", "score", folder / "bytes", tmp_path / "in", "--json")
    assert json.loads((tmp_path / "json").read_bytes())["text"] == "caf\udce9 \udcff"


def test_a_lost_stderr_changes_no_result(folder, tmp_path):
    training = ("train", "lm", folder / "lines.txt", "--steps", 2, "--hidden-size", 8, "--batch-size", 2)
    reading, broken = os.pipe()
    os.close(reading)
    for number, stderr in enumerate((FULL, CLOSED, broken)):
        out = tmp_path / f"model-{number}"
        assert run_on(os.devnull, *training, "--out", out, stderr=stderr)[0] == 0
        assert (out / "model.safetensors").exists()
        # A notice of the seed, which must not be among the results.
        code, _ = run_on(tmp_path / "text", "generate", folder / "lm", "--length", 0, stderr=stderr)
        assert (code, (tmp_path / "text").read_text()) == (0, "\n")
        assert run_on(os.devnull, "score", folder / "lm", "nowhere", stderr=stderr)[0] == 2
    os.close(broken)


def test_faults_of_stdin_are_named(folder):
    for verb, model in (("tag", "tagger"), ("translate", "translator"), ("score", "lm")):
        code, err = run_on(os.devnull, verb, folder / model, stdin=CLOSED)
        assert (code, err) == (2, "recurra: stdin is closed: name a FILE, or pipe lines to the command\n")
        unreadable = os.open(os.devnull, os.O_WRONLY)
        code, err = run_on(os.devnull, verb, folder / model, stdin=unreadable)
        os.close(unreadable)
        assert (code, err) == (2, "recurra: stdin: cannot be read: Bad file descriptor\n")


def test_a_terminal_as_input_is_announced(folder):
    for verb, model in (("tag", "tagger"), ("translate", "translator"), ("score", "lm")):
        controller, terminal = os.openpty()
        os.write(controller, b"\x04")  # Ctrl-D
        code, err = run_on(os.devnull, verb, folder / model, stdin=terminal)
        os.close(terminal)
        os.close(controller)
        assert code == 0
        assert "reading lines from the terminal" in err


def test_files_that_are_written_are_named_and_checked_before_the_work(folder, tmp_path):
    (tmp_path / "file").write_text("")
    lm, translator = folder / "lm", folder / "translator"
    places = {
        FULL: (1, f"{FULL}: cannot be written: No space left on device"),
        tmp_path / "none" / "x": (2, f"there is no folder {tmp_path / 'none'}"),
        tmp_path: (2, f"{tmp_path}: is a folder, expected the name of a file to write"),
        tmp_path / "file" / "x": (2, f"there is no folder {tmp_path / 'file'}"),
        "/proc/x": (1, "/proc/x: cannot be written: "),
    }
    for place, (expected, message) in places.items():
        for command in (
            ("diagnose", lm, "--steps", 4, "--rows", 1, "--out", place),
            ("units", lm, folder / "lines.txt", "--characters", 1500, "--out", place),
        ):
            code, err = run_on(os.devnull, *command)
            assert (code, message in err.splitlines()[-1]) == (expected, True), (command, err)
            assert (len(err.splitlines()) == 1) == (expected == 2)
    for place, message in (("none/x.png", "there is no folder"), ("file/x.png", "there is no folder")):
        command = ("translate", translator, folder / "sources.txt", "--attention-plot", tmp_path / place)
        code, err = run_on(os.devnull, *command)
        assert (code, message in err, len(err.splitlines())) == (2, True, 1)
    code, err = run_on(os.devnull, "study", "bounded", "--quick", "--out", tmp_path / "file")
    assert (code, err) == (2, f"recurra: {tmp_path / 'file'}: is a file, expected a folder to write into\n")
    assert Path(FULL).is_char_device()


def test_whole_processes_end_without_a_word_of_python(folder):
    """Once for real, for what happens when the interpreter starts and ends."""
    python = f"{sys.executable} -m recurra"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    script = f"""
        set -o pipefail
        {python} tag {folder}/tagger {folder}/words.tsv | head -1; echo "$?"
        {python} --help > /dev/full; echo "$?"
        {python} cells >&-; echo "$?"
        {python} info {folder}/nowhereé 2>&1; echo "$?"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment, check=False)
    out = done.stdout.decode("utf-8").splitlines()
    assert out[1:4] == ["0", "1", "1"], out
    assert out[0].startswith("Die\t")
    assert out[-1] == "2"
    assert "no such folder" in out[-2]
    assert done.stderr.decode() == NO_SPACE + "recurra: stdout: the results cannot be written: it is closed\n"

"""The verbs that read a trained model: their help, what they refuse before they write, and odd files."""

import codecs
import functools
import io
import json
import shutil

import pytest
import toys
from cli_runner import run_command

import recurra


@pytest.fixture
def told(capsysbinary):
    """Runs the command line in this process: exit code, stdout, stderr."""
    return functools.partial(run_command, capsysbinary)


@pytest.mark.parametrize(
    ("verb", "example"),
    [
        ("generate", 'recurra generate plays --prompt "ROMEO:" --length 400'),
        ("evaluate", "recurra evaluate plays more-plays.txt"),
        ("score", "recurra score plays lines.txt | sort"),
        ("info", "recurra info plays"),
        ("cells", "recurra cells slstm"),
    ],
)
def test_the_help_of_a_verb_shows_its_examples(told, verb, example):
    code, out, _ = told(verb, "--help")
    assert code == 0
    assert example in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--length", "20.7"], "--length 20.7: expected a whole number"),
        (["--length", "-5"], "--length -5: expected 0 or more"),
        (["--top-k", "2.9"], "--top-k 2.9: expected a whole number"),
        (["--samples", "0"], "--samples 0: expected 1 or more"),
        (["--samples", "-3"], "--samples -3: expected 1 or more"),
        (["--seed", "99999999999999999999999"], "expected 0 to 9223372036854775807"),
        (["--seed", "1.5"], "--seed 1.5: expected a whole number"),
    ],
)
def test_generate_refuses_a_number_before_it_writes(told, trained, options, message):
    code, out, err = told("generate", trained, "--prompt", "the", *options)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_the_options_of_sampling_reach_the_sampler(told, trained):
    _, first, _ = told("generate", trained, "--prompt", "the", "--length", 30, "--top-k", 1, "--seed", 3)
    _, other, _ = told("generate", trained, "--prompt", "the", "--length", 30, "--greedy")
    _, free, _ = told("generate", trained, "--prompt", "the", "--length", 30, "--temperature", 5, "--seed", 3)
    assert first == other != free


def test_greedy_speaks_of_no_seed(told, trained):
    code, _, err = told("generate", trained, "--greedy", "--length", 5)
    assert code == 0
    assert err == ""
    assert "--seed" in told("generate", trained, "--length", 5)[2]


@pytest.mark.parametrize("verb", ["generate", "evaluate", "score"])
def test_of_several_seeds_one_must_be_named(told, trained, text, tmp_path, verb):
    for number in (0, 1):
        shutil.copytree(trained, tmp_path / "m" / f"seed-{number}")
    (tmp_path / "m" / "seeds.json").write_text("{}")
    files = [] if verb == "generate" else [text]
    code, out, err = told(verb, tmp_path / "m", *files)
    assert code == 2
    assert out == ""
    assert f"name one, such as {tmp_path / 'm' / 'seed-0'}" in err
    assert len(err.splitlines()) == 1


def test_ctrl_c_is_told_in_a_line(told, trained, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("recurra.bundle.read_config", interrupt)
    code, _, err = told("info", trained)
    assert code == 130
    assert err == "recurra: interrupted\n"


@pytest.mark.parametrize("words", ["DefaultCPUAllocator: can't allocate memory: you tried", "not enough memory: you"])
def test_a_lack_of_memory_is_told_with_what_helps(told, trained, monkeypatch, words):
    def fail(*_, **__):
        raise RuntimeError(words)

    monkeypatch.setattr("recurra.bundle.read_config", fail)
    code, _, err = told("info", trained)
    assert code == 1
    assert "out of memory: lower --batch-size" in err


def test_a_byte_order_mark_is_no_part_of_the_first_line(told, trained, tmp_path):
    (tmp_path / "plain.txt").write_bytes(b"the cat sees a dog.\nthe cat\n")
    (tmp_path / "marked.txt").write_bytes(codecs.BOM_UTF8 + b"the cat sees a dog.\nthe cat\n")
    assert told("score", trained, tmp_path / "marked.txt")[1] == told("score", trained, tmp_path / "plain.txt")[1]


def stdin_of(path):
    """A stdin that is no file of the system, whose text layer must not be used."""
    return io.TextIOWrapper(io.BytesIO(path.read_bytes()), encoding="ascii")


def test_stdin_is_read_as_a_file_is(told, trained, tmp_path, monkeypatch):
    (tmp_path / "some.txt").write_bytes(b"the cat\na dog\n")
    (tmp_path / "latin.txt").write_bytes(b"the cat\na d\xf6g\n")
    wanted = told("score", trained, tmp_path / "some.txt")[1]
    monkeypatch.setattr("sys.stdin", stdin_of(tmp_path / "some.txt"))
    assert told("score", trained)[1] == wanted
    monkeypatch.setattr("sys.stdin", stdin_of(tmp_path / "latin.txt"))
    code, _, err = told("score", trained)
    assert code == 2
    assert "stdin: line 2 is not UTF-8" in err
    assert len(err.splitlines()) == 1


def test_a_model_of_bytes_reads_any_bytes(told, text, tmp_path):
    recurra.train("lm", text, out=tmp_path / "m", unit="byte", steps=2, **toys.TINY)
    (tmp_path / "latin.txt").write_bytes(b"a d\xf6g\n")
    code, out, err = told("score", tmp_path / "m", tmp_path / "latin.txt")
    assert code == 0, err
    assert out.encode("utf-8", "surrogateescape").endswith(b"\ta d\xf6g\n")
    _, out, _ = told("score", tmp_path / "m", tmp_path / "latin.txt", "--json")
    scored = json.loads(out)
    assert scored["tokens"] == 6
    assert scored["text"].encode("utf-8", "surrogateescape") == b"a d\xf6g"


def test_odd_scores_are_shown_as_they_are(told, trained, tmp_path):
    copy = shutil.copytree(trained, tmp_path / "copy")
    odd = {"list": [1, 2.5, "x", None, [1, {"a": 2}]], "empty": {}, "truth": True, "none": None}
    deep = {"deep": 7.0}
    for _ in range(20):
        deep = {"inside": deep}
    (copy / "metrics.json").write_text(json.dumps({**odd, **deep, "words": "many"}))
    code, out, err = told("info", copy)
    assert code == 0, err
    assert "2.5000" in out
    assert "7.0000" in out
    assert "many" in out

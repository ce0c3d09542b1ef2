"""`recurra train translator`, `translate` and `evaluate` as a person meets them, and one line for what is wrong."""

import functools
import io
import json
import signal
import subprocess
import sys
import time

import pytest
import reversing
from cli_runner import run_command
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

import recurra

TINY = [
    item
    for name, value in reversing.TINY.items()
    if name not in ("input_feeding", "log_every")
    for item in (f"--{name.replace('_', '-')}", str(value))
] + ["--no-input-feeding"]


@pytest.fixture
def command(capsysbinary):
    """Runs the command line in this process: exit code, stdout, stderr."""
    return functools.partial(run_command, capsysbinary)


@pytest.fixture
def file(tmp_path):
    def write(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


def test_help_reads_on_its_own(command):
    for verb, option in ((["translate"], "--attention-plot"), (["train", "translator"], "--valid-source")):
        code, out, _ = command(*verb, "--help")
        assert (code, option in out) == (0, True)
    assert "--bleu-tokenize" in command("evaluate", "--help")[1]


def test_train_on_parallel_files_then_evaluate_and_translate(command, file, tmp_path):
    words = reversing.words(60)
    source, target = file("a", "\n".join(words) + "\n"), file("b", "\n".join(word[::-1] for word in words) + "\n")
    valid = ["--valid-source", source, "--valid-target", target]
    given = ["--source", source, "--target", target, *valid, "--out", tmp_path / "m", "--steps", 2, *TINY]
    code, out, err = command("train", "translator", *given)
    assert (code, out) == (0, ""), err
    code, out, _ = command("evaluate", tmp_path / "m", "--source", source, "--target", target, "--json")
    found = json.loads(out)
    assert {"bleu", "chrf", "exact", "word_error", "token_error", "loss", "bleu_signature"} <= found.keys()
    assert (found["sentences"], found["seen"]) == (60, 60)
    code, out, _ = command("translate", tmp_path / "m", source)
    outputs = out.splitlines()
    assert len(outputs) == 60
    references = [[word[::-1] for word in words]]
    assert found["bleu"] == BLEU().corpus_score(outputs, references).score
    assert found["chrf"] == CHRF().corpus_score(outputs, references).score


def test_evaluate_tells_scores_with_their_signatures(command, file, reverser):
    code, out, _ = command("evaluate", reverser, file("t.tsv", "abc\tcba\nda\tad\ndd\txxxx\n"), "--beam", 2)
    assert code == 0
    assert "3 sentences" in out
    assert "nrefs:1|case:mixed" in out
    assert "reference  xxxx" in out


def test_a_line_in_is_a_line_out_in_order(command, file, reverser):
    _, out, err = command("translate", reverser, file("s", "\ufeffabc\r\n\r\nd\nba"))
    assert (out, err) == ("cba\n\nd\nab\n", "")


def test_lines_come_from_stdin_where_no_file_is_named(command, reverser, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc\n")))
    assert command("translate", reverser)[1] == "cba\n"


def test_who_types_is_answered_a_line_at_a_time(command, reverser, monkeypatch, capsysbinary):
    class Typed(io.BytesIO):
        def readline(self, size=-1):
            line = super().readline(size)
            if line == b"d\n":
                assert capsysbinary.readouterr().out == b"cba\n"
            return line

    typed = io.TextIOWrapper(Typed(b"abc\nd\n"))
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    code, out, err = command("translate", reverser)
    assert (code, out, err) == (0, "d\n", "")


def test_n_best_scores_and_json(command, file, reverser):
    path = file("s", "abc\nd\n")
    lines = [line.split("\t") for line in command("translate", reverser, path, "--nbest", 3)[1].splitlines()]
    assert [fields[0] for fields in lines] == ["1"] * 3 + ["2"] * 3
    assert lines[0][2] == "cba"
    assert float(lines[0][1]) > float(lines[1][1]) > float(lines[2][1])
    assert command("translate", reverser, path, "--scores")[1].splitlines()[0] == "\t".join(lines[0][1:])
    (first, _) = command("translate", reverser, path, "--json", "--nbest", 2)[1].splitlines()
    told = json.loads(first)
    assert (told["line"], told["source"], len(told["outputs"])) == (1, "abc", 2)
    assert told["outputs"][0].keys() == {"text", "score", "log_probability", "finished"}


def test_given_targets_are_scored(command, file, reverser):
    source, target = file("s", "abc\nd\n"), file("t", "cba\na\n")
    _, out, _ = command("translate", reverser, source, "--forced", target)
    wanted = recurra.load(reverser).score([("abc", "cba"), ("d", "a")])
    assert [float(line) for line in out.splitlines()] == pytest.approx(list(wanted), abs=1e-3)
    _, out, _ = command("translate", reverser, source, "--forced", target, "--json")
    assert [json.loads(line)["target"] for line in out.splitlines()] == ["cba", "a"]
    code, _, err = command("translate", reverser, source, "--forced", file("long", "cba\na\nb\n"))
    assert (code, "long:3: this line has no partner" in err) == (2, True)
    code, _, err = command("translate", reverser, source, "--forced", file("short", "cba\n"))
    assert (code, "s:2: this line has no partner" in err) == (2, True)


def test_drawn_translations_tell_their_seed_and_repeat_with_it(command, file, reverser):
    path = file("s", "abcda\n" * 8)
    _, out, err = command("translate", reverser, path, "--sample", "--temperature", 3)
    seed = err.split("--seed ")[1].split()[0]
    _, again, err = command("translate", reverser, path, "--sample", "--temperature", 3, "--seed", seed)
    assert (again, err) == (out, "")
    assert len(set(out.splitlines())) > 1


def test_what_training_never_had_is_told_once(command, file, reverser):
    code, out, err = command("translate", reverser, file("s", "abc\nxay\nz\n"))
    assert (code, len(out.splitlines()), len(err.splitlines())) == (0, 3, 1)
    assert "line 2 has symbols outside the vocabulary ('x', 'y'): read as <unk>" in err


def test_a_picture_of_the_first_line_that_is_not_empty(command, file, reverser, tmp_path):
    code, out, err = command("translate", reverser, file("s", "\nabc\nd\n"), "--attention-plot", tmp_path / "a.svg")
    assert (code, out, err) == (0, "\ncba\nd\n", "")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    _, _, err = command("translate", reverser, file("e", "\n"), "--attention-plot", tmp_path / "b.png")
    assert "not drawn, because every line is empty" in err
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", 2], "--temperature: only for sampled translations: add --sample"),
        (["--seed", 2], "--seed: only for sampled translations"),
        (["--sample", "--beam", 3], "--sample searches for nothing: leave out --beam"),
        (
            ["--forced", "x", "--nbest", 3, "--scores"],
            "--forced translates nothing: leave out --nbest, --scores",
        ),
        (["--nbest", 9], "expected a beam of 9 or more"),
        (["--beam", 0], "--beam 0, expected 1 or more"),
        (["--sample", "--seed", -1], "--seed -1: expected 0 to"),
        (["--attention-plot", "a.jpg"], "expected a name that ends in .png, .svg, .pdf"),
        (["--attention-plot", "none/a.png"], "there is no folder"),
    ],
)
def test_options_without_effect_or_sense_are_refused(command, file, reverser, options, message):
    code, out, err = command("translate", reverser, file("s", "abc\n"), *options)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_files_that_are_none_are_told_in_a_line(command, file, reverser, tmp_path):
    cases = [
        (tmp_path / "none", "no such file"),
        (tmp_path, "is a folder"),
        (file("l", b"abc\n\xe9\n"), "l:2: not UTF-8"),
    ]
    for path, message in cases:
        code, _, err = command("translate", reverser, path)
        assert (code, message in err, len(err.splitlines())) == (2, True, 1)
    for given, message in [
        ([], "name at least one"),
        ([file("one.tsv", "abc\n")], "one.tsv:1: no tab"),
        ([file("empty.tsv", "\t\n")], "no pair to evaluate on"),
        (["--source", file("s", "a\n")], "sources and targets go together"),
    ]:
        code, _, err = command("evaluate", reverser, *given)
        assert (code, message in err, len(err.splitlines())) == (2, True, 1), err


def test_options_of_other_tasks_and_models_for_them_are_refused(command, reverser, trained, text):
    code, _, err = command("evaluate", reverser, "x.tsv", "--repair")
    assert (code, "--repair is for a tagger, but" in err) == (2, True)
    code, _, err = command("evaluate", trained, text, "--block-repeats", 2)
    assert (code, "--block-repeats is for a translator" in err) == (2, True)
    code, _, err = command("translate", trained, text)
    assert (code, "holds a model for 'lm', which does not translate" in err) == (2, True)
    code, _, err = command("evaluate", trained)
    assert (code, "no files to evaluate on" in err) == (2, True)


@pytest.mark.slow
def test_killed_and_resumed_ends_in_the_same_bits(file, tmp_path):
    train, valid = file("train.tsv", reversing.pairs(300)), file("valid.tsv", reversing.pairs(20, 1))
    options = [
        "--valid",
        valid,
        "--steps",
        120,
        "--valid-every",
        50,
        "--log-every",
        1,
        "--checkpoint-every",
        0.05,
        *TINY,
    ]
    options += ["--recurrent-dropout", 0.2, "--scheduled-sampling", 0.3]
    options[options.index("--dropout") + 1] = 0.2

    def start(*arguments):
        return subprocess.Popen([sys.executable, "-m", "recurra", "train", "translator", *map(str, arguments)])

    assert start(train, "--out", tmp_path / "whole", *options).wait(300) == 0
    cut, log = tmp_path / "cut", tmp_path / "cut" / "log.jsonl"
    for lines, resumed in ((10, [train, *options]), (60, ["--resume"])):
        run = start("--out", cut, *resumed)
        while (log.read_text().count("\n") if log.exists() else 0) < lines:
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert start("--out", cut, "--resume").wait(300) == 0
    for name in ("model.safetensors", "vocabulary.json", "source.unit.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (cut / name).read_bytes()

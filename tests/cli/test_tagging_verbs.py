"""`recurra train tagger`, `tag` and `evaluate` as a person meets them, and one line for each bad file."""

import functools
import io
import json
import sys

import pytest
from cli_runner import check_killed_runs_end_in_the_same_bits, run_command

import recurra

LABELS = {"the": "D", "cat": "N", "dog": "N", "sees": "V", "hears": "V", ".": "P"}
TINY = ["--hidden-size", 8, "--word-size", 8, "--character-size", 4, "--spelling-size", 4, "--engine", "unroll"]
TINY += ["--learning-rate", 0.03, "--min-count", 1, "--batch-tokens", 40, "--log-every", 1000, "--dropout", 0]
SENTENCES = ("the cat sees the dog .", "the dog hears the cat .", "the cat hears .")


def conllu(sentences=SENTENCES, *, labelled=True):
    blocks = []
    for number, sentence in enumerate(sentences):
        lines = [f"# sent_id = {number}"]
        for place, word in enumerate(sentence.split(), start=1):
            label = LABELS.get(word, "N") if labelled else "_"
            lines.append(f"{place}\t{word}\tlemma\t{label}\tx{label}\t_\t_\t_\t_\tSpaceAfter=No")
        blocks.append("\n".join(lines) + "\n\n")
    return "".join(blocks)


NAMES = "Ann\tB-PER\nLee\tI-PER\nsaw\tO\nRome\tB-LOC\n.\tO\n\nRome\tB-LOC\nsaw\tO\nBo\tB-PER\n.\tO\n\n"


@pytest.fixture
def command(capsysbinary):
    """Runs the command line in this process: exit code, stdout, stderr."""
    return functools.partial(run_command, capsysbinary)


@pytest.fixture(scope="module")
def pos(tmp_path_factory):
    """A tagger of UPOS and XPOS."""
    folder = tmp_path_factory.mktemp("pos")
    (folder / "train.conllu").write_text(conllu(SENTENCES * 12))
    options = {option[2:].replace("-", "_"): value for option, value in zip(TINY[::2], TINY[1::2], strict=True)}
    options |= {"labels": ["upos", "xpos"], "steps": 60, "dropout": 0.0}
    recurra.train("tagger", folder / "train.conllu", out=folder / "m", **options)
    return folder / "m"


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """A tagger of names."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "train.tsv").write_text(NAMES * 20)
    options = {option[2:].replace("-", "_"): value for option, value in zip(TINY[::2], TINY[1::2], strict=True)}
    recurra.train("tagger", folder / "train.tsv", out=folder / "m", **{**options, "steps": 60, "dropout": 0.0})
    return folder / "m"


@pytest.fixture
def stdin(monkeypatch):
    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def test_help_reads_on_its_own(command):
    for verb in (["tag"], ["train", "tagger"], ["evaluate"]):
        code, out, _ = command(*verb, "--help")
        assert code == 0
        assert "Usage: recurra" in out
    assert "--word-by-word" in command("tag", "--help")[1]
    assert "--feature-columns" in command("train", "tagger", "--help")[1]


def test_train_evaluate_tag(command, tmp_path):
    train, test = tmp_path / "train.conllu", tmp_path / "test.conllu"
    train.write_text(conllu(SENTENCES * 12))
    test.write_text(conllu())
    code, _, err = command("train", "tagger", train, "--valid", test, "--out", tmp_path / "m", "--steps", 60, *TINY)
    assert code == 0, err
    assert "training data: 192 words in 36 sentences" in err
    code, out, _ = command("evaluate", tmp_path / "m", test, "--json")
    scores = json.loads(out)
    assert scores["accuracy"] == 1.0
    code, out, _ = command("evaluate", tmp_path / "m", test)
    assert "accuracy          100.00 %  of 16 words" in out
    code, out, _ = command("tag", tmp_path / "m", test)
    assert (code, out) == (0, conllu())


def test_conllu_comes_out_byte_for_byte_but_for_the_labels(command, pos, tmp_path):
    text = conllu(labelled=False)
    odd = text.replace("# sent_id = 1", "# sent_id = 1\n1-2\tthedog\t_\t_\t_\t_\t_\t_\t_\t_", 1)
    odd = odd.replace("2\tcat\t", "1.1\tghost\t_\t_\t_\t_\t_\t_\t_\t_\n2\tcat\t", 1).replace("\n", "\r\n")
    path = tmp_path / "new.conllu"
    path.write_bytes(("\ufeff" + odd + "\r\n").encode())
    code, out, err = command("tag", pos, path)
    assert code == 0, err

    def unlabelled(text):
        return [[*(fields := line.split("\t"))[:3], *fields[5:]] for line in text.split("\n")]

    assert unlabelled(out) == unlabelled("\ufeff" + odd + "\r\n")
    assert "\tcat\tlemma\tN\txN\t" in out


def test_text_in_and_every_format_out(command, pos, stdin):
    stdin("the cat sees the dog .\n\nthe dog .\n")
    _, out, _ = command("tag", pos)
    assert out.splitlines()[:3] == ["the\tD\txD", "cat\tN\txN", "sees\tV\txV"]
    stdin("the cat sees the dog .\n\nthe dog .\n")
    _, out, _ = command("tag", pos, "--to", "json", "--probabilities")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["words"] for line in lines] == [["the", "cat", "sees", "the", "dog", "."], [], ["the", "dog", "."]]
    assert lines[0]["upos"] == ["D", "N", "V", "D", "N", "P"]
    assert all(0.3 < share <= 1 for share in lines[0]["probabilities"]["xpos"])
    stdin("the dog.\n")
    _, out, _ = command("tag", pos, "--tokenize", "--to", "conllu")
    assert out.startswith("# text = the dog.\n1\tthe\t_\tD\txD\t_\t_\t_\t_\t_\n2\tdog\t_\tN\txN")
    assert out.splitlines()[2].endswith("\tSpaceAfter=No")
    stdin("the dog .\n")
    _, out, _ = command("tag", pos, "--to", "terminal")
    assert "dog\x1b[" in out
    assert "/N/xN\x1b[0m" in out


def test_columns_have_their_label_replaced_or_added(command, names, tmp_path, stdin):
    path = tmp_path / "new.tsv"
    path.write_text(NAMES.replace("B-PER", "O").replace("I-PER", "O"))
    assert command("tag", names, path)[1] == NAMES
    path.write_text("".join(line.split("\t")[0] + "\n" for line in NAMES.splitlines()))
    assert command("tag", names, path)[1] == NAMES
    stdin("Ann Lee saw Rome .\n")
    _, out, _ = command("tag", names, "--to", "json")
    assert json.loads(out)["spans"] == [
        {"type": "PER", "start": 0, "end": 2, "text": "Ann Lee"},
        {"type": "LOC", "start": 3, "end": 4, "text": "Rome"},
    ]


def test_spans_are_scored_by_f1(command, names, tmp_path):
    path = tmp_path / "test.tsv"
    path.write_text(NAMES)
    scores = json.loads(command("evaluate", names, path, "--json")[1])
    assert scores["f1"] == scores["accuracy"] == 1.0
    path.write_text(NAMES.replace("Lee\tI-PER", "Lee\tO"))
    _, out, _ = command("evaluate", names, path)
    assert "F1 75.00 %" in out
    assert "O → I-PER  1  test.tsv:1: Ann [Lee] saw Rome ." in out


def test_a_word_a_line_is_answered_at_once(command, pos, tmp_path, stdin):
    stdin("the\n")
    code, _, err = command("tag", pos, "--word-by-word")
    assert code == 2
    assert "reads sentences in both directions: train one with --no-bidirectional" in err
    train = tmp_path / "train.conllu"
    train.write_text(conllu(SENTENCES * 12))
    options = [*TINY, "--steps", 60, "--no-bidirectional"]
    assert command("train", "tagger", train, "--out", tmp_path / "m", *options)[0] == 0
    stdin("the\ncat\n\nthe\n")
    assert command("tag", tmp_path / "m", "--word-by-word")[1] == "the\tD\ncat\tN\n\nthe\tD\n"


def test_a_sentence_of_ten_thousand_words_and_a_word_of_as_many_letters(command, pos, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text(" ".join(["the cat"] * 5000) + "\n" + "ab" * 5000 + " dog\n")
    code, out, err = command("tag", pos, path)
    assert code == 0, err
    assert len(out.splitlines()) == 10_004
    train = tmp_path / "train.conllu"
    train.write_text(conllu([*SENTENCES * 4, "the cat " * 1000]))
    code, _, err = command("train", "tagger", train, "--out", tmp_path / "m", *TINY, "--steps", 2)
    assert code == 0, err


TAB = "\t"


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        (
            "a.conllu",
            conllu().replace("\t_\t_\t_\t_\tSpaceAfter=No", "", 1),
            [],
            "a.conllu:2: 5 columns, CoNLL-U has 10",
        ),
        ("a.conllu", "# only\n\n", [], "a.conllu: 0 sentences, nothing to hold out"),
        ("a.tsv", "a\tO\nb\n", [], "a.tsv:2: 1 columns separated by tabs, expected 2 as in line 1"),
        (
            "a.tsv",
            "Some text.\nMore text.\n",
            ["--label-column", 3],
            "a.tsv:1: 2 columns separated by spaces, but the options name column 3",
        ),
        (
            "a.tsv",
            "word\nword\n",
            [],
            "a.tsv:1: 1 columns separated by spaces: no label next to the word. Is it plain text?",
        ),
        ("a.tsv", "a\tB-X\n\nb\tO\nc\tI-X\n\nd\tO\n", [], "a.tsv:4: I-X follows O, expected well-formed BIO"),
        ("a.tsv", b"a\tO\n\xe9\tO\n", [], "a.tsv:2: not UTF-8: byte 1 of the line is 0xe9"),
        ("a.tsv", "", [], "a.tsv: the file is empty"),
        ("a.tsv", "\n\n", [], "a.tsv: no sentence in it"),
        ("a.tsv", "a\tO\n", [], "a.tsv: 1 sentences, nothing to hold out"),
        ("a.tsv", NAMES, ["--scheme", "boi"], "there is no scheme 'boi' of span labels. Did you mean 'bio'"),
        ("a.tsv", NAMES, ["--labels", "upos"], "--labels upos: are those of CoNLL-U"),
        ("a.conllu", conllu(), ["--labels", "pos"], "there is no label 'pos' in CoNLL-U. Did you mean"),
        ("a.conllu", conllu(), ["--label-column", 4], "is CoNLL-U, whose columns have names: choose with --labels"),
        ("a.tsv", NAMES, ["--decoder", "crff"], "there is no decoder 'crff'. Did you mean 'crf'"),
        (
            "a.tsv",
            NAMES,
            ["--feature-columns", 2],
            "--feature-columns 2: expected columns other than 1 (word) and 2 (label)",
        ),
    ],
)
def test_a_bad_file_gets_one_line_and_nothing_is_left(command, tmp_path, name, text, options, message):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, out, err = command("train", "tagger", path, "--out", tmp_path / "m", *TINY, "--steps", 1, *options)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "m").exists()


def test_span_labels_are_mended_when_asked(command, tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("a\tB-X\n\nb\tO\nc\tI-X\n\nd\tO\n")
    code, _, err = command("train", "tagger", path, "--out", tmp_path / "m", *TINY, "--steps", 1, "--repair")
    assert code == 0, err
    code, _, err = command("evaluate", tmp_path / "m", path)
    assert (code, "a.tsv:4: I-X follows O" in err) == (2, True)
    scores = json.loads(command("evaluate", tmp_path / "m", path, "--repair", "--json")[1])
    assert scores["labels"]["label"]["spans"] == 2


def test_labels_that_training_never_had_are_counted_and_said(command, tmp_path):
    train, valid = tmp_path / "train.conllu", tmp_path / "valid.conllu"
    train.write_text(conllu(SENTENCES * 3))
    valid.write_text(conllu().replace("\tV\t", "\tVERB\t", 1))
    command_line = ["train", "tagger", train, "--valid", valid, "--out", tmp_path / "m", *TINY, "--steps", 1]
    code, _, err = command(*command_line)
    assert code == 0
    assert "1 words have a label of upos that the training data does not have (VERB)" in err
    for label in "DNVP":
        valid.write_text(valid.read_text().replace(f"\t{label}\t", f"\t{label}{label}\t"))
    code, _, err = command(*command_line, "--overwrite")
    assert code == 2
    assert f"{valid}: none of its labels of upos" in err


def test_other_models_do_not_tag_and_taggers_do_nothing_else(command, pos, trained):
    code, _, err = command("tag", trained)
    assert (code, "holds a model for 'lm', which does not tag" in err) == (2, True)
    code, _, err = command("generate", pos)
    assert (code, "holds a model for 'tagger'" in err) == (2, True)
    code, _, err = command("score", pos)
    assert (code, "holds a model for 'tagger'" in err) == (2, True)
    code, _, err = command("evaluate", trained, "x", "--repair")
    assert (code, "--repair is for a tagger, but" in err) == (2, True)


def test_windows_line_ends_and_a_byte_order_mark_train_the_same_tagger(command, tmp_path):
    plain, odd = tmp_path / "plain.conllu", tmp_path / "odd.conllu"
    plain.write_bytes(conllu(SENTENCES * 4).encode())
    odd.write_bytes(("\ufeff" + conllu(SENTENCES * 4).replace("\n", "\r\n")).encode())
    for path in (plain, odd):
        assert command("train", "tagger", path, "--out", tmp_path / path.stem, *TINY, "--steps", 3)[0] == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("plain", "odd")]
    assert weights[0] == weights[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "spans"])
def test_killed_at_a_random_step_and_resumed_ends_in_the_same_bits(kind, tmp_path):
    file = tmp_path / ("train.conllu" if kind == "labels" else "train.tsv")
    file.write_text(conllu(SENTENCES * 12) if kind == "labels" else NAMES * 20)
    chosen = dict(zip(TINY[::2], TINY[1::2], strict=True))
    chosen |= {"--dropout": 0.2, "--word-dropout": 0.5, "--seed": 3, "--steps": 120, "--valid-every": 25}
    chosen |= {"--log-every": 1, "--checkpoint-every": 0.05}
    options = [item for pair in chosen.items() for item in pair]
    check_killed_runs_end_in_the_same_bits("tagger", file, options, tmp_path, most=40)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A tagger of words as they arrive, one of column files apart by tabs that reads a feature."""
    folder = tmp_path_factory.mktemp("quick")
    (folder / "train.tsv").write_text("the cat\tD\tO\nsees\tV\tO\n\n" * 20)
    options = {option[2:].replace("-", "_"): value for option, value in zip(TINY[::2], TINY[1::2], strict=True)}
    options |= {"steps": 2, "bidirectional": False, "feature_columns": [2]}
    recurra.train("tagger", folder / "train.tsv", out=folder / "m", **options)
    return folder / "m"


def test_what_divides_columns_is_decided_by_each_file(command, names, tmp_path):
    spaced = tmp_path / "spaced.txt"
    spaced.write_text(NAMES.replace("\t", "  "))
    by_spaces = json.loads(command("evaluate", names, spaced, "--json")[1])
    by_tabs = json.loads(command("evaluate", names, _written(tmp_path / "tabs.txt", NAMES), "--json")[1])
    assert by_spaces == by_tabs
    assert by_spaces["f1"] == 1.0
    spaced.write_text(NAMES.replace("\t", "  ").replace("B-PER", "O").replace("I-PER", "O"))
    code, out, err = command("tag", names, spaced)
    assert (code, out) == (0, NAMES.replace("\t", "  ")), err
    options = ["--out", tmp_path / "m", *TINY, "--steps", 30, "--valid", _written(tmp_path / "valid.txt", NAMES)]
    assert command("train", "tagger", _written(spaced, NAMES.replace("\t", " ") * 10), *options)[0] == 0
    assert command("tag", tmp_path / "m", _written(tmp_path / "tabs.txt", NAMES))[1] == NAMES
    mixed = _written(tmp_path / "mixed.txt", NAMES + NAMES.replace("\t", " "))
    code, out, err = command("tag", names, mixed)
    assert (code, out) == (2, "")
    assert f"{mixed}:12: 1 columns separated by tabs, expected 2 as in line 1" in err


def _written(path, text):
    path.write_text(text)
    return path


def test_a_faulty_word_by_word_line_is_named(command, quick, stdin):
    stdin("the cat\tD\nsees\tV\n\nthe dog\tD\n")
    code, out, err = command("tag", quick, "--word-by-word")
    assert (code, out) == (0, "the cat\tO\nsees\tO\n\nthe dog\tO\n"), err
    stdin("sees V\nsees D\n")
    assert command("tag", quick, "--word-by-word")[1] == "sees\tO\nsees\tO\n"
    for text, message in (
        ("a\tD\n\nb\tV\tO\n", "stdin:3: 3 columns separated by tabs, expected a word and 1 feature per line"),
        ("a\tD\nb V\n", "stdin:2: 1 column separated by tabs, expected a word and 1 feature per line"),
        ("a\tD\n\tV\n", "stdin:2: 2 columns separated by tabs, expected a word and 1 feature per line"),
        ("a D\nb\tD c\n", "stdin:2: a tab, but the lines before are separated by spaces"),
    ):
        stdin(text)
        code, _, err = command("tag", quick, "--word-by-word")
        assert code == 2
        assert message in err


def test_comments_at_the_end_come_out_and_a_late_fault_leaves_no_output(command, pos, tmp_path, monkeypatch):
    text = "# first\n\n" + conllu() + "# last\n# of all\n"
    path = _written(tmp_path / "a.conllu", text)
    code, out, err = command("tag", pos, path)
    assert (code, out) == (0, text), err
    assert command("evaluate", pos, path)[0] == 0
    path.write_text(text + "1\ta\n")
    code, out, err = command("tag", pos, path)
    assert (code, out) == (2, "")
    line = text.count("\n") + 1
    assert f"a.conllu:{line}: 2 columns" in err

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe((text + "1\ta\n").encode())))
    code, _, err = command("tag", pos, "--from", "conllu")
    assert code == 2
    assert f"stdin:{line}: 2 columns" in err
    assert "The output ends before this line: a pipe cannot be checked beforehand" in err


def test_column_files_with_comments_and_documents_come_out_byte_for_byte(command, names, tmp_path):
    text = "-DOCSTART-\tO\n\n# id = 1\n" + NAMES + "# the end\n"
    path = _written(tmp_path / "a.tsv", text)
    assert command("tag", names, path)[1] == text
    assert json.loads(command("evaluate", names, path, "--json")[1])["sentences"] == 2


def test_missing_labels_are_said_before_training_and_in_the_report(command, tmp_path):
    unlabelled = conllu(labelled=False).replace("\tx_\t", "\t_\t")
    train = _written(tmp_path / "train.conllu", (conllu() + unlabelled) * 3)
    valid = _written(tmp_path / "valid.conllu", conllu().replace("\tV\t", "\t_\t").replace("\tP\t", "\tPUNCT\t"))
    options = ["--labels", "upos", "xpos", "--valid", valid, "--out", tmp_path / "m", *TINY, "--steps", 2]
    code, _, err = command("train", "tagger", train, *options)
    assert code == 0, err
    assert "training data: 9 sentences without any label are left out" in err
    assert "validation data: 3 words have no label of upos and count in no loss or score" in err
    assert "upos: 4 labels" in err
    _, out, _ = command("evaluate", tmp_path / "m", valid)
    assert "not scored        3 words without a label" in out
    assert "counted as wrong  3 words with a label that is not in the training data" in out
    code, out, err = command("evaluate", tmp_path / "m", _written(tmp_path / "blind.conllu", unlabelled))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "none of its 16 words has a label of upos or xpos, so there is nothing to score" in err


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "The\tDET\t\ncat\tNOUN\t\n\n" * 3,
            [],
            "no word of the training data has a label: column 3 is empty. Name the",
        ),
        (
            "Bo\tPER-B\nLee\tPER-I\nsaw\tO\n\n" * 3,
            [],
            "labels such as PER-B, PER-I look like spans, but fit no known scheme",
        ),
        ("Bo\tB\nLee\tI\nsaw\tO\n\n" * 3, [], "treat labels as independent by --scheme off"),
        ("Bo\tB-X\nLee\tL-X\n\nBo\tL-X\n\n" * 3, [], "a.tsv:4: L-X begins the sentence, expected well-formed BILOU"),
        ("Bo\tB-X\nLee\tL-X\n\n" * 3, ["--scheme", "bio"], "a.tsv:2: label 'L-X' is not a BIO label"),
    ],
)
def test_labels_that_cannot_be_learned_get_one_line(command, tmp_path, text, options, message):
    path = _written(tmp_path / "a.tsv", text)
    code, out, err = command("train", "tagger", path, "--out", tmp_path / "m", *TINY, "--steps", 1, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


@pytest.mark.parametrize("chosen", ["off", "none"])
def test_labels_like_spans_can_be_taken_one_by_one(command, tmp_path, chosen):
    path = _written(tmp_path / "a.tsv", "Bo\tPER-B\nLee\tPER-I\nsaw\tO\n\n" * 3)
    options = ["--out", tmp_path / "m", *TINY, "--steps", 1, "--scheme", chosen]
    code, _, err = command("train", "tagger", path, *options)
    assert code == 0, err
    assert recurra.load(tmp_path / "m").scheme is None
    # The recipe of the run says it too: there "none" would mean that nothing was chosen.
    assert 'scheme = "off"' in (tmp_path / "m" / "recipe.toml").read_text()


def test_a_single_label_is_said(command, tmp_path):
    path = _written(tmp_path / "a.tsv", "a\tX\nb\tX\n\n" * 3)
    code, _, err = command("train", "tagger", path, "--out", tmp_path / "m", *TINY, "--steps", 1)
    assert code == 0
    assert "label: every word has the label X: there is nothing to learn" in err

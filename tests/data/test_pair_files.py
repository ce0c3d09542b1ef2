"""Pairs out of tables and parallel files: nothing lost, sources with all their targets, every fault with its line."""

import pytest

from recurra.data import PairText, build_tokenizer, is_empty, open_pairs
from recurra.errors import InputError


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def texts(pairs):
    return [(pair.source, pair.targets) for pair in pairs]


def places(pairs):
    return [pair.place.rpartition("/")[2] for pair in pairs]


def parallel(source, target):
    return open_pairs(source=[source], target=[target])


def test_lines_of_one_source_are_its_targets_wherever_they_stand(write):
    table = write("a.tsv", "to\tT UW\nread\tR IY D\nread\tR EH D\nat\tAE T\nto\tT AH\n")
    pairs = open_pairs([table])
    assert texts(pairs) == [("to", ["T UW", "T AH"]), ("read", ["R IY D", "R EH D"]), ("at", ["AE T"])]
    assert places(pairs) == ["a.tsv:1", "a.tsv:2", "a.tsv:4"]
    assert texts(pairs) == texts(pairs)  # as often as it is asked for
    assert len(pairs) == 3


def test_tables_one_after_the_other_are_one_table(write):
    first, last = write("a.tsv", "a\t1\nb\t2"), write("b.tsv", "\ufeffc\t3\na\t4\n\nb\t5\n")
    pairs = open_pairs([first, last])
    assert texts(pairs) == [("a", ["1", "4"]), ("b", ["2", "5"]), ("c", ["3"]), ("", [""])]
    assert places(pairs) == ["a.tsv:1", "a.tsv:2", "b.tsv:1", "b.tsv:3"]


def test_parallel_files_are_paired_line_by_line_and_file_by_file(write):
    sources = [write("a.de", "eins\nzwei\n"), write("b.de", "eins")]
    targets = [write("a.en", "one\ntwo"), write("b.en", "a\n")]
    pairs = open_pairs(source=sources, target=targets)
    assert texts(pairs) == [("eins", ["one"]), ("zwei", ["two"]), ("eins", ["a"])]
    assert places(pairs) == ["a.de:1", "a.de:2", "b.de:1"]


def test_byte_order_marks_and_line_ends_of_windows_are_no_text(write):
    source = write("a.de", "\ufeffJa\u2028 \u0085?\r\n\ufeffNein\r\n".encode())
    target = write("a.en", "\ufeffYes?\nNo\rno\n".encode())
    assert texts(parallel(source, target)) == [("Ja\u2028 \u0085?", ["Yes?"]), ("\ufeffNein", ["No\rno"])]
    assert texts(open_pairs([write("a.tsv", "\ufeffa\tb\r\nc\td\r\n".encode())])) == [("a", ["b"]), ("c", ["d"])]


def test_other_writing_systems_come_as_they_are(write):
    lines = [("我喜歡學習。", "أحب التعلم"), ("𝔘𠀀", "שלום, world"), ("e\u0301", "é")]
    table = write("a.tsv", "".join(f"{source}\t{target}\n" for source, target in lines))
    assert texts(open_pairs([table])) == [(source, [target]) for source, target in lines]


def test_empty_sides_are_kept_and_empty_sources_are_not_one_source(write):
    table = write("a.tsv", "a\t1\n\t2\n\nb\t\n\t\n")
    assert texts(open_pairs([table])) == [("a", ["1"]), ("", ["2"]), ("", [""]), ("b", [""]), ("", [""])]
    pairs = parallel(write("a.de", "a\n\n\n"), write("a.en", "1\n\n3\n"))
    assert texts(pairs) == [("a", ["1"]), ("", [""]), ("", ["3"])]
    assert is_empty(" \t\u3000")
    assert not is_empty(".")


def test_parts_are_those_pairs(write):
    table = write("a.tsv", "".join(f"{number % 7}\t{number}\n" for number in range(20)))
    lines = write("a.txt", "".join(f"{number}\n" for number in range(20)))
    for pairs in (open_pairs([table]), parallel(lines, lines)):
        whole = texts(pairs)
        for first, last in ((0, 3), (2, 7), (6, 99), (3, 3)):
            part = pairs.part(first, last)
            assert texts(part) == whole[first:last]
            assert len(part) == len(whole[first:last])
        assert texts(pairs.part(1, 6).part(2, 9)) == whole[3:6]


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("a\nb\nc\n", "1\n2\n", "a.de:3: this line has no partner: {}/a.en ends with line 2."),
        ("a\n", "1\n\n", "a.en:2: this line has no partner: {}/a.de ends with line 1."),
        (b"a\nb\xff\n", "1\n2\n", "a.de:2: not UTF-8: byte 2 of the line is 0xff"),
        ("a\n", b"\xe4\n", "a.en:1: not UTF-8"),
        ("", "1\n", "a.de: the file is empty"),
    ],
)
def test_faults_of_parallel_files_are_told_with_their_line(write, tmp_path, source, target, said):
    with pytest.raises(InputError) as told:
        parallel(write("a.de", source), write("a.en", target))
    assert str(told.value).startswith(f"{tmp_path}/{said.format(tmp_path)}")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\tb\nonly\n", "a.tsv:2: no tab, expected a source and a target"),
        ("a\tb\nc\td\te\n", "a.tsv:2: 3 columns, expected a source and a target separated by one tab"),
        (b"a\tb\n\xc3\tb\n", "a.tsv:2: not UTF-8: byte 1 of the line is 0xc3"),
        ("a\tb\n".encode("utf-16"), "a.tsv: is text in UTF-16"),
        ("", "a.tsv: the file is empty"),
    ],
)
def test_faults_of_a_table_are_told_with_their_line(write, tmp_path, content, said):
    with pytest.raises(InputError) as told:
        open_pairs([write("a.tsv", content)])
    assert str(told.value).startswith(f"{tmp_path}/{said}")


def test_what_is_no_file_of_pairs_is_refused(write, tmp_path):
    path = write("a.tsv", "a\tb\n")
    for given, said in (
        ({"files": [tmp_path]}, "is a folder"),
        ({"files": [tmp_path / "none.tsv"]}, "no such file"),
        ({"source": [path], "target": [tmp_path]}, "is a folder"),
        ({"source": [path, path], "target": [path]}, "2 files of sources and 1 of targets"),
        ({"source": [path]}, "go together"),
        ({"files": [path], "source": [path], "target": [path]}, "not both"),
        ({}, "no files of pairs"),
    ):
        with pytest.raises(InputError, match=said):
            open_pairs(**given)


def test_a_table_that_changes_while_it_is_read_is_refused(write):
    path = write("a.tsv", "a\tb\nc\td\n")
    pairs = open_pairs([path])
    path.write_text("aa\tb\nc\td\n")
    with pytest.raises(InputError, match=r"a\.tsv: has changed"):
        list(pairs)


def test_a_vocabulary_sees_one_side_of_whole_pairs_and_no_line_ends(write):
    pairs = open_pairs([write("a.tsv", "ab\tx y\nab\tz\nq\t\n\tq\ncd\tx\n")])
    assert build_tokenizer("char", PairText(pairs, True, False, "")).symbols == ("a", "b", "c", "d")
    assert build_tokenizer("word", PairText(pairs, False, True, " ")).symbols == ("<unk>", "<eos>", "x", "y", "z")
    assert build_tokenizer("char", PairText(pairs, True, True, "")).symbols == tuple(" abcdxyz")


def test_a_vocabulary_does_not_depend_on_how_much_is_read_at_a_time(write):
    lines = "".join(f"w{number % 13}w\tab {number % 5}\n" for number in range(50))
    text = PairText(open_pairs([write("a.tsv", lines)]), True, True, "\n")
    whole = "".join(text.blocks())
    for size in (1, 7, 64):
        (_, blocks), *others = text.files(size)
        assert "".join(blocks) == whole
        assert not others

"""CoNLL-U and column files as streams of sentences: nothing lost, and every fault with its line."""

import io

import pytest

from recurra.data.columns import read_columns
from recurra.data.conllu import read_conllu
from recurra.errors import InputError


def row(number, word, upos="X"):
    return f"{number}\t{word}\t_\t{upos}\t_\t_\t_\t_\t_\t_"


ODD = (
    "﻿# newdoc id = a\r\n"
    "# text = vámonos al mar\r\n"
    "1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_\r\n"
    f"{row(1, 'vamos')}\r\n"
    f"{row(2, 'nos')}\n"
    "2.1\tnada\t_\t_\t_\t_\t_\t_\t_\t_\n"
    f"{row(3, 'al mar')}\n"
    "\n"
    "\n"
    f"{row(1, 'Fin')}"
)


def conllu(text):
    return list(read_conllu(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "a.conllu"))


def columns(text, **options):
    data = text if isinstance(text, bytes) else text.encode()
    return list(read_columns(io.BytesIO(data), "a.txt", word=0, **options))


def test_conllu_is_words_and_all_lines_as_they_were():
    first, last = conllu(ODD)
    assert first.words == ["vamos", "nos", "al mar"]
    assert last.words == ["Fin"]
    assert "".join(first.lines + last.lines) == ODD
    assert [first.line_of(word) for word in range(3)] == [4, 5, 7]
    assert last.line_of(0) == 10


def test_other_labels_change_their_lines_alone():
    first, _ = conllu(ODD)
    rows = [fields.copy() for fields in first.rows]
    rows[0][3] = "VERB"
    changed = "".join(first.with_rows(rows, "\t"))
    assert changed == "".join(first.lines).replace("vamos\t_\tX", "vamos\t_\tVERB")


def test_a_changed_first_line_keeps_its_byte_order_mark():
    (sentence,) = conllu("﻿" + row(1, "a") + "\r\n\r\n")
    rows = [fields.copy() for fields in sentence.rows]
    rows[0][3] = "Y"
    assert "".join(sentence.with_rows(rows, "\t")) == "﻿" + row(1, "a", "Y") + "\r\n\r\n"


def test_spaces_are_told_by_misc():
    (sentence,) = conllu("1\ta\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n2\tb\t_\t_\t_\t_\t_\t_\t_\t_\n\n")
    assert sentence.spaces == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{row(1, 'a')}\n2\tb\t_\n", "a.conllu:2: 3 columns, CoNLL-U has 10, apart by tabs"),
        ("1 a _ _ _ _ _ _ _ _\n", "a.conllu:1: 10 columns apart by spaces, CoNLL-U has 10, apart by tabs"),
        (f"{row(1, 'a')}\n{row(3, 'b')}\n", "a.conllu:2: id '3', expected 2"),
        (f"{row(1, '')}\n", "a.conllu:1: the word is empty"),
        (f"{row(1, 'a')}\n\n# alone\n\n", "a.conllu:3: a sentence without words"),
        (f"{row(1, 'a')}\n{row(2, 'é')}\n".encode("latin-1"), "a.conllu:2: not UTF-8: byte 3 of the line is 0xe9"),
    ],
)
def test_a_fault_is_told_with_its_line(text, message):
    with pytest.raises(InputError) as error:
        conllu(text)
    assert message in str(error.value)


def test_columns_by_tabs_or_spaces_with_empty_lines_that_hold_blanks():
    by_tabs = columns("a b\tO\nc\tB-X\n\t\n\n  \r\nd\tO\r\n")
    assert [sentence.words for sentence in by_tabs] == [["a b", "c"], ["d"]]
    assert by_tabs[1].line_of(0) == 6
    by_spaces = columns("a  NN O\n\nb NN   I\n")
    assert [sentence.rows for sentence in by_spaces] == [[["a", "NN", "O"]], [["b", "NN", "I"]]]


def test_a_word_of_odd_blanks_is_a_word():
    (sentence,) = columns("\u00a0\tO\n\u2028\tO\n")
    assert sentence.words == ["\u00a0", "\u2028"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb\n", "a.txt:2: 1 columns apart by tabs, expected 2 as in line 1"),
        ("a\tO\n\tO\n", "a.txt:2: column 1 is empty, expected a word"),
        (b"a\tO\n\nb\tO\n\xff\tO\n", "a.txt:4: not UTF-8: byte 1 of the line is 0xff"),
        ("a\tO\n".encode("utf-16"), "a.txt: is text in UTF-16, expected text in UTF-8"),
    ],
)
def test_a_faulty_row_is_told_with_its_line(text, message):
    with pytest.raises(InputError) as error:
        columns(text)
    assert message in str(error.value)


def test_files_are_read_as_a_stream():
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            piece = (b"a\tO\n\n" * (len(buffer) // 5 + 1))[: len(buffer) // 5 * 5]
            buffer[: len(piece)] = piece
            return len(piece)

    sentences = read_columns(io.BufferedReader(Endless(), 10_000), "endless", word=0)
    assert [next(sentences).words for _ in range(5)] == [["a"]] * 5

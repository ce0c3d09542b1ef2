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
        (f"{row(1, 'a')}\n2\tb\t_\n", "a.conllu:2: 3 columns, CoNLL-U has 10, separated by tabs"),
        ("1 a _ _ _ _ _ _ _ _\n", "a.conllu:1: 10 columns separated by spaces, CoNLL-U has 10, separated by tabs"),
        (f"{row(1, 'a')}\n{row(3, 'b')}\n", "a.conllu:2: id '3', expected 2"),
        (f"{row(1, '')}\n", "a.conllu:1: the word is empty"),
        (f"{row(1, 'a')}\n\n# alone\n1-2\tab{8 * (chr(9) + '_')}\n\n", "a.conllu:4: a sentence without words"),
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
        ("a\tO\nb\n", "a.txt:2: 1 columns separated by tabs, expected 2 as in line 1"),
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


def test_comments_at_the_end_of_conllu_and_between_sentences_are_kept():
    text = f"# one\n\n# two\n{row(1, 'a')}\n\n# alone\n\n{row(1, 'b')}\n\n# last\n# of all"
    sentences = conllu(text)
    assert [sentence.words for sentence in sentences] == [[], ["a"], [], ["b"], []]
    assert "".join(line for sentence in sentences for line in sentence.lines) == text


def test_the_file_decides_what_divides_its_columns_whatever_is_preferred():
    for preferred in (None, "tab", "space"):
        for text in ("Empire\tB-location\nState\tO\n", "Empire B-location\nState  O\n"):
            (sentence,) = columns(text, separator=preferred, columns=2)
            assert sentence.rows == [["Empire", "B-location"], ["State", "O"]]
            assert sentence.separator == ("tab" if "\t" in text else "space")
    (alone,) = columns("a\nNew York\n", separator="tab")
    assert alone.words == ["a", "New York"]
    assert alone.separator is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\nb\tO\n", "a.txt:2: a tab, but columns are separated by spaces in line 1"),
        ("a\tO\nb O\n", "a.txt:2: 1 columns separated by tabs, expected 2 as in line 1"),
        ("a\nb\tO\n", "a.txt:2: a tab, but columns are separated by spaces in line 1"),
        ("a\tO\n\n \tO\n", "a.txt:3: column 1 is empty, expected a word"),
        ("# a comment\na\tO\nb\n", "a.txt:3: 1 columns separated by tabs, expected 2 as in line 2"),
        ("a\tO\n# a comment\nb\tO\n", "a.txt:2: 1 columns separated by tabs, expected 2 as in line 1"),
        ("#newdoc id = 1\na O\n", "a.txt:1: 4 columns separated by spaces, expected 2 as in line 2"),
        ("a\tO\n\n#b\n", "a.txt:3: 1 columns separated by tabs, expected 2 as in line 1"),
    ],
)
def test_a_line_of_another_form_is_blamed_itself(text, message):
    with pytest.raises(InputError) as error:
        columns(text)
    assert message in str(error.value)


def test_a_comment_before_a_sentence_is_no_row_and_a_sign_is_a_word():
    text = "# id = 1\n# more\na SYM O\n# SYM O\n\n# id\n# SYM B\n\n# the end of it all"
    sentences = columns(text)
    assert [sentence.words for sentence in sentences] == [["a", "#"], ["#"], []]
    assert [sentence.line_of(0) for sentence in sentences[:2]] == [3, 7]
    assert "".join(line for sentence in sentences for line in sentence.lines) == text
    assert [sentence.words for sentence in columns("#\n# b c\na O\n# O\n")] == [["a", "#"]]
    hashes = columns("#\tO\n#a\tO\n\n# b\tO\n")
    assert [sentence.words for sentence in hashes] == [["#", "#a"], ["# b"]]


def test_lines_between_documents_are_no_words():
    text = "-DOCSTART- -X- O O\n\na NN I O\n\n-DOCSTART-\n\n-DOCSTART- -X- O O\nb NN I O\n"
    sentences = columns(text)
    assert [sentence.words for sentence in sentences] == [[], ["a"], [], ["b"]]
    assert "".join(line for sentence in sentences for line in sentence.lines) == text


def test_a_changed_line_between_spaces_keeps_them():
    (sentence,) = columns("  a   NN  O \r\nb NN O\n")
    changed = "".join(sentence.with_rows([["a", "NN", "B-X"], ["b", "NN", "O", "0.5"]], " "))
    assert changed == "  a   NN  B-X \r\nb NN O 0.5\n"


def test_spaces_around_a_word_between_tabs_are_not_of_the_word():
    (sentence,) = columns("a \tO\n b c\tO\n")
    assert sentence.words == ["a", "b c"]
    assert "".join(sentence.with_rows([["a ", "B"], [" b c", "O"]], "\t")) == "a \tB\n b c\tO\n"


def test_a_tab_after_the_last_of_the_columns_between_spaces_is_nothing():
    (sentence,) = columns("a O\nb O\t\n")
    assert sentence.rows == [["a", "O"], ["b", "O"]]

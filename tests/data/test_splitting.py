from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.data import build_tokenizer, encode, open_text, split
from recurra.errors import InputError

DATA = Path(__file__).parents[3] / "shared" / "data"


def parts(text, share, tokenizer):
    return tuple("".join(part.blocks()) for part in split(text, share, tokenizer=tokenizer))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("share")


@pytest.fixture
def text(tmp_path):
    """A function that opens one file with the given text."""

    def make(content, raw=False):
        (tmp_path / "text.txt").write_bytes(content.encode())
        return open_text(tmp_path / "text.txt", raw=raw)

    return make


def test_characters_are_cut_at_the_character(text):
    assert parts(text("abcdefghij"), 0.1, "char") == ("abcdefghi", "j")
    assert parts(text("abcdefghij"), 0.9, "char") == ("a", "bcdefghij")
    assert parts(text("éèêëé", raw=True), 0.3, "byte") == ("éèê", "ëé")


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_words_are_cut_at_the_end_of_the_line(text, tokenizer):
    lines = text("one two\nthree four\nfive six\n")
    assert parts(lines, 0.5, tokenizer) == ("one two\nthree four\n", "five six\n")
    # Nine of its 28 characters are "five six\n": a cut that is at the start of a line already stays there.
    assert parts(lines, 9 / 28, tokenizer) == ("one two\nthree four\n", "five six\n")


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_a_line_without_end_is_cut_after_the_word(text, tokenizer):
    assert parts(text("one two three four"), 0.5, tokenizer) == ("one two three", " four")
    first, second = parts(text("word " * 20_000), 0.5, tokenizer)
    assert (first[-5:], second[:5]) == (" word", " word")
    assert len(first) == 50_004


@given(st.integers(2, 2000), st.integers(1, 99))
@example(100, 7)  # 100 * 0.07 is a little more than 7
def test_a_percentage_is_exact(folder, characters, percent):
    path = folder / "text.txt"
    path.write_text("x" * characters)
    held_out = -(-characters * percent // 100)
    if held_out == characters:
        with pytest.raises(InputError, match="cannot be divided"):
            split(open_text(path), percent / 100, tokenizer="char")
    else:
        first, second = split(open_text(path), percent / 100, tokenizer="char")
        assert (len(first), len(second)) == (characters - held_out, held_out)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(text, share):
    with pytest.raises(InputError, match="expected more than 0 and less than 1"):
        split(text("abc"), share, tokenizer="char")


def test_a_text_of_one_word_cannot_be_divided(text):
    with pytest.raises(InputError, match="cannot be divided"):
        split(text("oneword"), 0.5, tokenizer="word")


JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"


def test_a_long_line_without_spaces_is_cut_after_a_sentence(text):
    first, second = parts(text(JAPANESE * 100), 0.1, "bpe")
    assert first + second == JAPANESE * 100
    assert first.endswith("。")
    first, second = parts(text("她说：“好。”" * 50 + "\n"), 0.3, "bpe")
    assert first.endswith("好。”")
    assert len(second) > 50


@pytest.mark.parametrize(
    "content",
    [
        "吾輩猫" * 500,
        "ภาษาไทย" * 3000,
        "e\u0301" * 500,
        "👩🏽\u200d👩🏽" * 500,
        "x" * 30_000,
        "日本語文章\n",
        "👍🏽" * 10,
    ],
)
@pytest.mark.parametrize("share", [0.1, 0.43, 0.77])
def test_any_text_is_cut_between_characters_for_subwords(text, content, share):
    first, second = parts(text(content), share, "bpe")
    assert first
    assert second
    assert first + second == content
    assert second[0] not in "\u0301\u200d🏽"
    assert first[-1] != "\u200d"


def test_a_line_end_that_only_ends_the_text_is_no_place_to_cut(text):
    assert parts(text("one two three four five\n"), 0.5, "word") == ("one two three", " four five\n")
    assert parts(text("one two three four five\n"), 0.5, "bpe") == ("one two three", " four five\n")


@pytest.mark.parametrize("content", [JAPANESE * 2, "x" * 30_000, "one two thr" + "e" * 40])
def test_words_without_spaces_are_told_what_to_use(text, content):
    with pytest.raises(InputError, match="words separated by spaces, use --unit bpe, char or byte"):
        split(text(content), 0.5, tokenizer="word")


@pytest.mark.skipif(not (DATA / "tinyshakespeare").is_dir(), reason="../shared/data/tinyshakespeare is not here")
def test_tinyshakespeare_has_its_published_parts(tmp_path):
    train, valid = split(open_text(DATA / "tinyshakespeare" / "input.txt"), 0.1, tokenizer="char")
    tokenizer = build_tokenizer("char", train)
    corpora = encode(train, tokenizer, tmp_path / "train"), encode(valid, tokenizer, tmp_path / "valid")
    assert [len(corpus) for corpus in corpora] == [1_003_854, 111_540]
    assert tokenizer.size == 1 + 65
    assert tokenizer.decode(corpora[1].tokens[:8]) == "?\n\nGREMI"

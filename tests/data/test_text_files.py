import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import build_tokenizer, encode, open_text
from recurra.data.text import LONGEST_WORD, chunks
from recurra.data.tokenizers import bpe
from recurra.data.tokenizers.bpe import _before_space, _without_long_runs
from recurra.errors import InputError


def write(folder, **files):
    paths = []
    for name, data in files.items():
        path = folder / f"{name}.txt"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("text")


@pytest.mark.parametrize("block_size", [1, 2, 3, 5, 1000])
def test_files_follow_each_other_on_a_new_line(tmp_path, block_size):
    text = open_text(write(tmp_path, a="één\r\n虎", b="two\n", c="🐅 three"))
    assert "".join(text.blocks(block_size)) == "één\r\n虎\ntwo\n🐅 three"
    assert len(text) == 18
    parts = ["".join(blocks) for _, blocks in text.files(block_size)]
    assert parts == ["één\r\n虎\n", "two\n", "🐅 three"]


def test_a_byte_order_mark_is_dropped_except_from_bytes(tmp_path):
    paths = write(tmp_path, a="\ufeffa\ufeff", b="\ufeffb")
    assert "".join(open_text(paths).blocks(2)) == "a\ufeff\nb"
    assert "".join(open_text(paths, raw=True).blocks(2)) == "\ufeffa\ufeff\n\ufeffb"


@given(st.lists(st.text(min_size=1, max_size=9), min_size=1, max_size=4), st.data())
def test_a_part_is_a_slice(folder, texts, data):
    text = open_text(write(folder, **{f"f{place}": part for place, part in enumerate(texts)}), raw=True)
    whole = "".join(text.blocks())
    assert len(text) == len(whole)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    assert "".join(text.part(start, end).blocks(data.draw(st.integers(1, 5)))) == whole[start:end]
    assert "".join(text.part(start, end).part(1, 3).blocks()) == whole[start:end][1:3]


@pytest.mark.parametrize(
    ("data", "offset", "byte"),
    [
        (b"ab\xffcd", 2, "ff"),
        (b"\xef\xbb\xbfab\xe9\n", 5, "e9"),
        (b"ab\xe2\x82", 2, "e2"),
        (b"x" * (1 << 20) + b"\xe2\x82z", 1 << 20, "e2"),
        (b"x" * ((1 << 20) - 1) + b"\xe2\x82z", (1 << 20) - 1, "e2"),
    ],
)
def test_a_file_that_is_not_utf_8_is_named_with_the_byte(tmp_path, data, offset, byte):
    [path] = write(tmp_path, latin=data)
    with pytest.raises(InputError, match=f"not UTF-8: byte {offset} is 0x{byte} .*--unit byte") as error:
        open_text(path)
    assert str(error.value).startswith(f"{path}: ")


def test_files_that_cannot_be_read_are_named(tmp_path):
    [good, empty, mark] = write(tmp_path, good="text", empty="", mark=b"\xef\xbb\xbf")
    with pytest.raises(InputError, match="no files to read"):
        open_text([])
    with pytest.raises(InputError, match=r"nowhere\.txt: no such file"):
        open_text([good, tmp_path / "nowhere.txt"])
    with pytest.raises(InputError, match=r"is a folder, expected a text file.*\*\.txt"):
        open_text([good, tmp_path])
    with pytest.raises(InputError, match=r"empty\.txt: the file is empty"):
        open_text([good, empty])
    with pytest.raises(InputError, match="only a byte order mark"):
        open_text([mark])


def test_a_file_that_shrank_is_noticed(tmp_path):
    [path] = write(tmp_path, a="a long text")
    text = open_text(path)
    path.write_text("short")
    with pytest.raises(InputError, match="has 5 characters, had 11"):
        list(text.blocks())


def test_a_word_without_end_is_refused(tmp_path):
    blocks = ["x" * 300_000] * 5
    with pytest.raises(InputError, match=r"dna\.txt: more than 1,048,576 characters without whitespace"):
        list(chunks(blocks, lambda text: text.rfind(" ") + 1, where=tmp_path / "dna.txt"))


@pytest.mark.parametrize("size", [100_000, 333_333, 1 << 20, 5_000_000])
def test_subwords_without_a_place_to_cut_at_are_cut_at_the_same_character_whatever_the_blocks(tmp_path, size):
    content = "a word " + "吾" * 2_500_000 + " the end " + "x" * 10
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    pieces = list(chunks(blocks, _before_space, where=tmp_path / "long.txt"))
    assert "".join(pieces) == content
    cuts = {sum(map(len, pieces[:number])) for number in range(1, len(pieces))}
    assert {6 + LONGEST_WORD + 1, 6 + 2 * (LONGEST_WORD + 1)} <= cuts
    inside = [place for place in cuts if 7 < place < 2_500_007]
    assert len(inside) == 2


def test_a_long_line_without_spaces_is_trained_on_and_encoded(tmp_path):
    path = tmp_path / "line.txt"
    path.write_text("吾輩は猫である。名前はまだ無い" * 80_000 + "吾" * 30_000, encoding="utf-8")
    text = open_text(path)
    tokenizer = build_tokenizer("bpe", text, vocabulary_size=300)
    corpus = encode(text, tokenizer, tmp_path / "tokens")
    assert corpus.characters == len(text) > LONGEST_WORD
    assert tokenizer.decode(corpus.tokens[:100]) == "".join(text.blocks())[: len(tokenizer.decode(corpus.tokens[:100]))]
    assert tokenizer.characters(corpus.tokens) == len(text)


def test_parts_of_a_long_run_are_cut_where_the_pattern_divides_it():
    mark = "吾輩は猫である。名前は、まだ無い" * 2_000
    parts = list(_without_long_runs("a b " + mark + " c"))
    assert "".join(parts) == "a b " + mark + " c"
    assert len(parts) > 10
    assert all(part[0] in "。、" for part in parts[1:])
    assert list(_without_long_runs("some words " * 9_000)) == ["some words " * 9_000]
    assert {len(part) for part in _without_long_runs("A" * 2048 * 3)} == {2048}


def test_marks_in_a_long_run_change_nothing_of_the_training(tmp_path, monkeypatch):
    path = tmp_path / "line.txt"
    sentences = ["吾輩は猫である。", "名前はまだ無い、", "it's what's 'here'.", "12,5.", "「猫」！"]
    path.write_text("".join(sentences[number * 7919 % 5] for number in range(4_000)).replace(" ", ""), encoding="utf-8")
    cut = build_tokenizer("bpe", open_text(path), vocabulary_size=330).files()
    monkeypatch.setattr(bpe, "_without_long_runs", lambda piece: [piece])
    assert build_tokenizer("bpe", open_text(path), vocabulary_size=330).files() == cut

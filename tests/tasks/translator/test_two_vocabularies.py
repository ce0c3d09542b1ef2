"""What a translator knows by number: round trips, the end, unknown symbols, one or two vocabularies, sources seen."""

import json

import numpy as np
import pytest

from recurra.data import open_pairs
from recurra.errors import InputError
from recurra.tasks.translator.options import PairOptions
from recurra.tasks.translator.train_overlap import TrainSources, digest
from recurra.tasks.translator.vocabulary import EOS, FILES, Vocabulary, build_vocabulary, load_vocabulary

LINES = [
    ("Ein Hund läuft.", "D IH N"),
    ("Zwei Hunde laufen schnell.", "K AH Z AH"),
    ("我喜歡 學習。", "AH"),
    ("أحب التعلم", "Z Z"),
]


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in LINES))
    return open_pairs([path])


def built(pairs, source, target, **options):
    return build_vocabulary(pairs, PairOptions(source_unit=source, target_unit=target, **options))


def write(vocabulary, folder):
    for name, text in vocabulary.files().items():
        (folder / name).write_text(text, newline="\n")


@pytest.mark.parametrize("source", ["char", "word", "bpe"])
def test_sentences_come_back_from_their_ids(pairs, source):
    vocabulary = built(pairs, source, "word")
    for text, phonemes in LINES:
        ids = vocabulary.source.encode(text)
        assert ids.dtype == np.int64
        assert (ids > EOS).all()
        assert (ids < vocabulary.source.size).all()
        assert vocabulary.source.decode(ids) == text
        assert vocabulary.source.decode([*ids, EOS, 1, 2, EOS]) == text
        assert vocabulary.target.decode(vocabulary.target.encode(phonemes).tolist()) == phonemes
    assert len(vocabulary.target.encode("K AH Z AH")) == 4
    assert vocabulary.source.decode([]) == vocabulary.source.decode([EOS]) == ""
    assert len(vocabulary.source.encode("")) == 0


def test_ids_are_those_of_the_unit_one_further_on(pairs):
    side = built(pairs, "char", "word").target
    assert side.size == side.tokenizer.size + 1
    assert side.encode("AH Z").tolist() == (side.tokenizer.encode("AH Z") + 1).tolist()
    assert [side.symbol(number) for number in side.encode("AH Z")] == ["AH", "Z"]
    assert side.symbol(EOS) == ""


def test_symbols_never_seen_are_unknown_and_told(pairs):
    vocabulary = built(pairs, "char", "word")
    ids = vocabulary.source.encode("Hündchen ☃")
    assert [place for place, number in enumerate(ids) if number == vocabulary.source.unknown_id] == [1, 9]
    assert vocabulary.source.missing("Hündchen ☃") == ["ü", "☃"]
    assert vocabulary.target.encode("AH OO").tolist()[1] == vocabulary.target.unknown_id
    subwords = built(pairs, "bpe", "word").source
    assert subwords.unknown_id is None
    assert subwords.decode(subwords.encode("Hündchen ☃")) == "Hündchen ☃"


def test_symbols_that_are_too_rare_are_unknown(pairs):
    side = built(pairs, "char", "word", min_count=2).target
    assert side.missing("D IH Z AH") == ["D", "IH"]


@pytest.mark.parametrize("source", ["char", "word", "bpe"])
def test_no_sentence_holds_a_line_end_and_ids_of_one_are_told(pairs, source):
    side = built(pairs, source, "word").source
    for text in ("Ein\nHund", "Hund <eos> Ein", "\n"):
        assert not set(side.encode(text).tolist()) & set(side.line_break_ids)
    assert all("\n" in side.decode([number]) for number in side.line_break_ids)
    others = np.setdiff1d(np.arange(1, side.size), side.line_break_ids)
    assert not any("\n" in side.decode([number]) for number in others)
    assert side.encode("Ein\nHund").tolist() == side.encode("Ein Hund").tolist()


def test_a_size_is_that_of_each_side_which_characters_have_no_use_for(pairs):
    vocabulary = built(pairs, "char", "word", vocabulary_size=4)
    assert vocabulary.target.tokenizer.size == 4
    assert vocabulary.target.tokenizer.symbols[2:] == ("AH", "Z")
    assert vocabulary.source.tokenizer.size > 20


def test_subwords_are_counted_as_they_are_read(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("Hund\tx\n" * 1 + "".join(f"Hund{number}\tx\n" for number in range(9)))
    side = built(open_pairs([path]), "bpe", "char").source
    assert side.symbol(side.encode("Hund")[0]) == "Hund"
    # Nothing stands before a sentence, so nothing with a space before it was counted.
    assert not any(side.symbol(number).startswith(" H") for number in range(side.size))


def test_line_ends_are_no_characters(pairs):
    vocabulary = built(pairs, "char", "char")
    assert "\n" not in vocabulary.source.tokenizer.symbols
    assert vocabulary.target.tokenizer.symbols == tuple(" ADHIKNZ")
    assert vocabulary.source.line_break_ids == ()


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_a_joint_vocabulary_knows_both_sides_and_is_written_once(pairs, tmp_path, tokenizer):
    vocabulary = built(pairs, tokenizer, tokenizer, joint=True)
    assert vocabulary.joint
    assert vocabulary.source is vocabulary.target
    assert not vocabulary.source.missing("Ein AH")
    assert sum(name.endswith("unit.json") for name in vocabulary.files()) == 1
    write(vocabulary, tmp_path)
    again = load_vocabulary(tmp_path)
    assert again.joint
    assert again.files() == vocabulary.files()


@pytest.mark.parametrize("tokenizers", [("char", "bpe"), ("bpe", "bpe"), ("word", "word")])
def test_what_is_written_is_read(pairs, tmp_path, tokenizers):
    plain = built(pairs, *tokenizers)
    vocabulary = Vocabulary(plain.source, plain.target, TrainSources.of([digest(source) for source, _ in LINES]))
    assert vocabulary.files().keys() <= set(FILES)
    write(vocabulary, tmp_path)
    again = load_vocabulary(tmp_path)
    assert not again.joint
    assert again.files() == vocabulary.files()
    for source, target in LINES:
        assert again.source.encode(source).tolist() == vocabulary.source.encode(source).tolist()
        assert again.target.encode(target).tolist() == vocabulary.target.encode(target).tolist()
        assert again.seen(source)
        assert not again.seen(target)


def test_a_source_is_seen_whatever_its_spaces_and_its_form():
    seen = TrainSources.of([digest("caf\u00e9  au lait"), digest("x")])
    assert "cafe\u0301 au lait " in seen
    assert "Caf\u00e9 au lait" not in seen
    assert "\udcff" not in seen
    assert len(seen | TrainSources.of([digest("x"), digest("y")])) == 3
    assert "" not in TrainSources.of([])


def test_a_hundred_thousand_sources_take_less_than_a_megabyte():
    seen = TrainSources.of([digest(str(number)) for number in range(100_000)])
    assert len(seen) == 100_000
    assert len(seen.to_text()) < 1_000_000
    assert not any(str(number) in seen for number in range(100_000, 110_000))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocabulary.json", None, "no such file"),
        ("vocabulary.json", "{", "cannot be read as JSON"),
        ("vocabulary.json", '{"format": 2, "joint": false}', "expected an object of format 1"),
        ("seen.txt", None, "no such file"),
        ("seen.txt", "recurra sources 1 2\nAAAA", "3 bytes after"),
        ("seen.txt", "recurra sources 1 1\nAAAAAAAAAA==", "7 bytes after"),
        ("seen.txt", "recurra sources 1 1\nAA§AAAAA", "cannot be read"),
        ("source.unit.json", None, "no such file"),
        ("target.tokenizer.json", None, "no such file"),
        ("target.tokenizer.json", "{}", "not a tokenizer"),
    ],
)
def test_what_is_lost_or_damaged_is_told_in_one_line(pairs, tmp_path, name, content, message):
    write(built(pairs, "char", "bpe"), tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_vocabulary(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_of_a_joint_vocabulary_tells_so(pairs):
    assert json.loads(built(pairs, "bpe", "bpe", joint=True).files()["vocabulary.json"])["joint"] is True

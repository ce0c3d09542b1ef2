"""The table of tokenizers by name: built from a text, or loaded from a folder."""

from pathlib import Path

from recurra.data.tokenizers.bpe import DEFAULT_SIZE, build_bpe, read_bpe
from recurra.data.tokenizers.byte import ByteTokenizer
from recurra.data.tokenizers.char import build_char, read_char
from recurra.data.tokenizers.tokenizer import FORMAT, TOKENIZER_JSON, Readable, Tokenizer
from recurra.data.tokenizers.word import build_word, read_word
from recurra.errors import InputError, nearest
from recurra.files import read_object

TOKENIZERS = ("char", "byte", "word", "bpe")
# The fields of unit.json in addition to `format` and `unit`.
_FIELDS = {"char": {"symbols"}, "byte": set[str](), "word": {"symbols"}, "bpe": {"size"}}
# The smallest vocabulary_size: `<unk>`, `<eos>` and a word; 256 bytes and one pair.
_LEAST = {"word": 3, "bpe": 257}


def check_tokenizer(name: str, *, vocabulary_size: int | None = None, min_count: int = 1) -> None:
    """Checks a tokenizer's name and options for `build_tokenizer`, before any file is read.

    Raises:
        InputError: the name is unknown, the tokenizer does not use an option, or a value is out of range.
    """
    if name not in TOKENIZERS:
        raise InputError(f"there is no tokenizer {name!r}. {nearest(name, TOKENIZERS)}")
    if min_count < 1:
        raise InputError(f"min_count={min_count}, expected 1 or more.")
    if min_count != 1 and name not in ("char", "word"):
        raise InputError(f"min_count={min_count} has no effect on the tokenizer {name!r}: leave it out, or use 'word'.")
    if vocabulary_size is not None and name not in _LEAST:
        raise InputError(
            f"vocabulary_size={vocabulary_size} has no effect on the tokenizer {name!r}: leave it out, or use 'bpe'."
        )
    if vocabulary_size is not None and vocabulary_size < _LEAST[name]:
        raise InputError(f"vocabulary_size={vocabulary_size}: the tokenizer {name!r} needs {_LEAST[name]} or more.")


def build_tokenizer(name: str, text: Readable, *, vocabulary_size: int | None = None, min_count: int = 1) -> Tokenizer:
    """Builds the tokenizer `name` with the vocabulary of `text`, which should be the training part only.

    Args:
        name: `char`, `byte`, `word` or `bpe`.
        text: the text, read in blocks; it must be opened with `raw=True` for `byte`, and only for it.
        vocabulary_size: maximal number of ids (`word`: all words if None; `bpe`: 4096 if None).
        min_count: characters or words that occur less often are unknown (`char`, `word`).

    Raises:
        InputError: `check_tokenizer` refuses the options, the text has a wrong `raw`, or the vocabulary is empty.
    """
    check_tokenizer(name, vocabulary_size=vocabulary_size, min_count=min_count)
    if text.raw != (name == "byte"):
        raise InputError(f"the text was opened with raw={text.raw}: the tokenizer {name!r} needs raw={not text.raw}.")
    if name == "char":
        return build_char(text, min_count=min_count)
    if name == "byte":
        return ByteTokenizer()
    if name == "word":
        return build_word(text, vocabulary_size=vocabulary_size, min_count=min_count)
    return build_bpe(text, vocabulary_size=vocabulary_size or DEFAULT_SIZE)


def load_tokenizer(folder: Path, *, prefix: str = "") -> Tokenizer:
    """Loads the tokenizer that `Tokenizer.save` wrote into `folder`.

    Args:
        folder: the folder.
        prefix: prefix of the file names, if a folder has several tokenizers.

    Raises:
        InputError: a file is missing or damaged; the message says which and why.
    """
    path = Path(folder) / f"{prefix}{TOKENIZER_JSON}"
    fields = _read_fields(path)
    name = fields.get("unit")
    if name not in TOKENIZERS:
        raise InputError(f"{path}: 'unit' is {name!r}, expected one of {', '.join(TOKENIZERS)}.")
    expected = {"format", "unit"} | _FIELDS[str(name)]
    if fields.keys() != expected:
        raise InputError(f"{path}: its fields are {sorted(fields)}, expected {sorted(expected)}.")
    if name == "char":
        return read_char(fields, path)
    if name == "byte":
        return ByteTokenizer()
    if name == "word":
        return read_word(fields, path)
    return read_bpe(fields, path)


def _read_fields(path: Path) -> dict[str, object]:
    fields = read_object(path, missing="expected a tokenizer saved by recurra")
    if fields.get("format") != FORMAT:
        raise InputError(f"{path}: 'format' is {fields.get('format')!r}, this version of recurra reads {FORMAT}.")
    return fields

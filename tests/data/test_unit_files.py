import json

import pytest

from recurra.data import build_tokenizer, load_tokenizer, open_text
from recurra.errors import InputError


@pytest.fixture
def saved(tmp_path):
    """A function that saves a unit of the kind asked for and gives its folder."""

    def save(name):
        (tmp_path / "text.txt").write_text("the cat and the hat and the bat\n" * 5, encoding="utf-8")
        build_tokenizer(name, open_text(tmp_path / "text.txt", raw=name == "byte")).save(tmp_path)
        return tmp_path

    return save


def edit(path, change):
    fields = json.loads(path.read_text(encoding="utf-8"))
    change(fields)
    path.write_text(json.dumps(fields), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("char", lambda f: f.update(unit="chars"), "'unit' is 'chars'"),
        ("char", lambda f: f.update(format=99), "'format' is 99"),
        ("char", lambda f: f.pop("symbols"), "its fields are"),
        ("byte", lambda f: f.update(extra=1), "its fields are"),
        ("char", lambda f: f.update(symbols=[]), "'symbols' is not a list"),
        ("char", lambda f: f.update(symbols="abc"), "'symbols' is not a list"),
        ("char", lambda f: f["symbols"].append("zz"), "'zz', expected one character"),
        ("char", lambda f: f["symbols"].reverse(), "in order of code point"),
        ("char", lambda f: f["symbols"].insert(1, f["symbols"][0]), "no other symbol equals"),
        ("word", lambda f: f["symbols"].append(7), "symbol 7 is 7, expected a string"),
        ("word", lambda f: f["symbols"].pop(0), "the first symbols are"),
        ("word", lambda f: f["symbols"].append("a b"), "'a b', expected a word without whitespace"),
        ("bpe", lambda f: f.update(size=3), "'size' is 3, but tokenizer.json has"),
    ],
)
def test_an_edited_unit_file_is_refused_by_name(saved, name, change, message):
    folder = saved(name)
    edit(folder / "unit.json", change)
    with pytest.raises(InputError, match=message) as error:
        load_tokenizer(folder)
    assert str(error.value).startswith(str(folder / "unit.json"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["pre_tokenizer"].update(add_prefix_space=True), "'pre_tokenizer' is not that of"),
        (lambda f: f.update(normalizer={"type": "Lowercase"}), "'normalizer' is not that of"),
        (lambda f: f["model"].update(dropout=0.5), "'model' is not that of"),
        (lambda f: f["model"]["vocab"].update({"zz": 5000}), "are not 0, 1, 2"),
        (lambda f: f["model"]["vocab"].update({"虎": len(f["model"]["vocab"])}), "not the 256 bytes"),
    ],
)
def test_an_edited_tokenizer_is_refused_by_name(saved, change, message):
    folder = saved("bpe")
    edit(folder / "tokenizer.json", change)
    with pytest.raises(InputError, match=message) as error:
        load_tokenizer(folder)
    assert str(error.value).startswith(str(folder / "tokenizer.json"))


def test_a_missing_or_cut_file_is_refused_by_name(saved):
    folder = saved("bpe")
    whole = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        load_tokenizer(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"tokenizer\.json: no such file"):
        load_tokenizer(folder)
    (folder / "unit.json").write_bytes(b'{"format": 1, \xff')
    with pytest.raises(InputError, match=r"unit\.json: cannot be read as JSON"):
        load_tokenizer(folder)
    (folder / "unit.json").write_text("[]")
    with pytest.raises(InputError, match="holds a list, expected a JSON object"):
        load_tokenizer(folder)
    (folder / "unit.json").unlink()
    with pytest.raises(InputError, match=r"unit\.json: no such file"):
        load_tokenizer(folder)

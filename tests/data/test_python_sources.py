import sysconfig
from pathlib import Path

from recurra.data import open_text, python_sources


def test_the_library_is_there_without_tests_and_tables():
    train, valid = python_sources()
    library = Path(sysconfig.get_path("stdlib"))
    names = {path.relative_to(library).as_posix() for path in train + valid}
    assert len(names) == len(train) + len(valid)
    assert {"argparse.py", "json/decoder.py", "asyncio/events.py"} <= names
    assert len(names) > 300
    unwanted = ("site-packages", "/test", "test/", "idlelib", "encodings/", "pydoc_data", "_sysconfigdata")
    assert [name for name in names if any(part in name for part in unwanted) and not name.startswith("unittest/")] == []
    assert train == sorted(train, key=lambda path: path.relative_to(library).as_posix())


def test_one_file_in_twenty_is_held_out_whatever_else_is_there():
    train, valid = python_sources()
    assert 1 / 40 < len(valid) / len(train + valid) < 1 / 10
    assert python_sources() == (train, valid)


def test_the_sources_can_be_read():
    train, valid = python_sources()
    text = open_text(valid)
    assert "def " in "".join(text.blocks())
    assert len(open_text(train)) > 5_000_000

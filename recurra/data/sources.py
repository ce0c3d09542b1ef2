"""A text available on every machine: the source of Python's standard library."""

import os
import sysconfig
import zlib
from pathlib import Path

from recurra.errors import RecurraError

# Tests, installed packages and generated tables are not typical Python code.
_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "encodings", "pydoc_data"}
_FOLDER_BEGINNINGS = ("config-", "__pycache__")
# The first three differ from machine to machine, the last two are tables of characters.
_FILE_BEGINNINGS = ("_sysconfigdata", "sitecustomize", "usercustomize", "stringprep", "entities")
# About one file in twenty is held out.
_HELD_OUT = 20


def python_sources() -> tuple[list[Path], list[Path]]:
    """Returns the source files of the interpreter's standard library: training files, and one in twenty held out.

    Installed packages, tests, idlelib, generated tables, and files that are empty or not UTF-8 are excluded. Files are
    sorted by path and held out by a checksum of the path, so that machines with the same Python agree.

    Raises:
        RecurraError: the library is not available as source files.
    """
    library = Path(sysconfig.get_path("stdlib"))
    train: list[Path] = []
    valid: list[Path] = []
    for relative in sorted(_source_files(library)):
        path = library / relative
        if _is_text(path):
            held_out = zlib.crc32(relative.encode()) % _HELD_OUT == 0
            (valid if held_out else train).append(path)
    if not train or not valid:
        raise RecurraError(f"{library}: no Python source files there. Name text files to train on.")
    return train, valid


def _source_files(library: Path) -> list[str]:
    """The relative paths of the selected files in `library`, with forward slashes."""
    names = []
    for folder, below, files in os.walk(library):
        below[:] = [name for name in below if name not in _FOLDERS and not name.startswith(_FOLDER_BEGINNINGS)]
        kept = [name for name in files if name.endswith(".py") and not name.startswith(_FILE_BEGINNINGS)]
        names += [(Path(folder) / name).relative_to(library).as_posix() for name in kept]
    return names


def _is_text(path: Path) -> bool:
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except (UnicodeDecodeError, OSError):
        return False

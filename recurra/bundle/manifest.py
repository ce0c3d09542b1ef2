"""manifest.json: the names of the files that a saved model consists of, so that they can be replaced as a whole.

Names alone: a size or a digest would be wrong as soon as somebody edits the card, and the weights have their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recurra.errors import InputError
from recurra.files import read_object, replace_file, to_json

MANIFEST = "manifest.json"
FORMAT = 1


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Writes the names of a model's files, those of an earlier manifest included.

    Call it before the files are written: after a kill, every file of the model is listed.

    Raises:
        OSError: the disk is full or refuses otherwise.
    """
    before = read_manifest(folder) or []
    files = sorted({*names, *before})
    if files == before:  # each save of a run lists the same
        return
    replace_file(folder / MANIFEST, to_json({"format": FORMAT, "files": files}))


def read_manifest(folder: Path) -> list[str] | None:
    """The names in a folder's manifest; None where there is none that can be read.

    Only plain names of files count: a manifest must not name a file outside its folder, or a folder.
    """
    try:
        names = read_object(folder / MANIFEST).get("files")
    except InputError:
        return None
    if not isinstance(names, list):
        return None
    return [name for name in names if isinstance(name, str) and _is_plain(name) and not (folder / name).is_dir()]


def _is_plain(name: str) -> bool:
    return "\0" not in name and name not in ("", ".", "..") and Path(name).name == name

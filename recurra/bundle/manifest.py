"""manifest.json: the names of the files of a saved model, so that they can be replaced together.

Only names: sizes or checksums would be wrong after an edit of the card, and the weights contain their own checksum.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from recurra.errors import InputError
from recurra.files import read_object, replace_file, to_json

MANIFEST = "manifest.json"
FORMAT = 1


def write_manifest(folder: Path, names: Iterable[str]) -> None:
    """Writes the names of a model's files, and keeps those of an earlier manifest.

    Call it before the files are written, so that after a kill every file of the model is listed.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    before = read_manifest(folder) or []
    files = sorted({*names, *before})
    if files == before:  # every save of a run after the first
        return
    replace_file(folder / MANIFEST, to_json({"format": FORMAT, "files": files}))


def read_manifest(folder: Path) -> list[str] | None:
    """The names in a folder's manifest; None if it does not exist or cannot be read.

    Only plain file names are returned: an edited manifest could name files outside the folder, which would be removed.
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

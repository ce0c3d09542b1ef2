"""Common Voice: a table of recordings in the folder `clips` next to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recurra.data.audio.tables import column_indices, read_header, read_rows
from recurra.data.audio.utterance import Utterance
from recurra.errors import InputError

_COLUMNS = ("path", "sentence", "client_id")


def is_common_voice(header: Sequence[str]) -> bool:
    """Whether a table with these columns is one of Common Voice."""
    return "path" in header and "sentence" in header


def read_common_voice(path: Path, header: Sequence[str]) -> list[Utterance]:
    """Reads a table of Common Voice, such as train.tsv: columns `path`, `sentence` and `client_id`.

    Args:
        path: the file.
        header: its column names, in lower case.

    Raises:
        InputError: a column is in the table twice, or a row cannot be read; with the line's number.
    """
    columns = column_indices(path, header, _COLUMNS)
    utterances = []
    for row in read_rows(path):
        place = f"{path}:{row.number}"
        values = {name: row.fields[column].strip() for name, column in columns.items()}
        if not values["path"]:
            raise InputError(f"{place}: no file in column path")
        utterances.append(
            Utterance(
                path=path.parent / "clips" / values["path"],
                text=values["sentence"],
                speaker=values.get("client_id") or None,
                place=place,
                name=values["path"],
            )
        )
    if not utterances:
        raise InputError(f"{path}: no rows below the header")
    return utterances


def tables_of(folder: Path) -> list[Path]:
    """Returns the tables of Common Voice in a folder that contains `clips`; sorted by name."""
    if not (folder / "clips").is_dir():
        return []
    tables = []
    for path in sorted(folder.glob("*.tsv")):
        try:
            header = read_header(path)
        except InputError:
            continue  # other tables of the folder are not read
        if is_common_voice(header):
            tables.append(path)
    return tables

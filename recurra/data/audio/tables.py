"""Tables with a header line: comma-separated values with quotes, or columns separated by tabs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recurra.data.lines import Line, end_of, open_bytes, read_lines
from recurra.errors import InputError


@dataclass(frozen=True)
class Row:
    """A row of a table: its values, one per column of the header.

    Args:
        number: the line where it begins, from 1.
        fields: its values.
    """

    number: int
    fields: list[str]


def read_header(path: Path) -> list[str]:
    """Returns the names in the first line of a table, in lower case and without surrounding spaces.

    Raises:
        InputError: the file cannot be read, is empty or not text.
    """
    with open_bytes(path) as file:
        line = next(read_lines(file, str(path)), None)
    if line is None or not line.text.strip():
        raise InputError(f"{path}: {'the file' if line is None else 'the first line'} is empty, expected column names")
    row = next(_rows(path, iter([line]), "\t" if "\t" in line.text else ","))
    return [name.strip().lower() for name in row.fields]


def read_rows(path: Path) -> Iterator[Row]:
    """Iterates over the rows of a table below its header; empty lines are skipped.

    A tab in the header makes tabs the separators. Then every line is a row, and a field in quotes is unquoted if the
    quotes in it are doubled; others are kept as they are, because texts in such tables have single quotation marks.
    Otherwise commas are the separators, and a field in quotes may contain commas and line breaks (RFC 4180).

    Raises:
        InputError: a row has another number of columns than the header, quotes do not match, or a line is not UTF-8;
            with the line's number.
    """
    with open_bytes(path) as file:
        lines = read_lines(file, str(path))
        header = next(lines, None)
        if header is None:
            return
        separator = "\t" if "\t" in header.text else ","
        columns = len(next(_rows(path, iter([header]), separator)).fields)
        for row in _rows(path, lines, separator, header.number):
            if row.fields in ([], [""]):
                continue
            if len(row.fields) != columns:
                more = ". Write texts with commas in quotes" if separator == "," and len(row.fields) > columns else ""
                raise InputError(
                    f"{path}:{row.number}: {len(row.fields)} columns separated by "
                    f"{'commas' if separator == ',' else 'tabs'}, expected {columns} as in the header{more}"
                )
            yield row


def column_indices(path: Path, header: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Returns the column of each of `names` that is in the header.

    Raises:
        InputError: one of them is in it twice.
    """
    for name in names:
        if header.count(name) > 1:
            raise InputError(f"{path}:1: {header.count(name)} columns are named {name!r}, expected one")
    return {name: header.index(name) for name in names if name in header}


def _rows(path: Path, lines: Iterator[Line], separator: str, before: int = 0) -> Iterator[Row]:
    if separator == "\t":
        return (Row(line.number, [_unquoted(field) for field in line.text.split("\t")]) for line in lines)
    return _comma_separated(path, lines, before)


def _comma_separated(path: Path, lines: Iterator[Line], before: int) -> Iterator[Row]:
    reader = csv.reader((line.text + end_of(line.raw) for line in lines), strict=True)
    while True:
        number = before + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{path}:{number}: not comma-separated values ({error}). A quotation mark in quotes is doubled"
            ) from None
        yield Row(number, fields)


def _unquoted(field: str) -> str:
    if len(field) < 2 or not (field.startswith('"') and field.endswith('"')):
        return field
    inner = field[1:-1].replace('""', "")
    return field if '"' in inner else field[1:-1].replace('""', '"')

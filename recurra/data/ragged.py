"""Rows of unequal length on disk: tokens of sentences, labels, frames, series.

Rows lie one after the other in one file, and a second file holds where each ends, so that memory does not grow with the
data and any row is one slice of a memory map.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.errors import InputError
from recurra.files import read_object, replace_file, to_json

_REPAIR = "Train again without --resume"


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length.

    Args:
        values: (N, *width), the rows one after the other; a memory map, of any number type.
        ends: (R,) int64, where each row ends in `values`; rising.
    """

    values: npt.NDArray[Any]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """How many rows there are, R."""
        return len(self.ends)

    def __getitem__(self, row: int) -> npt.NDArray[Any]:
        """A row, (length, *width): a view of the memory map."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        return self.values[self.ends[row - 1] if row else 0 : self.ends[row]]

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The length of each row, (R,)."""
        return np.diff(self.ends, prepend=0)

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each row begins in `values`, (R,)."""
        return self.ends - self.lengths

    @property
    def width(self) -> tuple[int, ...]:
        """The shape of one step of a row; empty for one number a step."""
        return self.values.shape[1:]

    @classmethod
    def open(cls, folder: Path, name: str) -> Ragged:
        """The rows that a `RaggedWriter` wrote.

        Raises:
            InputError: a file is missing, cut short or does not fit the others.
        """
        path = folder / f"{name}.ragged.json"
        header = read_object(path, missing=_REPAIR.lower(), mend=_REPAIR)
        try:
            dtype, steps, rows, width = np.dtype(header["dtype"]), header["steps"], header["rows"], header["width"]
            shape = (int(steps), *map(int, width))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not the header of encoded rows ({error}). {_REPAIR}") from None
        values = _map(folder / f"{name}.values.bin", dtype, shape)
        ends = _map(folder / f"{name}.ends.bin", np.dtype(np.int64), (int(rows),))
        if (len(ends) and ends[-1] != steps) or (not len(ends) and steps) or (np.diff(ends, prepend=0) < 0).any():
            raise InputError(f"{folder / f'{name}.ends.bin'}: does not fit {path.name}. {_REPAIR}")
        return cls(values, ends)


class RaggedWriter:
    """Writes rows one at a time; a context manager, whose files are complete when it ends.

    Args:
        folder: where the files go.
        name: what their names begin with.
        dtype: the number type.
        width: the shape of one step of a row.
    """

    def __init__(self, folder: Path, name: str, dtype: npt.DTypeLike, width: tuple[int, ...] = ()) -> None:
        self._folder, self._name, self._dtype, self._width = folder, name, np.dtype(dtype), width
        self._ends, self._steps = array("q"), 0
        self._file = (folder / f"{name}.values.bin").open("wb")

    def append(self, row: npt.ArrayLike) -> None:
        """Writes a row, (length, *width); it may be empty."""
        values = np.ascontiguousarray(row, dtype=self._dtype)
        if values.size == 0:
            values = values.reshape(0, *self._width)
        if values.shape[1:] != self._width:
            raise ValueError(f"{self._name}: a row is {values.shape}, expected (length, {self._width})")
        self._file.write(values.tobytes())
        self._steps += len(values)
        self._ends.append(self._steps)

    def extend(self, rows: Iterable[npt.ArrayLike]) -> None:
        """Writes rows."""
        for row in rows:
            self.append(row)

    def __enter__(self) -> RaggedWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is not None:
            return
        with (self._folder / f"{self._name}.ends.bin").open("wb") as file:
            self._ends.tofile(file)
        header = {"dtype": self._dtype.str, "steps": self._steps, "rows": len(self._ends), "width": list(self._width)}
        # Last: a header stands for whole files.
        replace_file(self._folder / f"{self._name}.ragged.json", to_json(header))


def _map(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not path.is_file() or path.stat().st_size != expected:
        raise InputError(f"{path}: missing or cut short, expected {expected} bytes. {_REPAIR}")
    # A plain view: slicing np.memmap itself costs microseconds a slice. An empty file cannot be mapped.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=shape)) if expected else np.zeros(shape, dtype)

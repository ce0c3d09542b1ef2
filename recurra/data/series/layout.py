"""Which columns of a table are series, times and covariates, and how covariates become numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.series.tables import Table
from recurra.errors import InputError

ROLES = ("past", "known", "static")


@dataclass(frozen=True)
class Covariate:
    """A column that helps to forecast.

    Args:
        name: of the column.
        role: "past" if it is known up to the present only, "known" if also for the future, "static" if it is constant
            within each series.
        mean: of a numeric column in the training data.
        scale: its standard deviation there.
        categories: the distinct texts of a categorical column; None for a numeric one.
    """

    name: str
    role: str
    mean: float = 0.0
    scale: float = 1.0
    categories: list[str] | None = None

    def fitted(self, tables: Sequence[Table]) -> Covariate:
        """Returns the covariate with the mean and scale, or the categories, of tables."""
        if self.categories is not None:
            texts = sorted({text for table in tables for text in table.texts(self.name)} - {""})
            return replace(self, categories=texts)
        numbers = np.concatenate([table.numbers(self.name) for table in tables])
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            raise InputError(f"{tables[0].name}: column {self.name!r} has no value")
        return replace(self, mean=float(numbers.mean()), scale=float(numbers.std()) or 1.0)

    def encode(self, table: Table) -> npt.NDArray[np.float32]:
        """Returns a column as float32: standardised; or the numbers of categories from 1, 0 for unknown ones."""
        if self.categories is not None:
            numbers = {text: number for number, text in enumerate(self.categories, start=1)}
            return np.array([numbers.get(text, 0) for text in table.texts(self.name)], dtype=np.float32)
        return ((table.numbers(self.name) - self.mean) / self.scale).astype(np.float32)


@dataclass(frozen=True)
class Layout:
    """The columns of the tables of a run.

    Args:
        time: the column of times.
        targets: the columns of values; in a wide table each is a series.
        id: the column of names of series; None in a wide table, or for one series.
        together: whether the targets are the channels of one series, forecast together.
        covariates: further columns that are read.
    """

    time: str
    targets: list[str]
    id: str | None = None
    together: bool = False
    covariates: list[Covariate] = field(default_factory=list)

    def of(self, *roles: str) -> list[Covariate]:
        """Returns the covariates of some roles."""
        return [covariate for covariate in self.covariates if covariate.role in roles]

    def fitted(self, tables: Sequence[Table]) -> Layout:
        """Returns the layout with its covariates fitted to tables."""
        return replace(self, covariates=[covariate.fitted(tables) for covariate in self.covariates])

    def check(self, table: Table) -> None:
        """Checks that a table has all columns.

        Raises:
            InputError: one is missing.
        """
        if self.id is not None:
            table.require(self.id)
        table.require(self.time)
        for name in [*self.targets, *(covariate.name for covariate in self.covariates)]:
            table.require(name)

    def to_plain(self) -> dict[str, Any]:
        """Returns the fields, as JSON can represent them."""
        return asdict(self)

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Layout:
        """Returns the layout that `to_plain` described."""
        return cls(**{**content, "covariates": [Covariate(**item) for item in content["covariates"]]})


def find_layout(
    table: Table,
    *,
    id_column: str | None,
    time_column: str | None,
    targets: Sequence[str],
    together: bool,
    roles: dict[str, Sequence[str]],
    categorical: Sequence[str],
) -> Layout:
    """Returns the layout of a table.

    A table is long if it has the column `id_column`, or `unique_id` if that is None. The time is `ds` if there is such
    a column, else the first column. The values are `y` in a long table; in a wide one all columns that are nothing
    else.

    Raises:
        InputError: a column does not exist, or has two roles.
    """
    columns = table.columns
    _check_named(table, id_column=id_column, time_column=time_column, target=targets, **roles)
    named = {name: role for role in ROLES for name in roles.get(role, ())}
    for name in categorical:
        if name not in named:
            raise InputError(f"categorical={list(categorical)}: {name!r} is in none of past, known and static")
    if id_column is None and "unique_id" in columns:
        id_column = "unique_id"
    rest = [name for name in columns if name != id_column and name not in named]
    time = time_column or ("ds" if "ds" in columns else rest[0] if rest else "ds")
    rest = [name for name in rest if name != time]
    if not targets:
        targets = ["y"] if "y" in rest and (id_column is not None or time == "ds") else rest
        if id_column is not None and targets != ["y"]:
            raise InputError(f"{table.name}: there is no column 'y' of values. Name it: --target COLUMN")
    if not targets:
        raise InputError(f"{table.name}: no column of values. Its columns are {', '.join(columns)}")
    covariates = [Covariate(name, role, categories=[] if name in categorical else None) for name, role in named.items()]
    used = [time, *targets, *named, *([] if id_column is None else [id_column])]
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise InputError(f"{table.name}: column {twice[0]!r} has two roles: leave it out of one")
    layout = Layout(time, list(targets), id_column, together and len(targets) > 1, covariates)
    layout.check(table)
    return layout


def _check_named(table: Table, **options: str | Sequence[str] | None) -> None:
    """Checks the columns that options name."""
    for option, value in options.items():
        for name in [value] if isinstance(value, str) else value or ():
            table.require(name, f"{option}={value!r}" if isinstance(value, str) else f"{option}={list(value or ())!r}")

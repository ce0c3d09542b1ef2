"""Recipes: TOML files with the options of a run, by group.

A recipe names its task, its files, and the options that differ from the defaults:

    task = "lm"
    files = ["plays.txt"]

    [network]
    hidden_size = 512

Every run writes a recipe with all its options. TOML has no null; the string "none" represents None where an option
can be None.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from recurra.errors import InputError, RecurraError, nearest, rename_options
from recurra.files import replace_file
from recurra.tasks import Task
from recurra.tasks.fields import check_names, field_names, optional_names, read_fields, to_plain
from recurra.training import TrainingOptions

_LENGTHS = ("steps", "epochs", "max_minutes")
_DEFAULT_LENGTH = {*_LENGTHS, "least_steps"}


def groups(task: Task) -> dict[str, type]:
    """The groups of options of a task, by the names of their TOML tables."""
    return {**task.implementation.options, "training": TrainingOptions}


class Recipe(NamedTuple):
    """The content of a recipe; its options are one flat dictionary when read, and grouped when written."""

    files: Sequence[Path] = ()
    options: Mapping[str, Any] = MappingProxyType({})
    seeds: int = 1
    init_from: Path | None = None


def read_recipe(path: str | Path, task: Task) -> Recipe:
    """Reads a recipe; its options are one flat dictionary.

    Raises:
        InputError: the file does not exist or is not TOML, is a recipe for another task, or has an unknown table or
            option.
    """
    path = Path(path)
    content = _read_toml(path)
    if content.pop("task", task.name) != task.name:
        raise InputError(f"{path}: is a recipe for another task, not for {task.name!r}")
    files, seeds, source = content.pop("files", []), content.pop("seeds", 1), content.pop("init_from", None)
    if not (isinstance(files, list) and all(isinstance(file, str) for file in files)):
        raise InputError(f"{path}: files is {files!r}, expected a list of file names")
    if type(seeds) is not int:
        raise InputError(f"{path}: seeds is {seeds!r}, expected a whole number")
    if not isinstance(source, str | None):
        raise InputError(f"{path}: init_from is {source!r}, expected the folder of a model")
    tables, options = groups(task), dict[str, Any]()
    for name, table in content.items():
        if name not in tables:
            raise InputError(f"{path}: there is no table [{name}]. {nearest(name, tables)}")
        if not isinstance(table, dict):
            raise InputError(f"{path}: {name} is {table!r}, expected a table [{name}] of options")
        check_names(table, field_names(tables[name]), where=f"{path}: [{name}]")
        optional = optional_names(tables[name])
        options |= {key: None if value == "none" and key in optional else value for key, value in table.items()}
    return Recipe([Path(file) for file in files], options, seeds, None if source is None else Path(source))


def write_recipe(path: Path, task: Task, recipe: Recipe) -> None:
    """Writes the recipe of a run, with one table per group of options.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    import tomli_w

    content: dict[str, Any] = {"task": task.name, "files": [str(file) for file in recipe.files]}
    if recipe.seeds != 1:
        content["seeds"] = recipe.seeds
    if recipe.init_from is not None:
        content["init_from"] = str(recipe.init_from)
    for name, group in recipe.options.items():
        content[name] = {key: _plain(value) for key, value in to_plain(group).items()}
    replace_file(path, tomli_w.dumps(content).encode())


def make_options(task: Task, chosen: Mapping[str, Any], *, below: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the options of a run by group.

    Args:
        task: the task, which defines options and defaults.
        chosen: the options that the user set, flat.
        below: options of lower priority, flat: those of a recipe and of the model to start from.

    Raises:
        InputError: an unknown option, or a value that cannot be used.
    """
    tables = groups(task)
    owner = {name: table for table, kind in tables.items() for name in field_names(kind)}
    check_names(chosen, owner, where=f"train {task.name}")
    flat = dict(task.implementation.training)
    for source in (below or {}, chosen):
        # A run has one length: a length of higher priority replaces every length of lower priority.
        if any(source.get(name) is not None for name in _LENGTHS):
            flat = {name: value for name, value in flat.items() if name not in _DEFAULT_LENGTH}
        flat |= source
    options = dict[str, Any]()
    for table, kind in tables.items():
        values = {name: value for name, value in flat.items() if owner[name] == table}
        options[table] = read_fields(kind, values, where=f"train {task.name}")
    return options


@contextmanager
def naming_keys(path: str | Path | None, task: Task, names: Iterable[str]) -> Iterator[None]:
    """Context in whose errors options from a recipe are named by file, table and key.

    Args:
        path: the recipe; None if there is none.
        task: the task of the recipe.
        names: the options whose values are from the recipe.
    """
    try:
        yield
    except RecurraError as error:
        if path is None:
            raise
        owner = {name: f"[{table}] " for table, kind in groups(task).items() for name in field_names(kind)}

        def key(name: str, value: str | None) -> str:
            return f"'{name}'" if value is None else f"{owner.get(name, '')}{name} = {_TOML.get(value, value)}"

        message = rename_options(str(error), names, key, verbatim=[str(path)])
        if message != str(error):
            error.args = (f"{path}: {message}",)
        raise


@contextmanager
def naming_values(options: Mapping[str, Any]) -> Iterator[None]:
    """Context whose errors start with the name of an option if they quote its value without naming any option.

    Args:
        options: the options that the user set, in a recipe or otherwise.
    """
    try:
        yield
    except InputError as error:
        message = str(error)
        quoted = [
            name for name, value in options.items() if isinstance(value, str) and value and repr(value) in message
        ]
        if len(quoted) == 1 and not any(f"{name}=" in message for name in options):
            error.args = (f"{quoted[0]}={options[quoted[0]]!r}: {message}",)
        raise


# Python's constants in messages, as they are written in TOML.
_TOML = {"None": '"none"', "True": "true", "False": "false"}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such recipe") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read as a recipe: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read as TOML ({error})") from None


def _plain(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value

"""The house: a folder imports only from the folders above it, nothing reaches outside the list."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "recurra"
# Top to bottom. The single files are what everyone may use, errors and files, and what the command line is a skin over.
FLOORS = ["errors", "files", "stopping", "cells", "engine", "layers", "data", "metrics", "decoding", "training"]
FLOORS += ["tasks", "diagnosis", "bundle", "serving", "bench", "recipe", "runs", "api", "cli", "verbs"]
FILES = sorted(path for path in ROOT.rglob("*.py") if path not in (ROOT / "__init__.py", ROOT / "__main__.py"))


# A task's own commands stand in its folder, but are a part of the command line: the table names them, nothing imports
# them.


def floor(path):
    return floor_of(path.relative_to(ROOT).with_suffix("").parts)


def floor_of(names):
    return "verbs" if names[0] == "tasks" and "verbs" in names else names[0]


def is_module(path):
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides the floor it enters"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in names if is_module(ROOT.parent / name.replace(".", "/"))]
            yield from modules
            if len(modules) < len(names):
                yield node.module


def test_the_walk_sees_the_house():
    assert len(FILES) > 20
    assert {floor(path) for path in FILES} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_imports_only_from_above(path):
    for module in imported(path):
        if module.startswith("recurra."):
            entered = floor_of(module.split(".")[1:])
            if entered in FLOORS:
                assert FLOORS.index(entered) <= FLOORS.index(floor(path)), f"{path} imports {module}"


def test_the_files_import_one_way():
    """No file imports, through others, itself; for its types neither."""
    named = {f"recurra.{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}": path for path in FILES}
    named = {name.removesuffix(".__init__"): path for name, path in named.items()}
    graph = {name: {module for module in imported(path) if module in named} for name, path in named.items()}
    assert sum(map(len, graph.values())) > len(graph)
    graphlib.TopologicalSorter(graph).prepare()


def test_no_file_is_named_for_nothing():
    names = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not names & {"utils", "helpers", "common", "misc"}


def test_no_two_files_of_tests_share_a_name():
    """pytest imports them by their names alone: a second one of the same name stops the collection."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert len(names) > 100
    assert len(names) == len(set(names))

"""The house: a folder imports only from the folders above it, nothing reaches outside the list."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "recurra"
# Top to bottom. The single files are what everyone may use, errors and files, and what the command line is a skin over.
FLOORS = ["errors", "files", "cells", "engine", "layers", "data", "decoding", "training", "tasks", "diagnosis"]
FLOORS += ["bundle", "serving", "bench", "recipe", "api", "cli"]
FILES = sorted(path for path in ROOT.rglob("*.py") if path not in (ROOT / "__init__.py", ROOT / "__main__.py"))


def floor(path):
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides the floor it enters"
            if node.module == "recurra":
                yield from (f"recurra.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_the_walk_sees_the_house():
    assert len(FILES) > 20
    assert {floor(path) for path in FILES} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_imports_only_from_above(path):
    for module in imported(path):
        if module.startswith("recurra."):
            entered = module.split(".")[1]
            if entered in FLOORS:
                assert FLOORS.index(entered) <= FLOORS.index(floor(path)), f"{path} imports {module}"


@pytest.mark.parametrize("task", sorted(path.parent.name for path in ROOT.glob("tasks/*/job.py")))
def test_the_files_of_a_task_import_one_way(task):
    files = {f"recurra.tasks.{task}.{path.stem}": path for path in ROOT.glob(f"tasks/{task}/*.py")}
    assert len(files) > 5
    graph = {name: {module for module in imported(path) if module in files} for name, path in files.items()}
    assert any(graph.values())
    graphlib.TopologicalSorter(graph).prepare()


def test_no_file_is_named_for_nothing():
    names = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not names & {"utils", "helpers", "common", "misc"}

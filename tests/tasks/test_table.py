"""The table of tasks: its page, and that nothing outside the tasks knows one of them by name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from recurra.tasks import TASKS
from recurra.tasks.document import page

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "bundle", "diagnosis", "bench", "runs")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / "recurra" / folder).rglob("*.py"))]
FILES += [ROOT / "recurra" / "api.py", ROOT / "recurra" / "recipe.py"]


def test_the_page_is_what_the_rows_say():
    assert (ROOT / "docs" / "tasks.md").read_text() == page(), "run: recurra tasks --markdown > docs/tasks.md"


def test_the_walk_sees_the_files():
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_names_a_task(path):
    constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not set(TASKS) & {value for value in constants if isinstance(value, str)}


def test_the_list_of_commands_needs_no_torch():
    code = "import sys, recurra.cli.app; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_row_is_complete(task):
    implementation = task.implementation
    assert implementation.model.name == task.name
    assert implementation.network in implementation.options
    assert task.train_help.partition("\n\n")[0].endswith(".")
    assert "DIR" in task.usage
    for verb in task.verbs:
        assert verb.function.startswith(implementation.model.__module__.rpartition(".")[0] + ".verbs.")

"""docs/architecture.md: its paths exist, its links lead somewhere, and its parts are in their order."""

import re
from pathlib import Path

from recurra.tasks import TASKS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
IN_BACKTICKS = re.findall(r"`([^`\n]+)`", PAGE)
# Files, and folders with a slash at their end.
PATHS = {text for text in IN_BACKTICKS if re.fullmatch(r"[\w<>/-]+(\.(py|md|toml)|/)", text)}
TASK_FOLDERS = {path.parent.name for path in (ROOT / "recurra" / "tasks").glob("*/task.py")}
# Files that not every task has: two read plain text, and a language model has generation.py.
NOT_IN_EVERY_TASK = {"tasks/<task>/formats.py", "tasks/<task>/predict.py"}


def exists(path):
    """Whether a path exists below recurra/ or the root; with `<task>` for every task, with another `<…>` for one."""
    for start in (ROOT / "recurra", ROOT):
        if "<task>" in path:
            if all((start / path.replace("<task>", name)).exists() for name in TASK_FOLDERS):
                return True
        elif any(start.glob(re.sub(r"<\w+>", "*", path))):
            return True
    return False


def test_every_path_exists():
    assert len(PATHS) > 100
    assert len(TASK_FOLDERS) == len(TASKS)
    assert {path for path in PATHS if not exists(path)} == NOT_IN_EVERY_TASK


def test_a_path_that_does_not_exist_is_noticed():
    assert exists("engine/run.py")
    assert exists("cells/<cell>.py")
    assert exists("tests/test_house.py")
    assert not exists("engine/runs.py")
    assert not exists("tasks/<task>/examples.py")  # of one task only


def test_every_folder_and_file_of_the_package_is_in_the_tree():
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE.split("## The tree")[1].split("\n## ")[0], re.MULTILINE)
    entries = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "recurra").iterdir()
        if (path.is_dir() and any(path.glob("*.py"))) or (path.suffix == ".py" and not path.name.startswith("__"))
    }
    assert set(rows) == entries | {"tasks/<task>/verbs/"}


def test_the_table_answers_twenty_questions():
    rows = PAGE.split("## Where do I …")[1].split("\n## ")[0].strip().splitlines()[2:]
    assert len(rows) == 20
    for row in rows:
        assert re.search(r"`[\w<>/]+(\.py|/)`", row), row


def test_the_functions_that_it_names_are_in_their_files():
    """Each "`name` in `file`" of the page."""
    page = " ".join(PAGE.split())
    named = re.findall(r"`(\w+)` in `([\w/]+\.py)`", page) + re.findall(r"`([\w/]+\.py)`: `(\w+)` ", page)
    assert len(named) >= 8
    for pair in named:
        (path,) = (text for text in pair if text.endswith(".py"))
        (name,) = (text for text in pair if not text.endswith(".py"))
        assert re.search(rf"(def|class) {name}\b", (ROOT / "recurra" / path).read_text()), pair


def test_the_links_of_all_pages_lead_somewhere():
    pages = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            name, _, heading = target.partition("#")
            linked = page.parent / name if name else page
            assert linked.exists(), f"{page.name}: {target}"
            if heading:
                titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert heading in anchors, f"{page.name}: {target}"

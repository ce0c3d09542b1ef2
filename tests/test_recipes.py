"""The recipes that are shipped can be used: each option is one of its task, each command above one names it."""

import tomllib
from pathlib import Path

import pytest

from recurra.recipe import make_options, read_recipe
from recurra.tasks import TASKS
from recurra.tasks.fields import to_plain

PATHS = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))


def test_there_are_recipes_of_every_task():
    tasks = {tomllib.loads(path.read_text())["task"] for path in PATHS}
    assert len(PATHS) >= 8
    assert tasks == set(TASKS)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_recipe_gives_options_of_its_task(path):
    task = TASKS[tomllib.loads(path.read_text())["task"]]
    recipe = read_recipe(path, task)
    assert recipe.options
    made = make_options(task, recipe.options)
    values = {name: value for group in made.values() for name, value in to_plain(group).items()}
    assert all(values[name] == value for name, value in recipe.options.items())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_command_in_a_recipe_names_it(path):
    commands = [line for line in path.read_text().splitlines() if line.startswith("# `recurra train ")]
    assert all(f"recipes/{path.name}`" in command for command in commands)
    assert commands or path.stem == "demo"


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_only_a_length_nobody_chose_grows_with_the_data(task):
    default = make_options(task, {})["training"]
    assert default.epochs
    assert default.least_steps >= 1000
    assert make_options(task, {"hidden_size": 4})["training"].least_steps == default.least_steps
    for chosen in ({"epochs": 2.0}, {"steps": 5}, {"max_minutes": 1.0}):
        assert make_options(task, chosen)["training"].least_steps is None
        assert make_options(task, {}, below=chosen)["training"].least_steps is None
    # What a run wrote down is what a resumed run has.
    written = {"epochs": 15.0, "least_steps": 70}
    assert make_options(task, written)["training"].least_steps == 70
    assert make_options(task, {}, below=written)["training"].least_steps == 70
    assert make_options(task, {"steps": 5}, below=written)["training"].least_steps is None

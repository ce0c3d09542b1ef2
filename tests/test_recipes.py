"""The recipes that are shipped can be used: each option is one of its task, each command above one names it."""

import tomllib
from pathlib import Path

import pytest

from recurra.recipe import make_options, read_recipe
from recurra.tasks import TASKS

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
    values = {name: value for group in made.values() for name, value in vars(group).items()}
    assert all(values[name] == value for name, value in recipe.options.items())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_command_in_a_recipe_names_it(path):
    commands = [line for line in path.read_text().splitlines() if line.startswith("# `recurra train ")]
    assert all(f"recipes/{path.name}`" in command for command in commands)
    assert commands or path.stem == "demo"

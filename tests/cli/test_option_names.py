"""Errors name options as their users write them: --min-count 0, min_count=0, or a recipe's key."""

import functools

import featured
import pytest
import tomli_w
from cli_runner import run_command

import recurra
from recurra.errors import InputError, rename_options
from recurra.recipe import groups
from recurra.tasks import TASKS
from recurra.tasks.fields import option_fields

# None of the options takes all of these: numbers out of every range, and a word that is no name.
WRONG = (-1, 0, -1.5, float("nan"), 2.0, 1e9, "nonsense")


@pytest.fixture
def recurra_command(capsys):
    return functools.partial(run_command, capsys)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "lm.txt").write_text("the cat sees a dog.\n" * 300)
    (folder / "tagger.txt").write_text("the\tD\ncat\tN\n\n" * 60)
    (folder / "translator.tsv").write_text("a b\tb a\nc d\td c\n" * 60)
    (folder / "forecaster.csv").write_text("ds,y\n" + "".join(f"{step},{step % 5}\n" for step in range(60)))
    featured.manifest(folder / "transcriber.csv")
    return {path.stem: path for path in folder.iterdir()}


def options():
    """Each option of each task, with values of its kind."""
    for task in TASKS.values():
        for table, kind in groups(task).items():
            for name, field in option_fields(kind).items():
                hint = str(field.hint)
                kinds = (float, int) if "float" in hint else (int,) if "int" in hint else (str,)
                if field.hint is not bool and "Path" not in hint:
                    yield task.name, table, name, [value for value in WRONG if isinstance(value, kinds)]


def refused(task, file, out, name, values):
    """The first value that is refused with a message that names the option, and the message."""
    few = {"steps": 1} if name not in ("steps", "epochs", "max_minutes") else {}
    for value in values:
        try:
            recurra.train(task, file, out=out, overwrite=True, **few, **{name: value})
        except InputError as error:
            if f"{name}=" in str(error):
                return value, str(error)
    return None, ""


@pytest.fixture
def untrained(monkeypatch):
    """Whatever is refused is refused before the first update."""

    def stop(*arguments, **options):
        raise InputError("nothing was refused")

    monkeypatch.setattr("recurra.runs.one.run_training", stop)


@pytest.mark.usefixtures("untrained")
def test_every_option_is_named_as_the_command_line_python_and_recipes_have_it(recurra_command, files, tmp_path):
    named = set()
    for task, table, name, values in CHECKED:
        flag = "--" + name.replace("_", "-")
        value, message = refused(task, files[task], tmp_path / "python", name, values)
        if (task, name) in NEVER_REFUSED:
            assert message == ""
            continue
        assert f"{name}=" in message, (task, name, message)
        assert flag not in message
        arguments = ("train", task, files[task], "--overwrite", "--out", tmp_path / "shell", f"{flag}={value}")
        code, _, err = recurra_command(*arguments)
        assert (code, len(err.splitlines())) == (2, 1), err
        assert f"{flag} " in err, err
        assert f"{name}=" not in err, err
        recipe = tmp_path / "r.toml"
        recipe.write_text(tomli_w.dumps({table: {name: value}}))
        code, _, err = recurra_command(
            "train", task, files[task], "--overwrite", "--out", tmp_path / "recipe", "--recipe", recipe
        )
        assert code == 2
        assert f"[{table}] {name} = " in err, err
        assert str(recipe) in err
        assert flag not in err
        named.add((task, name))
    assert len(named) == len(CHECKED) - len(NEVER_REFUSED)


CHECKED = list(options())
# Any number or word will do for them, or what is wrong shows only in the files.
NEVER_REFUSED = set()


def test_names_in_quotes_in_paths_and_of_files_stay():
    message = (
        "min_count=3.txt: unit='word' needs min_count=3: see /data/min_count=3/x and 'min_count=3'. min_count, unit"
    )

    def render(name, value):
        return f"<{name}|{value}>"

    renamed = rename_options(message, ["min_count", "unit"], render, verbatim=["min_count=3.txt"])
    assert renamed == (
        "min_count=3.txt: <unit|'word'> needs <min_count|3>: see /data/min_count=3/x and 'min_count=3'. "
        "<min_count|None>, unit"
    )


def test_values_are_written_as_typed(recurra_command, files, tmp_path):
    arguments = ("train", "lm", files["lm"], "--out", tmp_path / "m")
    for options, expected in (
        (["--steps", 3, "--epochs", 2], "--steps 3"),
        (["--recurrent-init", "two words"], "--recurrent-init 'two words'"),
        (["--cell-options", "size"], "--cell-options size: expected NAME=VALUE"),
        (["--top-k", 3], "Unknown option: --top-k"),
    ):
        code, _, err = recurra_command(*arguments, *options)
        assert code == 2
        assert expected in err, err

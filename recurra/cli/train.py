"""`recurra train TASK`: training a model on files."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from recurra.cli.options import whole, with_options
from recurra.recipe import groups
from recurra.tasks import TASKS, Task

app = App(name="train", help="Train a model on files.")


def _command(task: Task) -> Callable[..., Any]:
    """The command that trains a task."""

    def train(
        files: Annotated[list[Path] | None, Parameter(name=task.files_name, negative=())] = None,
        /,
        *,
        out: Path,
        recipe: Path | None = None,
        resume: Annotated[bool, Parameter(negative=())] = False,
        overwrite: Annotated[bool, Parameter(negative=())] = False,
        init_from: Path | None = None,
        seeds: Annotated[int | None, Parameter(converter=whole())] = None,
        **options: Any,
    ) -> None:
        from recurra.api import train
        from recurra.training import choose_progress

        train(
            task.name,
            files or [],
            out=out,
            recipe=recipe,
            resume=resume,
            overwrite=overwrite,
            init_from=init_from,
            seeds=seeds,
            progress=choose_progress(),
            **options,
        )

    train.__doc__ = task.train_help + _PARAMETERS.format(files=task.files_help)
    return train


_PARAMETERS = """
Parameters
----------
files
    {files}
out
    The folder of the model.
recipe
    A TOML file of options; options on the command line override it. Every run writes its options to recipe.toml.
resume
    Continue the interrupted run in --out from its last checkpoint; the result is the same as without the interruption.
overwrite
    Replace the model in --out; the old model stays usable until the new one is complete.
init_from
    Start from the weights of the trained model in this folder.
seeds
    Train this number of models, with consecutive seeds from --seed, and report mean and standard deviation.
"""

for _task in TASKS.values():
    app.command(with_options(_command(_task), groups(_task), _task.implementation.training), name=_task.name)

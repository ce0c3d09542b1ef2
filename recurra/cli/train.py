"""`recurra train TASK`: a model from files."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from recurra.cli.options import whole, with_options
from recurra.recipe import groups
from recurra.tasks import TASKS, Task

app = App(name="train", help="Train a model on files.")


def _verb(task: Task) -> Callable[..., Any]:
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
    A TOML file of options; options given here go before it. Every run writes its own as recipe.toml.
resume
    Go on with the interrupted run in --out, exactly where its checkpoint is.
overwrite
    Replace the model that is in --out, which stays and can be used until the new one is complete.
init_from
    Start from the trained model in this folder.
seeds
    Train so many models, with the seeds that follow --seed, and report mean and spread.
"""

for _task in TASKS.values():
    app.command(with_options(_verb(_task), groups(_task), _task.implementation.training), name=_task.name)

"""`recurra train TASK`: a model from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from recurra.cli.options import whole, with_options
from recurra.recipe import groups
from recurra.tasks import TASKS

app = App(name="train", help="Train a model on files.")


def lm(
    files: Annotated[list[Path] | None, Parameter(name="TEXT", negative=())] = None,
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
    """Train a language model on text files, to write, to score and to predict text.

    Without TEXT it learns from the Python source files of the interpreter that runs it. The best model so far is always
    in the folder; Ctrl-C loses nothing.

    ```sh
    recurra train lm plays.txt --out plays --max-minutes 5
    recurra train lm train.txt --valid valid.txt --unit word --cell gru --out words --epochs 20
    recurra train lm --out plays --resume
    ```

    Parameters
    ----------
    files
        Text files, UTF-8 (any bytes with --unit byte), read one after the other.
    out
        The folder of the model.
    recipe
        A TOML file of options; options given here go before it. Every run writes its own as recipe.toml.
    resume
        Go on with the interrupted run in --out, exactly where its checkpoint is.
    overwrite
        Replace the model that is in --out.
    init_from
        Start from the trained model in this folder.
    seeds
        Train so many models, with the seeds that follow --seed, and report mean and spread.
    """
    from recurra.api import train
    from recurra.training import choose_progress

    train(
        "lm",
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


app.command(with_options(lm, groups(TASKS["lm"]), TASKS["lm"].training), name="lm")

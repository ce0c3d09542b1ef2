"""`recurra train TASK`: a model from files."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from recurra.cli.options import whole, with_options
from recurra.recipe import groups
from recurra.tasks import TASKS

app = App(name="train", help="Train a model on files.")


def _verb(task: str, name: str, about: str, of_files: str) -> Callable[..., Any]:
    """The command that trains one task.

    Args:
        task: its name in the table.
        name: what its files are called in the usage.
        about: what it does, with examples.
        of_files: what its files are.
    """

    def train(
        files: Annotated[list[Path] | None, Parameter(name=name, negative=())] = None,
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
            task,
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

    train.__doc__ = about + _PARAMETERS.format(files=of_files)
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

_LM = """Train a language model on text files, to write, to score and to predict text.

Without TEXT it learns from the Python source files of the interpreter that runs it. The best model so far is always
in the folder; Ctrl-C loses nothing.

```sh
recurra train lm plays.txt --out plays --max-minutes 5
recurra train lm train.txt --valid valid.txt --unit word --cell gru --out words --epochs 20
recurra train lm --out plays --resume
```
"""

_TAGGER = """Train a tagger on sentences whose words carry labels: parts of speech, chunks, names.

TRAIN is CoNLL-U, or columns: a word a line with its label beside it, an empty line after each sentence. Labels that
mark spans (BIO or BIOES) are recognised and scored by F1. The best model so far on the validation data is always in the
folder; Ctrl-C loses nothing.

```sh
recurra train tagger train.conllu --valid dev.conllu --labels upos xpos --out tagger
recurra train tagger train.txt --feature-columns 2 --out chunks --max-minutes 10
recurra train tagger --out tagger --resume
```
"""

_TRANSLATOR = """Train a translator on pairs: sentences of two languages, words and their sounds, dates and their form.

Pairs come as tables, a source and a target a line apart by a tab, several lines of a source where several targets are
right; or as parallel files, of which each line of the one belongs to the same line of the other. The best model so far
on the validation data is always in the folder; Ctrl-C loses nothing.

```sh
recurra train translator --source train.de --target train.en --valid-source dev.de --valid-target dev.en --out de-en
recurra train translator words.tsv --valid dev.tsv --source-unit char --target-unit word --out spelling
recurra train translator --out de-en --resume
```
"""

_VERBS = {
    "lm": ("TEXT", _LM, "Text files, UTF-8 (any bytes with --unit byte), read one after the other."),
    "tagger": ("TRAIN", _TAGGER, "Files with labels, UTF-8: CoNLL-U or columns (see --format)."),
    "translator": (
        "PAIRS",
        _TRANSLATOR,
        "Tables of pairs, UTF-8: a source, a tab, a target (or see --source).",
    ),
}

for _task, _about in _VERBS.items():
    app.command(with_options(_verb(_task, *_about), groups(TASKS[_task]), TASKS[_task].training), name=_task)

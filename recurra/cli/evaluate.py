"""`recurra evaluate DIR [FILE…]`: a model's scores on files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.options import with_options
from recurra.errors import InputError
from recurra.tasks import TASKS, Task
from recurra.tasks.fields import field_names


def _evaluate(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path] | None, Parameter(name="FILE", negative=())] = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    cell: str | None = None,
    **options: Any,
) -> None:
    """Measure how well a model does on files.

    A language model predicts them, read as one text with the state carried through; bits per char count the spelling of
    unknown words, perplexity counts <unk> as one word. A tagger labels them; it tells
    accuracy and spans, a table by label and what it confuses. A translator translates the sources of pairs; it tells
    BLEU and chrF with sacrebleu's signatures, exact matches, token errors, and the outputs that are furthest off.

    ```sh
    recurra evaluate plays more-plays.txt
    recurra evaluate tagger test.conllu
    recurra evaluate german-english --source test.de --target test.en --beam 10
    recurra evaluate spelling test.tsv --json
    ```

    Parameters
    ----------
    model
        The folder of a trained model.
    files
        Text files; for a tagger, files laid out as those it learned from; for a translator, tables of a source and a
        target a line apart by a tab, several lines of a source where several targets are right.
    as_json
        Print one JSON object with all there is.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    opened = open_model(model, cell)
    task = TASKS[opened.name]
    _check(options, task, model)
    if not (files or options):
        raise InputError(f"{model}: no files to evaluate on: name at least one")
    with tempfile.TemporaryDirectory() as folder:
        scores = opened.evaluate(files or [], Path(folder), **options)
    print(json.dumps(scores) if as_json else task.report(scores))


def _check(given: Iterable[str], task: Task, model: Path) -> None:
    """Refuses options of other tasks."""
    for name in given:
        if name not in _names(task):
            others = " or a ".join(other.title for other in TASKS.values() if name in _names(other))
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} is for a {others}, but {model} is a {task.title}: leave it out")


def _names(task: Task) -> list[str]:
    return [] if task.evaluation is None else field_names(task.evaluation)


_OPTIONS = {task.title: task.evaluation for task in TASKS.values() if task.evaluation is not None}
evaluate = with_options(_evaluate, _OPTIONS, {})

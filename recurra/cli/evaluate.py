"""`recurra evaluate DIR FILE…`: a model's scores on files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.errors import InputError
from recurra.tasks import TASKS


def evaluate(
    model: Annotated[Path, Parameter(name="DIR")],
    files: Annotated[list[Path], Parameter(name="FILE", negative=())],
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    repair: Annotated[bool, Parameter(negative=())] = False,
    cell: str | None = None,
) -> None:
    """Measure how well a model does on files.

    A language model predicts them, read as one text with the state carried through. A tagger labels them; it tells
    accuracy and spans, a table by label and what it confuses.

    ```sh
    recurra evaluate plays more-plays.txt
    recurra evaluate tagger test.conllu
    ```

    Parameters
    ----------
    model
        The folder of a trained model.
    files
        Text files; for a tagger, files laid out as those it learned from.
    as_json
        Print one JSON object with all there is.
    repair
        Mend span labels that are not well formed, in place of refusing them (taggers).
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    opened = open_model(model, cell)
    if repair and opened.name != "tagger":
        raise InputError(f"--repair mends the labels of a tagger's files, but {model} is a {TASKS[opened.name].title}")
    with tempfile.TemporaryDirectory() as folder:
        scores = opened.evaluate(files, Path(folder), **({"repair": True} if repair else {}))
    print(json.dumps(scores) if as_json else TASKS[opened.name].report(scores))

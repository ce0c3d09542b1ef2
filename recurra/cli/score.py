"""`recurra score DIR [FILE]`: how surprising each line is."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TextIO

from cyclopts import Parameter

from recurra.api import load
from recurra.errors import InputError


def score(
    model: Annotated[Path, Parameter(name="DIR")],
    file: Annotated[Path | None, Parameter(name="FILE")] = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    cell: str | None = None,
) -> None:
    """Tell how surprising each line of a file, or of stdin, is to a language model, in order, for ranking.

    Each line gives its surprisal in bits (-log₂ p of the line and its end), its perplexity a token, and the line,
    separated by tabs.

    ```sh
    recurra score plays lines.txt | sort -k2 -n
    ```

    Parameters
    ----------
    model
        The folder of a trained language model.
    file
        Lines of text; stdin where it is left out.
    as_json
        Print a JSON object a line.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    language_model = load(model, cell=cell)
    for scored in language_model.score(_lines(file)):
        bits = scored.nats / math.log(2)
        if as_json:
            fields = {"text": scored.text, "bits": bits, "tokens": scored.tokens, "perplexity": scored.perplexity}
            print(json.dumps(fields, ensure_ascii=False))
        else:
            print(f"{bits:.3f}\t{scored.perplexity:.3f}\t{scored.text}")


def _lines(path: Path | None) -> Iterator[str]:
    if path is None:
        yield from _decoded(sys.stdin, "stdin")
        return
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from _decoded(file, str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _decoded(file: TextIO, name: str) -> Iterator[str]:
    number = 0
    try:
        for number, line in enumerate(file, start=1):  # noqa: B007  # told where reading fails
            yield line
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 after line {number} ({error.reason}). Convert the file first") from None

"""`recurra score DIR [FILE]`: how surprising each line of a text is to a language model."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.output import put
from recurra.cli.streams import opened
from recurra.data.formats import refuse_foreign
from recurra.data.lines import head_of
from recurra.errors import InputError
from recurra.metrics import bits
from recurra.tasks.capabilities import ScoresLines
from recurra.tasks.language_model.evaluation import LineScore
from recurra.training import figure, percent


def score(
    model: Annotated[Path, Parameter(name="DIR")],
    file: Annotated[Path | None, Parameter(name="FILE")] = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    cell: str | None = None,
) -> None:
    """Report how surprising each line of a file or of stdin is to a language model, in order, for ranking.

    For each line the output has its surprisal in bits (-log₂ p of the line and its end), its perplexity per token, and
    the line itself, separated by tabs. The bits of a word outside the vocabulary are those of <unk> and its spelling.

    ```sh
    recurra score plays lines.txt | sort -k2 -n
    ```

    Parameters
    ----------
    model
        The folder of a trained language model.
    file
        Lines of text; stdin if it is left out.
    as_json
        Print one JSON object per line.
    cell
        module:Class, for a model that was trained with a user-defined cell.
    """
    language_model = open_model(model, cell, needs=ScoresLines, does="score lines")
    unknown = tokens = 0
    with opened(file) as (source, name):
        for line in language_model.score(_decoded_lines(source, name, raw=language_model.tokenizer.raw)):
            unknown, tokens = unknown + line.unknown, tokens + line.tokens
            if as_json:
                put(json.dumps(_fields(line), ensure_ascii=False) + "\n", as_json=True)
            else:
                put(f"{bits(line.nats):.3f}\t{figure(line.perplexity, 3)}\t{line.text}\n")
    if unknown:
        print(
            f"recurra: {unknown:,} of {tokens:,} tokens ({percent(unknown / tokens)}) are outside the vocabulary: bits "
            "count <unk> and the spelling of each, perplexity counts <unk> as one word",
            file=sys.stderr,
        )


def _fields(line: LineScore) -> dict[str, Any]:
    return {
        "text": line.text,
        "bits": bits(line.nats),
        "tokens": line.tokens,
        "perplexity": line.perplexity,
        "unknown": line.unknown,
        "spelling_bits": bits(line.spelling),
    }


def _decoded_lines(file: BinaryIO, name: str, *, raw: bool) -> Iterator[str]:
    """Yields lines as training reads them: UTF-8 without a byte order mark, or if `raw`, every byte unchanged.

    Raises:
        InputError: a line is not UTF-8; raised when that line is reached.
    """
    for number, line in enumerate(file, start=1):
        if raw:
            yield line.decode("utf-8", "surrogateescape")
            continue
        if number == 1:
            refuse_foreign(head_of(line, file), name)
        try:
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: line {number} is not UTF-8 ({error.reason}). Convert the file first") from None

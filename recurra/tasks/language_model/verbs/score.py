"""`recurra score DIR [FILE]`: how surprising each line is."""

from __future__ import annotations

import codecs
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.output import put
from recurra.cli.streams import opened
from recurra.data.formats import refuse_foreign
from recurra.data.lines import head_of
from recurra.errors import InputError
from recurra.tasks.capabilities import ScoresLines
from recurra.training import figure, percent


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
    separated by tabs. The bits of a word outside the vocabulary are those of <unk> and of its spelling.

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
    language_model = open_model(model, cell, needs=ScoresLines, does="score lines")
    unknown = tokens = 0
    with opened(file) as (source, name):
        for scored in language_model.score(_decoded(source, name, language_model.tokenizer.raw)):
            unknown, tokens = unknown + scored.unknown, tokens + scored.tokens
            bits = scored.nats / math.log(2)
            if as_json:
                fields = {"text": scored.text, "bits": bits, "tokens": scored.tokens, "perplexity": scored.perplexity}
                fields |= {"unknown": scored.unknown, "spelling_bits": scored.spelling / math.log(2)}
                put(json.dumps(fields, ensure_ascii=False) + "\n", as_json=True)
            else:
                put(f"{bits:.3f}\t{figure(scored.perplexity, 3)}\t{scored.text}\n")
    if unknown:
        print(
            f"recurra: {unknown:,} of {tokens:,} tokens ({percent(unknown / tokens)}) are outside the vocabulary: bits "
            "count <unk> and the spelling of each, perplexity counts <unk> as one word",
            file=sys.stderr,
        )


def _decoded(file: BinaryIO, name: str, raw: bool) -> Iterator[str]:
    """Lines as training reads them: without a byte order mark, or every byte as it is."""
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

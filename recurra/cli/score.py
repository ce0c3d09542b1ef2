"""`recurra score DIR [FILE]`: how surprising each line is."""

from __future__ import annotations

import codecs
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.data.formats import refuse_foreign
from recurra.data.lines import head_of
from recurra.errors import InputError
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
    language_model = open_model(model, cell, task="lm", does="score lines")
    raw = language_model.unit.raw
    if raw and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # the bytes go out as they came in
    unknown = tokens = 0
    for scored in language_model.score(_lines(file, raw=raw)):
        unknown, tokens = unknown + scored.unknown, tokens + scored.tokens
        bits = scored.nats / math.log(2)
        if as_json:
            fields = {"text": scored.text, "bits": bits, "tokens": scored.tokens, "perplexity": scored.perplexity}
            fields |= {"unknown": scored.unknown, "spelling_bits": scored.spelling / math.log(2)}
            # JSON is UTF-8: a byte that is not becomes the escape of its surrogate.
            print(json.dumps(fields, ensure_ascii=any("\udc80" <= character <= "\udcff" for character in scored.text)))
        else:
            print(f"{bits:.3f}\t{figure(scored.perplexity, 3)}\t{scored.text}")
    if unknown:
        print(
            f"recurra: {unknown:,} of {tokens:,} tokens ({percent(unknown / tokens)}) are outside the vocabulary: bits "
            "count <unk> and the spelling of each, perplexity counts <unk> as one word",
            file=sys.stderr,
        )


def _lines(path: Path | None, *, raw: bool) -> Iterator[str]:
    if path is None:
        yield from _decoded(sys.stdin.buffer, "stdin", raw)
        return
    try:
        with path.open("rb") as file:
            yield from _decoded(file, str(path), raw)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


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

"""`recurra generate DIR`: text from a language model, printed while it is generated."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from recurra.cli.opening import open_model
from recurra.cli.options import whole, with_options
from recurra.cli.output import put
from recurra.cli.seeds import check_seed, fresh_seed
from recurra.decoding import SamplingOptions
from recurra.errors import InputError
from recurra.tasks.capabilities import Generates


def _generate(
    model: Annotated[Path, Parameter(name="DIR")],
    /,
    *,
    prompt: str = "",
    length: Annotated[int, Parameter(converter=whole())] = 500,
    stop: Annotated[list[str] | None, Parameter(negative=())] = None,
    beam: Annotated[int | None, Parameter(converter=whole(optional=True))] = None,
    samples: Annotated[int, Parameter(converter=whole())] = 1,
    seed: Annotated[int | None, Parameter(converter=whole(optional=True))] = None,
    cell: str | None = None,
    **options: Any,
) -> None:
    """Continue a prompt with a language model; the text is printed while it is generated.

    ```sh
    recurra generate plays --prompt "ROMEO:" --length 400 --temperature 0.8
    recurra generate plays --prompt "ROMEO:" --top-p 0.95 --samples 5 --seed 7
    recurra generate plays --prompt "ROMEO:" --beam 5 --length 40
    ```

    Parameters
    ----------
    model
        The folder of a trained language model.
    prompt
        The beginning of the text, which is printed first.
    length
        Number of characters, bytes, words or subwords to generate.
    stop
        End a text before this string; may be used several times.
    beam
        In place of sampling, print the most probable text of this length that beam search with this number of
        hypotheses finds. It is printed at the end of the search. Sampling options cannot be used with it.
    samples
        Number of texts to generate.
    seed
        The same seed gives the same text. Default: a new seed each time, which is printed to stderr.
    cell
        module:Class, for a model that was trained with a user-defined cell.
    """
    _check_values(length, samples, seed, beam)
    if beam is not None:
        _check_beam(samples, seed, options)
    sampling = SamplingOptions(**options)
    language_model = open_model(model, cell, needs=Generates, does="generate")
    if seed is None and beam is None:
        seed = 0 if sampling.greedy else fresh_seed("this text")
    _report_unknown(language_model.unknown_in(prompt))
    method = {"sampling": sampling, "seed": seed} if beam is None else {"beam": beam}
    arguments = {"length": length, "stop": stop or (), **method}
    if samples > 1:
        texts = language_model.generate_many(prompt, samples=samples, **arguments)
        for number, text in enumerate(texts, start=1):
            put(f"── {number} " + "─" * 40 + "\n")
            put(prompt + text + "\n")
    else:
        _print_pieces(prompt, language_model.stream(prompt, **arguments))


def _print_pieces(prompt: str, pieces: Iterator[list[str]]) -> None:
    first = next(pieces)  # invalid options raise here, before anything is printed
    put(prompt)
    for (piece,) in chain([first], pieces):
        put(piece)
        sys.stdout.flush()
    put("\n")


def _report_unknown(symbols: list[str]) -> None:
    if symbols:
        shown = ", ".join(repr(symbol) for symbol in symbols[:5])
        print(f"recurra: the prompt has symbols outside the vocabulary ({shown}): read as <unk>", file=sys.stderr)


def _check_values(length: int, samples: int, seed: int | None, beam: int | None) -> None:
    for name, value, least in (("length", length, 0), ("samples", samples, 1), ("beam", beam, 1)):
        if value is not None and value < least:
            raise InputError(f"--{name} {value}: expected {least} or more")
    check_seed(seed)


def _check_beam(samples: int, seed: int | None, options: dict[str, Any]) -> None:
    idle = [*options, *(["samples"] if samples != 1 else []), *(["seed"] if seed is not None else [])]
    if idle:
        flags = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise InputError(f"--beam finds one most probable text and samples nothing: leave out {flags}")


generate = with_options(_generate, {"sampling": SamplingOptions}, {})

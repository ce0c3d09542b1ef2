"""`recurra generate DIR`: text from a language model."""

from __future__ import annotations

import sys
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
    """Write on from a prompt with a language model; the text streams to stdout as it is made.

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
        The beginning of the text; it primes the state, and is shown first.
    length
        How many characters, bytes, words or subwords to write.
    stop
        End a text before this string; may be given several times.
    beam
        Write the most probable text of this length, found with so many hypotheses side by side, in place of one that is
        drawn. It is shown once it is found. None of the options of sampling goes with it.
    samples
        How many texts to write.
    seed
        The same seed gives the same text. Default: another one each time, told on stderr.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    _check(length, samples, seed, beam)
    if beam is not None:
        _check_search(samples, seed, options)
    sampling = SamplingOptions(**options)
    language_model = open_model(model, cell, needs=Generates, does="write")
    if seed is None and beam is None:
        seed = 0 if sampling.greedy else fresh_seed("this text")
    unknown = language_model.unknown_in(prompt)
    if unknown:
        shown = ", ".join(repr(symbol) for symbol in unknown[:5])
        print(f"recurra: the prompt has symbols outside the vocabulary ({shown}): read as <unk>", file=sys.stderr)
    how = {"sampling": sampling, "seed": seed} if beam is None else {"beam": beam}
    chosen = {"length": length, "stop": stop or (), **how}
    if samples > 1:
        for number, text in enumerate(language_model.generate_many(prompt, samples=samples, **chosen), start=1):
            put(f"── {number} " + "─" * 40 + "\n")
            put(prompt + text + "\n")
        return
    pieces = language_model.stream(prompt, **chosen)
    first = next(pieces)  # whatever is wrong with the options is told before anything is written
    put(prompt)
    for (piece,) in chain([first], pieces):
        put(piece)
        sys.stdout.flush()
    put("\n")


def _check(length: int, samples: int, seed: int | None, beam: int | None) -> None:
    for name, value, least in (("length", length, 0), ("samples", samples, 1), ("beam", beam, 1)):
        if value is not None and value < least:
            raise InputError(f"--{name} {value}: expected {least} or more")
    check_seed(seed)


def _check_search(samples: int, seed: int | None, options: dict[str, Any]) -> None:
    given = [*options, *(["samples"] if samples != 1 else []), *(["seed"] if seed is not None else [])]
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        raise InputError(f"--beam looks for one most probable text and draws nothing: leave out {flags}")


generate = with_options(_generate, {"sampling": SamplingOptions}, {})

"""`recurra generate DIR`: text from a language model."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from recurra.api import load
from recurra.decoding import SamplingOptions
from recurra.errors import InputError


def generate(
    model: Annotated[Path, Parameter(name="DIR")],
    /,
    *,
    prompt: str = "",
    length: int = 500,
    sampling: Annotated[SamplingOptions | None, Parameter(name="*")] = None,
    stop: Annotated[list[str] | None, Parameter(negative=())] = None,
    samples: int = 1,
    seed: int | None = None,
    cell: str | None = None,
) -> None:
    """Write on from a prompt with a language model; the text streams to stdout as it is made.

    ```sh
    recurra generate plays --prompt "ROMEO:" --length 400 --temperature 0.8
    recurra generate plays --prompt "ROMEO:" --top-p 0.95 --samples 5 --seed 7
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
    samples
        How many texts to write.
    seed
        The same seed gives the same text. Default: another one each time, told on stderr.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    language_model = load(model, cell=cell)
    if language_model.name != "lm":
        raise InputError(f"{model}: holds a model for {language_model.name!r}, which does not write: expected 'lm'")
    if seed is None:
        seed = secrets.randbelow(2**31)
        print(f"recurra: --seed {seed} gives this text again", file=sys.stderr)
    unknown = language_model.unknown_in(prompt)
    if unknown:
        shown = ", ".join(repr(symbol) for symbol in unknown[:5])
        print(f"recurra: the prompt has what training never had ({shown}): read as <unk>", file=sys.stderr)
    chosen = {"length": length, "sampling": sampling, "stop": stop or (), "seed": seed}
    if samples > 1:
        for number, text in enumerate(language_model.generate_many(prompt, samples=samples, **chosen), start=1):
            print(f"── {number} " + "─" * 40)
            print(prompt + text)
        return
    sys.stdout.write(prompt)
    for (piece,) in language_model.stream(prompt, **chosen):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")

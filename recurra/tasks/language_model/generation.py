"""Text out of a language model, piece by piece as it is drawn."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.cells import States, select
from recurra.data import Tokenizer
from recurra.decoding import BeamOptions, SamplingOptions, StopFilter, beam_search, row_generators, sample
from recurra.errors import InputError
from recurra.tasks.fields import check_names, field_names, read_fields
from recurra.tasks.language_model.network import Network, Step


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """What is to be written.

    Raises:
        InputError: a number out of range.
    """

    length: int | None = 500
    """How many tokens to write; None for without end."""
    sampling: SamplingOptions | None = None
    """How each is drawn; plain sampling where None."""
    stop: str | Sequence[str] = ()
    """A string or several that end a text; they are not shown."""
    seed: int | None = None
    """The same seed gives the same texts, text i the same whatever `samples` is. A fresh one each time where None."""
    samples: int = 1
    """How many texts to write side by side."""
    beam: int | None = None
    """In place of a draw, the most probable text of `length` that a search of so many hypotheses finds."""

    def __post_init__(self) -> None:
        if not _whole(self.samples) or self.samples < 1:
            raise InputError(f"samples={self.samples!r}: expected a whole number of 1 or more")
        if self.length is not None and (not _whole(self.length) or self.length < 0):
            raise InputError(f"length={self.length!r}: expected a whole number of 0 or more, or None for without end")
        if self.seed is not None and not (_whole(self.seed) and 0 <= self.seed < 2**63):
            raise InputError(f"seed={self.seed!r}: expected a whole number from 0 to 2**63 - 1")
        if self.beam is not None:
            self._check_search(self.beam)

    def _check_search(self, beam: Any) -> None:
        if not _whole(beam) or beam < 1:
            raise InputError(f"beam={beam!r}: expected a whole number of 1 or more")
        if self.length is None:
            raise InputError(f"beam={beam}: the most probable text is one of a certain length: give a length")
        idle = {"samples": self.samples != 1, "seed": self.seed is not None, "sampling": self.sampling is not None}
        if any(idle.values()):
            names = ", ".join(name for name, given in idle.items() if given)
            raise InputError(f"beam={beam} looks for one most probable text and draws nothing: leave out {names}")

    @property
    def stops(self) -> Sequence[str]:
        """The strings that end a text; one alone is one, not its letters."""
        return [self.stop] if isinstance(self.stop, str) else self.stop


def make_generation_options(options: Mapping[str, Any]) -> GenerationOptions:
    """A wish of its own fields and those of `SamplingOptions`, given side by side.

    Raises:
        InputError: an unknown option, one that cannot be used, or `sampling` beside one of its fields.
    """
    of_sampling = field_names(SamplingOptions)
    check_names(options, [*field_names(GenerationOptions), *of_sampling], where="generate")
    sampling = {name: value for name, value in options.items() if name in of_sampling}
    rest = {name: value for name, value in options.items() if name not in sampling}
    if sampling:
        if rest.get("sampling") is not None:
            raise InputError(f"sampling and {', '.join(sampling)}: give one or the other")
        rest["sampling"] = read_fields(SamplingOptions, sampling, where="generate")
    return GenerationOptions(**rest)


def write(network: Network, tokenizer: Tokenizer, prompt: str, options: GenerationOptions) -> Iterator[list[str]]:
    """Yields the next piece of each text that continues a prompt; the last pieces are what their end sets free."""
    texts = [_Text(tokenizer, prompt, options.stops) for _ in range(options.samples)]
    return _write(network, tokenizer, _ids(tokenizer, prompt), options, texts)


# As a decorator it holds while the generator runs only; a `with` would reach into the caller's code between pieces.
@torch.inference_mode()
def _write(
    network: Network, tokenizer: Tokenizer, ids: Tensor, options: GenerationOptions, texts: list[_Text]
) -> Iterator[list[str]]:
    for tokens in _drawn(network, tokenizer, ids, options):
        yield [text.push(token) for text, token in zip(texts, tokens.tolist(), strict=True)]
        if not any(text.running for text in texts):
            return
    yield [text.flush() for text in texts]


def _drawn(network: Network, tokenizer: Tokenizer, ids: Tensor, options: GenerationOptions) -> Iterator[Tensor]:
    """The tokens (B,) as they are drawn, from the state after the prompt's ids."""
    if options.beam is not None:
        return _searched(network, tokenizer, ids, options)
    log_probs, state = _prime(network, ids)
    rows = torch.zeros(options.samples, dtype=torch.int64, device=log_probs.device)
    seen = torch.zeros_like(log_probs, dtype=torch.bool).index_fill(1, ids.to(log_probs.device), True)
    seed = secrets.randbelow(2**63) if options.seed is None else options.seed
    return sample(
        log_probs[rows],
        select(state, rows),
        step=Step(network),
        length=options.length,
        generators=row_generators(seed, options.samples),
        options=options.sampling,
        forbidden=_never(tokenizer),
        seen=seen[rows],
    )


def _searched(network: Network, tokenizer: Tokenizer, ids: Tensor, options: GenerationOptions) -> Iterator[Tensor]:
    """The tokens (1,) of the most probable text, once it is found."""
    if not options.length:
        return iter(())
    ids = ids.to(network.embedding.weight.device)
    state = network.initial_state(1) if len(ids) == 1 else _prime(network, ids[:-1])[1]
    [[best]] = beam_search(
        Step(network.eval()),
        state,
        start=ids[-1:],
        end=None,
        options=BeamOptions(beam=options.beam or 1, length_penalty=0.0),
        longest=torch.full_like(ids[-1:], options.length),
        select=select,
        forbidden=_never(tokenizer),
    )
    return iter(ids.new_tensor(best.tokens).unsqueeze(1))


def _never(tokenizer: Tokenizer) -> list[int]:
    """The ids that no text may have."""
    return [] if tokenizer.unknown_id is None else [tokenizer.unknown_id]


def _ids(tokenizer: Tokenizer, prompt: str) -> Tensor:
    """The prompt's ids (N,), at least one: a text begins after a line's end."""
    ids = tokenizer.encode(prompt)
    return torch.from_numpy(ids if len(ids) else tokenizer.encode("\n"))


def _prime(network: Network, ids: Tensor) -> tuple[Tensor, States]:
    """Log-probabilities (1, V) of what follows the ids, and the state after them."""
    network.eval()
    device = network.embedding.weight.device
    scores, state, *_ = network(ids[:, None].to(device), network.initial_state(1), counted=1)
    return scores[-1].float().log_softmax(-1), state


class _Text:
    """One text as it grows, shown up to a stop string."""

    def __init__(self, tokenizer: Tokenizer, prompt: str, stops: Sequence[str]) -> None:
        self._decoder, self._filter, self.running = tokenizer.decoder(), StopFilter(stops), True
        for token in tokenizer.encode(prompt):
            self._decoder.push(int(token))

    def push(self, token: int) -> str:
        """What one more token lets be shown."""
        if not self.running:
            return ""
        shown, stopped = self._filter.push(self._decoder.push(token))
        self.running = not stopped
        return shown

    def flush(self) -> str:
        """What the end of a text sets free."""
        if not self.running:
            return ""
        shown, stopped = self._filter.push(self._decoder.flush())
        return shown if stopped else shown + self._filter.flush()


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

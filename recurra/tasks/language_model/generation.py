"""Text from a language model: the prompt is read, then tokens are sampled or searched and decoded piece by piece.

`stream_text` returns an iterator, so that text can be shown while it is generated. In order:

1. `_prompt_ids` and `_read_prompt`: the prompt to ids and to the state after them.
2. `_sampled` or `_most_probable`: an iterator over the next token of each text, from `recurra.decoding`, to which
   `GenerationStep` is the model.
3. `_TextDecoder`: the tokens of one text to the pieces that can be shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from recurra.cells import States, select
from recurra.data import Tokenizer
from recurra.decoding import BeamOptions, SamplingOptions, StopFilter, beam_search, row_generators, sample
from recurra.decoding.stream_sampling import draws_itself, sample_stream
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.options import GenerationOptions
from recurra.tasks.language_model.step import GenerationStep


def stream_text(network: Network, tokenizer: Tokenizer, prompt: str, options: GenerationOptions) -> Iterator[list[str]]:
    """Continues a prompt with `options.samples` texts.

    Args:
        network: the network; it is switched to evaluation mode.
        tokenizer: its tokenizer.
        prompt: read before the first token is generated; not part of the output.
        options: length, sampling or beam search, stop strings.

    Returns:
        An iterator over the next piece of each text. The last item is what was held back as the possible beginning of
        a stop string or of a character.
    """
    decoders = [_TextDecoder(tokenizer, prompt, options.stops) for _ in range(options.samples)]
    ids = _prompt_ids(tokenizer, prompt)
    return _pieces(network, tokenizer, ids, options, decoders)


def _pieces(
    network: Network, tokenizer: Tokenizer, ids: Tensor, options: GenerationOptions, decoders: Sequence[_TextDecoder]
) -> Iterator[list[str]]:
    generated = _sampled if options.beam is None else _most_probable
    for tokens in generated(network.eval(), tokenizer, ids, options):  # (samples,)
        yield [decoder.push(token) for decoder, token in zip(decoders, tokens.tolist(), strict=True)]
        if all(decoder.stopped for decoder in decoders):
            return
    yield [decoder.flush() for decoder in decoders]


@torch.inference_mode()
def _sampled(network: Network, tokenizer: Tokenizer, ids: Tensor, options: GenerationOptions) -> Iterator[Tensor]:
    """Returns an iterator over the sampled tokens, (samples,) per step."""
    log_probs, state = _read_prompt(network, ids)
    # The prompt is read once; its state is copied for every text.
    rows = torch.zeros(options.samples, dtype=torch.int64, device=log_probs.device)
    seen = torch.zeros_like(log_probs, dtype=torch.bool).index_fill(1, ids.to(log_probs.device), True)  # (1, V)
    seed = secrets.randbelow(2**63) if options.seed is None else options.seed
    generators, forbidden = row_generators(seed, options.samples), _forbidden(tokenizer)
    sampling, length = options.sampling or SamplingOptions(), options.length
    log_probs, state, step = log_probs[rows], select(state, rows), GenerationStep(network, forbidden=forbidden)
    stream = step.stream(state) if draws_itself(sampling) else None
    if stream is not None:
        return sample_stream(
            log_probs, stream, length=length, generators=generators, options=sampling, forbidden=forbidden
        )
    drawn = sample(
        log_probs,
        state,
        step=step,
        length=length,
        generators=generators,
        options=sampling,
        forbidden=forbidden,
        seen=seen[rows],
    )
    return _in_inference_mode(drawn)


# As a decorator, inference mode is active only while this generator runs. A `with` block around the `yield` would
# leave it active in the caller's code between two pieces.
@torch.inference_mode()
def _in_inference_mode(steps: Iterator[Tensor]) -> Iterator[Tensor]:
    yield from steps


@torch.inference_mode()
def _most_probable(network: Network, tokenizer: Tokenizer, ids: Tensor, options: GenerationOptions) -> Iterator[Tensor]:
    """Returns an iterator over the tokens of the most probable text of the length, (1,) per step, once it is found."""
    if not options.length:
        return iter(())
    # The search itself reads the last token of the prompt.
    start = ids[-1:].to(network.embedding.weight.device)  # (1,)
    state = network.initial_state(1) if len(ids) == 1 else _read_prompt(network, ids[:-1])[1]
    [[best]] = beam_search(
        GenerationStep(network),
        state,
        start=start,
        end=None,
        # All texts have the same length, so that a length penalty would change no ranking.
        options=BeamOptions(beam=options.beam or 1, length_penalty=0.0),
        longest=torch.full_like(start, options.length),
        forbidden=_forbidden(tokenizer),
    )
    return iter(start.new_tensor(best.tokens).unsqueeze(1))  # (length, 1)


def _prompt_ids(tokenizer: Tokenizer, prompt: str) -> Tensor:
    """Returns the ids of the prompt, (N,) int64 with N ≥ 1: an empty prompt is read as the end of a line."""
    ids = tokenizer.encode(prompt)
    return torch.from_numpy(ids if len(ids) else tokenizer.encode("\n"))


def _read_prompt(network: Network, ids: Tensor) -> tuple[Tensor, States]:
    """Returns the log-probabilities (1, V) of the token after the ids (N,), and the state."""
    device = network.embedding.weight.device
    scores, state, *_ = network(ids[:, None].to(device), network.initial_state(1), counted=1)  # (1, 1, V)
    return scores[-1].float().log_softmax(-1), state


def _forbidden(tokenizer: Tokenizer) -> list[int]:
    """Returns the ids that are never generated: `<unk>` stands for no text."""
    return [] if tokenizer.unknown_id is None else [tokenizer.unknown_id]


class _TextDecoder:
    """The tokens of one text to pieces of text, up to a stop string.

    Args:
        tokenizer: the tokenizer.
        prompt: the text before the first token: it may end within a character, and a word after it needs a space.
        stops: the strings that end the text.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: str, stops: Sequence[str]) -> None:
        self._decoder, self._filter, self.stopped = tokenizer.decoder(), StopFilter(stops), False
        for token in tokenizer.encode(prompt):
            self._decoder.push(int(token))

    def push(self, token: int) -> str:
        """Returns the piece of text that can be shown after one more token; empty after a stop string."""
        if self.stopped:
            return ""
        piece, self.stopped = self._filter.push(self._decoder.push(token))
        return piece

    def flush(self) -> str:
        """Returns the rest of a text that has ended."""
        if self.stopped:
            return ""
        piece, self.stopped = self._filter.push(self._decoder.flush())
        return piece if self.stopped else piece + self._filter.flush()

"""How surprising lines are to a language model, in memory that no line's length decides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.data import Tokenizer
from recurra.metrics import perplexity
from recurra.tasks.language_model.evaluation import SCORES, nats_of
from recurra.tasks.language_model.network import Network

# Tokens of a batch with its padding, 2 MiB; a longer line is a batch of its own.
_PADDED = 1 << 18
# Steps of all rows together that go through the network at a time, where the vocabulary does not allow fewer only.
_STEPS = 1 << 14


class Score(NamedTuple):
    """How surprising a line is to a language model."""

    text: str
    nats: float
    """The line's surprisal, -log p(line), end of line included; unknown words with what spelling them costs."""
    tokens: int
    """Over how many tokens it sums."""
    unknown: int = 0
    """How many of them stand for text outside the vocabulary."""
    spelling: float = 0.0
    """The part of `nats` that is for spelling these."""

    @property
    def perplexity(self) -> float:
        """Exp of the loss per token, `<unk>` counted as one word, as `LanguageModel.evaluate` counts it."""
        return perplexity((self.nats - self.spelling) / self.tokens)


class Line(NamedTuple):
    """A line and its ids, (N,) int64, after those of the line's end before it."""

    text: str
    tokens: Tensor
    unknown: int
    """Tokens that stand for text outside the vocabulary."""
    spelling: float
    """Nats of spelling these."""


def score_lines(network: Network, tokenizer: Tokenizer, lines: Iterable[str], size: int) -> Iterator[Score]:
    """The surprisal of each line from a fresh state, in order; `size` lines at most are scored together."""
    for batch in batches(tokenizer, lines, size=size):
        network.eval()
        with torch.inference_mode():
            totals = _nats(network, pad_sequence([line.tokens for line in batch]), [len(line.tokens) for line in batch])
        for line, nats in zip(batch, totals, strict=True):
            yield Score(line.text, nats + line.spelling, len(line.tokens) - 1, line.unknown, line.spelling)


def batches(tokenizer: Tokenizer, lines: Iterable[str], *, size: int) -> Iterator[list[Line]]:
    """The lines in order, `size` at most together, and fewer where padding them to the longest would take too much."""
    start, batch, longest = tokenizer.encode("\n"), list[Line](), 0
    for line in lines:
        text = line.rstrip("\r\n")
        tokens = torch.cat([torch.from_numpy(start), torch.from_numpy(tokenizer.encode(text + "\n"))])
        if batch and (len(batch) + 1) * max(longest, len(tokens)) > _PADDED:
            yield batch
            batch, longest = [], 0
        missing = tokenizer.missing(text)
        batch.append(Line(text, tokens, len(missing), math.fsum(map(tokenizer.spelling_nats, missing))))
        longest = max(longest, len(tokens))
        if len(batch) == size:
            yield batch
            batch, longest = [], 0
    if batch:
        yield batch


def _nats(network: Network, tokens: Tensor, counts: list[int]) -> list[float]:
    """The sum of the losses of each column of tokens (T + 1, B), padding left out; read in windows."""
    steps, rows = len(tokens) - 1, tokens.shape[1]
    device, vocabulary = network.embedding.weight.device, network.embedding.num_embeddings
    window = max(1, min(_STEPS, SCORES // vocabulary) // rows)
    lengths, state = torch.tensor(counts) - 1, network.initial_state(rows)
    totals = torch.zeros(rows, dtype=torch.float64)
    for begin in range(0, steps, window):
        end = min(begin + window, steps)
        scores, state, *_ = network(tokens[begin:end].to(device), state)  # (T, B, V)
        nats = nats_of(scores, tokens[begin + 1 : end + 1].to(device)).double().cpu()  # (T, B)
        inside = torch.arange(begin, end)[:, None] < lengths
        totals += (nats * inside).sum(0)
    return [float(total) for total in totals]

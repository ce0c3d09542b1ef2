"""The loss of a language model on a text: in order, in parallel parts, by position, and of single lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.cells import where
from recurra.data import Tokenizer, contiguous
from recurra.metrics import perplexity
from recurra.tasks.language_model.network import Network

Tokens = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]

# Largest number of scores (steps · rows · V) computed at a time: 64 MiB in float32.
MAX_SCORES = 1 << 24
# Largest number of tokens in a batch of lines, padding included: 2 MiB. A longer line is a batch of its own.
_MAX_PADDED = 1 << 18
# Largest number of tokens (steps · rows) of lines that pass through the network at a time.
_MAX_STEPS = 1 << 14


class Nats(NamedTuple):
    """The losses of the predicted tokens of a text, summed."""

    total: float
    unknown: float
    """The part of `total` on tokens that stand for text outside the vocabulary."""
    steps: int
    """Number of predicted tokens."""

    @property
    def loss(self) -> float:
        """The mean loss, in nats per token."""
        return self.total / self.steps


def nats_in_order(network: Network, tokens: Tokens, *, vocabulary: int, unknown: Positions | None = None) -> Nats:
    """Returns the losses over a text that is read from start to end with the state carried.

    Args:
        network: in evaluation mode.
        tokens: (N,) ids; all but the first are predicted.
        vocabulary: size of the vocabulary, V.
        unknown: (U,) positions of the unknown tokens, ascending; None for none.
    """
    total, on_unknown, state, device, position = 0.0, 0.0, network.initial_state(1), _device(network), 1
    for inputs, targets in contiguous(tokens, window=min(4096, max(1, MAX_SCORES // vocabulary))):
        scores, state, *_ = network(inputs.to(device), state)  # (T, 1, V)
        # Summed in float64: a float32 sum over a long text would lose the digits that are compared.
        nats = nats_of(scores, targets.to(device)).double()
        total += nats.sum().item()
        on_unknown += _sum_at(nats, np.arange(position, position + len(targets))[:, None], unknown)
        position += len(targets)
    return Nats(total, on_unknown, len(tokens) - 1)


def nats_in_parts(
    network: Network,
    tokens: Tokens,
    *,
    vocabulary: int,
    unknown: Positions | None = None,
    parts: int = 32,
    context: int = 256,
) -> Nats:
    """Approximates `nats_in_order` with a batch of parallel parts of the text, many times as fast.

    The parts have equal length. Before each but the first, `context` tokens are read without counting their losses; the
    result differs from `nats_in_order` only in what a state keeps for longer than that.
    """
    steps = len(tokens) - 1
    parts = max(1, min(parts, steps // max(1, context)))
    length = math.ceil(steps / parts)
    starts = np.arange(parts)[None] * length  # (1, parts)
    device, state = _device(network), network.initial_state(parts)
    fresh, total, on_unknown = state, 0.0, 0.0
    window = max(1, MAX_SCORES // (vocabulary * parts))
    is_first = torch.arange(parts, device=device)[:, None] == 0  # (parts, 1)
    for begin, end in _windows(-context if parts > 1 else 0, length, window):
        if begin == 0:
            # No context precedes the first part: its row has read arbitrary tokens until now, and starts anew.
            state = tuple(where(is_first, start, read) for start, read in zip(fresh, state, strict=True))
        positions = starts + np.arange(begin, end)[:, None]  # (T, parts)
        inputs, targets = (_take(tokens, positions + shift).to(device) for shift in (0, 1))
        scores, state, *_ = network(inputs, state)
        if begin >= 0:
            # The last part may be shorter than the others.
            is_inside = torch.from_numpy(positions < steps).to(device)
            nats = (nats_of(scores, targets) * is_inside).double()
            total += nats.sum().item()
            on_unknown += _sum_at(nats, positions + 1, unknown)
    return Nats(total, on_unknown, steps)


def _windows(begin: int, end: int, window: int) -> list[tuple[int, int]]:
    """Returns [begin, end), where begin ≤ 0, as consecutive windows, one of which begins at 0."""
    borders = [*range(begin, 0, window), *range(0, end, window), end]
    return list(pairwise(borders))


def _take(tokens: Tokens, positions: Positions) -> Tensor:
    """Returns tokens[positions] as int64; for a position outside the text, an arbitrary token."""
    return torch.from_numpy(tokens[positions.clip(0, len(tokens) - 1)].astype(np.int64))


def _sum_at(nats: Tensor, positions: Positions, chosen: Positions | None) -> float:
    """Returns the sum of the losses (T, B) whose positions (T, B) are among the chosen ones (U,), ascending."""
    if chosen is None or not len(chosen):
        return 0.0
    nearest = chosen[np.searchsorted(chosen, positions).clip(max=len(chosen) - 1)]  # (T, B)
    return float((nats * torch.from_numpy(nearest == positions).to(nats.device)).sum())


def loss_by_position(network: Network, tokens: Tokens, *, vocabulary: int, length: int = 256) -> list[dict[str, Any]]:
    """Returns the mean loss by the number of tokens read since the initial state: 1, 2, 3 to 4, 5 to 8, …

    Args:
        network: in evaluation mode.
        tokens: (N,) ids, read in windows of `length`, each from the initial state.
        vocabulary: size of the vocabulary, V.
        length: the largest number of tokens read.

    Returns:
        For each range {"from": 5, "to": 8, "loss": nats per token}; empty for a text of one token.
    """
    length = min(length, len(tokens) - 1)
    starts = np.arange(0, len(tokens) - length, length)[None]  # (1, windows)
    rows = max(1, min(64, MAX_SCORES // (vocabulary * max(1, length))))
    device, total = _device(network), torch.zeros(length, dtype=torch.float64)
    for batch in np.array_split(starts, math.ceil(starts.shape[1] / rows), axis=1):
        positions = batch + np.arange(length)[:, None]  # (T, rows)
        inputs, targets = (_take(tokens, positions + shift).to(device) for shift in (0, 1))
        scores, *_ = network(inputs, network.initial_state(inputs.shape[1]))
        total += nats_of(scores, targets).double().sum(1).cpu()
    mean, ranges, begin = total / starts.shape[1], list[dict[str, Any]](), 0
    while begin < length:
        end = min(max(1, 2 * begin), length)
        ranges.append({"from": begin + 1, "to": end, "loss": float(mean[begin:end].mean())})
        begin = end
    return ranges


class LineScore(NamedTuple):
    """The surprisal of a line of text."""

    text: str
    nats: float
    """-log p(line), end of line included, plus the spelling of the unknown tokens."""
    tokens: int
    """Number of predicted tokens."""
    unknown: int = 0
    """Number of them that stand for text outside the vocabulary."""
    spelling: float = 0.0
    """The part of `nats` for the spelling of the unknown tokens."""

    @property
    def perplexity(self) -> float:
        """Exp of the loss per token, with `<unk>` as one word, as in `LanguageModel.evaluate`."""
        return perplexity((self.nats - self.spelling) / self.tokens)


class EncodedLine(NamedTuple):
    """A line of text and its ids."""

    text: str
    tokens: Tensor
    """(N,) int64: the ids of the previous line's end, of the line, and of its end."""
    unknown: int
    """Number of tokens that stand for text outside the vocabulary."""
    spelling: float
    """Nats to spell them."""


def score_lines(
    network: Network, tokenizer: Tokenizer, lines: Iterable[str], *, batch_size: int
) -> Iterator[LineScore]:
    """Yields the surprisal of each line, read from the initial state, in order.

    Args:
        network: the network; it is switched to evaluation mode.
        tokenizer: its tokenizer.
        lines: the lines, read as they are needed.
        batch_size: largest number of lines that are scored in one batch.
    """
    for batch in line_batches(tokenizer, lines, batch_size=batch_size):
        network.eval()
        with torch.inference_mode():
            tokens = pad_sequence([line.tokens for line in batch])  # (T + 1, B)
            totals = _nats_by_line(network, tokens, torch.tensor([len(line.tokens) for line in batch]))
        for line, nats in zip(batch, totals, strict=True):
            yield LineScore(line.text, nats + line.spelling, len(line.tokens) - 1, line.unknown, line.spelling)


def line_batches(tokenizer: Tokenizer, lines: Iterable[str], *, batch_size: int) -> Iterator[list[EncodedLine]]:
    """Yields the lines in order, at most `batch_size` per batch, fewer if padding would need too much memory."""
    batch, longest = list[EncodedLine](), 0
    for text in lines:
        line = _encode_line(tokenizer, text.rstrip("\r\n"))
        if batch and (len(batch) + 1) * max(longest, len(line.tokens)) > _MAX_PADDED:
            yield batch
            batch, longest = [], 0
        batch.append(line)
        longest = max(longest, len(line.tokens))
        if len(batch) == batch_size:
            yield batch
            batch, longest = [], 0
    if batch:
        yield batch


def _encode_line(tokenizer: Tokenizer, text: str) -> EncodedLine:
    tokens = np.concatenate([tokenizer.encode("\n"), tokenizer.encode(text + "\n")])
    missing = tokenizer.missing(text)
    return EncodedLine(text, torch.from_numpy(tokens), len(missing), math.fsum(map(tokenizer.spelling_nats, missing)))


def _nats_by_line(network: Network, tokens: Tensor, counts: Tensor) -> list[float]:
    """Returns the sum of the losses of each line of a batch, computed in windows, so that memory is bounded.

    Args:
        network: in evaluation mode.
        tokens: (T + 1, B) int64, padded.
        counts: (B,) the number of tokens of each line.
    """
    steps, rows = len(tokens) - 1, tokens.shape[1]
    device, vocabulary = _device(network), network.embedding.num_embeddings
    window = max(1, min(_MAX_STEPS, MAX_SCORES // vocabulary) // rows)
    state, totals = network.initial_state(rows), torch.zeros(rows, dtype=torch.float64)
    for begin in range(0, steps, window):
        end = min(begin + window, steps)
        scores, state, *_ = network(tokens[begin:end].to(device), state)  # (T, B, V)
        nats = nats_of(scores, tokens[begin + 1 : end + 1].to(device)).double().cpu()  # (T, B)
        is_inside = torch.arange(begin, end)[:, None] < counts - 1  # (T, B)
        totals += (nats * is_inside).sum(0)
    return [float(total) for total in totals]


def nats_of(scores: Tensor, targets: Tensor) -> Tensor:
    """Returns the loss of every step, (T, B), from scores (T, B, V) and targets (T, B)."""
    # In float32 also if the network computes in less; flattened because cross_entropy expects V as the second axis.
    return F.cross_entropy(scores.flatten(0, 1).float(), targets.flatten(), reduction="none").view(targets.shape)


def _device(network: Network) -> torch.device:
    return network.embedding.weight.device

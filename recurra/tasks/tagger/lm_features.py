"""What a language model thinks at the end of each word: its last layer's state, as a feature of the word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data import Tokenizer
from recurra.tasks.language_model.network import Network

States = npt.NDArray[np.float16]
# Symbols of a batch, padding included.
_BATCH = 8192


def read_states(network: Network, tokenizer: Tokenizer, sentences: Sequence[Sequence[str]]) -> list[States]:
    """The states of a language model that reads each sentence from a line's beginning, its words apart by spaces.

    A word's state is that after the space, or the line's end, that follows it: then the model knows that it has ended.

    Args:
        network: in evaluation mode, without gradients.
        tokenizer: what its text is cut into.
        sentences: their words.

    Returns:
        For each sentence (T, H) float16, which halves what training keeps on disk.
    """
    found: list[States] = [np.zeros((0, _size(network)), dtype=np.float16) for _ in sentences]
    read = [_encoded(tokenizer, words) for words in sentences]
    order = sorted((place for place, words in enumerate(sentences) if words), key=lambda place: -len(read[place][0]))
    start = 0
    while start < len(order):
        numbers = order[start : start + max(1, _BATCH // len(read[order[start]][0]))]
        start += len(numbers)
        h = _run(network, [read[number][0] for number in numbers])  # (T, B, H)
        for row, number in enumerate(numbers):
            found[number] = h[torch.from_numpy(read[number][1]), row].half().cpu().numpy()
    return found


def _size(network: Network) -> int:
    return network.recurrent.output_size


def _encoded(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The symbols of a sentence after a line's end, and the place of each word's last."""
    last = len(words) - 1
    pieces = [
        tokenizer.encode("\n"),
        *(tokenizer.encode(word + (" " if n < last else "\n")) for n, word in enumerate(words)),
    ]
    ends = np.cumsum([len(piece) for piece in pieces]) - 1
    return np.concatenate(pieces), ends[1:]


def _run(network: Network, rows: list[npt.NDArray[np.int64]]) -> Tensor:
    """What the last layer emits of some rows, (T, B, H); later symbols do not change what it emits before."""
    padded = np.zeros((len(rows[0]), len(rows)), dtype=np.int64)
    for place, row in enumerate(rows):
        padded[: len(row), place] = row
    device = network.embedding.weight.device
    lengths = torch.tensor([len(row) for row in rows], device=device)
    x = network.embedding(torch.from_numpy(padded).to(device))  # (T, B, E)
    h: Tensor = network.recurrent(x, network.initial_state(len(rows)), lengths=lengths)[0]
    return h


def reader_of(network: Network, tokenizer: Tokenizer) -> Callable[[Sequence[Sequence[str]]], list[States]]:
    """`read_states` of one language model, without gradients."""

    def read(sentences: Sequence[Sequence[str]]) -> list[States]:
        network.eval()
        with torch.inference_mode():
            return read_states(network, tokenizer, sentences)

    return read

"""What a language model thinks at the end of each word: its last layer's state, as a feature of the word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data import Tokenizer
from recurra.data.batching import by_length, pad
from recurra.tasks.language_model.network import Network

States = npt.NDArray[np.float16]
Ids = npt.NDArray[np.int64]
# Symbols of a batch, padding included.
_BATCH = 8192


class StateReader:
    """The states of a language model that reads each sentence from a line's beginning, its words separated by spaces.

    A word's state is that after the space, or the line's end, that follows it: then the model knows that it has ended.

    Args:
        network: the language model.
        tokenizer: what its text is cut into.
    """

    def __init__(self, network: Network, tokenizer: Tokenizer) -> None:
        self._network, self._tokenizer = network, tokenizer

    @property
    def size(self) -> int:
        """Numbers of a state, H."""
        return self._network.recurrent.output_size

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[States]:
        """For each sentence, a list of words, (T, H) float16, which halves what training keeps on disk."""
        states: list[States] = [np.zeros((0, self.size), dtype=np.float16) for _ in sentences]
        encoded = [self._encode(words) for words in sentences]
        lengths = [len(ids) if words else 0 for words, (ids, _) in zip(sentences, encoded, strict=True)]
        self._network.eval()
        with torch.inference_mode():
            for numbers in by_length(lengths, tokens=_BATCH):
                h = self._run([encoded[number][0] for number in numbers])  # (T, B, H)
                for row, number in enumerate(numbers):
                    states[number] = h[torch.from_numpy(encoded[number][1]), row].half().cpu().numpy()
        return states

    def _encode(self, words: Sequence[str]) -> tuple[Ids, Ids]:
        """The symbols of a sentence after a line's end, and the place of each word's last."""
        last = len(words) - 1
        pieces = [
            self._tokenizer.encode("\n"),
            *(self._tokenizer.encode(word + (" " if n < last else "\n")) for n, word in enumerate(words)),
        ]
        ends = np.cumsum([len(piece) for piece in pieces]) - 1
        return np.concatenate(pieces), ends[1:]

    def _run(self, rows: list[Ids]) -> Tensor:
        """The last layer's states for some rows, (T, B, H); later symbols do not change those before."""
        network = self._network
        device = network.embedding.weight.device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        x = network.embedding(pad(rows).to(device))  # (T, B, E)
        h: Tensor = network.recurrent(x, network.initial_state(len(rows)), lengths=lengths)[0]
        return h

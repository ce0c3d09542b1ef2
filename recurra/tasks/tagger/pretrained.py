"""What a tagger can read besides its own embeddings: pretrained word vectors, and the states of a language model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.data import Tokenizer
from recurra.data.batching import by_length, pad
from recurra.data.vectors import WordVectors
from recurra.errors import InputError
from recurra.files import read_json
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.network import Network

FILE = "vectors.json"
States = npt.NDArray[np.float16]
_Ids = npt.NDArray[np.int64]
# Symbols of a batch of the language model, including padding.
_BATCH = 8192


@dataclass(frozen=True)
class Pretrained:
    """Pretrained vectors and a language model.

    Args:
        words: the words with a vector, in the order of its rows, the first in row 1; None if there are no vectors.
        width: numbers per vector, D.
        matrix: the vectors (V, D) of a new tagger; None if they are in the tagger's weights.
        language_model: the model; its weights are stored among the tagger's.
    """

    words: list[str] | None = None
    width: int = 0
    matrix: npt.NDArray[np.float32] | None = None
    language_model: LanguageModel | None = None

    @cached_property
    def rows(self) -> dict[str, int] | None:
        """Word to row."""
        return None if self.words is None else {word: place for place, word in enumerate(self.words, start=1)}

    @property
    def size(self) -> tuple[int, int] | None:
        """The shape of the embedding, whose row 0 is for words without a vector; None if there are no vectors."""
        return None if self.words is None else (len(self.words) + 1, self.width)

    @property
    def network(self) -> Network | None:
        """The network of the language model."""
        return None if self.language_model is None else self.language_model.network

    def state_reader(self) -> StateReader | None:
        """Returns a function that computes the states of the language model."""
        model = self.language_model
        return None if model is None else StateReader(model.network, model.tokenizer)

    def config(self) -> dict[str, Any]:
        """Returns the fields of config.json."""
        model = self.language_model
        return {"vectors": self.width, "language_model": None if model is None else model.config()}

    def files(self) -> dict[str, str]:
        """Returns the files of the words with vectors and of the language model's tokenizer, name to text."""
        words = {} if self.words is None else {FILE: json.dumps(self.words, ensure_ascii=False, indent=0) + "\n"}
        return {**words, **({} if self.language_model is None else self.language_model.files())}


NOTHING = Pretrained()


def new_pretrained(vectors: WordVectors | None, language_model: Any) -> Pretrained:
    """Returns what a new tagger reads.

    Args:
        vectors: the vectors of a file; None for none.
        language_model: a trained model; None for none.

    Raises:
        InputError: the model is not a language model.
    """
    if language_model is not None and not isinstance(language_model, LanguageModel):
        raise InputError(f"language_model: holds a model for {language_model.name!r}, expected 'lm'")
    if vectors is None:
        return Pretrained(language_model=language_model)
    return Pretrained(vectors.words, vectors.matrix.shape[1], vectors.matrix, language_model)


def load_pretrained(config: dict[str, Any], folder: Path) -> Pretrained:
    """Returns what the tagger in a folder reads; its weights are not loaded yet.

    Raises:
        InputError: a field has another type, or a file is missing or damaged.
    """
    width, model_config = config["vectors"], config["language_model"]
    if type(width) is not int or width < 0 or not isinstance(model_config, dict | None):
        raise InputError(
            f"{folder / 'config.json'}: vectors and language_model are {width!r}, {model_config!r}. Restore the file"
        )
    model = None if model_config is None else LanguageModel.from_files(model_config, folder)
    return Pretrained(_words(folder / FILE) if width else None, width, None, model)


def _words(path: Path) -> list[str]:
    words = read_json(path)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{path}: is not a list of words. Restore the file, or train again")
    return words


class StateReader:
    """Computes a feature of each word: the last layer's state of a language model after the word.

    The model reads each sentence as a line of its own, the words separated by spaces. A word's state is that after the
    following space, or the end of the line: only there does the model know that the word is complete.

    Args:
        network: of the language model.
        tokenizer: that of the language model.
    """

    def __init__(self, network: Network, tokenizer: Tokenizer) -> None:
        self._network, self._tokenizer = network, tokenizer

    @property
    def size(self) -> int:
        """Numbers per state, H."""
        return self._network.recurrent.output_size

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[States]:
        """Returns for each list of T words the states (T, H), in float16 to halve the size of the files of a run."""
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

    def _encode(self, words: Sequence[str]) -> tuple[_Ids, _Ids]:
        """The ids of a sentence after a line break, and the position of the last id of each word."""
        last = len(words) - 1
        pieces = [
            self._tokenizer.encode("\n"),
            *(self._tokenizer.encode(word + (" " if n < last else "\n")) for n, word in enumerate(words)),
        ]
        ends = np.cumsum([len(piece) for piece in pieces]) - 1
        return np.concatenate(pieces), ends[1:]

    def _run(self, rows: list[_Ids]) -> Tensor:
        """The last layer's states, (T, B, H); ids after a position do not change its state."""
        network = self._network
        device = network.embedding.weight.device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        x = network.embedding(pad(rows).to(device))  # (T, B, E)
        h: Tensor = network.recurrent(x, network.initial_state(len(rows)), lengths=lengths)[0]
        return h

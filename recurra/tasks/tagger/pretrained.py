"""What a tagger may read beside its own words: pretrained vectors, and the states of a language model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recurra.data.vectors import WordVectors
from recurra.errors import InputError
from recurra.files import read_json
from recurra.tasks.language_model.model import LanguageModel

FILE = "vectors.json"


@dataclass(frozen=True)
class Pretrained:
    """Pretrained vectors and a language model.

    Args:
        words: those that have a vector, in the order of its rows, the first being row 1; None where there are none.
        width: numbers of a vector.
        matrix: the vectors (V, D), for a tagger that is new; None for one whose weights hold them.
        language_model: the model; its weights are kept among the tagger's.
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
        """Rows, one for words without a vector among them, and numbers a row."""
        return None if self.words is None else (len(self.words) + 1, self.width)

    def config(self) -> dict[str, Any]:
        """Its part of config.json."""
        model = self.language_model
        return {"vectors": self.width, "language_model": None if model is None else model.config()}

    def files(self) -> dict[str, str]:
        """The words that have vectors; the language model's unit."""
        words = {} if self.words is None else {FILE: json.dumps(self.words, ensure_ascii=False, indent=0) + "\n"}
        return {**words, **({} if self.language_model is None else self.language_model.files())}


NOTHING = Pretrained()


def new_pretrained(vectors: WordVectors | None, language_model: Any) -> Pretrained:
    """What a new tagger reads.

    Args:
        vectors: as read from a file; None for none.
        language_model: a trained model; None for none.

    Raises:
        InputError: the model is no language model.
    """
    if language_model is not None and not isinstance(language_model, LanguageModel):
        raise InputError(f"language_model: holds a model for {language_model.name!r}, expected 'lm'")
    if vectors is None:
        return Pretrained(language_model=language_model)
    return Pretrained(vectors.words, vectors.matrix.shape[1], vectors.matrix, language_model)


def load_pretrained(config: dict[str, Any], folder: Path) -> Pretrained:
    """What a tagger in a folder reads, the weights still to be loaded.

    Raises:
        InputError: a field of another kind, a file that is missing or damaged.
    """
    width, own = config["vectors"], config["language_model"]
    if type(width) is not int or width < 0 or not isinstance(own, dict | None):
        raise InputError(
            f"{folder / 'config.json'}: vectors and language_model are {width!r}, {own!r}. Restore the file"
        )
    model = None if own is None else LanguageModel.from_files(own, folder)
    return Pretrained(_words(folder / FILE) if width else None, width, None, model)


def _words(path: Path) -> list[str]:
    words = read_json(path)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{path}: holds no list of words. Restore the file, or train again")
    return words

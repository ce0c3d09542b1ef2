"""Recordings written into a folder: their features, which are computed once, and their texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.data.audio.checks import check_length
from recurra.data.audio.features import Computed, compute_features
from recurra.data.audio.problems import Problem, ProblemKind, problem
from recurra.data.audio.utterances import Utterance
from recurra.data.ragged import Ragged
from recurra.tasks.transcriber.alphabet import Alphabet
from recurra.tasks.transcriber.corpus import Corpus, Said, needed_steps, read_corpus, write_said
from recurra.tasks.transcriber.features import FeatureSettings
from recurra.tasks.transcriber.options import AUTOMATIC_REDUCTIONS

UNKNOWN = ProblemKind("characters outside the alphabet", fatal=False)
# Seconds between two lines of progress while features are computed.
_NOTE_SECONDS = 5.0


@dataclass(frozen=True)
class Part:
    """Recordings whose features were computed.

    Args:
        corpus: those that can be used.
        computed: what is known of the features.
        problems: of all recordings.
    """

    corpus: Corpus
    computed: Computed
    problems: list[Problem]


class CorpusWriter:
    """Computes the features of recordings and writes them with their texts.

    Args:
        alphabet: the symbols of the texts.
        features: the settings of the features.
        folder: where they are written.
        note: shows a line of progress; None to show none.
    """

    def __init__(
        self, alphabet: Alphabet, features: FeatureSettings, folder: Path, note: Callable[[str], None] | None = None
    ) -> None:
        self._alphabet, self._features, self._folder, self._note = alphabet, features, folder, note

    def compute(self, utterances: Sequence[Utterance], name: str) -> Computed:
        """Computes the features of recordings and writes them as `name`; what cannot be read is left out."""
        for utterance in utterances:
            self._features.check_kind(utterance)
        progress = None if self._note is None else _Progress(self._note)
        arguments = utterances, self._features.extractor, self._folder, name, progress
        return compute_features(*arguments, width=self._features.width)

    def reduction(self, computed: Computed, name: str) -> int:
        """Returns the largest reduction of time with which the texts of nearly all recordings fit into their steps.

        A margin of a fifth is for recordings that are read faster in training.
        """
        lengths = Ragged.open(self._folder, name).lengths + self._features.padding
        needed = [needed_steps(self._alphabet.encode(utterance.text or "")) for utterance in computed.utterances]
        frames_per_step = lengths / np.maximum(1, needed) / 1.2
        least = float(np.quantile(frames_per_step, 0.005)) if len(frames_per_step) else 1.0
        return max((reduction for reduction in AUTOMATIC_REDUCTIONS if reduction <= least), default=1)

    def write(self, computed: Computed, name: str, reduction: int, *, keep_unaligned: bool = False) -> Part:
        """Returns the recordings whose features were computed; those with fatal problems are left out.

        Args:
            computed: what `compute` returned.
            name: of the files.
            reduction: frames per step of the network, which limits how many symbols a recording may have.
            keep_unaligned: also keep recordings that are too short for their texts; their errors count.
        """
        problems, said = list(computed.problems), list[Said]()
        lengths = Ragged.open(self._folder, name).lengths
        for row, utterance in enumerate(computed.utterances):
            text = utterance.text or ""
            missing = self._alphabet.missing(text)
            if missing:
                shown = ", ".join(map(repr, dict.fromkeys(missing)))
                problems.append(problem(utterance, UNKNOWN, f"{shown} not in the alphabet of the training texts"))
            frames = int(lengths[row]) + self._features.padding
            too_long = check_length(utterance, frames, self._alphabet.symbols, reduction)
            problems += too_long
            if not too_long or keep_unaligned:
                said.append(Said(row, text, utterance.speaker, utterance.name))
        write_said(self._folder, name, said)
        return Part(read_corpus(self._folder, name, self._alphabet), computed, problems)


class _Progress:
    """Shows how many recordings are done, every few seconds."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note, self._last = note, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _NOTE_SECONDS and done < total:
            self._last = now
            self._note(f"features of {done:,} of {total:,} recordings computed")

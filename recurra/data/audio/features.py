"""The features of a data set, computed once and stored as memory-mapped rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recurra.data.audio.checks import SampleCheck, check_features, check_text
from recurra.data.audio.extraction import FeatureExtractor, FeatureStream, Frames
from recurra.data.audio.feature_files import read_features
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.problems import UNREADABLE, Problem, problem
from recurra.data.audio.reading import segment_blocks
from recurra.data.audio.utterance import Utterance
from recurra.data.ragged import RaggedWriter
from recurra.errors import InputError


class _Content(NamedTuple):
    """What an utterance contains."""

    features: Frames
    digest: bytes
    problems: list[Problem]


@dataclass(frozen=True)
class Computed:
    """What `compute_features` computed besides the rows.

    Args:
        width: number of coefficients of every row.
        kept: the number, in the sequence passed, of the utterance of each row.
        utterances: the utterance of each row.
        digests: 16 bytes per row, which are equal for equal samples or features only.
        problems: the problems of all utterances; those with a fatal one have no row.
        statistics: mean and variance over all rows.
        speakers: those of each known speaker's rows.
    """

    width: int
    kept: list[int]
    utterances: list[Utterance]
    digests: list[bytes]
    problems: list[Problem]
    statistics: FeatureStatistics
    speakers: dict[str, FeatureStatistics]


def compute_features(
    utterances: Sequence[Utterance],
    extractor: FeatureExtractor,
    folder: Path,
    name: str,
    progress: Callable[[int, int], None] | None = None,
    *,
    dtype: npt.DTypeLike = np.float32,
    width: int | None = None,
) -> Computed:
    """Computes the features of utterances and writes them to `folder`, one row per utterance in their order.

    `Ragged.open(folder, name)` reads them. Utterances that cannot be trained on are left out. Memory is that of one
    utterance's features; the same files give the same bytes.

    Args:
        utterances: the utterances.
        extractor: what computes the features of audio, and the deltas of features.
        folder: where the rows go.
        name: what the names of their files begin with.
        progress: called after each utterance with the number of those done and the number of all.
        dtype: float32 or float16.
        width: the number of coefficients that rows must have; None for that of the first utterance that can be read.
    """
    problems: list[Problem] = []
    with ExitStack() as stack:
        # Opened at the first row: only then the width is known.
        rows = _Rows(lambda width: stack.enter_context(RaggedWriter(folder, name, dtype, (width,))), dtype, width)
        for number, utterance in enumerate(utterances):
            try:
                problems += rows.add(number, utterance, _read(utterance, extractor))
            except InputError as error:
                reason = str(error).removeprefix(f"{utterance.path}: ").removeprefix("cannot be read: ")
                problems += [problem(utterance, UNREADABLE, reason), *check_text(utterance)]
            if progress is not None:
                progress(number + 1, len(utterances))
        return rows.computed(problems, extractor.width)


class _Rows:
    """Writes rows, and collects what is known of them.

    Args:
        open_writer: returns the writer of rows of some width.
        dtype: the number type of the rows.
        width: the number of coefficients of every row; None for that of the first one.
    """

    def __init__(self, open_writer: Callable[[int], RaggedWriter], dtype: npt.DTypeLike, width: int | None) -> None:
        self._open_writer, self._dtype, self._width = open_writer, dtype, width
        self._writer: RaggedWriter | None = None
        self._kept: list[int] = []
        self._utterances: list[Utterance] = []
        self._digests: list[bytes] = []
        self._statistics: FeatureStatistics | None = None
        self._speakers: dict[str, FeatureStatistics] = {}

    def add(self, number: int, utterance: Utterance, content: _Content) -> list[Problem]:
        """Writes an utterance, unless it has a fatal problem; returns its problems."""
        problems = [*content.problems, *check_text(utterance)]
        with np.errstate(over="ignore"):  # a number beyond float16 becomes infinite, and is reported
            features = content.features.astype(self._dtype, copy=False)
        if not any(each.kind.fatal for each in content.problems):
            width = features.shape[1] if self._width is None else self._width
            problems += check_features(utterance, features, width)
        if any(each.kind.fatal for each in problems):
            return problems
        if self._writer is None:
            self._width = features.shape[1]
            self._writer = self._open_writer(self._width)
        self._writer.append(features)
        self._kept.append(number)
        self._utterances.append(utterance)
        self._digests.append(content.digest)
        self._count(FeatureStatistics.of(features), utterance.speaker)
        return problems

    def _count(self, statistics: FeatureStatistics, speaker: str | None) -> None:
        self._statistics = statistics if self._statistics is None else self._statistics.merged(statistics)
        if speaker is not None:
            before = self._speakers.get(speaker)
            self._speakers[speaker] = statistics if before is None else before.merged(statistics)

    def computed(self, problems: list[Problem], width: int) -> Computed:
        """Returns what was computed; `width` is that of a set without rows."""
        if self._width is None:
            self._width = width
        if self._writer is None:
            self._open_writer(self._width)
        statistics = FeatureStatistics.empty(self._width) if self._statistics is None else self._statistics
        return Computed(self._width, self._kept, self._utterances, self._digests, problems, statistics, self._speakers)


def _read(utterance: Utterance, extractor: FeatureExtractor) -> _Content:
    """Reads the features of an utterance, or its audio in blocks, from which they are computed."""
    if utterance.is_features:
        features = read_features(utterance.path)
        digest = hashlib.blake2b(f"{features.shape} ".encode(), digest_size=16)
        digest.update(features.data)
        return _Content(extractor.of_features(features), digest.digest(), [])
    stream: FeatureStream | None = None
    frames: list[Frames] = []
    for samples, rate in segment_blocks(utterance.path, start=utterance.start, end=utterance.end):
        if stream is None:
            stream, check = extractor.stream(rate), SampleCheck(utterance, rate)
        check.accept(samples)
        frames.append(stream.accept(samples))
    assert stream is not None, "segments without samples are refused"
    frames.append(stream.finish())
    return _Content(np.concatenate(frames), check.digest(), check.problems())

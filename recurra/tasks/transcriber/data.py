"""The data of a run: recordings, checked, divided, and their features on disk with an alphabet."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.overlaps import find_duplicates, shared_speakers
from recurra.data.audio.problems import Problem, summary
from recurra.data.audio.utterances import Utterance, open_utterances
from recurra.errors import InputError
from recurra.files import read_object
from recurra.tasks.notes import first_names
from recurra.tasks.transcriber.alphabet import Alphabet, build_alphabet, load_alphabet
from recurra.tasks.transcriber.corpus import Corpus, read_corpus
from recurra.tasks.transcriber.corpus_writer import CorpusWriter, Part
from recurra.tasks.transcriber.features import FeatureSettings
from recurra.tasks.transcriber.holdout import hold_out
from recurra.tasks.transcriber.options import FeatureOptions, RecordingOptions

TRAIN, VALID, DATA = "train", "valid", "transcriber.json"
# Problems that an error message lists.
_LISTED = 20


@dataclass(frozen=True)
class SpeechData:
    """Recordings ready to train on: a `recurra.tasks.implementation.Data`.

    Args:
        alphabet: the symbols of the training texts.
        settings: the features.
        statistics: of the features of the training recordings.
        train: the training recordings.
        valid: the held-out recordings.
        names: names of the training files, for the card.
        remarks: what is notable about the recordings, one line each.
        reduction: frames per step of the network.
    """

    alphabet: Alphabet
    settings: FeatureSettings
    statistics: FeatureStatistics
    train: Corpus
    valid: Corpus
    names: list[str]
    remarks: list[str]
    reduction: int

    def finish(self, features: Any, speaker: FeatureStatistics | None) -> Any:
        """Returns what the network reads, (T, size), of features (T, width) from the corpus."""
        return self.settings.finish(features, self.statistics, speaker)

    def summary(self) -> str:
        """Returns the training data in one line."""
        return f"{len(self.train):,} recordings ({_minutes(self.train, self.settings)}) of {first_names(self.names)}"

    def uniform_loss(self) -> float:
        """Returns the loss of equally probable symbols at every step, in nats per symbol, on the first recordings."""
        total, symbols, V = 0.0, 0, self.alphabet.size
        for number in range(min(100, len(self.valid))):
            frames, ids = len(self.valid.features(number)) + self.settings.padding, self.valid.ids(number)
            steps = -(-frames // self.reduction)
            log_probs = torch.full((steps, 1, V), -float(np.log(V)))
            lengths = torch.tensor([steps]), torch.tensor([len(ids)])
            total += float(F.ctc_loss(log_probs, torch.from_numpy(ids)[None], *lengths, reduction="sum"))
            symbols += len(ids)
        return total / max(1, symbols)

    def notes(self) -> list[str]:
        """Returns the sizes and what to check before training starts, one line each."""
        lines = []
        for name, corpus in (("training", self.train), ("validation", self.valid)):
            speakers = len(corpus.speakers.keys() - {None})
            of_speakers = f" of {speakers:,} speakers" if speakers else ""
            lines.append(f"{name} data: {len(corpus):,} recordings{of_speakers}, {_minutes(corpus, self.settings)}")
        rate = "features from files" if self.settings.rate is None else f"audio at {self.settings.rate:,} Hz"
        kinds = {"char": "characters", "bpe": "subwords"}[self.alphabet.tokenizer.name]
        lines.append(f"{rate}, {self.settings.width} numbers per frame; {self.alphabet.size - 1:,} {kinds}")
        lines.append(f"{self.reduction} frames per step of the network")
        return [*lines, *self.remarks]


def _minutes(corpus: Corpus, settings: FeatureSettings) -> str:
    seconds = float(corpus.lengths.sum()) * settings.frame_seconds
    return f"{seconds / 60:,.1f} minutes" if seconds < 7200 else f"{seconds / 3600:,.1f} hours"


def prepare(
    files: Sequence[Path],
    recordings: RecordingOptions,
    features: FeatureOptions,
    folder: Path,
    *,
    reduction: int | None,
    start: Any = None,
    note: Callable[[str], None] | None = None,
) -> SpeechData:
    """Checks the recordings, divides them, and writes their features into `folder`.

    Args:
        files: manifests or folders.
        recordings: the symbols and the held-out part.
        features: the features.
        folder: where they are written.
        reduction: frames per step of the network; None for one that suits the recordings.
        start: a transcriber whose alphabet and features are kept; None for new ones.
        note: shows a line of progress; None to show none.

    Raises:
        InputError: a file that cannot be read; a recording that cannot be used, without `skip_bad`.
    """
    train = open_utterances(files)
    if recordings.valid is None:
        train, valid = hold_out(train, recordings.valid_share, where=str(files[0]))
    else:
        valid = open_utterances(recordings.valid)
    _check_speakers(train, features)
    if start is None:
        texts = (utterance.text or "" for utterance in train)
        alphabet = build_alphabet(texts, recordings, name=str(files[0]))
        settings = FeatureSettings.of(features, train)
    else:
        alphabet, settings = start.alphabet, start.features
    folder.mkdir(parents=True, exist_ok=True)
    writer = CorpusWriter(alphabet, settings, folder, note)
    computed = {name: writer.compute(utterances, name) for name, utterances in ((TRAIN, train), (VALID, valid))}
    reduction = reduction or writer.reduction(computed[TRAIN], TRAIN)
    parts = {name: writer.write(one, name, reduction) for name, one in computed.items()}
    problems = [one for part in parts.values() for one in part.problems]
    if not recordings.skip_bad:
        _refuse(problems)
    for name, part in parts.items():
        if not len(part.corpus):
            raise InputError(f"no recording is left for {name}: {'; '.join(summary(problems))}")
    problems += _overlaps(parts[TRAIN], parts[VALID])
    statistics = parts[TRAIN].computed.statistics if start is None else start.statistics
    names = [path.name for path in files]
    remarks = summary(problems)
    data = SpeechData(
        alphabet, settings, statistics, parts[TRAIN].corpus, parts[VALID].corpus, names, remarks, reduction
    )
    _write(data, folder)
    return data


def _refuse(problems: Sequence[Problem]) -> None:
    """Stops if a recording cannot be used."""
    fatal = [one for one in problems if one.kind.fatal]
    if not fatal:
        return
    recordings = len({(one.utterance.place, one.utterance.name) for one in fatal})
    lines = [one.message for one in fatal[:_LISTED]]
    if len(fatal) > _LISTED:
        lines.append(f"… and {len(fatal) - _LISTED:,} more: {'; '.join(summary(fatal))}")
    many = "recordings" if recordings > 1 else "recording"
    error = InputError(f"{recordings:,} {many} cannot be used: mend them, or train without them by --skip-bad")
    for line in lines:
        error.add_note(line)
    raise error


def _check_speakers(utterances: Sequence[Utterance], options: FeatureOptions) -> None:
    """Refuses normalisation by speaker if no speaker is known."""
    if options.normalise == "speaker" and all(utterance.speaker is None for utterance in utterances):
        raise InputError(
            f"normalise='speaker': {utterances[0].place} names no speaker: expected a column speaker, or another "
            "normalisation"
        )


def _overlaps(train: Part, valid: Part) -> list[Problem]:
    """Returns the recordings and the speakers that are in both parts."""
    duplicates = find_duplicates(
        train.computed.utterances,
        valid.computed.utterances,
        train_digests=train.computed.digests,
        valid_digests=valid.computed.digests,
    )
    return [*duplicates, *shared_speakers(train.computed.utterances, valid.computed.utterances)]


def reopen(folder: Path) -> SpeechData:
    """Returns the data that `prepare` wrote, for a resumed run; the recordings are no longer needed.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = folder / DATA
    mend = "Train again without --resume"
    header = read_object(path, missing=mend.lower(), mend=mend)
    try:
        settings = FeatureSettings.from_plain(header["features"], path)
        statistics = FeatureStatistics.from_plain(header["statistics"])
        names, remarks, lowercase = list(header["names"]), list(header["remarks"]), bool(header["lowercase"])
        reduction = int(header["reduction"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). {mend}") from None
    alphabet = load_alphabet(folder, lowercase=lowercase)
    train, valid = (read_corpus(folder, name, alphabet) for name in (TRAIN, VALID))
    return SpeechData(alphabet, settings, statistics, train, valid, names, remarks, reduction)


def _write(data: SpeechData, folder: Path) -> None:
    for name, content in data.alphabet.files().items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    header = {
        "features": data.settings.to_plain(),
        "statistics": data.statistics.to_plain(),
        "names": data.names,
        "remarks": data.remarks,
        "lowercase": data.alphabet.lowercase,
        "reduction": data.reduction,
    }
    (folder / DATA).write_text(json.dumps(header), encoding="utf-8")

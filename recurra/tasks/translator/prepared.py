"""From files of pairs to what a translator trains on: a vocabulary, and two encoded corpora on disk."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data import Pair, Pairs, is_empty, open_pairs
from recurra.data.holdout import split_last
from recurra.errors import InputError
from recurra.tasks.notes import first_names
from recurra.tasks.translator.corpus import PairCorpus, encode
from recurra.tasks.translator.notes import NOTHING, Repeated, notes
from recurra.tasks.translator.options import PairOptions
from recurra.tasks.translator.train_overlap import TrainSources, digest, normalised
from recurra.tasks.translator.vocabulary import FILES, Vocabulary, build_vocabulary, load_vocabulary

TRAIN, VALID, DATA, TEXTS = "train", "valid", "translator.json", "valid.pairs.jsonl"
# What the names of the files begin with that `prepare` writes.
SCRATCH = (f"{TRAIN}.", f"{VALID}.", DATA, *FILES)


@dataclass(frozen=True)
class Prepared:
    """Pairs ready to train on.

    Args:
        vocabulary: that of the training part alone.
        train: the part to learn from.
        valid: the part held out.
        valid_pairs: its texts, those with empty sides too.
        names: the training files, for the card.
        longest: symbols on a side beyond which pairs were left out of training.
        repeated: how much of the held-out part is in the training part too.
    """

    vocabulary: Vocabulary
    train: PairCorpus
    valid: PairCorpus
    valid_pairs: list[Pair]
    names: list[str]
    longest: int | None = None
    repeated: Repeated = NOTHING

    def summary(self) -> str:
        """The training data in a line."""
        return f"{len(self.train):,} pairs of {first_names(self.names)}"

    def uniform_loss(self) -> float:
        """Log V of the target: the loss of a guess among equally likely symbols."""
        return math.log(self.vocabulary.target.size)

    def notes(self) -> list[str]:
        """Sizes, and what to check before training starts, a line each."""
        return notes(self.vocabulary, self.train.facts, self.valid.facts, self.longest, self.repeated)


def prepare(files: Sequence[Path], options: PairOptions, folder: Path, *, start: Vocabulary | None = None) -> Prepared:
    """Checks the files, builds the vocabulary and encodes the pairs into `folder`.

    Args:
        files: tables of pairs; none where the options name sources and targets.
        options: what both sides are cut into, and which part is held out.
        folder: where the encoded pairs go.
        start: the vocabulary of a translator to continue from, in place of that of the files.

    Raises:
        InputError: what cannot be read as pairs, no pairs to learn from or to hold out.
    """
    train, valid = _divide(open_pairs(files, source=options.source, target=options.target), options)
    for part, purpose in ((train, "learn from"), (valid, "validate with")):
        if not any(_is_filled(pair) for pair in part):
            raise InputError(
                f"{part.files.paths[0]}: no pair to {purpose}, expected a source and a target that are not empty"
            )
    vocabulary = build_vocabulary(train, options) if start is None else start
    folder.mkdir(parents=True, exist_ok=True)
    comparison = _Comparison(valid)
    corpus = encode(comparison.through(train), vocabulary, folder, TRAIN, longest=options.longest)
    if not len(corpus):
        raise InputError(
            f"{train.files.paths[0]}: all pairs have more than {options.longest} symbols on a side. Raise --longest"
        )
    vocabulary = replace(vocabulary, trained_on=vocabulary.trained_on | TrainSources.of(comparison.digests))
    names = [path.name for path in (*files, *(options.source or ()), *(options.target or ()))]
    held_out = encode(valid, vocabulary, folder, VALID)
    prepared = Prepared(vocabulary, corpus, held_out, list(valid), names, options.longest, comparison.repeated())
    _write(prepared, folder)
    return prepared


def reopen(folder: Path) -> Prepared:
    """What `prepare` wrote, for a run that is resumed; the files of pairs are no longer needed.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = folder / DATA
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        names, longest, repeated = header["names"], header["longest"], Repeated(*header["repeated"])
        path = folder / TEXTS
        with path.open(encoding="utf-8", newline="\n") as file:
            pairs = [Pair(*json.loads(line)) for line in file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Train again without --resume") from None
    vocabulary = load_vocabulary(folder)
    train, valid = PairCorpus.open(folder, TRAIN), PairCorpus.open(folder, VALID)
    if len(pairs) != header["valid_pairs"]:
        raise InputError(f"{path}: {len(pairs)} pairs, expected {header['valid_pairs']}. Train again without --resume")
    return Prepared(vocabulary, train, valid, pairs, names, longest, repeated)


def _write(prepared: Prepared, folder: Path) -> None:
    for name, content in prepared.vocabulary.files().items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    with (folder / TEXTS).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(pair) + "\n" for pair in prepared.valid_pairs)
    header = {"names": prepared.names, "longest": prepared.longest, "repeated": prepared.repeated}
    (folder / DATA).write_text(json.dumps({**header, "valid_pairs": len(prepared.valid_pairs)}), encoding="utf-8")


def _divide(pairs: Pairs, options: PairOptions) -> tuple[Pairs, Pairs]:
    """The pairs to learn from and those held out."""
    if options.valid is not None or options.valid_source is not None:
        return pairs, open_pairs(options.valid or (), source=options.valid_source, target=options.valid_target)
    total = len(pairs)
    kept = split_last(total, options.valid_share, where=str(pairs.files.paths[0]), items="pairs")
    return pairs.part(0, kept), pairs.part(kept, total)


def _is_filled(pair: Pair) -> bool:
    return not is_empty(pair.source) and not all(map(is_empty, pair.targets))


class _Comparison:
    """Digests of the pairs to learn from, and which of the held-out pairs are among them.

    Args:
        valid: the held-out pairs.
    """

    def __init__(self, valid: Pairs) -> None:
        self.digests = array("Q")
        # Held-out source to the targets of each of its occurrences; and of sources of the training part, which
        # occurrences have one of their targets there.
        self._targets: dict[str, list[set[str]]] = {}
        self._repeated: dict[str, list[bool]] = {}
        for pair in filter(_is_filled, valid):
            self._targets.setdefault(normalised(pair.source), []).append(set(map(normalised, pair.targets)))

    def through(self, pairs: Pairs) -> Iterator[Pair]:
        """Yields the same pairs, and compares each with the held-out pairs."""
        for pair in pairs:
            if _is_filled(pair):
                self.digests.append(digest(pair.source))
                source = normalised(pair.source)
                if source in self._targets:
                    targets, occurrences = set(map(normalised, pair.targets)), self._targets[source]
                    before = self._repeated.get(source, [False] * len(occurrences))
                    self._repeated[source] = [
                        same or bool(one & targets) for same, one in zip(before, occurrences, strict=True)
                    ]
            yield pair

    def repeated(self) -> Repeated:
        """How many held-out sources are among the pairs so far."""
        return Repeated(sum(map(len, self._repeated.values())), sum(map(sum, self._repeated.values())))

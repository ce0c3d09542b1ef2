"""The data of a run: files of pairs, checked, divided and encoded on disk with a vocabulary."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data import Pair, Pairs, open_pairs
from recurra.data.holdout import split_last
from recurra.errors import InputError
from recurra.tasks.notes import first_names
from recurra.tasks.translator.corpus import SIDES, Facts, PairCorpus, encode
from recurra.tasks.translator.options import PairOptions
from recurra.tasks.translator.train_overlap import NO_OVERLAP, Overlap, OverlapCounter, TrainSources, is_filled
from recurra.tasks.translator.vocabulary import FILES, Side, Vocabulary, build_vocabulary, load_vocabulary
from recurra.training import percent

TRAIN, VALID, DATA, TEXTS = "train", "valid", "translator.json", "valid.pairs.jsonl"
# The first parts of the names of the files that `prepare` writes.
SCRATCH = (f"{TRAIN}.", f"{VALID}.", DATA, *FILES)


@dataclass(frozen=True)
class PairData:
    """Pairs ready to train on: a `recurra.tasks.implementation.Data`.

    Args:
        vocabulary: built from the training part only.
        train: the training part, encoded.
        valid: the held-out part, encoded.
        valid_pairs: its texts, including those with empty sides.
        names: names of the training files, for the card.
        longest: pairs with more symbols on a side were left out of training; None for no limit.
        overlap: how many held-out sources are in the training part too.
    """

    vocabulary: Vocabulary
    train: PairCorpus
    valid: PairCorpus
    valid_pairs: list[Pair]
    names: list[str]
    longest: int | None = None
    overlap: Overlap = NO_OVERLAP

    def summary(self) -> str:
        """Returns the training data in one line."""
        return f"{len(self.train):,} pairs of {first_names(self.names)}"

    def uniform_loss(self) -> float:
        """Returns log V of the target: the loss of a guess among equally likely symbols, in nats per symbol."""
        return math.log(self.vocabulary.target.size)

    def notes(self) -> list[str]:
        """Returns the sizes and what to check before training starts, one line each."""
        parts = {"training": self.train.facts, "validation": self.valid.facts}
        lines = [line for name, facts in parts.items() for line in _size_lines(name, facts)]
        lines += _vocabulary_lines(self.vocabulary)
        for name, facts in parts.items():
            lines += _left_out_lines(name, facts, self.longest)
        for name, facts in parts.items():
            lines += _unknown_lines(name, facts)
        if self.overlap.sources:
            lines.append(
                f"validation data: {self.overlap.sources:,} of {self.valid.facts.sources:,} sources are in the "
                f"training data too, {self.overlap.pairs:,} of them with the same target: scores differ from those on "
                "new sources"
            )
        return lines


def prepare(files: Sequence[Path], options: PairOptions, folder: Path, *, start: Vocabulary | None = None) -> PairData:
    """Checks the files, builds the vocabulary and encodes the pairs into `folder`.

    Args:
        files: tables of pairs; none if the options name files of sources and targets.
        options: the tokenizers of both sides, and which part is held out.
        folder: where the encoded pairs are written.
        start: the vocabulary of a translator to continue from, in place of one built from the files.

    Raises:
        InputError: a file that cannot be read as pairs; no pairs for training or for validation.
    """
    train, valid = _split(open_pairs(files, source=options.source, target=options.target), options)
    for part, purpose in ((train, "learn from"), (valid, "validate with")):
        if not any(is_filled(pair) for pair in part):
            raise InputError(
                f"{part.files.paths[0]}: no pair to {purpose}, expected a source and a target that are not empty"
            )
    vocabulary = build_vocabulary(train, options) if start is None else start
    folder.mkdir(parents=True, exist_ok=True)
    # Compared as it is encoded: the files are read once less.
    counter = OverlapCounter(valid)
    corpus = encode(counter.through(train), vocabulary, folder, TRAIN, longest=options.longest)
    if not len(corpus):
        raise InputError(
            f"{train.files.paths[0]}: all pairs have more than {options.longest} symbols on a side. Raise --longest"
        )
    vocabulary = replace(vocabulary, trained_on=vocabulary.trained_on | TrainSources.of(counter.digests))
    names = [path.name for path in (*files, *(options.source or ()), *(options.target or ()))]
    # Long pairs are kept here: scores count all of the held-out data.
    held_out = encode(valid, vocabulary, folder, VALID)
    data = PairData(vocabulary, corpus, held_out, list(valid), names, options.longest, counter.overlap())
    _write(data, folder)
    return data


def reopen(folder: Path) -> PairData:
    """Returns the data that `prepare` wrote, for a resumed run; the files of pairs are no longer needed.

    Raises:
        InputError: a file is missing or damaged.
    """
    path = folder / DATA
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        names, longest, overlap = header["names"], header["longest"], Overlap(*header["repeated"])
        path = folder / TEXTS
        with path.open(encoding="utf-8", newline="\n") as file:
            pairs = [Pair(*json.loads(line)) for line in file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error}). Train again without --resume") from None
    vocabulary = load_vocabulary(folder)
    train, valid = PairCorpus.open(folder, TRAIN), PairCorpus.open(folder, VALID)
    if len(pairs) != header["valid_pairs"]:
        raise InputError(f"{path}: {len(pairs)} pairs, expected {header['valid_pairs']}. Train again without --resume")
    return PairData(vocabulary, train, valid, pairs, names, longest, overlap)


def _write(data: PairData, folder: Path) -> None:
    for name, content in data.vocabulary.files().items():
        (folder / name).write_text(content, encoding="utf-8", newline="\n")
    with (folder / TEXTS).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(pair) + "\n" for pair in data.valid_pairs)
    header = {"names": data.names, "longest": data.longest, "repeated": data.overlap}
    (folder / DATA).write_text(json.dumps({**header, "valid_pairs": len(data.valid_pairs)}), encoding="utf-8")


def _split(pairs: Pairs, options: PairOptions) -> tuple[Pairs, Pairs]:
    """Returns the training pairs and the held-out pairs."""
    if options.valid is not None or options.valid_source is not None:
        return pairs, open_pairs(options.valid or (), source=options.valid_source, target=options.valid_target)
    total = len(pairs)
    kept = split_last(total, options.valid_share, where=str(pairs.files.paths[0]), items="pairs")
    return pairs.part(0, kept), pairs.part(kept, total)


def _size_lines(name: str, facts: Facts) -> Iterator[str]:
    several_targets = f" of {facts.sources:,} sources" if facts.sources != facts.pairs else ""
    source, target = facts.symbols
    yield f"{name} data: {_pairs(facts.pairs)}{several_targets}, {source:,} symbols to {target:,}"


def _vocabulary_lines(vocabulary: Vocabulary) -> Iterator[str]:
    if vocabulary.joint:
        yield f"source and target: one vocabulary of {_kinds(vocabulary.source)}"
    else:
        for name, side in zip(SIDES, (vocabulary.source, vocabulary.target), strict=True):
            yield f"{name}: a vocabulary of {_kinds(side)}"


def _left_out_lines(name: str, facts: Facts, longest: int | None) -> Iterator[str]:
    if facts.empty:
        places = _places(facts.empty, facts.empty_places)
        yield f"{name} data: {_pairs(facts.empty)} with an empty side left out ({places})"
    if facts.too_long:
        places = _places(facts.too_long, facts.too_long_places)
        yield (
            f"{name} data: {_pairs(facts.too_long)} left out with more than {longest:,} symbols on a side "
            f"({places}); --longest keeps them"
        )


def _unknown_lines(name: str, facts: Facts) -> Iterator[str]:
    for side, count, total, symbols in zip(SIDES, facts.unknown, facts.symbols, facts.unknown_symbols, strict=True):
        if count:
            shown = ", ".join(map(repr, symbols))
            share = percent(count / total)
            yield f"{name} data: {count:,} of {total:,} symbols of the {side}s ({share}) are unknown ({shown})"


def _pairs(count: int) -> str:
    return f"{count:,} pair{'s' if count != 1 else ''}"


def _kinds(side: Side) -> str:
    names = {"char": "characters", "word": "words", "bpe": "subwords"}
    return f"{side.tokenizer.size:,} {names[side.tokenizer.name]}"


def _places(count: int, places: list[str]) -> str:
    return ", ".join(places) + (", …" if count > len(places) else "")

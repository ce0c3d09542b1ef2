"""From files of pairs to what a translator trains on: a vocabulary, and two encoded corpora on disk."""

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
from recurra.tasks.translator.train_overlap import NOTHING, Comparison, Repeated, TrainSources, is_filled
from recurra.tasks.translator.vocabulary import FILES, Side, Vocabulary, build_vocabulary, load_vocabulary
from recurra.training import percent

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
        if not any(is_filled(pair) for pair in part):
            raise InputError(
                f"{part.files.paths[0]}: no pair to {purpose}, expected a source and a target that are not empty"
            )
    vocabulary = build_vocabulary(train, options) if start is None else start
    folder.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(valid)
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


def notes(vocabulary: Vocabulary, train: Facts, valid: Facts, longest: int | None, repeated: Repeated) -> list[str]:
    """The lines.

    Args:
        vocabulary: symbols of both sides.
        train: numbers of the training part.
        valid: and of the held-out part.
        longest: symbols on a side beyond which pairs were left out.
        repeated: what both parts have.
    """
    lines = [*_sizes("training", train), *_sizes("validation", valid)]
    if vocabulary.joint:
        lines.append(f"source and target: one vocabulary of {_kinds(vocabulary.source)}")
    else:
        sides = zip(SIDES, (vocabulary.source, vocabulary.target), strict=True)
        lines += [f"{name}: a vocabulary of {_kinds(side)}" for name, side in sides]
    for name, facts in (("training", train), ("validation", valid)):
        if facts.empty:
            found = _places(facts.empty, facts.empty_places)
            lines.append(f"{name} data: {_pairs(facts.empty)} with an empty side left out ({found})")
        if facts.too_long:
            found = _places(facts.too_long, facts.too_long_places)
            lines.append(
                f"{name} data: {_pairs(facts.too_long)} left out with more than {longest:,} symbols on a side "
                f"({found}); --longest keeps them"
            )
    lines += _unknown("training", train)
    lines += _unknown("validation", valid)
    if repeated.sources:
        lines.append(
            f"validation data: {repeated.sources:,} of {valid.sources:,} sources are in the training data too, "
            f"{repeated.pairs:,} of them with the same target: scores differ from those on new sources"
        )
    return lines


def _sizes(name: str, facts: Facts) -> Iterator[str]:
    several = f" of {facts.sources:,} sources" if facts.sources != facts.pairs else ""
    source, target = facts.symbols
    yield f"{name} data: {_pairs(facts.pairs)}{several}, {source:,} symbols to {target:,}"


def _pairs(count: int) -> str:
    return f"{count:,} pair{'s' if count != 1 else ''}"


def _kinds(side: Side) -> str:
    names = {"char": "characters", "word": "words", "bpe": "subwords"}
    return f"{side.tokenizer.size:,} {names[side.tokenizer.name]}"


def _places(count: int, places: list[str]) -> str:
    return ", ".join(places) + (", …" if count > len(places) else "")


def _unknown(name: str, facts: Facts) -> Iterator[str]:
    parts = zip(SIDES, facts.unknown, facts.symbols, facts.unknown_symbols, strict=True)
    for side, count, total, symbols in parts:
        if count:
            shown = ", ".join(map(repr, symbols))
            yield (
                f"{name} data: {count:,} of {total:,} symbols of the {side}s ({percent(count / total)}) are unknown "
                f"({shown})"
            )

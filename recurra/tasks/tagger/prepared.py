"""Sentences ready to train on: what they are coded by, and two encoded corpora on disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from recurra.files import read_object
from recurra.tasks.notes import first_names
from recurra.tasks.tagger.codec import Codec
from recurra.tasks.tagger.corpus import TaggedCorpus
from recurra.tasks.tagger.layout import Layout
from recurra.tasks.tagger.pretrained import load_pretrained
from recurra.tasks.tagger.vocabulary import load_vocabulary

TRAIN, VALID, DATA = "train", "valid", "tagger.json"
VECTORS = "vectors.npy"


@dataclass(frozen=True)
class Prepared:
    """Sentences ready to train on.

    Args:
        codec: the vocabulary, that of the training part alone, the columns of the files, vectors and language model.
        train: the part to learn from.
        valid: the part held out.
        names: the training files, for the card.
    """

    codec: Codec
    train: TaggedCorpus
    valid: TaggedCorpus
    names: list[str]

    def summary(self) -> str:
        """The training data in a line."""
        return f"{self.train.words:,} words in {len(self.train):,} sentences of {first_names(self.names)}"

    def uniform_loss(self) -> float:
        """The sum over labels of the log of their number of values."""
        return sum(math.log(max(1, len(values))) for values in self.codec.vocabulary.labels)

    def _missing_notes(self) -> list[str]:
        """Labels that words of either part lack, or that one of the parts alone has."""
        lines, layout = [], self.codec.layout
        for title, part in (("training", self.train), ("validation", self.valid)):
            if part.left_out:
                lines.append(f"{title} data: {part.left_out:,} sentences without any label are left out")
            for name, missing, unseen in zip(layout.names, part.missing, part.unseen, strict=True):
                if missing:
                    lines.append(
                        f"{title} data: {missing:,} words have no label of {name}: they have no part in loss and scores"
                    )
                if unseen:
                    shown = ", ".join(list(unseen)[:5]) + (", …" if len(unseen) > 5 else "")
                    whose = "the training data never has" if part is self.valid else "this tagger does not have"
                    lines.append(
                        f"{title} data: {sum(unseen.values()):,} words have a label of {name} that {whose} ({shown}): "
                        "they have no part in the loss and count as errors"
                    )
        return lines

    def notes(self) -> list[str]:
        """Sizes, and what to check before training starts, a line each."""
        vocabulary = self.codec.vocabulary
        parts = (("training", self.train), ("validation", self.valid))
        lines = [f"{name} data: {part.words:,} words in {len(part):,} sentences" for name, part in parts]
        for name, values in zip(self.codec.layout.names, vocabulary.labels, strict=True):
            marked = (
                ""
                if self.codec.scheme is None
                else f", which mark spans as {self.codec.scheme.upper()} and are coded as BIOES"
            )
            lines.append(f"{name}: {len(values):,} label{'s' if len(values) != 1 else ''}{marked}")
            if len(values) == 1:
                lines.append(
                    f"{name}: every word has the label {values[0]}: there is nothing to learn. Is it the column?"
                )
        if self.codec.pretrained.words is not None:
            rows = self.codec.pretrained.rows or {}
            with_vector = sum(1 for form in self.train.forms if form in rows or form.lower() in rows)
            lines.append(f"pretrained vectors: {with_vector:,} of {len(self.train.forms):,} training words have one")
        counts = self.valid.form_counts()
        unknown = sum(
            int(count) for form, count in zip(self.valid.forms, counts, strict=True) if not vocabulary.knows(form)
        )
        lines.append(f"validation data: {unknown:,} of {self.valid.words:,} words never occur in the training data")
        lines += self._missing_notes()
        return lines


def reopen(folder: Path) -> Prepared:
    """What `prepare` wrote, for a run that is resumed; the files themselves are no longer needed."""
    path = folder / DATA
    header = read_object(path, missing="train again without --resume", mend="Train again without --resume")
    layout = Layout.from_config(header["layout"], where=str(path))
    # The weights, those of vectors and language model too, are in the checkpoint.
    codec = Codec(load_vocabulary(folder, layout), layout, header["scheme"], load_pretrained(header, folder))
    return Prepared(codec, TaggedCorpus.open(folder, TRAIN), TaggedCorpus.open(folder, VALID), header["names"])

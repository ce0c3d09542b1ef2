"""The row of the translator in the table of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.tasks.task import Task, Verb

if TYPE_CHECKING:
    from recurra.tasks.implementation import Implementation

_TRAIN = """Train a translator on pairs: sentences of two languages, words and their sounds, dates and their form.

Pairs come as tables, a source and a target a line apart by a tab, several lines of a source where several targets are
right; or as parallel files, of which each line of the one belongs to the same line of the other. The best model so far
on the validation data is always in the folder; Ctrl-C loses nothing.

```sh
recurra train translator --source train.de --target train.en --valid-source dev.de --valid-target dev.en --out de-en
recurra train translator words.tsv --valid dev.tsv --source-unit char --target-unit word --out spelling
recurra train translator --out de-en --resume
```
"""


def _implement() -> Implementation:
    from recurra.tasks.translator.implementation import IMPLEMENTATION

    return IMPLEMENTATION


TASK = Task(
    name="translator",
    title="translator",
    loss_per="symbol",
    train_help=_TRAIN,
    files_name="PAIRS",
    files_help="Tables of pairs, UTF-8: a source, a tab, a target (or see --source).",
    evaluate_help=(
        "A translator translates the sources of pairs; it reports BLEU and chrF with sacrebleu's signatures, exact "
        "matches, token errors, and the outputs that are furthest off."
    ),
    evaluate_files=(
        "tables of a source and a target a line apart by a tab, several lines of a source where several targets are "
        "right"
    ),
    evaluate_example=(
        "recurra evaluate german-english --source test.de --target test.en --beam 10\n"
        "recurra evaluate spelling test.tsv --json"
    ),
    usage="recurra translate DIR FILE\nrecurra evaluate DIR PAIRS.tsv",
    verbs=(
        Verb(
            name="translate",
            function="recurra.tasks.translator.verbs.translate:translate",
            help="Translate lines with a translator.",
        ),
    ),
    implement=_implement,
)

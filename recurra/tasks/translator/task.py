"""The row of the translator in the table of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.tasks.task import Task, Verb

if TYPE_CHECKING:
    from recurra.tasks.implementation import Implementation

_TRAIN = """Train a translator on pairs: sentences in two languages, words and pronunciations, dates in two formats.

Pairs are read from tables, with a source and a target per line, separated by a tab, and several lines per source if
several targets are correct; or from parallel files, in which line n of the source file belongs to line n of the target
file. The folder always contains the best model so far on the validation data, and training interrupted with Ctrl-C
continues with --resume.

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
    files_help="Tables of pairs, UTF-8: a source, a tab and a target per line (or see --source).",
    evaluate_help=(
        "A translator translates the sources of pairs and reports BLEU and chrF with sacrebleu's signatures, exact "
        "matches, token errors, and the outputs with the most edits."
    ),
    evaluate_files=(
        "tables with a source and a target per line, separated by a tab, and several lines per source if several "
        "targets are correct"
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
            help="Translate lines of text with a translator.",
        ),
    ),
    implement=_implement,
)

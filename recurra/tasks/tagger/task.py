"""The row of the tagger in the table of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.tasks.task import Task, Verb

if TYPE_CHECKING:
    from recurra.tasks.implementation import Implementation

_TRAIN = """Train a tagger on sentences with labelled words: parts of speech, chunks, names.

TRAIN is CoNLL-U, or columns: one word per line with its label in another column, an empty line after each sentence.
Labels that mark spans (such as BIO or BIOES) are recognised and scored by F1. The folder always contains the best model
so far on the validation data, and training interrupted with Ctrl-C continues with --resume.

```sh
recurra train tagger train.conllu --valid dev.conllu --labels upos xpos --out tagger
recurra train tagger train.txt --feature-columns 2 --out chunks --max-minutes 10
recurra train tagger --out tagger --resume
```
"""


def _implement() -> Implementation:
    from recurra.tasks.tagger.implementation import IMPLEMENTATION

    return IMPLEMENTATION


TASK = Task(
    name="tagger",
    title="tagger",
    loss_per="word",
    train_help=_TRAIN,
    files_name="TRAIN",
    files_help="Files with labels, UTF-8: CoNLL-U or columns (see --format).",
    evaluate_help=(
        "A tagger labels the words of the files and reports accuracy, F1 of spans, a table by label and confusions."
    ),
    evaluate_files="files with the columns of its training files",
    evaluate_example="recurra evaluate tagger test.conllu",
    usage="recurra tag DIR FILE\nrecurra evaluate DIR FILE",
    verbs=(
        Verb(
            name="tag",
            function="recurra.tasks.tagger.verbs.tag:tag",
            help="Label the words of new text with a tagger.",
        ),
    ),
    implement=_implement,
)

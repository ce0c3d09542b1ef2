"""The row of the language model in the table of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.tasks.task import Task, Verb

if TYPE_CHECKING:
    from recurra.tasks.implementation import Implementation

_TRAIN = """Train a language model on text files, to generate and score text.

Without TEXT, the training text is the Python source of the standard library. The folder always contains the best model
so far, and training interrupted with Ctrl-C continues with --resume.

```sh
recurra train lm plays.txt --out plays --max-minutes 5
recurra train lm train.txt --valid valid.txt --unit word --cell gru --out words --epochs 20
recurra train lm --out plays --resume
```
"""


def _implement() -> Implementation:
    from recurra.tasks.language_model.implementation import IMPLEMENTATION

    return IMPLEMENTATION


TASK = Task(
    name="lm",
    title="language model",
    loss_per="token",
    train_help=_TRAIN,
    files_name="TEXT",
    files_help="Text files in UTF-8 (any bytes with --unit byte), read one after the other.",
    evaluate_help=(
        "A language model predicts the files, which are read as one text with the state carried from start to end; "
        "bits per char include the spelling of unknown words, perplexity counts `<unk>` as one word."
    ),
    evaluate_files="text files",
    evaluate_example="recurra evaluate plays more-plays.txt",
    usage='recurra generate DIR --prompt "…"\nrecurra evaluate DIR TEXT\nrecurra score DIR LINES',
    verbs=(
        Verb(
            name="generate",
            function="recurra.tasks.language_model.verbs.generate:generate",
            help="Continue a prompt with a language model.",
        ),
        Verb(
            name="score",
            function="recurra.tasks.language_model.verbs.score:score",
            help="Report how surprising each line is to a language model.",
        ),
    ),
    implement=_implement,
)

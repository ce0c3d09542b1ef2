"""The row of the transcriber in the table of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recurra.tasks.task import Task, Verb

if TYPE_CHECKING:
    from recurra.tasks.implementation import Implementation

_TRAIN = """Train a transcriber on recordings and what is said in them: speech to text.

MANIFEST is a table, CSV or TSV, with the columns audio and text, and optionally start, end (seconds) and speaker; paths
are relative to the table. WAV, FLAC, OGG and MP3 of any rate can be mixed. A column features names .npy files (frames,
coefficients) in place of audio. Folders of Kaldi (wav.scp and text), LibriSpeech and Common Voice are read as they are.
The folder always contains the best model so far on the validation data, and training interrupted with Ctrl-C continues
with --resume.

```sh
recurra train transcriber train.csv --valid dev.csv --out digits
recurra train transcriber train.csv --valid dev.csv --bidirectional --lookahead 0 --normalise utterance --out accurate
recurra train transcriber --out digits --resume
```
"""


def _implement() -> Implementation:
    from recurra.tasks.transcriber.implementation import IMPLEMENTATION

    return IMPLEMENTATION


TASK = Task(
    name="transcriber",
    title="transcriber",
    loss_per="symbol",
    train_help=_TRAIN,
    files_name="MANIFEST",
    files_help="Tables with columns audio (or features) and text, or folders of Kaldi, LibriSpeech or Common Voice.",
    evaluate_help=(
        "A transcriber transcribes the recordings of manifests and reports word and character errors, by speaker where "
        "the speakers are known, and the recordings with the most errors."
    ),
    evaluate_files="manifests or folders as for training",
    evaluate_example=(
        "recurra evaluate digits test.csv\nrecurra evaluate digits dev.csv --language-model sentences --tune"
    ),
    usage="recurra transcribe DIR FILE.wav\nrecurra evaluate DIR MANIFEST.csv",
    verbs=(
        Verb(
            name="transcribe",
            function="recurra.tasks.transcriber.verbs.transcribe:transcribe",
            help="Write down what is said in recordings, with a transcriber.",
        ),
    ),
    implement=_implement,
)

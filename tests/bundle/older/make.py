"""Wrote the folders here, with recurra before bundles had a manifest: PYTHONPATH=. python tests/bundle/older/make.py"""

import shutil
import tempfile
from pathlib import Path

import recurra

HERE = Path(__file__).parent
RUN = {"steps": 20, "valid_every": 10, "hidden_size": 4}
TEXTS = {
    "lm": "the fox sees the owl .\n" * 60,
    "tagger": "the\tD\nfox\tN\nsees\tV\n\n" * 40,
    "translator": "ab\tba\nabc\tcba\ncb\tbc\n" * 20,
}
OPTIONS = {
    "lm": {"embedding_size": 3, "update_every": 8, "batch_size": 4},
    "tagger": {"word_size": 3, "character_size": 2, "spelling_size": 2, "affix_size": 0},
    "translator": {"embedding_size": 3, "source_unit": "char", "target_unit": "char"},
}

if __name__ == "__main__":
    for task, text in TEXTS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / ("train.tsv" if task == "translator" else "train.txt")
            file.write_text(text)
            recurra.train(task, file, out=Path(folder) / "model", **RUN, **OPTIONS[task])
            shutil.copytree(
                Path(folder) / "model",
                HERE / task,
                ignore=shutil.ignore_patterns("training", ".*"),
                dirs_exist_ok=True,
            )

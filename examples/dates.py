"""Learns to read dates in eight languages and to write them as ISO 8601: `python examples/dates.py [FOLDER]`.

April 3, 2025 · 3. April 2025 · 03/04/2025 · четверг, 3 апреля 2025 г. · 2025年4月3日 · 3 أبريل 2025 → 2025-04-03

The formats (short, medium, long and full) are those of Babel's locale data. Left out are formats with two digits for
the year: no reader could tell the century, nor which number of 3/4/25 is the month. What is left can be decided: dates
of numbers alone with four digits for the year begin with the day or with the year in all these languages.

Needs `pip install 'recurra[translate]' babel`. FOLDER receives the pairs and the model; runs/dates if left out.
"""

import random
import sys
from datetime import date, timedelta
from pathlib import Path

from babel.dates import format_date, get_date_format

import recurra
from recurra.training import choose_progress

LANGUAGES = ("en", "de", "fr", "ru", "zh", "ar", "he", "ko")
LENGTHS = ("short", "medium", "long", "full")
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)

OPTIONS = {
    "source_unit": "char",
    "target_unit": "char",
    "hidden_size": 128,
    "embedding_size": 32,
    "input_feeding": False,  # all steps of a target at once: half the time
    "dropout": 0.0,  # each text stands for one day: nothing to smooth
    "label_smoothing": 0.0,
    "batch_tokens": 1000,  # small batches, many updates
    "learning_rate": 5e-3,
    "epochs": 5,
}


def formats() -> list[tuple[str, str]]:
    """Language and length of every format with the whole year."""
    every = [(language, length) for language in LANGUAGES for length in LENGTHS]
    return [(language, length) for language, length in every if "yy" not in str(get_date_format(length, language))]


def draw(days: list[date], count: int, generator: random.Random) -> dict[str, str]:
    """Dates as written somewhere, and as ISO 8601.

    Raises:
        ValueError: a text stands for two days.
    """
    known, pairs = formats(), dict[str, str]()
    while len(pairs) < count:
        day, (language, length) = generator.choice(days), generator.choice(known)
        text = format_date(day, length, locale=language)
        if pairs.setdefault(text, day.isoformat()) != day.isoformat():
            raise ValueError(f"{text} is both {pairs[text]} and {day}")
    return pairs


def write(path: Path, pairs: dict[str, str]) -> Path:
    """A table of pairs: a source, a tab, a target."""
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs.items()), encoding="utf-8")
    return path


def main(folder: Path) -> float:
    """Trains, evaluates and shows; the share of dates that come out right, of days that training never had."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(0)
    days = [FIRST + timedelta(number) for number in range((LAST - FIRST).days + 1)]
    generator.shuffle(days)
    # Whole days are held out, in all their formats.
    valid = write(folder / "valid.tsv", draw(days[:1_000], 500, generator))
    test = write(folder / "test.tsv", draw(days[1_000:3_000], 1_000, generator))
    train = write(folder / "train.tsv", draw(days[3_000:], 8_000, generator))

    out = folder / "model"
    progress = choose_progress()
    model = recurra.train("translator", train, valid=[valid], out=out, overwrite=True, progress=progress, **OPTIONS)
    scores = model.evaluate(test)
    print(f"{scores['exact']:.2%} of {scores['sentences']:,} dates of held-out days are right")

    shown = [format_date(days[1_000], length, locale=language) for language, length in formats()]
    for text, written in zip(shown, model.translate(shown), strict=True):
        print(f"{written}  {text}")
    return float(scores["exact"])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/dates"))

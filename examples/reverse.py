"""Learns to write strings backwards, and shows where it looked: `python examples/reverse.py [FOLDER]`.

The last letter read is the first one to write, so nothing can be written before all is read. With attention the decoder
learns to walk back through the source; without (`attention="none"`) the whole string has to fit into one state.

Needs `pip install 'recurra[translate]'`. FOLDER receives the pairs and the model; runs/reverse if left out.
"""

import random
import string
import sys
from pathlib import Path

import recurra
from recurra.training import choose_progress

OPTIONS = {
    "source_unit": "char",
    "target_unit": "char",
    "hidden_size": 128,
    "embedding_size": 32,
    "input_feeding": False,  # all steps of a target at once: half the time, and counting letters is enough here
    "dropout": 0.0,  # strings are drawn at random, and each has one answer: nothing to smooth
    "label_smoothing": 0.0,
    "batch_tokens": 1000,
    "learning_rate": 5e-3,
    "epochs": 6,
}


def draw(count: int, generator: random.Random) -> list[str]:
    """Strings of 4 to 12 letters, no two of them equal."""
    strings = dict[str, None]()
    while len(strings) < count:
        letters = generator.choices(string.ascii_lowercase, k=generator.randint(4, 12))
        strings["".join(letters)] = None
    return list(strings)


def write(path: Path, strings: list[str]) -> Path:
    """A table of pairs: a source, a tab, a target."""
    path.write_text("".join(f"{one}\t{one[::-1]}\n" for one in strings))
    return path


def main(folder: Path) -> float:
    """Trains, evaluates and shows; the share of held-out strings that come out right."""
    folder.mkdir(parents=True, exist_ok=True)
    # No string is drawn twice, so none of those held out is among those learned from.
    strings = draw(9_500, random.Random(0))
    train = write(folder / "train.tsv", strings[:8_000])
    valid = write(folder / "valid.tsv", strings[8_000:8_500])
    test = write(folder / "test.tsv", strings[8_500:])

    model = recurra.train(
        "translator",
        train,
        valid=[valid],
        out=folder / "model",
        overwrite=True,
        progress=choose_progress(),
        **OPTIONS,
    )
    scores = model.evaluate(test)
    print(f"{scores['exact']:.2%} of {scores['sentences']:,} held-out strings are reversed exactly")

    for word in ("recurrent", "palindrome"):
        written = model.translate([word])[0]
        print(f"\n{word} → {written}")
        # For each symbol written the one most looked at; the end of either string is "".
        source, target, weights = model.attention(word, written)
        for symbol, row in zip(target, weights, strict=True):
            place = int(row.argmax())
            print(f"  {symbol or 'end':>3} looked at {place + 1}: {source[place] or 'end'} ({row[place]:.0%})")
    return float(scores["exact"])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/reverse"))

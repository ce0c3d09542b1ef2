"""The trivial tagger to compare with: each word's most frequent label in training, of unknown words O or the commonest.

python benchmarks/tagger_baseline.py train.conll test.conll
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

from recurra.metrics import LabelScores
from recurra.tasks.tagger.data import scheme_of
from recurra.tasks.tagger.formats import LabelledFiles, layout_of
from recurra.tasks.tagger.options import FileOptions


def main(train: Path, test: Path) -> None:
    options = FileOptions(repair=True)
    layout = layout_of([train], options)
    scheme = scheme_of(LabelledFiles([train], layout), options)
    known: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in LabelledFiles([train], layout, scheme, repair=True):
        for word, label in zip(sentence.words, layout.labels_of(sentence)[0], strict=True):
            if label is not None:
                known[word][label] += 1
    (commonest, _), *_ = sum(known.values(), Counter()).most_common(1)
    scores = LabelScores(scheme)
    for sentence in LabelledFiles([test], layout, scheme, repair=True):
        predicted = [known[word].most_common(1)[0][0] if word in known else commonest for word in sentence.words]
        gold = layout.labels_of(sentence)[0]
        scores.add(gold, predicted, [word in known for word in sentence.words], sentence.words, "")
    result = scores.result()
    print({name: round(result[name], 4) for name in ("accuracy", "f1", "precision", "recall") if name in result})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

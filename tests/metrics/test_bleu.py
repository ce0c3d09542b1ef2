"""BLEU and chrF: equal to sacrebleu's, called directly."""

import sys

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from recurra.errors import InputError, RecurraError
from recurra.metrics import BLEU_TOKENIZERS, bleu_and_chrf, check_bleu


@pytest.mark.parametrize("tokenize", ["13a", "intl", "char", "none"])
def test_scores_and_signatures_are_those_of_sacrebleu(tokenize):
    outputs = ["the cat sat on the mat", "a dog sat", ""]
    first, second = ["the cat sat on a mat", "the dog sat", "the cat"], ["the cat sat on the mat", None, None]
    scores = bleu_and_chrf(
        outputs,
        [[one] if other is None else [one, other] for one, other in zip(first, second, strict=True)],
        tokenize=tokenize,
    )
    for name, metric in (("bleu", BLEU(tokenize=tokenize)), ("chrf", CHRF())):
        assert scores[name] == metric.corpus_score(outputs, [first, second]).score
        assert scores[f"{name}_signature"] == str(metric.get_signature())
    assert 0 < scores["bleu"] < 100


def test_an_unknown_tokenizer_is_one_line():
    assert "zh" in BLEU_TOKENIZERS
    with pytest.raises(InputError, match="no bleu_tokenize 'zho'. Did you mean 'zh'"):
        check_bleu("zho")


def test_without_sacrebleu_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    with pytest.raises(RecurraError, match=r"pip install 'recurra\[translate\]'"):
        bleu_and_chrf(["a"], [["a"]])

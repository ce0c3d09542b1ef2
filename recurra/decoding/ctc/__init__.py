"""Connectionist temporal classification (CTC): from log-probabilities per frame to symbols, words and their times."""

from recurra.decoding.ctc.alignment import TimedWord, ctc_align, words_of
from recurra.decoding.ctc.greedy import GreedyStream, ctc_greedy
from recurra.decoding.ctc.language_model import LanguageModelScorer
from recurra.decoding.ctc.options import CTCBeamOptions
from recurra.decoding.ctc.path import CTCPath, CTCSymbol
from recurra.decoding.ctc.prefix_beam import CTCBeam, CTCHypothesis, ctc_beam_search
from recurra.decoding.ctc.scorer import PrefixScorer

__all__ = [
    "CTCBeam",
    "CTCBeamOptions",
    "CTCHypothesis",
    "CTCPath",
    "CTCSymbol",
    "GreedyStream",
    "LanguageModelScorer",
    "PrefixScorer",
    "TimedWord",
    "ctc_align",
    "ctc_beam_search",
    "ctc_greedy",
    "words_of",
]

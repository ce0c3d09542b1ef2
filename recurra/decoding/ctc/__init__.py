"""Connectionist temporal classification (CTC): from log-probabilities per frame to symbols, words and their times."""

from recurra.decoding.ctc.alignment import TimedWord, ctc_align, words_of
from recurra.decoding.ctc.greedy import GreedyStream, ctc_greedy
from recurra.decoding.ctc.path import CTCPath, CTCSymbol

__all__ = ["CTCPath", "CTCSymbol", "GreedyStream", "TimedWord", "ctc_align", "ctc_greedy", "words_of"]

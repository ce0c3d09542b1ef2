"""Connectionist temporal classification (CTC): from log-probabilities per frame to symbols, words and their times."""

from recurra.decoding.ctc.greedy import GreedyStream, ctc_greedy
from recurra.decoding.ctc.path import CTCPath, CTCSymbol

__all__ = ["CTCPath", "CTCSymbol", "GreedyStream", "ctc_greedy"]

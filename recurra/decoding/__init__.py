"""Probabilities to outputs: sampling and stopping."""

from recurra.decoding.filters import filter_logits
from recurra.decoding.options import SamplingOptions
from recurra.decoding.sampling import choose, row_generators, row_seed, sample
from recurra.decoding.stopping import StopFilter

__all__ = ["SamplingOptions", "StopFilter", "choose", "filter_logits", "row_generators", "row_seed", "sample"]

"""Probabilities to outputs: sampling, beam search and stop strings."""

from recurra.decoding.beam import beam_search
from recurra.decoding.filters import filter_logits
from recurra.decoding.hypotheses import Hypothesis
from recurra.decoding.options import BeamOptions, SamplingOptions
from recurra.decoding.penalties import coverage_penalty, length_penalty
from recurra.decoding.sampling import choose, row_generators, row_seed, sample
from recurra.decoding.step import Step
from recurra.decoding.stop_strings import StopFilter

__all__ = [
    "BeamOptions",
    "Hypothesis",
    "SamplingOptions",
    "Step",
    "StopFilter",
    "beam_search",
    "choose",
    "coverage_penalty",
    "filter_logits",
    "length_penalty",
    "row_generators",
    "row_seed",
    "sample",
]

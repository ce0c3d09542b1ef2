"""Speech: lists of utterances, audio files to samples and features, checks before training."""

from recurra.data.audio.checks import SampleCheck, check_features, check_length, check_text
from recurra.data.audio.deltas import DeltaStream, deltas
from recurra.data.audio.extraction import FeatureExtractor, FeatureStream
from recurra.data.audio.feature_files import read_features
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.features import Computed, compute_features
from recurra.data.audio.filterbank import FilterbankOptions, FilterbankStream, filterbank
from recurra.data.audio.normalisation import Normaliser, RunningNormaliser, normalise
from recurra.data.audio.overlaps import find_duplicates, shared_speakers
from recurra.data.audio.problems import Problem, ProblemKind, problem, summary
from recurra.data.audio.reading import AudioInfo, audio_blocks, audio_info, read_audio
from recurra.data.audio.resampling import Resampler
from recurra.data.audio.utterance import Utterance
from recurra.data.audio.utterances import open_utterances

__all__ = [
    "AudioInfo",
    "Computed",
    "DeltaStream",
    "FeatureExtractor",
    "FeatureStatistics",
    "FeatureStream",
    "FilterbankOptions",
    "FilterbankStream",
    "Normaliser",
    "Problem",
    "ProblemKind",
    "Resampler",
    "RunningNormaliser",
    "SampleCheck",
    "Utterance",
    "audio_blocks",
    "audio_info",
    "check_features",
    "check_length",
    "check_text",
    "compute_features",
    "deltas",
    "filterbank",
    "find_duplicates",
    "normalise",
    "open_utterances",
    "problem",
    "read_audio",
    "read_features",
    "shared_speakers",
    "summary",
]

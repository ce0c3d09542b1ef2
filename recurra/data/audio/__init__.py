"""Speech: audio files to samples, features, and lists of utterances."""

from recurra.data.audio.deltas import DeltaStream, deltas
from recurra.data.audio.feature_files import read_features
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.filterbank import FilterbankOptions, FilterbankStream, filterbank
from recurra.data.audio.normalisation import Normaliser, RunningNormaliser, normalise
from recurra.data.audio.reading import AudioInfo, audio_blocks, audio_info, read_audio
from recurra.data.audio.resampling import Resampler
from recurra.data.audio.utterance import Utterance
from recurra.data.audio.utterances import open_utterances

__all__ = [
    "AudioInfo",
    "DeltaStream",
    "FeatureStatistics",
    "FilterbankOptions",
    "FilterbankStream",
    "Normaliser",
    "Resampler",
    "RunningNormaliser",
    "Utterance",
    "audio_blocks",
    "audio_info",
    "deltas",
    "filterbank",
    "normalise",
    "open_utterances",
    "read_audio",
    "read_features",
]

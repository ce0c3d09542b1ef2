"""Small transcribers with random weights, and made sounds."""

import numpy as np
import torch

from recurra.data import CharTokenizer
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.tasks.recurrent_options import RecurrentOptions
from recurra.tasks.transcriber.alphabet import Alphabet
from recurra.tasks.transcriber.features import FeatureSettings
from recurra.tasks.transcriber.model import Transcriber
from recurra.tasks.transcriber.network import TranscriberNetwork
from recurra.tasks.transcriber.options import NetworkOptions

RATE = 8000
ALPHABET = Alphabet(CharTokenizer([" ", "a", "b", "c"]))


def sound(seconds, seed=0):
    """Tones of random pitch and loudness that change ten times a second, with a little noise."""
    generator = np.random.default_rng(seed)
    times = np.arange(RATE // 10) / RATE
    parts = [
        generator.uniform(0, 0.5) * np.sin(2 * np.pi * generator.uniform(100, 3000) * times)
        for _ in range(round(10 * seconds))
    ]
    samples = np.concatenate(parts)
    return (samples + 1e-3 * generator.standard_normal(len(samples))).astype(np.float32)


def features(**changed):
    settings = {"rate": RATE, "width": 20, "frame_ms": 25.0, "shift_ms": 10.0, "padding_ms": 130.0}
    return FeatureSettings(**{**settings, "deltas": False, "normalise": "running", "cepstra": False, **changed})


def transcriber(*, settings=None, bidirectional=False, **network):
    """A transcriber with random weights, which writes a symbol at many steps."""
    torch.manual_seed(3)
    settings = settings or features()
    recurrent = RecurrentOptions(hidden_size=16, num_layers=2, bidirectional=bidirectional)
    options = NetworkOptions(recurrent=recurrent, conv_channels=12, **{"reduction": 2, **network})
    one = TranscriberNetwork(settings.size, ALPHABET.size, options)
    with torch.no_grad():
        one.readout.weight.mul_(8)
        one.readout.bias[1] += 8  # spaces
    statistics = FeatureStatistics(1000, np.full(settings.width, 8.0), np.full(settings.width, 30.0))
    return Transcriber(one, ALPHABET, settings, statistics, options)

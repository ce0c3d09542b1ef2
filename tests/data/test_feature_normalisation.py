"""Normalisation of features, and their statistics: against plain formulas, and in pieces as in one."""

import numpy as np
import pytest

from recurra.data.audio.deltas import DeltaStream, deltas
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.filterbank import LOWEST_ENERGY
from recurra.data.audio.normalisation import Normaliser, RunningNormaliser, normalise
from recurra.errors import InputError

X = np.random.default_rng(0).normal(5, 3, (50, 4)).astype(np.float32)
TRAIN = FeatureStatistics(1000, np.full(4, 4.0), np.full(4, 4.0))


def pieces(values, seed):
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(values) + 1, 6))
    return np.split(values, cuts)


def test_statistics_of_parts_merge_to_those_of_all():
    merged = FeatureStatistics.empty(4)
    for part in pieces(X, 1):
        merged = merged.merged(FeatureStatistics.of(part))
    assert merged.frames == 50
    np.testing.assert_allclose(merged.mean, X.astype(np.float64).mean(0))
    np.testing.assert_allclose(merged.variance, X.astype(np.float64).var(0))
    again = FeatureStatistics.from_plain(merged.to_plain())
    np.testing.assert_array_equal(again.variance, merged.variance)
    with pytest.raises(InputError, match="not statistics"):
        FeatureStatistics.from_plain({"frames": 1, "mean": [0.0], "variance": [-1.0]})


def test_an_utterance_has_mean_0_and_variance_1():
    y = normalise(X, "utterance")
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(0), 1, atol=1e-5)


@pytest.mark.parametrize("prior", [0.0, 10.0, 100.0])
def test_running_normalisation_is_that_of_the_frames_so_far(prior):
    y = normalise(X, "running", TRAIN, prior_frames=prior)
    for t in (3, 20, 49):
        seen = X[: t + 1].astype(np.float64)
        weight = prior + t + 1
        mean = (prior * TRAIN.mean + seen.sum(0)) / weight
        variance = (prior * (TRAIN.variance + TRAIN.mean**2) + (seen**2).sum(0)) / weight - mean**2
        np.testing.assert_allclose(y[t], (X[t] - mean) / np.sqrt(variance), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_pieces_equal_the_whole_to_the_bit(seed):
    stream = RunningNormaliser(TRAIN)
    joined = np.concatenate([stream.accept(part) for part in pieces(X, seed)])
    np.testing.assert_array_equal(joined, normalise(X, "running", TRAIN))
    differences = DeltaStream()
    parts = [differences.accept(part) for part in pieces(X, seed)]
    np.testing.assert_array_equal(np.concatenate([*parts, differences.finish()]), deltas(X))


@pytest.mark.parametrize("kind", ["utterance", "running", "global", "speaker"])
def test_constant_coefficients_stay_finite(kind):
    flat = np.full((10, 4), 4.0, np.float32)
    assert np.isfinite(normalise(flat, kind, FeatureStatistics.of(flat))).all()
    assert normalise(flat[:0], kind, TRAIN).shape == (0, 4)


def test_differences_are_slopes():
    ramp = np.arange(20.0, dtype=np.float32)[:, None]
    y = deltas(ramp)
    np.testing.assert_allclose(y[4:-4], np.stack([ramp[4:-4, 0], np.ones(12), np.zeros(12)], 1), atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="normalisation 'mean'"):
        Normaliser("mean")
    with pytest.raises(InputError, match="needs the statistics"):
        Normaliser("running")
    with pytest.raises(InputError, match="needs whole utterances"):
        Normaliser("utterance").stream()
    with pytest.raises(InputError, match="expected .frames, 4."):
        normalise(X[:, :3], "global", TRAIN)


@pytest.mark.parametrize("prior", [0.0, 100.0])
def test_digital_silence_becomes_the_mean_and_does_not_count(prior):
    silence = np.full((7, 4), LOWEST_ENERGY, np.float32)
    joined = np.concatenate([silence, X[:20], silence, X[20:]])
    y = normalise(joined, "running", TRAIN, prior_frames=prior)
    assert not y[:7].any()
    assert not y[27:34].any()
    sound = np.concatenate([y[7:27], y[34:]])
    np.testing.assert_array_equal(sound, normalise(X, "running", TRAIN, prior_frames=prior))
    # One coefficient is always equal to itself.
    assert normalise(X[:, :1], "running", FeatureStatistics(10, np.zeros(1), np.ones(1))).any()

"""The libraries of the extra `speech`, imported at their first use."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from recurra.errors import RecurraError


def soundfile() -> ModuleType:
    """Returns the module soundfile, which decodes audio files."""
    return _library("soundfile", "audio files are read")


def soxr() -> ModuleType:
    """Returns the module soxr, which resamples."""
    return _library("soxr", "audio is resampled")


def kaldi_native_fbank() -> ModuleType:
    """Returns the module kaldi_native_fbank, which computes filterbanks."""
    return _library("kaldi_native_fbank", "filterbanks are computed")


def _library(module: str, purpose: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError:
        package = module.replace("_", "-")
        raise RecurraError(f"{purpose} with {package}, which is not installed: pip install 'recurra[speech]'") from None
    except OSError as error:  # soundfile without libsndfile, on systems for which its wheel does not contain it
        raise RecurraError(f"{purpose} with {module}, which cannot be loaded: {error}") from None

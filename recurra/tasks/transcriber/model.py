"""A trained transcriber: transcribes recordings and streams, and evaluates."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

from recurra.cells import Cell
from recurra.data.audio.feature_files import read_features
from recurra.data.audio.feature_statistics import FeatureStatistics
from recurra.data.audio.reading import audio_blocks, audio_info
from recurra.data.audio.utterances import open_utterances
from recurra.errors import InputError
from recurra.files import read_object, to_json
from recurra.tasks.capabilities import Evaluates, Probe, Probes
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import check_names, field_names, read_fields, to_plain
from recurra.tasks.transcriber.alphabet import Alphabet, load_alphabet
from recurra.tasks.transcriber.corpus import make_batch
from recurra.tasks.transcriber.corpus_writer import CorpusWriter
from recurra.tasks.transcriber.data import VALID, SpeechData, reopen
from recurra.tasks.transcriber.decoders import BeamDecoder, Decoder, GreedyDecoder
from recurra.tasks.transcriber.features import FeatureSettings
from recurra.tasks.transcriber.language_model import prefix_scorer
from recurra.tasks.transcriber.network import TranscriberNetwork
from recurra.tasks.transcriber.network_stream import network_stream
from recurra.tasks.transcriber.options import DecodingOptions, EvaluationOptions, NetworkOptions
from recurra.tasks.transcriber.report import evaluate
from recurra.tasks.transcriber.stream import TranscriptStream
from recurra.tasks.transcriber.transcript import Transcript

FEATURES = "features.json"
_FIELDS = {"network", "features", "lowercase", "symbols"}


class Transcriber(Evaluates, Probes):
    """A network with its features and alphabet: `recurra.load(DIR)` for a folder of `recurra train transcriber`.

    Args:
        network: the network.
        alphabet: the symbols.
        features: the settings of the features.
        statistics: of the features of the training recordings.
        options: of the network, stored by `config`.
    """

    name: ClassVar[str] = "transcriber"

    def __init__(
        self,
        network: TranscriberNetwork,
        alphabet: Alphabet,
        features: FeatureSettings,
        statistics: FeatureStatistics,
        options: NetworkOptions,
    ) -> None:
        self.network, self.alphabet, self.options = network, alphabet, options
        self.features, self.statistics = features, statistics

    @classmethod
    def create(cls, data: SpeechData, options: NetworkOptions) -> Transcriber:
        """Returns a transcriber for the alphabet and the features of recordings, with random weights."""
        options = replace(options, reduction=data.reduction)
        network = TranscriberNetwork(data.settings.size, data.alphabet.size, options)
        return cls(network, data.alphabet, data.settings, data.statistics, options)

    @classmethod
    def from_files(cls, config: dict[str, Any], folder: Path, *, cell: Cell | None = None) -> Transcriber:
        """Returns the transcriber that `config()` and the files in `folder` describe, its weights not yet loaded.

        Raises:
            InputError: a field is missing, unknown or of another type, or does not fit the alphabet.
        """
        path = folder / "config.json"
        if config.keys() != _FIELDS or not isinstance(config["network"], dict):
            expected = ", ".join(sorted(_FIELDS))
            raise InputError(f"{path}: the model's fields are {sorted(config)}, expected {expected}")
        alphabet = load_alphabet(folder, lowercase=bool(config["lowercase"]))
        if config["symbols"] != alphabet.size:
            raise InputError(f"{path}: symbols is {config['symbols']}, but unit.json has {alphabet.size}")
        settings = FeatureSettings.from_plain(config["features"], path)
        statistics = FeatureStatistics.from_plain(read_object(folder / FEATURES))
        if len(statistics.mean) != settings.width:
            raise InputError(f"{folder / FEATURES}: {len(statistics.mean)} features, expected {settings.width}")
        options = read_fields(NetworkOptions, config["network"], where=f"{path}: network")
        cell = stored_cell(options.recurrent, folder, cell)
        network = TranscriberNetwork(settings.size, alphabet.size, options, cell=cell)
        return cls(network, alphabet, settings, statistics, options)

    def config(self) -> dict[str, Any]:
        """Returns what rebuilds the transcriber together with its files, as JSON can represent it."""
        return {
            "network": to_plain(self.options),
            "features": self.features.to_plain(),
            "lowercase": self.alphabet.lowercase,
            "symbols": self.alphabet.size,
        }

    def settings(self) -> dict[str, Any]:
        """Returns the options of training that this transcriber determines, for a run that starts from it."""
        tokenizer, settings = self.alphabet.tokenizer, self.features
        audio = {} if settings.rate is None else {"rate": settings.rate, "mels": settings.width}
        return {
            **to_plain(self.options),
            **audio,
            "unit": tokenizer.name,
            "lowercase": self.alphabet.lowercase,
            "frame_ms": settings.frame_ms,
            "shift_ms": settings.shift_ms,
            "padding_ms": settings.padding_ms,
            "deltas": settings.deltas,
            "normalise": settings.normalise,
            "cepstra": settings.cepstra,
        }

    def files(self) -> dict[str, str]:
        """Returns the files of the alphabet and the statistics of the features, name to text."""
        return {**self.alphabet.files(), FEATURES: to_json(self.statistics.to_plain()).decode()}

    @property
    def step_seconds(self) -> float:
        """Time from one step of the recurrent layers to the next."""
        return self.features.frame_seconds * self.options.steps_reduced

    def transcribe(self, audio: Any, rate: int | None = None, **options: Any) -> Transcript:
        """Returns what is said in a recording, which is read in constant memory.

        Args:
            audio: a file, or samples as in `TranscriptStream.accept`; for a model of features, a .npy file or frames.
            rate: samples per second, for samples; a file knows its own.
            **options: the fields of `DecodingOptions`, and `language_model`, a loaded language model.

        Raises:
            InputError: a file that cannot be read, samples without a rate, an option that is unknown or out of range.
        """
        if not isinstance(audio, str | Path):
            if rate is None and self.features.rate is not None:
                raise InputError("samples need their rate: transcribe(samples, rate=16000)")
            return self.stream(rate, **options).transcribe(audio)
        if self.features.rate is None:
            return self.stream(**options).transcribe(self._frames(Path(audio)))
        words, stream = [], self.stream(audio_info(audio).rate, **options)
        for block in audio_blocks(audio, rate=audio_info(audio).rate):
            words += stream.accept(block).words
        return Transcript(words + stream.finish(), stream.seconds)

    def _frames(self, path: Path) -> npt.NDArray[np.float32]:
        features = read_features(path)
        if features.shape[1] != self.features.width:
            raise InputError(f"{path}: {features.shape[1]} features per frame, expected {self.features.width}")
        return features

    def stream(self, rate: int | None = None, *, language_model: Any = None, **options: Any) -> TranscriptStream:
        """Returns a stream, which recognises sound while it arrives.

        A network in one direction returns words as soon as they end. One in both directions, or with features that are
        normalised over a whole recording, reads pieces of up to 20 seconds.

        Args:
            rate: samples per second of the sound; None for that of the training data.
            language_model: a loaded language model.
            **options: the fields of `DecodingOptions`.

        Raises:
            InputError: an option is unknown or out of range.
        """
        check_names(options, field_names(DecodingOptions), where="transcribe")
        decoding = read_fields(DecodingOptions, options, where="transcribe")
        settings = self.features
        if settings.rate is None:
            features, per_second = None, 1 / settings.frame_seconds
        else:
            per_second = rate or settings.rate
            features = settings.extractor.stream(int(per_second))
        bidirectional = self.options.recurrent.bidirectional
        network = network_stream(self.network, settings, self.statistics, bidirectional=bidirectional)
        decoder = self._decoder(decoding, language_model)
        return TranscriptStream(features, per_second, network, decoder, step_seconds=self.step_seconds)

    def _decoder(self, decoding: DecodingOptions, language_model: Any) -> Decoder:
        search = decoding.search(has_language_model=language_model is not None)
        if search is None:
            return GreedyDecoder(self.alphabet)
        scorer = None if language_model is None else prefix_scorer(language_model, self.alphabet)
        return BeamDecoder(self.alphabet, search, scorer, self.step_seconds)

    def evaluate(
        self,
        files: str | Path | Sequence[str | Path] = (),
        folder: str | Path | None = None,
        *,
        language_model: Any = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Returns the errors of the transcriber on recordings whose texts are known.

        Args:
            files: manifests or folders, as for training.
            folder: where the features are written meanwhile; None for a temporary folder.
            language_model: a loaded language model.
            **options: the fields of `EvaluationOptions`.

        Returns:
            The scores of `recurra.tasks.transcriber.report.evaluate`.

        Raises:
            InputError: files that cannot be read; an option that cannot be used.
        """
        chosen = read_fields(EvaluationOptions, options, where="evaluate")
        if chosen.tune and language_model is None:
            raise InputError("tune: there is nothing to tune without a language model: name one by --language-model")
        paths = [Path(files)] if isinstance(files, str | Path) else [Path(file) for file in files]
        if folder is None:
            with tempfile.TemporaryDirectory() as temporary:
                return self._evaluate(paths, Path(temporary), chosen, language_model)
        return self._evaluate(paths, Path(folder), chosen, language_model)

    def _evaluate(
        self, paths: list[Path], folder: Path, options: EvaluationOptions, language_model: Any
    ) -> dict[str, Any]:
        writer = CorpusWriter(self.alphabet, self.features, folder)
        computed = writer.compute(open_utterances(paths), "evaluated")
        part = writer.write(computed, "evaluated", self.options.steps_reduced, keep_unaligned=True)
        scorer = None if language_model is None else prefix_scorer(language_model, self.alphabet)
        return evaluate(self, part, options, scorer)

    def probe(self, files: Sequence[Path], prepared: Path, *, rows: int, steps: int) -> Probe:
        """Returns recordings and their losses, for `recurra diagnose`.

        Args:
            files: manifests or folders; none for the validation data of training.
            prepared: the folder in which training keeps its data.
            rows: largest number of recordings.
            steps: largest number of frames of a recording; longer ones are not used.

        Raises:
            InputError: a file cannot be read, or there is no recording of at most `steps` frames.
        """
        with tempfile.TemporaryDirectory() as folder:
            if files:
                writer = CorpusWriter(self.alphabet, self.features, Path(folder))
                computed = writer.compute(open_utterances(files), VALID)
                corpus = writer.write(computed, VALID, self.options.steps_reduced).corpus
            else:
                corpus = reopen(prepared).valid
            numbers = [number for number in range(len(corpus)) if corpus.lengths[number] <= steps][:rows]
            if not numbers:
                raise InputError(f"no recording has at most {steps} frames: raise --steps")
            features = [
                self.features.finish(corpus.features(number), self.statistics, corpus.statistics(number))
                for number in numbers
            ]
        batch = make_batch(features, [corpus.ids(number) for number in numbers]).to(self.network.device)

        def losses(output: tuple[Tensor, Tensor]) -> Tensor:
            scores, lengths = output
            log_probs = scores.float().log_softmax(-1)
            arguments = batch.targets, lengths, batch.target_lengths
            return F.ctc_loss(log_probs, *arguments, reduction="sum", zero_infinity=True)

        return Probe((batch.features, batch.lengths), losses)

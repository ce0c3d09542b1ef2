"""The options of a transcriber: each field is an option of `recurra train transcriber` or of `recurra evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from recurra.data import check_tokenizer
from recurra.data.holdout import check_share
from recurra.decoding.ctc import CTCBeamOptions
from recurra.errors import InputError, nearest
from recurra.tasks.recurrent_options import RecurrentOptions

UNITS = ("char", "bpe")
NORMALISATIONS = ("running", "utterance", "speaker", "global", "none")
BEST_BY = ("wer", "cer", "loss")
# Strides of the two convolutions by the reduction of time.
AUTOMATIC_REDUCTIONS = (4, 3, 2, 1)
_STRIDES = {1: (1, 1), 2: (1, 2), 3: (1, 3), 4: (2, 2), 6: (2, 3)}


@dataclass(frozen=True, kw_only=True)
class RecordingOptions:
    """The recordings and what is said in them: files, symbols and the held-out part.

    Raises:
        InputError: an unknown unit, or a number out of range.
    """

    valid: list[Path] | None = None
    """Manifests or folders of validation data, in place of a share of the recordings."""
    valid_share: float = 0.1
    """Share of the recordings that is held out if --valid names nothing: of whole speakers, or, if they are not known,
    the last recordings; a share of the recordings of each text where most texts recur."""
    unit: str = "char"
    """The symbols of the output: char or bpe (subwords)."""
    vocabulary_size: int | None = None
    """Exact number of subwords. Default: 512."""
    min_count: int = 1
    """Characters that occur less often in the training data are left out of the alphabet."""
    lowercase: bool = False
    """Read texts in lower case."""
    skip_bad: bool = False
    """Train without the recordings that cannot be used, in place of stopping."""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InputError(f"there is no unit {self.unit!r}. {nearest(self.unit, UNITS)}")
        if self.unit == "bpe" and self.min_count != 1:
            raise InputError(f"min_count={self.min_count}: subwords have no rare characters: leave it out")
        check_tokenizer(self.unit, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        check_share(self.valid_share)


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """The features: log-mel energies of audio. Features that are read from files are only normalised.

    Raises:
        InputError: an unknown normalisation, or a number out of range.
    """

    rate: int | None = None
    """Samples per second to which audio is converted. Default: that of the first recording, at most 16000."""
    mels: int = 40
    """Mel bands."""
    frame_ms: float = 25.0
    """Length of a frame, in milliseconds."""
    shift_ms: float = 10.0
    """Time from one frame to the next, in milliseconds; of features in files too."""
    padding_ms: float = 200.0
    """Silence that is added after a recording, in milliseconds: a network writes the last symbols after it has read
    their sounds."""
    deltas: bool = False
    """Add the first and second differences over time."""
    normalise: str = "running"
    """Mean and variance: running (of the training data and the recording up to now, as a stream needs it), utterance,
    speaker (needs a column speaker), global (of the training data) or none."""
    cepstra: bool = False
    """Features in files are cepstra of a mel spectrum (MFCC): they can be augmented like it."""

    def __post_init__(self) -> None:
        if self.normalise not in NORMALISATIONS:
            raise InputError(f"there is no normalise {self.normalise!r}. {nearest(self.normalise, NORMALISATIONS)}")
        if self.rate is not None and not 2000 <= self.rate <= 192000:
            raise InputError(f"rate={self.rate}: expected 2000 to 192000 samples per second")
        if not 4 <= self.mels <= 256:
            raise InputError(f"mels={self.mels}: expected 4 to 256")
        if not 1 <= self.shift_ms <= self.frame_ms <= 1000:
            raise InputError(
                f"frame_ms={self.frame_ms}, shift_ms={self.shift_ms}: expected 1 to 1000, the shift at most the frame"
            )
        if not 0 <= self.padding_ms <= 5000:
            raise InputError(f"padding_ms={self.padding_ms}: expected 0 to 5000")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network: two convolutions that reduce time, recurrent layers, and CTC.

    Raises:
        InputError: a number out of range.
    """

    recurrent: RecurrentOptions = field(
        default_factory=lambda: RecurrentOptions(hidden_size=160, num_layers=2, dropout=0.15, locked_dropout=True),
        metadata={
            "help": {
                "bidirectional": "Read recordings in both directions, which is more accurate; without it, text appears "
                "while one speaks.",
                "dropout": "Share of the inputs and outputs of each recurrent layer that is dropped in training.",
            }
        },
    )
    conv_channels: int = 128
    """Channels of the convolutions over time."""
    reduction: int | None = None
    """Frames per step of the recurrent layers: 1, 2, 3, 4 or 6. Default: 4, or fewer if the texts need more steps."""
    lookahead: int = 4
    """Later steps that a step of a network in one direction reads; 0 for none. The text is late by as much."""

    def __post_init__(self) -> None:
        if self.reduction not in (None, *_STRIDES):
            raise InputError(f"reduction={self.reduction}: expected {', '.join(map(str, _STRIDES))}")
        if self.recurrent.num_layers < 1:
            raise InputError(f"num_layers={self.recurrent.num_layers}: expected 1 or more")
        if self.conv_channels < 1:
            raise InputError(f"conv_channels={self.conv_channels}: expected 1 or more")
        if not 0 <= self.lookahead <= 100:
            raise InputError(f"lookahead={self.lookahead}: expected 0 to 100")

    @property
    def strides(self) -> tuple[int, int]:
        """The strides of the two convolutions."""
        return _STRIDES[self.steps_reduced]

    @property
    def steps_reduced(self) -> int:
        """The frames per step; those of the data are known once a network is created."""
        assert self.reduction is not None, "Transcriber.create replaces None"
        return self.reduction


@dataclass(frozen=True, kw_only=True)
class AugmentOptions:
    """Random changes of the recordings in training, so that the model serves other voices, rooms and microphones.

    Raises:
        InputError: a number out of range.
    """

    speed: float = 0.15
    """Largest change of the speed, as a share: 0.15 for 0.85 to 1.15 times as fast."""
    pitch: float = 0.1
    """Largest change of the frequencies, as a share, as by a shorter or longer vocal tract."""
    noise: float = 0.3
    """Share of the recordings to which noise is added, with a signal-to-noise ratio of 0 to 35 dB."""
    room: float = 0.15
    """Share of the recordings to which reverberation is added."""
    microphone: float = 1.0
    """Standard deviation of a random smooth change of the spectrum, in nats of energy."""
    gain: float = 11.0
    """Standard deviation of a random change of the volume, in dB."""
    pauses: float = 0.5
    """Share of the recordings that get a pause before and, independently, after them. In an added pause no symbol may
    be written: networks that are trained on single words otherwise write the first symbols before they hear them."""
    join: float = 0.3
    """Share of the batches in which recordings are joined, those of a speaker, with pauses between them."""
    join_seconds: float = 5.0
    """Largest sum of the recordings that are joined, in seconds."""
    time_masks: int = 1
    """Parts of up to 0.2 seconds that are masked in 3 seconds of a recording, on average (SpecAugment)."""
    frequency_masks: int = 0
    """Ranges of frequencies, of up to a fifth of all, that are masked."""

    def __post_init__(self) -> None:
        for name in ("speed", "pitch", "noise", "room", "pauses", "join"):
            largest = 0.5 if name in ("speed", "pitch") else 1.0
            if not 0 <= getattr(self, name) <= largest:
                raise InputError(f"{name}={getattr(self, name)}: expected 0 to {largest}")
        for name in ("microphone", "gain", "join_seconds", "time_masks", "frequency_masks"):
            if not 0 <= getattr(self, name) <= 100:
                raise InputError(f"{name}={getattr(self, name)}: expected 0 to 100")


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Batches, and the selection of the best model.

    Raises:
        InputError: a number out of range, an unknown score.
    """

    batch_seconds: float = 12.0
    """Seconds of recordings in a batch."""
    best_by: str = "wer"
    """The score on the validation data that selects the best model: wer (word error), cer (character error) or loss."""

    def __post_init__(self) -> None:
        if not 0 < self.batch_seconds < 1e6:
            raise InputError(f"batch_seconds={self.batch_seconds}: expected more than 0")
        if self.best_by not in BEST_BY:
            raise InputError(f"there is no best_by {self.best_by!r}. {nearest(self.best_by, BEST_BY)}")


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """From probabilities to text: the search, the language model and hot words.

    Raises:
        InputError: a number out of range.
    """

    beam: int | None = None
    """Hypotheses that are followed in parallel. Default: 1, the most probable symbol at each step, or 16 with a
    language model or hot words."""
    lm_weight: float = 0.5
    """Weight of the language model's log-probability."""
    length_bonus: float = 0.5
    """Added to the score per symbol, in nats, with a language model, which prefers short texts."""
    hot_words: list[str] | None = None
    """Words that are expected, such as names: they are preferred among similar ones."""
    hot_word_weight: float = 1.0
    """Added to the score per character of a hot word, in nats."""

    def __post_init__(self) -> None:
        self.search(has_language_model=False)

    def search(self, *, has_language_model: bool) -> CTCBeamOptions | None:
        """Returns the options of the search; None for greedy decoding.

        Args:
            has_language_model: whether there is a language model.
        """
        wide = has_language_model or bool(self.hot_words)
        options = CTCBeamOptions(
            beam=(16 if wide else 1) if self.beam is None else self.beam,
            lm_weight=self.lm_weight if has_language_model else 0.0,
            length_bonus=self.length_bonus if has_language_model else 0.0,
            hot_words=tuple(self.hot_words or ()),
            hot_word_weight=self.hot_word_weight,
        )
        return options if wide or options.beam > 1 else None


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """The search on the files on which a transcriber is evaluated."""

    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    language_model: Path | None = None
    """Folder of a language model of `recurra train lm`, which ranks the hypotheses."""
    tune: bool = False
    """Try several weights of the language model and bonuses on these files, which should be development data, and
    report the errors with each."""

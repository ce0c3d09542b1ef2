"""From the log-probabilities of a stream to words: greedy, or by prefix beam search in segments."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from recurra.decoding.ctc import (
    CTCBeam,
    CTCBeamOptions,
    CTCPath,
    CTCSymbol,
    GreedyStream,
    PrefixScorer,
    TimedWord,
    ctc_align,
    words_of,
)
from recurra.tasks.transcriber.alphabet import BLANK, Alphabet

LogProbs = npt.NDArray[np.float32]

# A beam search ends after this time at the next pause: the alignment that gives words their times is kept until then.
_SEGMENT_SECONDS, _PAUSE_SECONDS = 10.0, 0.4


class Decoder(Protocol):
    """Converts log-probabilities that arrive in parts to words; any parts result in the words of the whole."""

    def accept(self, log_probs: LogProbs) -> list[TimedWord]:
        """Returns the words that are settled after the next steps (t, V); their times are counted in steps."""
        ...

    def pending(self) -> str:
        """Returns the text after the settled words, which may change."""
        ...

    def finish(self) -> list[TimedWord]:
        """Returns the last words."""
        ...


class GreedyDecoder:
    """The most probable symbol at each step.

    Args:
        alphabet: the symbols.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet, self._stream = alphabet, GreedyStream()
        self._symbols: list[CTCSymbol] = []

    def accept(self, log_probs: LogProbs) -> list[TimedWord]:
        """Returns the words that are followed by a space or another word."""
        self._symbols += self._stream.accept(log_probs)
        # Words are settled up to the last symbol with which a word begins or ends.
        border = max(
            (place for place, symbol in enumerate(self._symbols) if " " in self._alphabet.pieces[symbol.id]), default=0
        )
        settled, self._symbols = self._symbols[:border], self._symbols[border:]
        return self._words(settled)

    def pending(self) -> str:
        """Returns the unfinished word."""
        last = self._stream.pending
        return self._alphabet.decode([symbol.id for symbol in self._symbols] + ([] if last is None else [last]))

    def finish(self) -> list[TimedWord]:
        """Returns the last word."""
        symbols = [*self._symbols, *self._stream.finish()]
        self._symbols = []
        return self._words(symbols)

    def _words(self, symbols: list[CTCSymbol]) -> list[TimedWord]:
        return words_of(CTCPath.of(symbols), self._alphabet.pieces) if symbols else []


class BeamDecoder:
    """Prefix beam search, which starts anew at pauses.

    Words are returned at the end of a segment, when their times are known; the text of a segment that all hypotheses
    share is pending until then.

    Args:
        alphabet: the symbols.
        options: of the search.
        scorer: a language model, if there is one.
        step_seconds: time from one step to the next.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        options: CTCBeamOptions,
        scorer: PrefixScorer[Any] | None,
        step_seconds: float,
    ) -> None:
        self._alphabet, self._options, self._scorer = alphabet, options, scorer
        self._segment = round(_SEGMENT_SECONDS / step_seconds)
        self._pause = max(1, round(_PAUSE_SECONDS / step_seconds))
        self._first = 0  # the step at which the segment begins
        self._start()

    def _start(self) -> None:
        self._beam = CTCBeam(self._options, self._scorer, pieces=self._alphabet.pieces)
        self._kept: list[LogProbs] = []
        self._steps = self._blanks = 0

    def accept(self, log_probs: LogProbs) -> list[TimedWord]:
        """Returns the words of the segments that end."""
        words, start = list[TimedWord](), 0
        blank = log_probs.argmax(1) == BLANK if len(log_probs) else np.zeros(0, bool)
        for step, is_blank in enumerate(blank.tolist()):
            self._steps += 1
            self._blanks = self._blanks + 1 if is_blank else 0
            if self._steps >= self._segment and self._blanks >= self._pause:
                self._read(log_probs[start : step + 1])
                words += self._end()
                start = step + 1
        self._read(log_probs[start:])
        return words

    def _read(self, log_probs: LogProbs) -> None:
        if len(log_probs):
            self._beam.accept(log_probs)
            self._kept.append(log_probs)

    def _end(self) -> list[TimedWord]:
        ids = self._beam.finish()[0].ids
        words = list[TimedWord]()
        if ids:
            path = ctc_align(np.concatenate(self._kept), ids)
            shifted = path._replace(starts=path.starts + self._first, ends=path.ends + self._first)
            words = words_of(shifted, self._alphabet.pieces)
        self._first += self._steps
        self._start()
        return words

    def pending(self) -> str:
        """Returns the text of the best hypothesis of the present segment."""
        return self._alphabet.decode(self._beam.best().ids)

    def finish(self) -> list[TimedWord]:
        """Returns the words of the last segment."""
        return self._end() if self._steps else []

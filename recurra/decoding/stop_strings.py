"""Stop strings: streamed text is passed on up to the first of them."""

from collections.abc import Sequence

from recurra.errors import InputError


class StopFilter:
    """Passes text on until a stop string is complete; no part of the stop string is returned.

    The stop string that is complete first ends the text; of several that end at the same character, the longest. The
    output does not depend on how the text is divided into pieces. Only a suffix that may begin a stop string is
    withheld.

    Args:
        stops: the stop strings; empty for a filter that passes everything.

    Raises:
        InputError: a stop string is empty.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if "" in stops:
            raise InputError("an empty stop string would stop before the first character. Leave it out.")
        self._stops = tuple(stops)
        self._withheld = ""
        self._stopped = False

    def push(self, piece: str) -> tuple[str, bool]:
        """Adds a piece; returns the text that can be shown, and whether a stop string is complete and the text ends."""
        if self._stopped:
            return "", True
        if not self._stops:
            return piece, False
        text = self._withheld + piece
        # (end, start) of the first occurrence of each stop: the earliest end, then the earliest start.
        matches = [(text.index(stop) + len(stop), text.index(stop)) for stop in self._stops if stop in text]
        if matches:
            self._withheld, self._stopped = "", True
            return text[: min(matches)[1]], True
        tail = self._tail(text)
        shown, self._withheld = text[: len(text) - tail], text[len(text) - tail :]
        return shown, False

    def flush(self) -> str:
        """Returns the withheld suffix at the end of the text, where no stop string was completed."""
        withheld, self._withheld = self._withheld, ""
        return withheld

    def _tail(self, text: str) -> int:
        """The length of the longest suffix of `text` that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0

"""Text that arrives in pieces, shown up to a stop string."""

from collections.abc import Sequence

from recurra.errors import InputError


class StopFilter:
    """Passes text on until one of the stop strings is complete, and never shows any of that string.

    The stop that is complete first counts; of those complete at the same character, the longest. What is shown does not
    depend on how the text is cut into pieces. Only a tail that may begin a stop string is held back.

    Args:
        stops: strings to stop at; none for a filter that passes everything.

    Raises:
        InputError: an empty stop string.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if "" in stops:
            raise InputError("an empty stop string would stop before the first character. Leave it out.")
        self._stops = tuple(stops)
        self._held = ""
        self._stopped = False

    def push(self, piece: str) -> tuple[str, bool]:
        """The text that is now safe to show, and whether a stop string was completed; nothing more comes after."""
        if self._stopped:
            return "", True
        text = self._held + piece
        # (end, start) of the first occurrence of each stop: the earliest end, then the earliest start.
        found = [(text.index(stop) + len(stop), text.index(stop)) for stop in self._stops if stop in text]
        if found:
            self._held, self._stopped = "", True
            return text[: min(found)[1]], True
        tail = self._tail(text)
        shown, self._held = text[: len(text) - tail], text[len(text) - tail :]
        return shown, False

    def flush(self) -> str:
        """What was held back at the end of the text, as no stop string came of it."""
        held, self._held = self._held, ""
        return held

    def _tail(self, text: str) -> int:
        """The length of the longest end of `text` that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0

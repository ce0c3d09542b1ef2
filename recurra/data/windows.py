"""How the steps of a stream are divided into updates and windows."""

import hashlib
import math
from itertools import pairwise
from typing import NamedTuple


class Piece(NamedTuple):
    """Steps `start` to `end` of a stream as one window; `counted` and `carry` as in `Window`."""

    start: int
    end: int
    counted: int
    carry: int


class Plan(NamedTuple):
    """How each epoch goes over a stream of `length` steps.

    Args:
        length: steps of the stream.
        update_every: steps an update, at most `length`.
        reach_back: steps a gradient goes back.
        seed: moves the borders between updates from epoch to epoch.
    """

    length: int
    update_every: int
    reach_back: int
    seed: int

    @property
    def updates(self) -> int:
        """How many updates an epoch takes."""
        return 1 + math.ceil((self.length - self._first(0)) / self.update_every)

    def draw(self, epoch: int, purpose: str) -> int:
        """A pseudo-random number of 64 bits that depends on the seed, the epoch and the purpose alone."""
        digest = hashlib.sha256(f"{self.seed} {epoch} {purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "little")

    def pieces(self, epoch: int, update: int) -> list[Piece]:
        """The windows of one update of an epoch, computed alone: an epoch's list would grow with the corpus."""
        first = self._first(epoch)
        start, end, after = (self._border(first, update + ahead) for ahead in range(3))
        if self.reach_back <= self.update_every:
            return self._apart(start, end)
        begin = max(0, end - self.reach_back)
        following = max(0, after - self.reach_back) if end < self.length else 0
        # A next window that starts at 0 is fresh: nothing is carried to it.
        carry = (following or end) - begin
        return [Piece(begin, end, end - start, carry)]

    def _first(self, epoch: int) -> int:
        """Steps of the first update of an epoch."""
        choices = first_lengths(self.length, self.update_every)
        return choices[self.draw(epoch, "first") % len(choices)]

    def _border(self, first: int, update: int) -> int:
        """The step at which an update begins."""
        return min(first + (update - 1) * self.update_every, self.length) if update else 0

    def _apart(self, start: int, end: int) -> list[Piece]:
        """Windows of at most `reach_back` steps from `start` to `end`."""
        steps = [*range(start, end, self.reach_back), end]
        return [Piece(first, last, last - first, last - first) for first, last in pairwise(steps)]


def first_lengths(length: int, update_every: int) -> range:
    """The lengths that an epoch's first update may have so that every epoch has equally many.

    The first and the last update share what the full ones between them leave, each at least a quarter of
    `update_every` unless the stream is too short for that.
    """
    if length <= update_every or update_every == 1:
        return range(min(length, update_every), min(length, update_every) + 1)
    rest = length % update_every
    shortest = max(update_every // 4, 1)
    # With little room between `rest` and a full update the borders could hardly move: one update more gives room.
    shared = rest if 4 * rest > 3 * update_every else update_every + rest
    least = max(shortest, shared - update_every)
    return range(least, shared - least + 1)

"""Divides the steps of a stream into updates and windows."""

import hashlib
import math
from itertools import pairwise
from typing import NamedTuple


class Piece(NamedTuple):
    """A window of steps `start` to `end` of a stream; `counted` and `carry` are as in `Window`."""

    start: int
    end: int
    counted: int
    carry: int


class StreamPlan(NamedTuple):
    """The division of a stream of `length` steps into updates and windows, for each epoch.

    Args:
        length: steps of the stream.
        update_every: steps per update, at most `length`.
        reach_back: steps that a gradient goes back.
        seed: determines the borders between updates, which differ from epoch to epoch.
    """

    length: int
    update_every: int
    reach_back: int
    seed: int

    @property
    def updates(self) -> int:
        """Number of updates per epoch."""
        return 1 + math.ceil((self.length - self._first(0)) / self.update_every)

    def draw(self, epoch: int, purpose: str) -> int:
        """Returns a pseudo-random 64-bit number that depends only on the seed, the epoch and the purpose."""
        digest = hashlib.sha256(f"{self.seed} {epoch} {purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "little")

    def pieces(self, epoch: int, update: int) -> list[Piece]:
        """Returns the windows of one update of an epoch, without the list of all, which would grow with the corpus."""
        first = self._first(epoch)
        start, end, after = (self._border(first, update + ahead) for ahead in range(3))
        if self.reach_back <= self.update_every:
            return self._disjoint(start, end)
        begin = max(0, end - self.reach_back)
        following = max(0, after - self.reach_back) if end < self.length else 0
        # If the next window starts at 0, it is fresh and no state is carried to it.
        carry = (following or end) - begin
        return [Piece(begin, end, end - start, carry)]

    def _first(self, epoch: int) -> int:
        """Steps of the first update of an epoch."""
        choices = first_lengths(self.length, self.update_every)
        return choices[self.draw(epoch, "first") % len(choices)]

    def _border(self, first: int, update: int) -> int:
        """The first step of an update."""
        return min(first + (update - 1) * self.update_every, self.length) if update else 0

    def _disjoint(self, start: int, end: int) -> list[Piece]:
        """Disjoint windows of at most `reach_back` steps from `start` to `end`."""
        steps = [*range(start, end, self.reach_back), end]
        return [Piece(first, last, last - first, last - first) for first, last in pairwise(steps)]


def first_lengths(length: int, update_every: int) -> range:
    """Returns the possible lengths of an epoch's first update for which the number of updates is constant.

    The first and the last update share the steps left by the full updates between them; each has at least a quarter of
    `update_every` unless the stream is too short.
    """
    if length <= update_every or update_every == 1:
        return range(min(length, update_every), min(length, update_every) + 1)
    rest = length % update_every
    shortest = max(update_every // 4, 1)
    # If `rest` is close to 0, the borders could hardly move: one full update more is shared.
    shared = rest if 4 * rest > 3 * update_every else update_every + rest
    least = max(shortest, shared - update_every)
    return range(least, shared - least + 1)

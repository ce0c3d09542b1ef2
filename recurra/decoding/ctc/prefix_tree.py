"""The prefixes of a beam as a tree, in which hypotheses share their beginnings."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from recurra.decoding.ctc.path import Ids

# A node without hypotheses, the parent of the root.
_OUTSIDE = 0
# Number of nodes before the first removal of those without hypotheses.
_FIRST_REMOVAL = 1024


class PrefixTree:
    """Prefixes as nodes; the beginning that all hypotheses share leaves the tree, so that it does not grow with time.

    A prefix has one node as long as a hypothesis contains it. The number of a node is larger than that of its parent.

    Args:
        size: number of symbols, V.
    """

    def __init__(self, size: int) -> None:
        self.root = 1
        """The node of the longest prefix that has been settled."""
        self.settled: list[int] = []
        """The symbols before the root, without those that have been taken."""
        self.size, self._count, self._removal = size, 2, _FIRST_REMOVAL
        self._parents = np.zeros(_FIRST_REMOVAL, dtype=np.int64)
        self._symbols = np.zeros(_FIRST_REMOVAL, dtype=np.int64)
        self._depths = np.zeros(_FIRST_REMOVAL, dtype=np.int64)  # the number of symbols of the whole prefix
        # The place of each node in the last argument of `parent_slots`; 0 outside a call.
        self._slots = np.zeros(_FIRST_REMOVAL, dtype=np.int64)
        self._slot_numbers = np.arange(1, 2)
        # parent · V + symbol → node.
        self._children: dict[int, int] = {}

    def __len__(self) -> int:
        return self._count

    def extend(self, parents: Ids, symbols: Ids) -> Ids:
        """Returns the nodes of prefixes (N,) extended by symbols (N,), which are created if necessary."""
        keys = (parents * self.size + symbols).tolist()
        children, first = self._children, self._count
        new, nodes = list[int](), list[int]()
        for key in keys:
            node = children.get(key)
            if node is None:
                node = children[key] = first + len(new)
                new.append(key)
            nodes.append(node)
        if new:
            self._append(new)
        return np.array(nodes, dtype=np.int64)

    def _append(self, keys: list[int]) -> None:
        count = self._count + len(keys)
        if count > len(self._parents):
            more = np.zeros(max(count, 2 * len(self._parents)) - len(self._parents), dtype=np.int64)
            self._parents, self._symbols, self._depths, self._slots = (
                np.concatenate([array, more]) for array in (self._parents, self._symbols, self._depths, self._slots)
            )
        new = slice(self._count, count)
        self._parents[new], self._symbols[new] = np.divmod(np.array(keys), self.size)
        self._depths[new] = self._depths[self._parents[new]] + 1
        self._count = count

    def parent_slots(self, nodes: Ids) -> Ids:
        """Returns for each of N different nodes the place of its parent among them, from 1; 0 if it is not there."""
        if len(nodes) > len(self._slot_numbers):
            self._slot_numbers = np.arange(1, 2 * len(nodes) + 1)
        slots = self._slots
        slots[nodes] = self._slot_numbers[: len(nodes)]
        result = slots[self._parents[nodes]]
        slots[nodes] = 0
        return result

    def path(self, node: int) -> list[int]:
        """Returns the symbols from the root to a node."""
        symbols = []
        while node != self.root:
            symbols.append(int(self._symbols[node]))
            node = int(self._parents[node])
        return symbols[::-1]

    def settle(self, nodes: Iterable[int]) -> None:
        """Moves the root to the longest prefix that all these nodes have, and its symbols to `settled`."""
        different = {-node for node in nodes}
        pending = sorted(different)
        while len(pending) > 1:
            # The largest number has no other of them below it, so that it is not the common prefix.
            different.remove(last := heappop(pending))
            parent = -int(self._parents[-last])
            if parent not in different:
                different.add(parent)
                heappush(pending, parent)
        self._move_root(-pending[0])

    def settle_as(self, best: int, nodes: Ids, *, pending: int) -> npt.NDArray[np.bool_]:
        """Moves the root towards the node `best` if it is too far from it: as `settle` does, and if necessary farther.

        Args:
            best: one of the nodes.
            nodes: (N,).
            pending: largest number of symbols between the root and `best`.

        Returns:
            Which of the nodes still have the root among their beginnings, (N,).
        """
        depth = int(self._depths[best]) - pending
        if depth > self._depths[self.root]:
            self.settle(nodes.tolist())
        if depth <= self._depths[self.root]:
            return np.ones(len(nodes), dtype=np.bool_)
        ancestors, root = self._at_depth(nodes, depth), int(self._at_depth(np.array([best]), depth)[0])
        self._move_root(root)
        return np.equal(ancestors, root)

    def _at_depth(self, nodes: Ids, depth: int) -> Ids:
        """Returns the beginnings (N,) with `depth` symbols of prefixes; a shorter prefix itself."""
        while (deeper := self._depths[nodes] > depth).any():
            nodes = np.where(deeper, self._parents[nodes], nodes)
        return nodes

    def _move_root(self, node: int) -> None:
        self.settled += self.path(node)
        self.root = node
        self._parents[node] = _OUTSIDE

    def remove_unused(self, nodes: Ids) -> Ids:
        """Removes what is on no path to these nodes, if the tree has grown to twice its size.

        Returns:
            The new numbers of the nodes; the argument itself if nothing has been removed.
        """
        if self._count < self._removal:
            return nodes
        self.settle(nodes.tolist())
        used = np.zeros(self._count, dtype=np.bool_)
        used[[_OUTSIDE, self.root]] = True
        pending = nodes
        while len(pending):
            used[pending] = True
            pending = self._parents[pending]
            pending = pending[~used[pending]]
        numbers = np.cumsum(used) - 1
        kept = np.flatnonzero(used)
        self._count, self.root = len(kept), int(numbers[self.root])
        self._removal = max(_FIRST_REMOVAL, 2 * self._count)
        self._parents[: self._count] = numbers[self._parents[kept]]
        self._symbols[: self._count], self._depths[: self._count] = self._symbols[kept], self._depths[kept]
        keys = self._parents[: self._count] * self.size + self._symbols[: self._count]
        self._children = {key: node for node, key in enumerate(keys.tolist()) if node > self.root}
        return numbers[nodes]

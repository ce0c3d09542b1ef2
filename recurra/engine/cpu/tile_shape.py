"""The size of a tile of the compiled matrix products."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TileShape:
    """The number type, the vector width, and how many vectors and rows a tile holds in registers."""

    bits: int
    """Bits of a number, 32 or 64."""
    width: int
    """Numbers in a vector register."""
    vectors: int
    """Vector registers of units in a tile."""
    rows: int
    """Rows of the batch in a tile. The rows · vectors accumulators must leave registers for the operands."""

    @property
    def units(self) -> int:
        """Units in a tile."""
        return self.width * self.vectors

"""Typed names of the values that a step reads and writes: a kind and a name.

All kinds are listed here. An operand prints as `kind.name`: "x.i" is the input's pre-activation of gate i, "dx.i" the
derivative of the loss with respect to it, "kept.u.n" the recurrent pre-activation of gate n as it is kept for the
backward pass.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The kind of an operand."""

    # Inputs of a step.
    INPUT = "x"
    """W_ih x_t + b_ih of a gate."""
    RECURRENT = "u"
    """W_hh h_{t-1} + b_hh of a gate."""
    PROJECTED = "w"
    """A product with W_hr, numbered in the order of the products."""
    STATE = "s"
    """A state before the step."""
    VECTOR = "p"
    """A per-unit vector of the cell, such as a peephole."""
    GAIN = "gain"
    """The gain of a layer normalisation: of a gate, or of "state.NAME"."""
    SHIFT = "shift"
    """The shift of a layer normalisation."""
    DROPOUT_MASK = "m"
    """The mask of the input of recurrent products."""
    ZONEOUT_MASK = "k"
    """The zoneout mask of a state."""
    # Outputs of a step.
    NEW_STATE = "n"
    GATE = "g"
    PRODUCT_INPUT = "v"
    """A computed input of a product, numbered in the order of the products."""
    # Derivatives of the loss by the outputs of a step, which the backward step reads ...
    D_NEW_STATE = "d"
    D_GATE = "dg"
    D_PRODUCT_INPUT = "dv"
    # ... and by the inputs of a step, which it writes.
    D_INPUT = "dx"
    D_RECURRENT = "du"
    D_PROJECTED = "dw"
    D_STATE = "ds"
    D_VECTOR = "dp"
    D_GAIN = "dgain"
    D_SHIFT = "dshift"
    D_DROPOUT_MASK = "dm"
    D_ZONEOUT_MASK = "dk"
    # Computed values.
    RESULT = ""
    """The result of an operation."""
    PREACTIVATION = "a"
    """x + u of a gate of which the formula reads only the sum."""
    # Values in memory.
    KEPT = "kept"
    """Kept by the forward pass for the backward pass."""
    KEPT_SUM = "rk"
    """A sum over a row's units that is kept."""
    TEMPORARY = "t"
    """Read by a later level of the same step."""
    ROW_SUM = "r"
    """A sum over a row's units."""
    INPUT_BIAS = "bias"
    """The bias of the input's pre-activation of a gate."""
    PRODUCT_START = "b"
    """The initial sums of a product."""


_DERIVATIVES = {
    Kind.INPUT: Kind.D_INPUT,
    Kind.RECURRENT: Kind.D_RECURRENT,
    Kind.PROJECTED: Kind.D_PROJECTED,
    Kind.STATE: Kind.D_STATE,
    Kind.VECTOR: Kind.D_VECTOR,
    Kind.GAIN: Kind.D_GAIN,
    Kind.SHIFT: Kind.D_SHIFT,
    Kind.DROPOUT_MASK: Kind.D_DROPOUT_MASK,
    Kind.ZONEOUT_MASK: Kind.D_ZONEOUT_MASK,
    Kind.NEW_STATE: Kind.D_NEW_STATE,
    Kind.GATE: Kind.D_GATE,
    Kind.PRODUCT_INPUT: Kind.D_PRODUCT_INPUT,
}
_PRIMALS = {derivative: primal for primal, derivative in _DERIVATIVES.items()}
DERIVATIVES = frozenset(_PRIMALS)
PARAMETERS = frozenset({Kind.VECTOR, Kind.GAIN, Kind.SHIFT})
"""One vector for all rows and steps."""
D_PARAMETERS = frozenset({Kind.D_VECTOR, Kind.D_GAIN, Kind.D_SHIFT})
"""Summed over rows and steps."""
PRODUCTS = frozenset({Kind.RECURRENT, Kind.PROJECTED, Kind.PREACTIVATION})
"""Outputs of matrix products."""


class Operand(str):
    """A kind and a name. A subclass of str, so that programs print, sort and hash like text.

    Args:
        kind: the kind.
        name: the name within the kind: a gate, a state, a number, or another operand that is stored in memory.
    """

    __slots__ = ("kind", "name")
    kind: Kind
    name: str

    def __new__(cls, kind: Kind, name: str) -> Operand:
        """The operand `kind.name`; the name alone for the result of an operation."""
        operand = super().__new__(cls, f"{kind}.{name}" if kind else name)
        operand.kind, operand.name = kind, name
        return operand

    def __reduce__(self) -> tuple[type[Operand], tuple[Kind, str]]:
        return Operand, (self.kind, self.name)

    @property
    def derivative(self) -> Operand:
        """The derivative of the loss with respect to this."""
        return Operand(_DERIVATIVES[self.kind], self.name)

    @property
    def primal(self) -> Operand:
        """The operand of which this is the derivative."""
        return Operand(_PRIMALS[self.kind], self.name)

    @property
    def of(self) -> Operand:
        """The operand that is stored under this one."""
        assert isinstance(self.name, Operand), self
        return self.name


H = Operand(Kind.STATE, "h")
"""The input of the recurrent products of most cells."""
D_NEW_H = Operand(Kind.D_NEW_STATE, "h")
"""The derivative by the h that a step returns, which flows from step to step in the backward pass."""

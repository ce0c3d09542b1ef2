"""The base class of recurrent cells: the names of a cell's parts, and one step as a formula in plain PyTorch.

A cell defines only the computation of one step. Loops, devices, layouts and derivatives belong to the engines, the
parameters to the layer. To define a cell, name its gates and states and implement `step`:

    class Leaky(Cell):
        gates = ("h", "a")

        def step(self, x, u, s, p):
            a = torch.sigmoid(x.a + u.a)
            return State(h=a * s.h + (1 - a) * torch.tanh(x.h + u.h)), Gates(a=a)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from recurra.cells.builtin_code import is_untouched
from recurra.cells.initialise import Initialisation, initialise
from recurra.cells.state import Gates, State
from recurra.cells.step_arguments import Recurrence, Vectors
from recurra.cells.weights import Weights
from recurra.errors import InputError, nearest


class Formula(NamedTuple):
    """Properties of a cell's formula, observed in one run of its step."""

    second_phase: tuple[str, ...]
    """The gates whose recurrent product has a computed input, `u("n", r * s.h)`."""
    normalised: tuple[str, ...]
    """The states that it reads through `p.norm`."""
    reads_h: bool
    """Whether it reads `s.h` itself, not only W_hh h."""
    shown: tuple[str, ...]
    """The gates that it returns."""


class Cell(ABC):
    """One step of a recurrent network.

    Class attributes name the parts. Options of a cell, such as its activation, are fields of a frozen dataclass, which
    a saved model contains.
    """

    gates: ClassVar[tuple[str, ...]]
    """The row blocks of `weight_ih`, in torch's order where torch has the cell."""
    recurrent: ClassVar[tuple[str, ...]]
    """The row blocks of `weight_hh`: the gates that read h; by default all gates."""
    states: ClassVar[tuple[str, ...]] = ("h",)
    """The tensors carried from step to step; first h, the output of the layer."""
    vectors: ClassVar[tuple[str, ...]] = ()
    """Parameters with one number per unit, (H,): peepholes, a diagonal recurrence."""
    memory: ClassVar[Mapping[str, int]] = {}
    """Gates that determine how long the cell remembers: +1 if a large pre-activation keeps the state, -1 if it admits
    new input. The forget bias and chrono initialisation set their biases; the forget bias leaves gates with -1
    unchanged in a cell that also has a gate with +1 (an input gate next to a forget gate)."""
    paper: ClassVar[str] = ""
    """The paper of the formula."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "gates" in cls.__dict__:
            _check_names(cls)
            if "recurrent" not in cls.__dict__:
                cls.recurrent = cls.gates
        if not set(getattr(cls, "recurrent", ())) <= set(getattr(cls, "gates", ())):
            raise InputError(f"{cls.__name__}: recurrent={cls.recurrent} names gates that are not in gates={cls.gates}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abstractmethod
    def step(self, x: Any, u: Any, s: Any, p: Any) -> tuple[State, Gates]:
        """The next state and the gates, from the pre-activations of the input and of h, the state and the vectors.

        Args:
            x: the input's part by gate: x.i is (W_ih x_t + b_ih)_i, (B, H).
            u: the recurrent part by gate, a `Recurrence`, (B, H).
            s: the last state by name, (B, H).
            p: the per-unit vectors by name, (H,), and `p.norm`; a `Vectors`.
        """

    def recurrent_weight(self, hh: Tensor) -> Tensor:
        """The matrix that multiplies h, from the parameter `weight_hh`: the parameter itself, (R·H, H).

        A cell with a constrained recurrence (orthogonal, antisymmetric) computes the matrix here from a free parameter
        of the same shape. It is called once per call of a layer, outside the engines; gradients reach the parameter.
        """
        return hh

    def initialise(self, weights: Weights, how: Initialisation, generator: Generator | None = None) -> None:
        """Initialises the parameters in place; a cell can override it."""
        initialise(weights, how, gates=self.gates, recurrent=self.recurrent, memory=self.memory, generator=generator)

    @property
    def formula(self) -> Formula:
        """The properties of the step, by running it once on a single unit, which also checks the names in the formula.

        The step is run at each access, because it may change (a class attribute, a helper, a notebook cell run again).
        Loops read `known_formula`, or this property once beforehand.

        Raises:
            InputError: the formula reads a gate or state that the cell lacks, or returns other states than it names.
        """
        # Running the step here would add its operators to the compiled graph.
        if torch.compiler.is_compiling():
            return self.known_formula
        kind = type(self)
        # The formula of an unmodified built-in cell cannot change, and is examined once per process.
        if not is_untouched(kind) or "step" in self.__dict__:
            self.__dict__["_formula"] = _probe(self)
        elif kind not in _builtin_formulas:
            self.__dict__["_formula"] = _builtin_formulas[kind] = _probe(self)
        else:
            self.__dict__["_formula"] = _builtin_formulas[kind]
        formula: Formula = self.__dict__["_formula"]
        return formula

    @property
    def known_formula(self) -> Formula:
        """`formula` at its last access, possibly out of date: it may decide how to compute, but not what."""
        if "_formula" not in self.__dict__:
            self.__dict__["_formula"] = _probe(self)
        formula: Formula = self.__dict__["_formula"]
        return formula

    @property
    def second_phase(self) -> tuple[str, ...]:
        """The gates whose recurrent product has a computed input, `u("n", r * s.h)`."""
        return self.formula.second_phase


_builtin_formulas: dict[type[Cell], Formula] = {}
"""The formulas of built-in cells: independent of options, and valid as long as the code is not replaced."""


def _check_names(cls: type[Cell]) -> None:
    for kind in ("gates", "states", "vectors"):
        names = getattr(cls, kind)
        if not isinstance(names, tuple) or not all(isinstance(name, str) and name.isidentifier() for name in names):
            raise InputError(f"{cls.__name__}: {kind}={names!r} must be a tuple of names, such as ('h',)")
        if len(set(names)) < len(names):
            raise InputError(f"{cls.__name__}: {kind}={names!r} names one twice")
    if "norm" in cls.vectors:
        raise InputError(f"{cls.__name__}: a vector cannot be called 'norm': p.norm is the layer's normalisation")
    if not cls.gates or cls.states[:1] != ("h",):
        raise InputError(
            f"{cls.__name__}: a cell has at least one gate, and its states start with 'h', not {cls.states}"
        )


class WatchedState:
    """A state that records which of its tensors a formula reads, by name or by unpacking."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        # A method, such as _asdict or map, reads them all.
        self.read.update([name] if name in self._state._fields else self._state._fields)
        return getattr(self._state, name)

    def __len__(self) -> int:
        return len(self._state)

    def __iter__(self) -> Iterator[Tensor]:
        self.read.update(self._state._fields)
        return iter(self._state)

    def __getitem__(self, index: Any) -> Any:
        fields = self._state._fields[index]
        self.read.update([fields] if isinstance(fields, str) else fields)
        return self._state[index]


def _probe(cell: Cell) -> Formula:
    zero = torch.zeros(1, 1, device="cpu")
    x = Gates(**dict.fromkeys(cell.gates, zero))
    s = State(**dict.fromkeys(cell.states, zero))
    vectors = dict.fromkeys(cell.vectors, zero[0])
    formula, _ = run_watched(cell, x, dict.fromkeys(cell.recurrent, zero), s, vectors, _return_value, _return_value)
    return formula


def _return_value(name: str, value: Tensor) -> Tensor:
    return value


def run_watched(
    cell: Cell,
    x: Gates,
    u: Mapping[str, Tensor],
    s: State,
    vectors: Mapping[str, Tensor],
    product: Callable[[str, Tensor], Tensor],
    norm: Callable[[str, Tensor], Tensor],
) -> tuple[Formula, tuple[State, Gates]]:
    """Runs the step once and records what it reads.

    Args:
        cell: the cell.
        x: the input's pre-activations.
        u: the recurrent pre-activations by gate.
        s: the state.
        vectors: the vectors by name.
        product: the result of `u("n", v)`.
        norm: the result of `p.norm("c", c)`.

    Returns:
        The properties of the step, and its result.

    Raises:
        InputError: the formula reads a gate or state that the cell lacks, or returns other states than it names.
    """
    name = type(cell).__name__
    products: list[str] = []
    norms: list[str] = []

    def watched_product(gate: str, v: Tensor) -> Tensor:
        if gate not in cell.recurrent:
            raise InputError(f"{name}: u({gate!r}, …) but its recurrent gates are {cell.recurrent}")
        products.append(gate)
        return product(gate, v)

    def watched_norm(state: str, value: Tensor) -> Tensor:
        if state not in cell.states:
            raise InputError(f"{name}: p.norm({state!r}, …) but its states are {cell.states}")
        norms.append(state)
        return norm(state, value)

    recurrence, p, watched = Recurrence(u, watched_product), Vectors(vectors, watched_norm), WatchedState(s)
    try:
        result = cell.step(x, recurrence, watched, p)
    except AttributeError as error:
        # Errors of other objects are bugs in the step; they are raised unchanged.
        if not any(error.obj is part for part in (x, recurrence, s, p)):
            raise
        others = nearest(error.name or "", {*cell.gates, *cell.states, *cell.vectors})
        raise InputError(f"{name}.step reads {error.name!r}, which the class does not declare. {others}") from error
    _check_step_result(cell, result)
    second_phase = tuple(gate for gate in cell.recurrent if gate in products)
    normalised = tuple(state for state in cell.states if state in norms)
    return Formula(second_phase, normalised, "h" in watched.read, result[1]._fields), result


def _check_step_result(cell: Cell, result: Any) -> None:
    name = type(cell).__name__
    if not (
        isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], State) and isinstance(result[1], Gates)
    ):
        raise InputError(f"{name}.step must return (State(…), Gates(…)), not {type(result).__name__}")
    if result[0]._fields != cell.states:
        raise InputError(
            f"{name}.step returns the states {result[0]._fields} but states={cell.states}: "
            "name the same ones in the same order"
        )

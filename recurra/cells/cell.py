"""What a recurrent cell is: the names of its parts, and one step as a formula in plain PyTorch.

A cell says what one step computes and nothing else. Loops, devices, layouts and derivatives belong to the engines; the
parameters belong to the layer. To write a cell, name its gates and states and write `step`:

    class Leaky(Cell):
        gates = ("h", "a")

        def step(self, x, u, s, p):
            a = torch.sigmoid(x.a + u.a)
            return State(h=a * s.h + (1 - a) * torch.tanh(x.h + u.h)), Gates(a=a)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from recurra.cells.builtin_code import is_untouched
from recurra.cells.initialise import Initialisation, initialise
from recurra.cells.state import Gates, State
from recurra.cells.weights import Weights
from recurra.errors import InputError, nearest


class Recurrence:
    """The recurrent pre-activations u of one step: `u.i` is (W_hh h_{t-1} + b_hh)_i, (B, H).

    `u("n", v)` is (W_hh v + b_hh)_n for a v (B, H) that the formula computes, such as r ∘ h of the first GRU.
    """

    def __init__(
        self, ready: Mapping[str, Tensor], product: Any, late: Mapping[str, Callable[[], Tensor]] | None = None
    ) -> None:
        self.__dict__.update(ready)
        self._product, self._late = product, late

    def __getattr__(self, name: str) -> Tensor:
        # A gate whose product the step took of something computed when it was last looked at, and reads as u.n now.
        late = self.__dict__.get("_late") or {}
        if name not in late:
            raise AttributeError(f"there is no gate {name!r}", name=name, obj=self)
        product: Tensor = late[name]()
        return product

    def __call__(self, gate: str, v: Tensor) -> Tensor:
        """(W_hh v + b_hh) of one gate's rows, (B, H)."""
        product: Tensor = self._product(gate, v)
        return product


class Vectors:
    """The per-unit vectors p of a cell by name, (H,), and the layer's normalisation of a state.

    `p.norm("c", c)` is c (B, H) over its units normalised where the layer has `layer_norm=True`, and c itself where
    not: a formula writes it where the state is read out, h = o tanh(norm(c)), and carries c as it is.
    """

    def __init__(self, by_name: Mapping[str, Tensor], norm: Callable[[str, Tensor], Tensor] | None = None) -> None:
        self.__dict__.update(by_name)
        self._norm = norm

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Tensor: ...

    def norm(self, state: str, value: Tensor) -> Tensor:
        """The value (B, H), normalised with the gain and shift of that state where the layer normalises."""
        return value if self._norm is None else self._norm(state, value)


class Formula(NamedTuple):
    """What one run of a cell's step tells about its formula."""

    second_phase: tuple[str, ...]
    """The gates whose recurrent product is taken of something computed, `u("n", r * s.h)`."""
    normalised: tuple[str, ...]
    """The states that it reads out by `p.norm`."""
    reads_h: bool
    """Whether it reads `s.h` itself, not only W_hh h."""
    shown: tuple[str, ...]
    """The gates that it returns."""


class Cell(ABC):
    """One step of a recurrent network.

    Class attributes name the parts; an option of a cell (its activation, say) is a field of the cell as a frozen
    dataclass, so that a saved model can tell it.
    """

    gates: ClassVar[tuple[str, ...]]
    """The row blocks of `weight_ih`, in torch's order where torch has the cell."""
    recurrent: ClassVar[tuple[str, ...]]
    """The row blocks of `weight_hh`: the gates that read h. All of them unless the class says otherwise."""
    states: ClassVar[tuple[str, ...]] = ("h",)
    """What is carried from step to step; h, which the layer emits, comes first."""
    vectors: ClassVar[tuple[str, ...]] = ()
    """Parameters of one number a unit, (H,): peepholes, a diagonal recurrence."""
    memory: ClassVar[Mapping[str, int]] = {}
    """Gates that decide how long the cell remembers: +1 where a large pre-activation keeps the state, -1 where it lets
    the new in. The forget bias and chrono initialisation act on them; a forget bias leaves the -1 of a cell alone that
    has a +1 as well (an input gate beside a forget gate)."""
    paper: ClassVar[str] = ""
    """Where the formula comes from."""

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

        A cell whose recurrence is constrained (orthogonal, antisymmetric) makes it here from a free matrix of the same
        shape. The door to the engines asks once a call; gradients reach the parameter, and no engine knows of it.
        """
        return hh

    def initialise(self, weights: Weights, how: Initialisation, generator: Generator | None = None) -> None:
        """Fills the parameters in place; a cell with needs of its own overrides this."""
        initialise(weights, how, gates=self.gates, recurrent=self.recurrent, memory=self.memory, generator=generator)

    @property
    def formula(self) -> Formula:
        """What the step uses, by running it once on a single unit, which also checks the formula's names.

        It is run at each access, because a step may change (a class attribute, a helper, a notebook's cell run again);
        what a loop reads is `known_formula`, or this once before it.

        Raises:
            InputError: the formula reads a gate or state that the cell has not, or returns other states than it names.
        """
        if torch.compiler.is_compiling():
            return self.known_formula
        kind = type(self)
        if not is_untouched(kind) or "step" in self.__dict__:
            self.__dict__["_formula"] = _probe(self)
        elif kind not in _shipped_formulas:
            self.__dict__["_formula"] = _shipped_formulas[kind] = _probe(self)
        else:
            self.__dict__["_formula"] = _shipped_formulas[kind]
        formula: Formula = self.__dict__["_formula"]
        return formula

    @property
    def known_formula(self) -> Formula:
        """`formula` as it was when it was last looked at: what saves work may follow it, what is computed may not."""
        if "_formula" not in self.__dict__:
            self.__dict__["_formula"] = _probe(self)
        formula: Formula = self.__dict__["_formula"]
        return formula

    @property
    def second_phase(self) -> tuple[str, ...]:
        """The gates whose recurrent product the formula takes of something it computed, `u("n", r * s.h)`."""
        return self.formula.second_phase


_shipped_formulas: dict[type[Cell], Formula] = {}
"""Of this package's cells, which hold for any option as long as their code is untouched."""


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


class Watched:
    """A state that remembers which of its tensors a formula reads, by name or by unpacking."""

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
    one = torch.zeros(1, 1, device="cpu")
    x = Gates(**dict.fromkeys(cell.gates, one))
    s = State(**dict.fromkeys(cell.states, one))
    vectors = dict.fromkeys(cell.vectors, one[0])
    formula, _ = run_watched(cell, x, dict.fromkeys(cell.recurrent, one), s, vectors, _same, _same)
    return formula


def _same(name: str, value: Tensor) -> Tensor:
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
    """Runs the step once and watches what it reads.

    Args:
        cell: whose step.
        x: the input's part.
        u: the recurrent part by gate.
        s: the state.
        vectors: the vectors by name.
        product: what `u("n", v)` returns.
        norm: what `p.norm("c", c)` returns.

    Returns:
        What the step uses, and what it returns.

    Raises:
        InputError: the formula reads a gate or state that the cell has not, or returns other states than it names.
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

    recurrence, p, watched = Recurrence(u, watched_product), Vectors(vectors, watched_norm), Watched(s)
    try:
        made = cell.step(x, recurrence, watched, p)
    except AttributeError as error:
        if not any(error.obj is part for part in (x, recurrence, s, p)):
            raise
        others = nearest(error.name or "", {*cell.gates, *cell.states, *cell.vectors})
        raise InputError(f"{name}.step reads {error.name!r}, which it does not name. {others}") from error
    _check_made(cell, made)
    second_phase = tuple(gate for gate in cell.recurrent if gate in products)
    normalised = tuple(state for state in cell.states if state in norms)
    return Formula(second_phase, normalised, "h" in watched.read, made[1]._fields), made


def _check_made(cell: Cell, made: Any) -> None:
    name = type(cell).__name__
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], State) and isinstance(made[1], Gates)):
        raise InputError(f"{name}.step must return (State(…), Gates(…)), not {type(made).__name__}")
    if made[0]._fields != cell.states:
        raise InputError(
            f"{name}.step returns the states {made[0]._fields} but states={cell.states}: "
            "name the same ones in the same order"
        )

"""Steps that are not the same at every call: compiled code is refused with the reason, and the reference runs."""

import functools
import itertools
import random
import sys
import threading
import time
import types

import numpy
import pytest
import torch
from test_conformance import change, make
from torch import nn

from recurra.cells import Cell, Gates, State
from recurra.engine import choose, explain, run
from recurra.errors import InputError

COUNT = 0
F = nn.functional
NOISE = random.Random(1)
NUMBERS = numpy.random.default_rng(1)
DRAWS = torch.Generator().manual_seed(1)
STEPS = itertools.count()
PLAN = itertools.cycle([0.5, 1.5])
LOG: list[float] = []
SETTINGS = types.SimpleNamespace(calls=0)
LOCAL = threading.local()
OWN = torch.tensor(0.5)


class Half(torch.autograd.Function):
    """Its derivative is not that of what it computes."""

    @staticmethod
    def forward(ctx, x):
        return x * 0.5

    @staticmethod
    def backward(ctx, dy):
        return dy


def count():
    global COUNT  # noqa: PLW0603
    COUNT += 1
    return 0.5 if COUNT % 10 else 1.0


@functools.wraps(count)
def wrapped(*args):
    return count()


def write(holder, name, value):
    setattr(holder, name, value)
    return value


class Steps:
    """By reason."""

    class Draws:
        @staticmethod
        def rand_like(cell, a):
            return torch.rand_like(a) * torch.tanh(a)

        @staticmethod
        def dropout(cell, a):
            return F.dropout(torch.tanh(a), 0.5)

        @staticmethod
        def bernoulli(cell, a):
            return torch.bernoulli(torch.sigmoid(a))

        @staticmethod
        def python(cell, a):
            return random.random() * torch.tanh(a)

        @staticmethod
        def seldom(cell, a):
            return torch.tanh(a) * (2.0 if random.random() < 1e-9 else 1.0)

        @staticmethod
        def numpy_(cell, a):
            return float(numpy.random.rand()) * torch.tanh(a)

    class Writes:
        @staticmethod
        def counter(cell, a):
            cell.calls = getattr(cell, "calls", 0) + 1
            return torch.tanh(a) * (0.5 if cell.calls % 10 else 1.0)

        @staticmethod
        def counter_of_the_class(cell, a):
            type(cell).total = getattr(type(cell), "total", 0) + 1
            return torch.tanh(a) * (0.5 if cell.total % 10 else 1.0)

        @staticmethod
        def global_counter(cell, a):
            return torch.tanh(a) * count()

        @staticmethod
        def decorated(cell, a):
            return torch.tanh(a) * wrapped()

        @staticmethod
        def settings(cell, a):
            SETTINGS.calls += 1
            return torch.tanh(a) * (0.5 if SETTINGS.calls % 10 else 1.0)

        @staticmethod
        def by_setattr(cell, a):
            return torch.tanh(a) * write(SETTINGS, "calls", SETTINGS.calls + 1)

        @staticmethod
        def log(cell, a):
            LOG.append(1.0)
            return torch.tanh(a) * (0.5 if len(LOG) % 10 else 1.0)

        @staticmethod
        def last(cell, a):
            cell.last = torch.tanh(a)
            return cell.last

        @staticmethod
        def iterator(cell, a):
            return torch.tanh(a) * (0.5 if next(STEPS) % 10 else 1.0)

        @staticmethod
        def generator_of_python(cell, a):
            return torch.tanh(a) * (0.5 if NOISE.random() < 1e-9 else 1.0)

        @staticmethod
        def generator_of_numpy(cell, a):
            return torch.tanh(a) * (0.5 if NUMBERS.random() < 1e-9 else 1.0)

    class Differs:
        @staticmethod
        def clock(cell, a):
            return torch.tanh(a) * (time.perf_counter() % 1)

        @staticmethod
        def cycle(cell, a):
            return torch.tanh(a) * next(PLAN)

    class Backward:
        @staticmethod
        def enabled(cell, a):
            return torch.tanh(a) * (0.5 if torch.is_grad_enabled() else 1.0)

        @staticmethod
        def inference(cell, a):
            return torch.tanh(a) * (0.5 if torch.is_inference_mode_enabled() else 1.0)

    class Places:
        @staticmethod
        def requires_grad(cell, a):
            return torch.tanh(a) * (0.5 if a.requires_grad else 1.0)

        @staticmethod
        def contiguous(cell, a):
            return torch.tanh(a) * (0.5 if a.is_contiguous() else 1.0)

    class Own:
        @staticmethod
        def tensor(cell, a):
            return torch.tanh(a) * OWN

        @staticmethod
        def attribute(cell, a):
            cell.__dict__.setdefault("k", torch.tensor(0.5))
            return torch.tanh(a) * cell.k

        @staticmethod
        def drawn(cell, a):
            return torch.tanh(a) * torch.from_numpy(numpy.full(1, 0.5, dtype=numpy.float32))

    class Function:
        @staticmethod
        def half(cell, a):
            return Half.apply(torch.tanh(a))

    class Threads:
        @staticmethod
        def local(cell, a):
            return torch.tanh(a) * getattr(LOCAL, "k", 1.0)


REASONS = {
    Steps.Draws: "its step draws random numbers",
    Steps.Writes: "its step writes to ",
    Steps.Differs: "(the result of its step differs from call to call|its step writes to)",
    Steps.Backward: "its step depends on whether gradients are recorded",
    Steps.Places: "its step asks for '.*' of a tensor",
    Steps.Own: "its step uses a tensor that is not an argument",
    Steps.Function: "its step calls a torch.autograd.Function",
    Steps.Threads: "its step computes a different result in another thread",
}
CASES = [
    pytest.param(step.__func__, reason, id=name)
    for group, reason in REASONS.items()
    for name, step in vars(group).items()
    if isinstance(step, staticmethod)
]


def request_of(formula):
    class Impure(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            return State(h=formula(self, x.a + u.a)), Gates()

    return change(make("elman", T=3, B=4, H=5), cell=Impure())


@pytest.mark.parametrize(("step", "reason"), CASES)
@pytest.mark.parametrize("gradients", [True, False], ids=["grad", "no grad"])
def test_a_step_that_is_not_the_same_at_every_call_is_refused(step, reason, gradients, monkeypatch):
    monkeypatch.setattr(sys.modules["recurra.engine.run"], "_WORTH_COMPILING", 0)
    LOCAL.k = 0.5
    request = request_of(step)
    request = change(
        request, x=request.x.float(), state=request.state.map(lambda t: t.float()), weights=_float(request)
    )
    states = torch.get_rng_state(), random.getstate(), repr(numpy.random.get_state())
    with torch.set_grad_enabled(gradients):
        for _ in range(3):
            with pytest.raises(InputError, match=f"engine 'cpu' cannot run this: {reason}"):
                choose(request, "cpu")
            assert choose(request).engine == "unroll"
            assert explain(request).why.startswith("torch.nn has no kernel for")
    # To ask moves no generator.
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), repr(numpy.random.get_state()))
    assert run(request).y.shape == (3, 4, 5)


def _float(request):
    weights = request.weights
    return weights._replace(**{name: getattr(weights, name).float() for name in ("ih", "hh", "b_ih", "b_hh")})


def test_the_reference_calls_a_step_once_a_step_of_time():
    """What counts or draws is what it was without an examination."""
    calls = []

    class Counting(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            calls.append(1)
            return State(h=torch.tanh(x.a + u.a)), Gates()

    request = change(make("elman", T=3, B=4, H=5), cell=Counting())
    run(request, "unroll")  # looks once at what the step uses
    calls.clear()
    for engine in ("unroll", "auto"):
        run(request, engine)
    assert len(calls) == 6


def test_a_step_that_has_been_mended_is_compiled():
    request = request_of(Steps.Writes.counter)
    kind = type(request.cell)
    with pytest.raises(InputError, match="writes to"):
        choose(request, "cpu")
    mended = request_of(lambda self, a: torch.tanh(a))
    kind.step = type(mended.cell).step
    assert choose(request, "cpu").engine == "cpu"


def test_a_step_that_begins_to_count_is_refused():
    """The operators stay the same, only the code tells."""
    request = request_of(lambda self, a: torch.tanh(a) * 0.5)
    assert choose(request, "cpu").engine == "cpu"
    kind = type(request.cell)
    kind.step = type(request_of(Steps.Writes.counter).cell).step
    with pytest.raises(InputError, match="writes to self.calls"):
        choose(request, "cpu")


def test_what_a_step_keeps_for_itself_at_first_is_no_reason():
    @functools.lru_cache
    def factor():
        return 0.5

    class Cached(Cell):
        gates = ("a",)

        @functools.cached_property
        def k(self):
            return 0.5

        def step(self, x, u, s, p):
            return State(h=self.k * factor() * torch.tanh(x.a + u.a)), Gates()

    request = change(make("elman", T=3, B=4, H=5), cell=Cached())
    assert choose(request, "cpu").engine == "cpu"


def test_gradients_switched_off_within_a_step_are_compiled():
    def step(self, a):
        with torch.no_grad():
            half = a * 0.5
        return torch.tanh(a) * half

    gradients = []
    for engine in ("cpu", "unroll"):
        request = request_of(step)
        request.x.requires_grad_()
        gradients.append(torch.autograd.grad(run(request, engine).y.square().sum(), request.x)[0])
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-13)
    with torch.no_grad():
        assert choose(request, "cpu").engine == "cpu"


def test_a_formula_that_changes_between_forward_and_recomputation_is_noticed(monkeypatch):
    from recurra.errors import RecurraError

    request = change(request_of(lambda self, a: self.k * torch.tanh(a)), recompute=2)
    monkeypatch.setattr(type(request.cell), "k", 1.5, raising=False)
    request.x.requires_grad_()
    y = run(request, "unroll").y
    monkeypatch.setattr(type(request.cell), "k", 0.5)
    with pytest.raises(RecurraError, match="has changed between the forward pass"):
        y.sum().backward()

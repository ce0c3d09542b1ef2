"""A formula that changes after its first use: the compiled loops compute the new one, or the reference does."""

import copy
import functools
import types

import pytest
import table
import torch
from test_conformance import change, make

from recurra.cells import CELLS, LSTM, Cell, Elman, Gates, State, find_cell
from recurra.engine import choose, run
from recurra.engine.trace.signature_cache import signature_of
from recurra.engine.trace.step_probe import StepProbe

SCALE = 1.5


def helper(x):
    return SCALE * deeper(x)


def deeper(x):
    return torch.tanh(x)


def other(x):
    return torch.sigmoid(x) * 0.3


class Settings:
    scale = 1.5
    inner = types.SimpleNamespace(scale=1.5)


def written(step, **members):
    """A cell class with one gate and that step."""

    def full(self, x, u, s, p):
        return State(h=step(self, x.a + u.a)), Gates(a=x.a)

    return type("Written", (Cell,), {"gates": ("a",), "step": full, **members})


def request_of(cell, **options):
    """A request that is small but wants the compiled engine."""
    return change(make("elman", T=3, B=4, H=5), cell=cell, **options)


def agree(request):
    """The compiled engine runs, and gives what the reference gives; y."""
    assert choose(request, "cpu").engine == "cpu"
    got, want = run(request, "cpu").y, run(request, "unroll").y
    torch.testing.assert_close(got, want, rtol=0, atol=1e-13)
    return got


def class_attribute():
    kind = written(lambda self, a: self.k * torch.tanh(a), k=1.5)
    return kind(), lambda m: m.setattr(kind, "k", 0.5)


def base_class_attribute():
    base = written(lambda self, a: self.k * torch.tanh(a), k=1.5)
    kind = type("Derived", (base,), {})
    return kind(), lambda m: m.setattr(base, "k", 0.5)


def attribute():
    kind = written(lambda self, a: self.k * torch.tanh(a), k=1.5)
    cell = kind()
    return cell, lambda m: m.setattr(cell, "k", 0.5, raising=False)


def method():
    kind = written(lambda self, a: self.f(a), f=lambda self, a: torch.tanh(a))
    return kind(), lambda m: m.setattr(kind, "f", lambda self, a: other(a))


def static_method():
    kind = written(lambda self, a: self.f(a), f=staticmethod(torch.tanh))
    return kind(), lambda m: m.setattr(kind, "f", staticmethod(other))


def step_itself():
    kind = written(lambda self, a: torch.tanh(a))
    return kind(), lambda m: m.setattr(kind, "step", written(lambda self, a: other(a)).step)


def step_of_the_object():
    cell = written(lambda self, a: torch.tanh(a))()
    new = written(lambda self, a: other(a)).step
    return cell, lambda m: m.setattr(cell, "step", types.MethodType(new, cell))


def step_of_the_base():
    base = written(lambda self, a: torch.tanh(a))

    class Derived(base):
        def step(self, x, u, s, p):
            new, gates = super().step(x, u, s, p)
            return State(h=new.h * 2), gates

    return Derived(), lambda m: m.setattr(base, "step", written(lambda self, a: other(a)).step)


def helper_function():
    return written(lambda self, a: helper(a))(), lambda m: m.setitem(globals(), "helper", other)


def helper_of_a_helper():
    return written(lambda self, a: helper(a))(), lambda m: m.setitem(globals(), "deeper", other)


def global_of_a_helper():
    return written(lambda self, a: helper(a))(), lambda m: m.setitem(globals(), "SCALE", 0.5)


def code():
    def inner(a):
        return torch.tanh(a)

    def new(a):
        return torch.sigmoid(a) * 0.3

    return written(lambda self, a: inner(a))(), lambda m: m.setattr(inner, "__code__", new.__code__)


def code_of_the_step():
    kind = type("Own", (Cell,), {"gates": ("a",), "step": lambda s, x, u, *o: (State(h=torch.tanh(x.a)), Gates())})
    new = lambda s, x, u, *o: (State(h=torch.sigmoid(x.a)), Gates())  # noqa: E731
    return kind(), lambda m: m.setattr(kind.step, "__code__", new.__code__)


def defaults():
    def inner(a, k=1.5):
        return k * torch.tanh(a)

    return written(lambda self, a: inner(a))(), lambda m: m.setattr(inner, "__defaults__", (0.5,))


def closure():
    k = 1.5

    def set_k(m):
        nonlocal k
        k = 0.5

    return written(lambda self, a: k * torch.tanh(a))(), set_k


def property_():
    kind = written(lambda self, a: self.k * torch.tanh(a), k=property(lambda self: 1.5))
    return kind(), lambda m: m.setattr(kind, "k", property(lambda self: 0.5))


def configuration():
    settings = types.SimpleNamespace(inner=types.SimpleNamespace(scale=1.5))
    cell = written(lambda self, a: settings.inner.scale * torch.tanh(a))()
    return cell, lambda m: m.setattr(settings.inner, "scale", 0.5)


def configuration_class():
    cell = written(lambda self, a: Settings.inner.scale * torch.tanh(a))()
    return cell, lambda m: m.setattr(Settings.inner, "scale", 0.5)


def entry_of_a_dictionary():
    table = {"f": torch.tanh, "deep": [{"k": 1.5}]}
    cell = written(lambda self, a: table["deep"][0]["k"] * table["f"](a))()
    return cell, lambda m: m.setitem(table["deep"][0], "k", 0.5)


def function_in_a_dictionary():
    table = {"f": torch.tanh}
    return written(lambda self, a: table["f"](a))(), lambda m: m.setitem(table, "f", torch.sigmoid)


def attribute_of_a_callable():
    class Scaled:
        k = 1.5

        def __call__(self, a):
            return self.k * torch.tanh(a)

    f = Scaled()
    return written(lambda self, a: f(a))(), lambda m: m.setattr(f, "k", 0.5)


def partial():
    keywords = functools.partial(lambda a, k: k * torch.tanh(a), k=1.5)
    return written(lambda self, a: keywords(a))(), lambda m: m.setitem(keywords.keywords, "k", 0.5)


def module_of_the_user():
    module = types.ModuleType("of_a_user")
    module.k = 1.5
    return written(lambda self, a: module.k * torch.tanh(a))(), lambda m: m.setattr(module, "k", 0.5)


def by_a_computed_name():
    kind = written(lambda self, a: getattr(self, "k" + "1") * torch.tanh(a), k1=1.5)
    return kind(), lambda m: m.setattr(kind, "k1", 0.5)


def sign_of_zero():
    kind = written(lambda self, a: torch.tanh(a) + 1 / (a * 0 + self.k).clamp(-0.1, 0.1) * 0 + self.k, k=0.25)
    return kind(), lambda m: m.setattr(kind, "k", -0.25)


def number_of_another_type():
    kind = written(lambda self, a: torch.tanh(a) * (self.k / 2 if isinstance(self.k, int) else self.k), k=1.0)
    return kind(), lambda m: m.setattr(kind, "k", 1)


def numpy_number():
    import numpy

    kind = written(lambda self, a: self.k * torch.tanh(a), k=numpy.float32(1.5))
    return kind(), lambda m: m.setattr(kind, "k", numpy.float32(0.5))


def flag():
    import enum

    Mode = enum.Enum("Mode", ["SOFT", "HARD"])
    kind = written(lambda self, a: torch.tanh(a) if self.mode is Mode.SOFT else a.clamp(-1, 1), mode=Mode.SOFT)
    return kind(), lambda m: m.setattr(kind, "mode", Mode.HARD)


def item_of_a_tensor():
    k = torch.tensor(1.5)
    return written(lambda self, a: k.item() * torch.tanh(a))(), lambda m: k.fill_(0.5)


def keyword_of_an_operator():
    kind = written(lambda self, a: torch.nn.functional.elu(torch.tanh(a), alpha=self.k), k=1.5)
    return kind(), lambda m: m.setattr(kind, "k", 0.5)


def operands():
    kind = written(lambda self, a: a - torch.tanh(a) if self.turned else torch.tanh(a) - a, turned=False)
    return kind(), lambda m: m.setattr(kind, "turned", True)


def detached():
    kind = written(lambda self, a: torch.tanh(a) * (a.detach() if self.cut else a), cut=False)
    return kind(), lambda m: m.setattr(kind, "cut", True)


def helper_with_a_cache():
    settings = types.SimpleNamespace(k=1.5)
    cached = functools.lru_cache(lambda n: settings.k * n)

    def renew(m):
        settings.k = 0.5
        cached.cache_clear()

    return written(lambda self, a: cached(1) * torch.tanh(a))(), renew


def second_threshold():
    kind = written(lambda self, a: torch.tanh(a) * (self.k if a.shape[-1] > 4 else 1.0), k=1.5)
    return kind(), lambda m: m.setattr(kind, "k", 0.5)


WAYS = [
    class_attribute, base_class_attribute, attribute, method, static_method, step_itself, step_of_the_object,
    step_of_the_base, helper_function, helper_of_a_helper, global_of_a_helper, code, code_of_the_step, defaults,
    closure, property_, configuration, configuration_class, entry_of_a_dictionary, function_in_a_dictionary,
    attribute_of_a_callable, partial, module_of_the_user, by_a_computed_name, sign_of_zero, number_of_another_type,
    numpy_number, flag, item_of_a_tensor, keyword_of_an_operator, operands,
    helper_with_a_cache, second_threshold,
]  # fmt: skip


@pytest.mark.parametrize("direction", WAYS, ids=lambda direction: direction.__name__)
def test_a_changed_formula_is_the_one_that_is_computed(direction, monkeypatch):
    cell, alter = direction()
    request = request_of(cell)
    before = agree(request)
    alter(monkeypatch)
    after = agree(request)
    assert not torch.allclose(before, after)
    assert torch.equal(agree(request_of(copy.copy(cell))), after)


def test_a_changed_derivative_is_the_one_that_is_computed(monkeypatch):
    cell, alter = detached()
    for _ in range(2):
        gradients = []
        for engine in ("cpu", "unroll"):
            request = request_of(cell)
            request.x.requires_grad_()
            gradients.append(torch.autograd.grad(run(request, engine).y.square().sum(), request.x)[0])
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-13)
        alter(monkeypatch)


@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_a_replaced_step_of_a_shipped_cell_is_the_one_that_runs(name, monkeypatch):
    request = make(name, T=3, B=4, H=5)
    kind, gate = type(request.cell), request.cell.gates[0]
    before = agree(request)
    rest = request.cell.states[1:]

    def step(self, x, u, s, p):
        h = torch.tanh(getattr(x, gate)) * 0.5
        return State(h=h, **{state: getattr(s, state) for state in rest}), Gates()

    monkeypatch.setattr(kind, "step", step)
    assert not torch.allclose(agree(request), before)
    # torch.nn's kernel computes the formula that the cell had.
    assert choose(request).engine == "unroll"
    monkeypatch.undo()
    assert torch.equal(agree(request), before)
    assert choose(request).engine == "native"


def test_a_replaced_function_of_a_shipped_cell_is_the_one_that_runs(monkeypatch):
    request = make("lstm", T=3, B=4, H=5)
    before = agree(request)
    monkeypatch.setattr("recurra.cells.lstm.sigmoid", torch.tanh)
    assert not torch.allclose(agree(request), before)
    assert choose(request).engine == "unroll"
    monkeypatch.undo()
    monkeypatch.setitem(__import__("recurra").cells.activations.ACTIVATIONS, "tanh", torch.sigmoid)
    assert not torch.allclose(agree(request), before)


@pytest.mark.parametrize("name", CELLS)
def test_an_untouched_cell_of_the_package_is_not_run_again(name, monkeypatch):
    cell, runs = find_cell(name), []
    signature_of(cell, 5, torch.float64)
    monkeypatch.setattr(StepProbe, "run", lambda stage, cell: runs.append(1))
    signature_of(cell, 5, torch.float64)
    assert not runs


def test_a_function_given_to_a_shipped_cell_may_change(monkeypatch):
    request = request_of(Elman(helper))
    before = agree(request)
    monkeypatch.setitem(globals(), "SCALE", 0.5)
    assert not torch.allclose(agree(request), before)


def test_a_cell_derived_from_a_shipped_one_may_change(monkeypatch):
    class Scaled(LSTM):
        k = 1.5

        def step(self, x, u, s, p):
            new, gates = super().step(x, u, s, p)
            return State(h=self.k * new.h, c=new.c), gates

    request = change(make("lstm", T=3, B=4, H=5), cell=Scaled())
    before = agree(request)
    monkeypatch.setattr(Scaled, "k", 0.5)
    assert not torch.allclose(agree(request), before)


def test_a_class_defined_again_under_its_name_is_another_one():
    texts = [f"""
class Again(Cell):
    gates = ("a",)
    def step(self, x, u, s, p):
        return State(h={k} * torch.tanh(x.a + u.a)), Gates()
""" for k in (1.5, 0.5)]  # fmt: skip
    results = []
    for text in texts:
        names = {"Cell": Cell, "State": State, "Gates": Gates, "torch": torch, "__name__": "__main__"}
        exec(text, names)
        results.append(agree(request_of(names["Again"]())))
    assert not torch.allclose(*results)


def test_a_change_of_what_the_step_uses_is_seen(monkeypatch):
    """Which gates are shown, which products wait, whether h is read."""

    class Shifting(Cell):
        gates = ("a", "n")
        direction = 0

        def step(self, x, u, s, p):
            a = torch.sigmoid(x.a + u.a)
            if self.direction == 0:
                return State(h=a * torch.tanh(x.n + u.n)), Gates(a=a)
            n = torch.tanh(x.n + u("n", a * s.h))
            return State(h=n), Gates(n=n)

    request = change(make("min_gru", T=3, B=4, H=5), cell=Shifting(), keep=True)
    weights = make("user's leaky", T=3, B=4, H=5).weights
    request = change(request, weights=weights)
    for direction in (0, 1, 0):
        monkeypatch.setattr(Shifting, "direction", direction)
        agree(request)
        compiled, reference = run(request, "cpu").kept, run(request, "unroll").kept
        assert compiled._fields == reference._fields == (("n",) if direction else ("a",))


def test_backward_uses_the_formula_of_its_forward_pass(monkeypatch):
    cell, alter = class_attribute()
    requests = [request_of(cell), request_of(cell, recompute=2)]
    wanted = request_of(cell)
    for request in (*requests, wanted):
        request.x.requires_grad_()
    losses = [run(request, "cpu").y.square().sum() for request in requests]
    (want,) = torch.autograd.grad(run(wanted, "unroll").y.square().sum(), wanted.x)
    alter(monkeypatch)
    for request, loss in zip(requests, losses, strict=True):
        agree(request_of(cell))
        torch.testing.assert_close(torch.autograd.grad(loss, request.x)[0], want, rtol=0, atol=1e-13)


def test_cells_of_one_formula_share_their_code_whatever_their_class():
    from recurra.engine.cpu.kernel import kernel
    from recurra.engine.trace import Variant

    same = type("Same", (Cell,), {"gates": table.Leaky.gates, "step": table.Leaky.step})
    assert kernel(same(), Variant(16), torch.float32) is kernel(table.Leaky(), Variant(16), torch.float32)

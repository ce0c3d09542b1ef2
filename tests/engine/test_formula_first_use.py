"""A formula's first use under whatever a caller has switched on, and by several threads at once."""

import sys
import threading

import pytest
import torch
from test_conformance import change, make
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from recurra.cells import Cell, Gates, State
from recurra.engine import choose, run
from recurra.engine.trace import programs
from recurra.errors import InputError
from recurra.layers import Recurrent

FACTORS = iter(range(1, 1000))


def fresh():
    """A cell whose formula has not been used in this process."""
    factor = 1 + next(FACTORS) / 1000

    class Fresh(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            return State(h=factor * torch.tanh(x.a + u.a)), Gates()

    return Fresh()


def request_of(cell, dtype=torch.float64):
    return change(make("elman", T=3, B=4, H=5, dtype=dtype), cell=cell)


class Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class Function(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


MODES = {
    "save_on_cpu": torch.autograd.graph.save_on_cpu,
    "saved tensors hooks": lambda: torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t),
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "function": Function,
    "device": lambda: torch.device("cpu"),
    "detect_anomaly": lambda: torch.autograd.set_detect_anomaly(True),
    "no multithreading": lambda: torch.autograd.set_multithreading_enabled(False),
    "profiler": lambda: torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_formula_first_used_within_a_mode_is_compiled(mode):
    request = request_of(fresh())
    with MODES[mode]():
        assert choose(request, "cpu").engine == "cpu"
        got, want = run(request, "cpu").y, run(request, "unroll").y
        torch.testing.assert_close(got, want, rtol=0, atol=1e-13)
    again = request_of(request.cell)
    again.x.requires_grad_()
    torch.testing.assert_close(run(again, "cpu").y, run(again, "unroll").y, rtol=0, atol=1e-13)


def test_a_dispatch_mode_sees_every_operator_and_disables_nothing():
    request = request_of(fresh())
    with Dispatch():
        assert choose(request).engine == "unroll"
        with pytest.raises(InputError, match="a dispatch mode of PyTorch is active"):
            choose(request, "cpu")
        want = run(request).y
    torch.testing.assert_close(run(request, "cpu").y, want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("default", [torch.float64, torch.float16])
def test_a_formula_first_used_with_another_default_dtype(default):
    request, before = request_of(fresh(), torch.float32), torch.get_default_dtype()
    try:
        torch.set_default_dtype(default)
        got = run(request, "cpu").y
    finally:
        torch.set_default_dtype(before)
    torch.testing.assert_close(got, run(request, "unroll").y)


def test_a_formula_first_used_with_deterministic_algorithms():
    request = request_of(fresh())
    torch.use_deterministic_algorithms(True)
    try:
        got = run(request, "cpu").y
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(got, run(request, "unroll").y, rtol=0, atol=1e-13)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_formula_first_used_within_a_checkpoint(reentrant):
    layer, x = Recurrent(fresh(), 6, 8, engine="cpu"), torch.randn(3, 4, 6, requires_grad=True)
    got = checkpoint(lambda x: layer(x)[0], x, use_reentrant=reentrant)
    layer.engine = "unroll"
    torch.testing.assert_close(got, layer(x)[0])


def test_several_threads_use_new_formulas_at_once():
    cells = [fresh() for _ in range(3)]
    requests = [request_of(cell) for cell in cells] * 3
    wanted = [run(request, "unroll").y for request in requests]
    results, start = {}, threading.Barrier(len(requests))

    def work(number):
        start.wait()
        for _ in range(4):
            results.setdefault(number, []).append(run(requests[number], "cpu").y)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(results) == list(range(len(requests)))
    for number, many in results.items():
        assert all(torch.allclose(one, wanted[number], rtol=0, atol=1e-13) for one in many)


def test_threads_whose_formula_another_thread_changes_compute_one_or_the_other():
    class Turning(Cell):
        gates = ("a",)
        k = 0.5

        def step(self, x, u, s, p):
            return State(h=self.k * torch.tanh(x.a + u.a)), Gates()

    request, allowed = request_of(Turning()), []
    for Turning.k in (1.5, 0.5):
        allowed.append(run(request, "unroll").y)
        torch.testing.assert_close(run(request, "cpu").y, allowed[-1], rtol=0, atol=1e-13)
    results, stop = [], threading.Event()

    def turn():
        while not stop.is_set():
            Turning.k = 2.0 - Turning.k

    def work():
        results.extend(run(request, "cpu").y for _ in range(100))

    turner, workers = threading.Thread(target=turn), [threading.Thread(target=work) for _ in range(3)]
    for thread in (turner, *workers):
        thread.start()
    for worker in workers:
        worker.join(120)
    stop.set()
    turner.join()
    assert len(results) == 300
    assert all(any(torch.allclose(one, want, rtol=0, atol=1e-13) for want in allowed) for one in results)


def test_a_trace_that_fails_once_is_tried_again(monkeypatch):
    request = request_of(fresh())
    real, errors = programs.record, [RuntimeError("another trace is running")]

    def failing(*args):
        if errors:
            raise errors.pop()
        return real(*args)

    monkeypatch.setattr(programs, "record", failing)
    monkeypatch.setattr(sys.modules["recurra.engine.run"], "_WORTH_COMPILING", 0)
    with pytest.raises(InputError, match="cannot be traced .RuntimeError: another trace is running"):
        choose(request, "cpu")
    assert choose(request, "cpu").engine == "cpu"
    torch.testing.assert_close(run(request, "cpu").y, run(request, "unroll").y, rtol=0, atol=1e-13)


def test_a_trace_that_always_fails_is_tried_ever_more_seldom(monkeypatch):
    request, attempts = request_of(fresh()), []
    monkeypatch.setattr(programs, "record", lambda *args: attempts.append(1) or 1 / 0)
    for _ in range(64):
        with pytest.raises(InputError, match="cannot be traced .ZeroDivisionError"):
            choose(request, "cpu")
    assert 2 < len(attempts) < 10


def test_an_operator_without_a_rule_is_looked_up_once(monkeypatch):
    class Wild(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            return State(h=torch.cumsum(x.a + u.a * 0.123, -1)), Gates()

    request, attempts, real = request_of(Wild()), [], programs.record
    monkeypatch.setattr(programs, "record", lambda *args: attempts.append(1) or real(*args))
    for _ in range(5):
        with pytest.raises(InputError, match="aten.cumsum has no rule"):
            choose(request, "cpu")
    assert len(attempts) == 1


def test_a_step_that_raises_shows_its_own_error(monkeypatch):
    class Broken(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            if x.a.shape[-1] > 2:
                raise KeyError("no such table")
            return State(h=x.a + u.a), Gates()

    monkeypatch.setattr(sys.modules["recurra.engine.run"], "_WORTH_COMPILING", 0)
    with pytest.raises(KeyError, match="no such table"):
        run(request_of(Broken(), torch.float32))


def test_a_step_that_runs_a_layer_of_its_own_stops_nothing(monkeypatch):
    """The inner layer is called within the examination of the outer formula."""
    inner = Recurrent(fresh(), 5, 5, dtype=torch.float64)

    class Nested(Cell):
        gates = ("a",)

        def step(self, x, u, s, p):
            h = x.a + u.a
            return State(h=inner(h[None])[0][0] if h.shape[-1] == 5 else h), Gates()

    monkeypatch.setattr(sys.modules["recurra.engine.run"], "_WORTH_COMPILING", 0)
    request = request_of(Nested())
    with pytest.raises(InputError, match="engine 'cpu' cannot run this"):
        choose(request, "cpu")
    assert run(request).y.shape == (3, 4, 5)


def test_a_cell_is_not_kept_alive():
    import gc
    import weakref

    cell = fresh()
    run(request_of(cell), "cpu")
    gone = weakref.ref(cell)
    del cell
    gc.collect()
    assert gone() is None


def test_a_cell_that_was_used_can_be_copied_and_saved(tmp_path):
    import copy
    import pickle

    import table

    layer = Recurrent(table.Leaky, 6, 8, engine="cpu")
    layer(torch.zeros(3, 4, 6))
    copy.deepcopy(layer)(torch.zeros(3, 4, 6))
    assert pickle.loads(pickle.dumps(layer.cell)).gates == layer.cell.gates

"""Layers inside torch.compile with the backends that differentiate, and inside torch.jit's traces."""

import shutil

import pytest
import table
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import recurra
from recurra.errors import InputError

T, B, I, H = 2, 3, 2, 4
KINDS = ["LSTM", "GRU", "RNN", "user's cell"]
BACKENDS = [
    "aot_eager",
    pytest.param(
        "inductor",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))), reason="no C++ compiler"),
        ],
    ),
]
each_backend = pytest.mark.parametrize("backend", BACKENDS)
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
]


def layer(kind, **options):
    if kind == "user's cell":
        return recurra.Recurrent(table.Leaky(), I, H, **options)
    return getattr(recurra, kind)(I, H, **options)


def data_of(y):
    return y if isinstance(y, torch.Tensor) else y.data


def assert_same_training(compiled, module, *arguments, **keywords):
    results = []
    for call in (compiled, module):
        module.zero_grad()
        y = data_of(call(*arguments, **keywords)[0])
        y.sin().sum().backward()
        results.append([y, *(parameter.grad for parameter in module.parameters())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@each_backend
@pytest.mark.parametrize("kind", KINDS)
def test_training_with_an_input_that_needs_no_gradient(kind, backend):
    module = layer(kind)
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    for steps, rows in ((T, B), (T + 1, B)):  # compiled again for another T
        assert_same_training(compiled, module, torch.randn(steps, rows, I))
    with torch.no_grad():
        x = torch.randn(T, B, I)
        torch.testing.assert_close(compiled(x)[0], module(x)[0])


@pytest.mark.slow
@each_backend
@pytest.mark.parametrize("kind", ["LSTM", "user's cell"])
def test_dynamic_sizes_lengths_packed_sequences_and_gates(kind, backend):
    module = layer(kind, bidirectional=True)
    compiled, x = torch.compile(module, backend=backend), torch.randn(T, B, I)
    lengths = torch.tensor([2, 1, 2])
    assert_same_training(torch.compile(module, backend=backend, dynamic=True), module, x)
    assert_same_training(compiled, module, x, lengths=lengths)
    assert_same_training(compiled, module, pack_padded_sequence(x, lengths, enforce_sorted=False))
    gates = compiled(x, return_gates=True)[2]
    for one, other in zip(gates, module(x, return_gates=True)[2], strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.slow
@each_backend
@pytest.mark.parametrize("kind", ["LSTM", "user's cell"])
def test_a_carried_state_dropout_and_recomputation(kind, backend):
    module, x = layer(kind, num_layers=2, dropout=0.5, recompute=1), torch.randn(T, B, I)
    compiled = torch.compile(module, backend=backend)
    compiled(x)[0].sum().backward()  # in training mode, with dropout
    assert all(torch.isfinite(parameter.grad).all() for parameter in module.parameters())
    module.eval()
    assert_same_training(compiled, module, x)
    state = want = None
    for _ in range(2):
        y, state = compiled(x, state)
        z, want = module(x, want)
        torch.testing.assert_close(y, z)


class Labeller(torch.nn.Module):
    """Symbols to scores."""

    def __init__(self, kind):
        super().__init__()
        self.embedding, self.layer, self.out = torch.nn.Embedding(9, I), layer(kind), torch.nn.Linear(H, 5)

    def forward(self, symbols):
        return self.out(self.layer(self.embedding(symbols))[0]), None


@each_backend
def test_inside_a_larger_module_that_is_trained(backend):
    module = Labeller("LSTM")
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    assert_same_training(compiled, module, torch.randint(0, 9, (T, B)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [True, False])
def test_exported_above_the_threshold_of_the_compiled_engine(kind, strict):
    torch.manual_seed(0)
    module = getattr(recurra, kind)(8, 64) if kind != "user's cell" else recurra.Recurrent(table.Leaky(), 8, 64)
    x = torch.randn(3, 1000, 8)
    assert recurra.explain(module, x).engine == "cpu"
    exported = torch.export.export(module, (x,), strict=strict).module()
    torch.testing.assert_close(exported(2 * x)[0], module(2 * x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [3, 600])  # below and above the threshold
@pytest.mark.parametrize("kind", KINDS)
def test_jit_traces_are_checked_train_and_leave_later_traces_alone(kind, rows):
    module = getattr(recurra, kind)(8, 64) if kind != "user's cell" else recurra.Recurrent(table.Leaky(), 8, 64)
    x = torch.randn(5, rows, 8)
    with torch.no_grad():
        module(x)
    traced = torch.jit.trace(module, (x,))
    torch.testing.assert_close(traced(2 * x)[0], module(2 * x)[0], rtol=1e-4, atol=1e-5)
    fewer = x[:, :2]
    torch.testing.assert_close(traced(fewer)[0], module(fewer)[0], rtol=1e-4, atol=1e-5)
    traced(x)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    with torch.no_grad():
        frozen = torch.jit.freeze(torch.jit.trace(module.eval(), (x,)))
    torch.testing.assert_close(frozen(x)[0], module(x)[0], rtol=1e-4, atol=1e-5)
    linear = torch.nn.Linear(2, 2)
    assert torch.equal(torch.jit.trace(linear, torch.ones(2, 2))(torch.ones(2, 2)), linear(torch.ones(2, 2)))


def test_jit_script_of_a_user_defined_cell_is_refused_in_one_line():
    unscriptable = (layer("user's cell"), recurra.layers.Step(table.Leaky(), I, H))
    for module in (*unscriptable, torch.nn.Sequential(unscriptable[0])):
        with pytest.raises(InputError, match=r"torch\.jit\.script cannot compile .* Use torch\.jit\.trace") as raised:
            torch.jit.script(module)
        assert "\n" not in str(raised.value)

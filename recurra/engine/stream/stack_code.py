"""Several steps of a stack as LLVM IR: the layers in turn, step after step."""

from __future__ import annotations

from llvmlite import ir

from recurra.engine.cpu.barrier import barrier_function
from recurra.engine.cpu.code import I32, I64
from recurra.engine.stream.layer_code import STEP_TYPE

ARGUMENTS = (
    "layers", "x_place", "counter", "count", "steps", "x", "x_bytes", "y", "y_bytes", "output", "thread_number",
    "threads",
)  # fmt: skip
"""`layers` holds, for each of `count` layers, the address of its function and of its arguments; `counter` is that of
the barrier between threads, and the last two are the addresses of `omp_get_thread_num` and `omp_get_num_threads`."""
_BYTE = ir.IntType(8)


def write_stack(module: ir.Module) -> None:
    """Writes `run(arguments, part, parts)` and `run_team(arguments)`, for a thread of an OpenMP team.

    The arguments are int64 in memory, in the order of `ARGUMENTS`.
    In each step the address of x_t is written to `x_place`, an argument of the first layer; the layers run; and
    `output`, y of the last layer, is copied to y_t. x_t and y_t are `x_bytes` and `y_bytes` after each other.
    """
    words, text = I64.as_pointer(), _BYTE.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [words, I64, I64]), "run")
    _, share, shares = function.args
    barrier = barrier_function(module)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    values = [b.load(b.gep(function.args[0], [ir.Constant(I64, n)])) for n in range(len(ARGUMENTS))]
    layers, x_place, counter = (b.inttoptr(value, words) for value in values[:3])
    count, steps, x, x_bytes, y, y_bytes, output = values[3:10]
    is_first = b.icmp_signed("==", share, ir.Constant(I64, 0))
    copy = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [text, text, I64, ir.IntType(1)]), "llvm.memcpy.p0.p0.i64"
    )

    def loop(end: ir.Value, body: object) -> None:
        before = b.block
        head, inside, after = (function.append_basic_block(name) for name in ("head", "body", "exit"))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(I64)
        i.add_incoming(ir.Constant(I64, 0), before)
        b.cbranch(b.icmp_signed("<", i, end), inside, after)
        b.position_at_end(inside)
        body(i)  # type: ignore[operator]
        i.add_incoming(b.add(i, ir.Constant(I64, 1)), b.block)
        b.branch(head)
        b.position_at_end(after)

    def layer(k: ir.Value) -> None:
        place = b.mul(k, ir.Constant(I64, 2))
        step = b.inttoptr(b.load(b.gep(layers, [place])), STEP_TYPE.as_pointer())
        arguments = b.inttoptr(b.load(b.gep(layers, [b.add(place, ir.Constant(I64, 1))])), words)
        b.call(step, [arguments, share, shares, counter])

    def one(t: ir.Value) -> None:
        with b.if_then(is_first):
            b.store(b.add(x, b.mul(t, x_bytes)), x_place)
        b.call(barrier, [counter, shares])
        loop(count, layer)
        with b.if_then(is_first):
            target = b.inttoptr(b.add(y, b.mul(t, y_bytes)), text)
            b.call(copy, [target, b.inttoptr(output, text), y_bytes, ir.Constant(ir.IntType(1), 0)])

    loop(steps, one)
    b.ret_void()
    _write_team(module, function, words)


def _write_team(module: ir.Module, run: ir.Function, words: ir.Type) -> None:
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [words]), "run_team")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    query = ir.FunctionType(I32, []).as_pointer()
    numbers = []
    for name in ("thread_number", "threads"):
        address = b.load(b.gep(function.args[0], [ir.Constant(I64, ARGUMENTS.index(name))]))
        numbers.append(b.sext(b.call(b.inttoptr(address, query), []), I64))
    b.call(run, [function.args[0], *numbers])
    b.ret_void()

"""Several steps of a stack as LLVM IR: the layers in turn, step after step."""

from __future__ import annotations

from llvmlite import ir

from recurra.engine.cpu.code import I64

ARGUMENTS = ("layers", "x_place", "count", "steps", "x", "x_bytes", "y", "y_bytes", "output")
"""`layers` holds, for each of `count` layers, the address of its function and of its arguments."""
_BYTE = ir.IntType(8)


def write_stack(module: ir.Module) -> None:
    """Writes the function `run(arguments)`; the arguments are int64 in memory, in the order of `ARGUMENTS`.

    In each step the address of x_t is written to `x_place`, an argument of the first layer; the layers run; and
    `output`, y of the last layer, is copied to y_t. x_t and y_t are `x_bytes` and `y_bytes` after each other.
    """
    words, text = I64.as_pointer(), _BYTE.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [words]), "run")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    values = [b.load(b.gep(function.args[0], [ir.Constant(I64, n)])) for n in range(len(ARGUMENTS))]
    layers, x_place = (b.inttoptr(value, words) for value in values[:2])
    count, steps, x, x_bytes, y, y_bytes, output = values[2:]
    copy = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [text, text, I64, ir.IntType(1)]), "llvm.memcpy.p0.p0.i64"
    )
    layer_type = ir.FunctionType(ir.VoidType(), [words]).as_pointer()

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
        step = b.inttoptr(b.load(b.gep(layers, [place])), layer_type)
        arguments = b.inttoptr(b.load(b.gep(layers, [b.add(place, ir.Constant(I64, 1))])), words)
        b.call(step, [arguments])

    def one(t: ir.Value) -> None:
        b.store(b.add(x, b.mul(t, x_bytes)), x_place)
        loop(count, layer)
        target = b.inttoptr(b.add(y, b.mul(t, y_bytes)), text)
        b.call(copy, [target, b.inttoptr(output, text), y_bytes, ir.Constant(ir.IntType(1), 0)])

    loop(steps, one)
    b.ret_void()

"""One elementwise function of the compiled maths, compiled for this processor, as a function of arrays."""

import numpy as np
from llvmlite import ir

from recurra.engine.cpu.code import Code
from recurra.engine.cpu.compile import Compiled, machine_shape


def compiled(rule, bits, arguments=1, repeats=1):
    """The rule as a function of NumPy arrays of equal sizes, whole vectors each, that returns an array.

    Args:
        rule: takes `Code` and vectors, and returns a vector.
        bits: 32 or 64, of a number.
        arguments: how many arrays the function takes.
        repeats: how often it computes the same, for timing.
    """
    shape = machine_shape(bits)
    module = ir.Module("elementwise")
    number = ir.FloatType() if bits == 32 else ir.DoubleType()
    kinds = [number.as_pointer()] * (1 + arguments) + [ir.IntType(64)]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "f")
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
    output, *inputs, count = function.args

    def body(i):
        code.store(rule(code, *(code.load(code.at(array, i)) for array in inputs)), code.at(output, i))

    def once(_):
        code.loop(code.index(0), count, shape.width, body)
        return ()

    code.loop(code.index(0), code.index(repeats), 1, once)
    code.b.ret_void()
    kept = Compiled(lambda: module)
    call = kept.function("f", 1 + arguments, 1)

    def apply(*arrays):
        assert len({array.shape for array in arrays}) == 1
        assert arrays[0].size % shape.width == 0
        result = np.empty_like(arrays[0])
        call(*(array.ctypes.data for array in (result, *arrays)), result.size)
        return result

    apply.kept = kept  # the code lives as long as this
    return apply

"""Nanoseconds a number of each function of the compiled maths, on one core: minima of rounds that alternate.

Run: python benchmarks/maths.py [ROUNDS]
"""

import sys
import time

import numpy as np
from llvmlite import ir

from recurra.engine.cpu import maths
from recurra.engine.cpu.code import Code
from recurra.engine.cpu.compile import Compiled, machine_shape

COUNT, REPEATS = 1024, 16  # numbers that lie in the first level of cache, and passes over them a call
ONE = ["sigmoid", "tanh", "exp", "expm1", "log", "log1p", "sqrt", "reciprocal", "erf", "sin"]


def lstm(code, i, f, g, o, c):
    """An LSTM's elementwise work: h of pre-activations and the old cell."""
    sigmoid, tanh = maths.rule("sigmoid"), maths.rule("tanh")
    c = code.fma(sigmoid(code, f), c, code.b.fmul(sigmoid(code, i), tanh(code, g)))
    return code.b.fmul(sigmoid(code, o), tanh(code, c))


def timed(rule, arguments, bits):
    """A function of no arguments that computes COUNT · REPEATS results."""
    shape = machine_shape(bits)
    module = ir.Module("timed")
    number = ir.FloatType() if bits == 32 else ir.DoubleType()
    kinds = [number.as_pointer()] * (1 + arguments)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "f")
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
    output, *inputs = function.args

    def body(i):
        code.store(rule(code, *(code.load(code.at(array, i)) for array in inputs)), code.at(output, i))

    def once(_):
        code.loop(code.index(0), code.index(COUNT), shape.width, body)
        return ()

    code.loop(code.index(0), code.index(REPEATS), 1, once)
    code.b.ret_void()
    kept = Compiled(lambda: module)
    call = kept.function("f", 1 + arguments, 0)
    g = np.random.default_rng(0)
    kind = np.float32 if bits == 32 else np.float64
    arrays = [g.standard_normal(COUNT).astype(kind) for _ in range(1 + arguments)]
    if rule in (maths.rule("log"), maths.rule("log1p"), maths.rule("sqrt")):
        arrays = [np.abs(array) for array in arrays]
    addresses = [array.ctypes.data for array in arrays]

    def run(kept=kept, arrays=arrays):  # both live as long as the function
        call(*addresses)

    return run


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    cases = {(name, bits): timed(maths.rule(name), 1, bits) for name in ONE for bits in (32, 64)}
    cases |= {("LSTM's formula", bits): timed(lstm, 5, bits) for bits in (32, 64)}
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(rounds):
        for case, run in cases.items():
            start = time.perf_counter_ns()
            run()
            best[case] = min(best[case], (time.perf_counter_ns() - start) / COUNT / REPEATS)
    print(f"{'function':16} {'float32':>8} {'float64':>8}   ns a number")
    for name in [*ONE, "LSTM's formula"]:
        print(f"{name:16} {best[name, 32]:8.3f} {best[name, 64]:8.3f}")


if __name__ == "__main__":
    main()

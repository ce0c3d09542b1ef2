"""The functions of matrix products, one per size and form of W."""

from __future__ import annotations

from llvmlite import ir

from recurra.engine.cpu.code import I64, Code, number_type
from recurra.engine.cpu.tile_shape import TileShape
from recurra.engine.stream.float_product import FloatProduct, ProductShape
from recurra.engine.stream.int8_product import Int8Product
from recurra.engine.stream.storage import Storage

__all__ = ["ProductShape", "product_function"]


def product_function(module: ir.Module, shape: TileShape, product: ProductShape) -> ir.Function:
    """The function C (+)= A Wᵀ (+ b), written at the first call for a module, then reused.

    Its arguments: A (B, K) and the distance between its rows in numbers, W (N, K) contiguous, b (N,), C (B, N) and the
    distance between its rows, B, the number of this thread and of threads, which share the outputs; for int8 the scales
    of the rows of W (N,), and this thread's space for B rows of A in 16 bits.
    """
    existing = module.globals.get(product.name)
    if existing is not None:
        return existing
    pointer = number_type(shape).as_pointer()
    weights = {Storage.FLOAT16: ir.HalfType().as_pointer(), Storage.INT8: ir.IntType(8).as_pointer()}
    kinds = [pointer, I64, weights.get(product.storage, pointer), pointer, pointer, *[I64] * 4]
    if product.storage is Storage.INT8:
        kinds += [pointer, ir.IntType(16).as_pointer()]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), product.name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    code = Code(ir.IRBuilder(function.append_basic_block("entry")), shape)
    writer = Int8Product if product.storage is Storage.INT8 else FloatProduct
    writer(code, product, function.args).write()
    return function

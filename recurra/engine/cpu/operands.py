"""The tensors of a call as the loops read them: packed matrices, biases, vectors, masks.

Tensors are identified by their operands; those that only enter large products of torch's by the names "x", "z", "ih",
"hh", "hr", "b_ih" and "b_hh".
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from recurra.cells import Weights
from recurra.engine.cpu.kernel import Kernel
from recurra.engine.cpu.memory import PER_STEP, ZERO, Memory, weights_of
from recurra.engine.cpu.packing import packed
from recurra.engine.cpu.sequences import Chunk, Sequences
from recurra.engine.trace import Outline
from recurra.engine.trace.operand import PARAMETERS, Kind, Operand

Operands = Mapping[str, Tensor | None]
_MASKS = frozenset({Kind.DROPOUT_MASK, Kind.ZONEOUT_MASK})


def packed_weights(
    loops: Kernel, operands: Operands, like: Tensor, which: str, *, remember: bool = False
) -> dict[str, Tensor]:
    """The packed matrices of one call and the initial sums of its products, by array.

    Args:
        loops: the compiled loops.
        operands: the tensors that enter the call.
        like: a tensor with the dtype of the arrays.
        which: "forward" or "backward".
        remember: whether to keep the packed matrices for the next call.
    """
    arrays: dict[str, Tensor] = {}
    recurrent, variant = loops.cell.recurrent, loops.variant
    for number, cut in enumerate(loops.programs.recorded.cuts):
        matrix = operands[cut.matrix]
        assert matrix is not None
        # W_hh has a block of H rows per gate, W_hr is one block of P rows.
        hh = cut.matrix == "hh"
        gates = tuple(recurrent.index(output.name) for output in cut.outputs) if hh else (0,)
        width = variant.hidden if hh else variant.projected
        arrays[weights_of(number)] = packed(matrix, which, loops.shape.units, width, gates, remember=remember)
        if which == "forward":
            bias = operands["b_hh"]
            starts = like.new_zeros(len(gates), width)
            if hh and bias is not None:
                starts.copy_(bias.detach().view(-1, width)[list(gates)])
            arrays[f"b{number}"] = starts
    if which == "backward":
        arrays[ZERO] = like.new_zeros(max(variant.hidden, variant.projected))
    return arrays


def fixed_arrays(operands: Operands, memory: Memory) -> dict[str, Tensor]:
    """Vectors, gains and masks, contiguous, for all chunks."""
    return {name: tensor_of(operands, name).contiguous() for name in memory.holding(*PARAMETERS, *_MASKS)}


def steps_of(fixed: Mapping[str, Tensor], memory: Memory, sequences: Sequences, chunk: Chunk) -> dict[str, Tensor]:
    """The masks of a chunk's steps, packed."""
    per_step = (name for name in fixed if name in memory.arrays and memory.arrays[name].layout in PER_STEP)
    return {name: sequences.gather(fixed[name], chunk) for name in per_step}


def input_bias(loops: Kernel, operands: Operands, like: Tensor) -> Tensor:
    """The bias of the input's pre-activations, (G·H,): b_ih, plus b_hh of the gates that are read as x + u."""
    cell = loops.cell
    total = like.new_zeros(len(cell.gates), loops.variant.hidden)
    b_ih, b_hh = operands.get("b_ih"), operands.get("b_hh")
    if b_ih is not None:
        total.copy_(b_ih.detach().view_as(total))
    # The product of such a gate adds to x's pre-activation in place, so that its bias can be added once for all steps.
    if b_hh is not None:
        for gate in loops.programs.summed:
            total[cell.gates.index(gate)] += b_hh.detach().view(len(cell.recurrent), -1)[cell.recurrent.index(gate)]
    return total.view(-1)


def norm_operands(weights: Weights, cell: Outline) -> dict[str, Tensor]:
    """The gains and shifts of the normalisations within the step: of the gates' recurrent parts, and of states."""
    norms = weights.norms
    assert norms is not None
    tensors: dict[str, Tensor] = {}
    for kind, stacked in ((Kind.GAIN, norms.hh), (Kind.SHIFT, weights.b_hh)):
        if stacked is not None and cell.recurrent:
            blocks = stacked.chunk(len(cell.recurrent))
            tensors |= {Operand(kind, name): block for name, block in zip(cell.recurrent, blocks, strict=True)}
    for name, (gain, shift) in zip(cell.formula.normalised, norms.states, strict=True):
        tensors |= {Operand(Kind.GAIN, f"state.{name}"): gain, Operand(Kind.SHIFT, f"state.{name}"): shift}
    return tensors


def tensor_of(operands: Operands, name: str) -> Tensor:
    """A tensor that must be present, detached."""
    tensor = operands[name]
    assert tensor is not None
    return tensor.detach()

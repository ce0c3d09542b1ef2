"""What a call is given, as the loops read it: packed matrices, biases, vectors, masks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from recurra.engine.cpu.kernel import Kernel
from recurra.engine.cpu.packing import packed
from recurra.engine.cpu.sequences import Span


class Weights:
    """The packed matrices and starts of one call."""

    def __init__(
        self, loops: Kernel, operands: Mapping[str, Tensor | None], like: Tensor, which: str, *, remember: bool = False
    ) -> None:
        self.arrays: dict[str, Tensor] = {}
        recurrent, variant = loops.cell.recurrent, loops.variant
        for number, cut in enumerate(loops.programs.recorded.cuts):
            matrix = operands[cut.matrix]
            assert matrix is not None
            hh = cut.matrix == "hh"
            gates = tuple(recurrent.index(name[2:]) for name in cut.outputs) if hh else (0,)
            width = variant.hidden if hh else variant.projected
            self.arrays[f"W{number}"] = packed(matrix, which, loops.shape.units, width, gates, remember=remember)
            if which == "forward":
                bias = operands["b_hh"]
                starts = like.new_zeros(len(gates), width)
                if hh and bias is not None:
                    starts.copy_(bias.detach().view(-1, width)[list(gates)])
                self.arrays[f"b{number}"] = starts
        if which == "backward":
            self.arrays["zero"] = like.new_zeros(max(variant.hidden, variant.projected))


def fixed_arrays(operands: Mapping[str, Tensor | None], kinds: Mapping[str, str]) -> dict[str, Tensor]:
    """Vectors, gains and masks, as they lie in memory for all chunks."""
    found = {}
    for name in kinds:
        if name.partition(".")[0] in ("p", "gain", "shift", "m", "k"):
            found[name] = tensor_of(operands, name).contiguous()
    return found


def steps_of(fixed: Mapping[str, Tensor], kinds: Mapping[str, str], span: Span) -> dict[str, Tensor]:
    """The masks of a chunk's steps."""
    return {name: t[span.start : span.stop] for name, t in fixed.items() if kinds.get(name) == "padded"}


def input_bias(loops: Kernel, operands: Mapping[str, Tensor | None], like: Tensor) -> Tensor:
    """What is added to x's pre-activations, (G·H,): b_ih, and b_hh of the gates that are read as x + u."""
    cell = loops.cell
    total = like.new_zeros(len(cell.gates), loops.variant.hidden)
    b_ih, b_hh = operands.get("b_ih"), operands.get("b_hh")
    if b_ih is not None:
        total.copy_(b_ih.detach().view_as(total))
    if b_hh is not None:
        for gate in loops.programs.summed:
            total[cell.gates.index(gate)] += b_hh.detach().view(len(cell.recurrent), -1)[cell.recurrent.index(gate)]
    return total.view(-1)


def tensor_of(operands: Mapping[str, Tensor | None], name: str) -> Tensor:
    """One that is there, without its graph."""
    tensor = operands[name]
    assert tensor is not None
    return tensor.detach()

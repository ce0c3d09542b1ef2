"""The random masks of one pass through a stack: drawn in `forward`, or beforehand by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from recurra.errors import InputShapeError, InputTypeError
from recurra.layers.parameters import LayerPosition


class StackMasks(NamedTuple):
    """The masks of a stack, as `Recurrent.draw_masks` returns them; None if nothing is dropped.

    Masks of a whole sequence (`recurrent`, `weight`, locked `between`) can be reused for many windows of it. Masks of
    single steps (`zoneout`, unlocked `between`) are None unless drawn for a number of steps; each call then draws them.
    """

    recurrent: tuple[Tensor | None, ...]
    """For each layer and direction (B, H) or (B, P): multiplies h before W_hh."""
    weight: tuple[Tensor | None, ...]
    """For each layer and direction, in the shape of its weight_hh: multiplies W_hh."""
    between: tuple[Tensor | None, ...]
    """For each layer after the first (1, B, features) or (T, B, features): multiplies its input."""
    zoneout: tuple[tuple[Tensor | None, ...], ...]
    """For each layer and direction a mask per state, (T, B, size), 1 where a unit keeps its value; () if not drawn."""

    def window(self, start: int, stop: int) -> StackMasks:
        """The masks of the steps start … stop - 1, for running a sequence in windows."""
        between = (mask if mask is None or mask.shape[0] == 1 else mask[start:stop] for mask in self.between)
        zoneout = (tuple(m if m is None else m[start:stop] for m in masks) for masks in self.zoneout)
        return self._replace(between=tuple(between), zoneout=tuple(zoneout))


class DropoutRates(NamedTuple):
    """The rates of all kinds of dropout in a stack."""

    dropout: float
    locked: bool
    recurrent: float
    weight: float
    zoneout: Mapping[str, float]

    def draw(
        self,
        positions: Sequence[LayerPosition],
        like: Sequence[Tensor],
        rows: int,
        steps: int | None,
        generator: Generator | None,
    ) -> StackMasks:
        """Draws all masks of a stack; masks of single steps only for a number of steps.

        Args:
            positions: the layers and directions.
            like: the weight_hh of each position, for shape, dtype and device.
            rows: B.
            steps: T, or None.
            generator: torch's global generator if None.
        """
        recurrent: list[Tensor | None] = []
        weight: list[Tensor | None] = []
        between: list[Tensor | None] = []
        zoneout: list[tuple[Tensor | None, ...]] = []
        for position, W in zip(positions, like, strict=True):
            recurrent.append(dropout_mask(W, (rows, position.emitted), self.recurrent, generator))
            weight.append(dropout_mask(W, tuple(W.shape), self.weight, generator))
            zoneout.append(() if steps is None else self.draw_zoneout(position, W, rows, steps, generator))
        # After all masks of the positions: the order of the draws is part of what a seed reproduces.
        length = 1 if self.locked else steps
        for position in positions:
            if position.layer and not position.reverse:
                shape = (length or 0, rows, position.input)
                between.append(None if length is None else dropout_mask(like[0], shape, self.dropout, generator))
        return StackMasks(tuple(recurrent), tuple(weight), tuple(between), tuple(zoneout))

    def draw_zoneout(
        self, position: LayerPosition, like: Tensor, rows: int, steps: int, generator: Generator | None = None
    ) -> tuple[Tensor | None, ...]:
        """One mask (T, B, size) per state of one layer and direction: 1 where a unit keeps its value."""
        if not self.zoneout:
            return ()
        return tuple(
            torch.empty(steps, rows, size, device=like.device, dtype=like.dtype).bernoulli_(rate, generator=generator)
            if (rate := self.zoneout.get(state, 0.0))
            else None
            for state, size in position.states.items()
        )

    def zoneout_of(
        self, position: LayerPosition, like: Tensor, x: Tensor, *, training: bool
    ) -> tuple[Tensor | None, ...]:
        """The zoneout of one layer and direction for its input x (T, B, I): drawn, or in evaluation expected."""
        if training:
            return self.draw_zoneout(position, like, x.shape[1], x.shape[0])
        return self.expected_zoneout(position, like)

    def expected_zoneout(self, position: LayerPosition, like: Tensor) -> tuple[Tensor | None, ...]:
        """The rate of each state in place of a mask, (1, 1, 1): in evaluation zoneout takes its expectation."""
        if not self.zoneout:
            return ()
        rates = (self.zoneout.get(state) for state in position.states)
        return tuple(None if rate is None else like.new_full((1, 1, 1), rate) for rate in rates)


def no_masks(positions: Sequence[LayerPosition]) -> StackMasks:
    """Masks that drop nothing."""
    none = (None,) * len(positions)
    return StackMasks(none, none, (None,) * positions[-1].layer, ((),) * len(positions))


def dropout_mask(
    like: Tensor, shape: tuple[int, ...], rate: float, generator: Generator | None = None
) -> Tensor | None:
    """0 with probability `rate`, else 1 / (1 - rate), in the dtype and on the device of `like`; None at rate 0."""
    if not rate:
        return None
    # The same draw as torch's dropout on a CPU, so that a seed drops the same units as with torch.nn.
    mask = torch.empty(shape, device=like.device, dtype=like.dtype).bernoulli_(1 - rate, generator=generator)
    return mask if rate == 1 else mask.div_(1 - rate)  # at rate 1 all is 0, and 1 / (1 - rate) infinite


def check_masks(
    name: str, masks: Any, positions: Sequence[LayerPosition], like: Sequence[Tensor], steps: int, rows: int
) -> None:
    """Checks that masks fit this stack and batch.

    Raises:
        InputError: another number of layers, or a mask of another shape.
    """
    if not isinstance(masks, StackMasks):
        raise InputTypeError(
            f"{name}: masks is a {type(masks).__name__}, expected the result of layer.draw_masks(rows)"
        )
    if not len(masks.recurrent) == len(masks.weight) == len(masks.zoneout) == len(positions):
        raise InputShapeError(
            f"{name}: masks for {len(masks.recurrent)} layers and directions, expected {len(positions)}"
        )
    # One mask per layer above the first, for both directions: the next is taken with the forward direction.
    between = iter(masks.between)
    for position, W, h, weight, zoneout in zip(positions, like, *masks[:2], masks.zoneout, strict=True):
        _check(name, "recurrent_dropout", h, (rows, position.emitted))
        _check(name, "weight_drop", weight, tuple(W.shape))
        for mask, size in zip(zoneout, position.states.values(), strict=False):
            _check(name, "zoneout", mask, (steps, rows, size))
        if position.layer and not position.reverse:
            mask = next(between, None)
            locked = mask is not None and mask.shape[0] == 1
            _check(name, "dropout", mask, (1 if locked else steps, rows, position.input))


def _check(name: str, which: str, mask: Tensor | None, shape: tuple[int, ...]) -> None:
    if mask is not None and tuple(mask.shape) != shape:
        raise InputShapeError(
            f"{name}: a mask of {which} is {tuple(mask.shape)}, expected {shape}: "
            "draw masks for this batch with draw_masks(rows, steps)"
        )

"""Everything random in one pass through a stack: drawn here, or by the user beforehand and handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from recurra.errors import InputShapeError, InputTypeError
from recurra.layers.parameters import Place


class StackMasks(NamedTuple):
    """The masks of a stack, as `Recurrent.draw_masks` draws them; None where nothing is dropped.

    Those of a whole sequence (`recurrent`, `weight`, locked `between`) may serve many windows of it. Those of single
    steps (`zoneout`, unlocked `between`) are None unless drawn for a number of steps: then each call draws its own.
    """

    recurrent: tuple[Tensor | None, ...]
    """For each layer and direction (B, H) or (B, P): what h is multiplied by before W_hh."""
    weight: tuple[Tensor | None, ...]
    """For each layer and direction, of the shape of its weight_hh: what W_hh is multiplied by."""
    between: tuple[Tensor | None, ...]
    """For each layer after the first (1, B, features) or (T, B, features): what its input is multiplied by."""
    zoneout: tuple[tuple[Tensor | None, ...], ...]
    """For each layer and direction a mask a state, (T, B, size), 1 where the unit stays; () where none is drawn."""

    def window(self, start: int, stop: int) -> StackMasks:
        """The masks of the steps from `start` to before `stop`, for running a sequence in pieces."""
        between = (mask if mask is None or mask.shape[0] == 1 else mask[start:stop] for mask in self.between)
        zoneout = (tuple(m if m is None else m[start:stop] for m in masks) for masks in self.zoneout)
        return self._replace(between=tuple(between), zoneout=tuple(zoneout))


class Drops(NamedTuple):
    """The rates of everything random in a stack."""

    dropout: float
    locked: bool
    recurrent: float
    weight: float
    zoneout: Mapping[str, float]

    def draw(
        self, places: Sequence[Place], like: Sequence[Tensor], rows: int, steps: int | None, generator: Generator | None
    ) -> StackMasks:
        """Draws all masks of a stack; those of single steps only for a number of steps.

        Args:
            places: the layers and directions.
            like: the weight_hh of each, for shape, dtype and device.
            rows: B.
            steps: T, or None.
            generator: torch's global one where None.
        """
        recurrent: list[Tensor | None] = []
        weight: list[Tensor | None] = []
        between: list[Tensor | None] = []
        zoneout: list[tuple[Tensor | None, ...]] = []
        for place, W in zip(places, like, strict=True):
            recurrent.append(dropout_mask(W, (rows, place.emitted), self.recurrent, generator))
            weight.append(dropout_mask(W, tuple(W.shape), self.weight, generator))
            zoneout.append(() if steps is None else self.draw_zoneout(place, W, rows, steps, generator))
        length = 1 if self.locked else steps
        for place in places:
            if place.layer and not place.reverse:
                shape = (length or 0, rows, place.input)
                between.append(None if length is None else dropout_mask(like[0], shape, self.dropout, generator))
        return StackMasks(tuple(recurrent), tuple(weight), tuple(between), tuple(zoneout))

    def draw_zoneout(
        self, place: Place, like: Tensor, rows: int, steps: int, generator: Generator | None = None
    ) -> tuple[Tensor | None, ...]:
        """A mask (T, B, size) for each state of one layer and direction: 1 where a unit stays."""
        if not self.zoneout:
            return ()
        return tuple(
            torch.empty(steps, rows, size, device=like.device, dtype=like.dtype).bernoulli_(rate, generator=generator)
            if (rate := self.zoneout.get(state, 0.0))
            else None
            for state, size in place.states.items()
        )

    def expected_zoneout(self, place: Place, like: Tensor) -> tuple[Tensor | None, ...]:
        """The rate of each state in place of a mask, (1, 1, 1): what evaluation mixes old and new by."""
        if not self.zoneout:
            return ()
        rates = (self.zoneout.get(state) for state in place.states)
        return tuple(None if rate is None else like.new_full((1, 1, 1), rate) for rate in rates)


def no_masks(places: Sequence[Place]) -> StackMasks:
    """Nothing dropped."""
    none = (None,) * len(places)
    return StackMasks(none, none, (None,) * places[-1].layer, ((),) * len(places))


def dropout_mask(
    like: Tensor, shape: tuple[int, ...], rate: float, generator: Generator | None = None
) -> Tensor | None:
    """0 with probability `rate`, else 1 / (1 - rate), in the dtype and on the device of `like`; None at rate 0."""
    if not rate:
        return None
    # The draw of torch's own dropout on a CPU, so that one seed drops what it has always dropped.
    mask = torch.empty(shape, device=like.device, dtype=like.dtype).bernoulli_(1 - rate, generator=generator)
    return mask if rate == 1 else mask.div_(1 - rate)  # at rate 1 nothing is left to scale up


def check_masks(name: str, masks: Any, places: Sequence[Place], like: Sequence[Tensor], steps: int, rows: int) -> None:
    """Masks must be those of this stack and batch.

    Raises:
        InputError: another number of layers, or a mask of another shape.
    """
    if not isinstance(masks, StackMasks):
        raise InputTypeError(f"{name}: masks is a {type(masks).__name__}, expected what layer.draw_masks(rows) returns")
    if not len(masks.recurrent) == len(masks.weight) == len(masks.zoneout) == len(places):
        raise InputShapeError(f"{name}: masks for {len(masks.recurrent)} layers and directions, expected {len(places)}")
    between = iter(masks.between)
    for place, W, h, weight, zoneout in zip(places, like, *masks[:2], masks.zoneout, strict=True):
        _check(name, "recurrent_dropout", h, (rows, place.emitted))
        _check(name, "weight_drop", weight, tuple(W.shape))
        for mask, size in zip(zoneout, place.states.values(), strict=False):
            _check(name, "zoneout", mask, (steps, rows, size))
        if place.layer and not place.reverse:
            mask = next(between, None)
            locked = mask is not None and mask.shape[0] == 1
            _check(name, "dropout", mask, (1 if locked else steps, rows, place.input))


def _check(name: str, which: str, mask: Tensor | None, shape: tuple[int, ...]) -> None:
    if mask is not None and tuple(mask.shape) != shape:
        raise InputShapeError(
            f"{name}: a mask of {which} is {tuple(mask.shape)}, expected {shape}: "
            "draw masks for this batch with draw_masks(rows, steps)"
        )

"""One optimizer update: forward and backward pass of its batches, gradient clipping, optimizer step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from recurra.errors import RecurraError
from recurra.training import gradients
from recurra.training.carried_state import detach
from recurra.training.nonfinite import gradient_failure, loss_failure
from recurra.training.session import Session
from recurra.training.task import Loss


def update(session: Session, learning_rate: float) -> None:
    """Updates the parameters once, by the gradient of sum(total) / sum(count) over the batches of the next update.

    Each batch has its own backward pass, weighted by the total count, so that its graph is freed before the next; the
    state carried from batch to batch is detached.

    Args:
        session: The run; its parameters, optimizer, position in the data, carried state, meter and `step` change.
        learning_rate: Learning rate of this update.

    Raises:
        GivenUp: a signal arrived and the gradient was not complete in time. The parameters are unchanged, but the
            position in the data, the carried state and the generators are not.
        RecurraError: the update has no loss; or a loss or gradient norm that can be read immediately is not finite, in
            which case the parameters are unchanged.
    """
    with session.giving_up():
        norm, totals, tokens = _gradient(session)
    gradients.clip(session.parameters, norm, limit=session.options.clip, by=session.options.clip_by)
    for group in session.optimizer.param_groups:
        group["lr"] = learning_rate
    session.optimizer.step()
    session.average.update()
    session.step += 1
    session.meter.add(session.step, total=torch.stack(totals).sum(), tokens=tokens, norm=norm)


def _gradient(session: Session) -> tuple[Tensor, list[Tensor], int]:
    """Sets the gradients; returns their norm, the summed losses of the batches, and the number of tokens."""
    session.passes = session.trainable.updates.epoch
    batches = session.trainable.updates.update()
    tokens = sum(batch.count for batch in batches)
    (all_tokens,) = session.processes.sum(tokens)
    if all_tokens < 1:
        raise RecurraError(
            f"update {session.step + 1}: its {len(batches)} batches count no {session.trainable.token_name} "
            "to learn from"
        )
    gradients.clear(session.parameters)
    totals = [
        _backward(session, batch, tokens=all_tokens, last=index == len(batches) - 1)
        for index, batch in enumerate(batches)
    ]
    norm = gradients.norm(session.parameters)
    if session.reads_immediately and not math.isfinite(norm.item()):
        raise gradient_failure(session, norm.item())
    return norm, totals, tokens


def _backward(session: Session, batch: Any, *, tokens: float, last: bool) -> Tensor:
    """Adds the gradient of one batch, stores its final state, and returns its summed loss."""
    if batch.fresh:
        session.carried_state = None
    # To find the origin of a loss that is not finite, the batch is computed again with the same dropout masks.
    before = torch.get_rng_state() if session.reads_immediately else None
    with session.processes.accumulating(session.model, last=last):
        loss = session.trainable.loss(session.model, batch, session.carried_state)
        _check_count(loss, batch, session)
        if before is not None and session.processes.count == 1 and not math.isfinite(loss.total.item()):
            raise loss_failure(session, batch, before, loss.total.item())
        objective = loss.total if loss.extra is None else loss.total + loss.extra * loss.count
        session.processes.backward(objective / tokens)
    session.carried_state = detach(loss.state)
    return loss.total.detach()


def _check_count(loss: Loss, batch: Any, session: Session) -> None:
    if loss.count != batch.count:
        raise RecurraError(
            f"update {session.step + 1}: the loss sums over {loss.count} {session.trainable.token_name}s but its batch "
            f"counts {batch.count}: its weight would be wrong. Set Batch.count to the number of losses"
        )

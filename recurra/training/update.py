"""One optimizer update: its batches forward and backward, the gradient measured and clipped, the step."""

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
    """Move the parameters once, along the gradient of sum(total) / sum(count) over the batches of the next update.

    Each batch goes backward by itself, weighed with the count of all of them, so that its graph is freed before the
    next; the state carried from one to the next is cut from the graph.

    Args:
        session: Its parameters, optimizer, place in the data, carried state, meter and `step` move on.
        learning_rate: Of this update.

    Raises:
        GivenUp: a signal came and the gradient was not there in time; the parameters are those before the update, but
            the place in the data, the carried state and the generators have moved on.
        RecurraError: the update holds no loss; or a loss or gradient norm that can be read at once is not finite, in
            which case the parameters are those before the update.
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
    """Put the gradient on the parameters; its norm, and the summed losses and the count of what they sum over."""
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
    if session.reads_at_once and not math.isfinite(norm.item()):
        raise gradient_failure(session, norm.item())
    return norm, totals, tokens


def _backward(session: Session, batch: Any, *, tokens: float, last: bool) -> Tensor:
    """Add one batch's share of the gradient, carry its state on, and return its summed loss."""
    if batch.fresh:
        session.carry = None
    # Where a loss that is not finite shows at once, the batch is computed again to find its origin, dropout included.
    before = torch.get_rng_state() if session.reads_at_once else None
    with session.processes.accumulating(session.model, last=last):
        loss = session.trainable.loss(session.model, batch, session.carry)
        _check_count(loss, batch, session)
        if before is not None and session.processes.count == 1 and not math.isfinite(loss.total.item()):
            raise loss_failure(session, batch, before, loss.total.item())
        objective = loss.total if loss.extra is None else loss.total + loss.extra * loss.count
        session.processes.backward(objective / tokens)
    session.carry = detach(loss.state)
    return loss.total.detach()


def _check_count(loss: Loss, batch: Any, session: Session) -> None:
    if loss.count != batch.count:
        raise RecurraError(
            f"update {session.step + 1}: the loss sums over {loss.count} {session.trainable.token_name}s but its batch "
            f"counts {batch.count}: it would be weighed wrongly. Make Batch.count the number of losses"
        )

"""Locates the origin of a NaN or infinity, and composes the error message."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import RecurraError
from recurra.training.carried_state import tensors
from recurra.training.session import Session


def loss_failure(session: Session, batch: Any, generator: Tensor, value: float) -> RecurraError:
    """Returns the error for a loss that is not finite.

    Args:
        session: The session with the parameters and carried state from before the batch.
        batch: The batch; it is computed again to find the first module whose output is not finite.
        generator: State of PyTorch's CPU generator before the batch.
        value: The loss.
    """
    origin = _first_parameter(session) or _first_module(session, batch, generator)
    return _failure(session, f"the loss is {value}: {origin}", batch=batch)


def gradient_failure(session: Session, norm: float) -> RecurraError:
    """Returns the error for a gradient norm that is not finite, from the gradients of the parameters."""
    session.meter.last_norms.append(norm)
    broken = [name for name, parameter in _trained(session) if not _is_finite(parameter.grad)]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        # Backpropagation reaches the last modules first; earlier ones inherit the NaN.
        origin = f"the gradient of parameter {broken[-1]}{more} is not finite"
    else:
        origin = "each gradient is finite, but their squares overflow"
    return _failure(session, f"the gradient norm is {norm}: {origin}")


def late_failure(session: Session, step: int, what: str) -> RecurraError:
    """Returns the error for a number that was read from the device some updates after it was computed."""
    hint = "to find the module, resume on the CPU, where every update is checked"
    return _failure(session, f"the {what} is not finite; {hint}", step=step)


def validation_failure(session: Session, loss: float) -> RecurraError:
    """Returns the error for a validation loss that is not finite."""
    origin = _first_parameter(session) or "every parameter is finite, so check the held-out data"
    return _failure(session, f"the validation loss is {loss}: {origin}", step=session.step)


def weights_failure(session: Session) -> RecurraError | None:
    """Returns the error for weights that are not finite, or None; such weights are never saved."""
    origin = _first_parameter(session)
    return _failure(session, f"{origin} after the update", step=session.step) if origin else None


def _failure(session: Session, what: str, *, step: int | None = None, batch: Any = None) -> RecurraError:
    norms = ", ".join(f"{norm:.3g}" for norm in session.meter.last_norms) or "none yet"
    options = session.options
    clipping = "--clip 1" if options.clip is None else f"--clip below {options.clip:g}"
    state = None if batch is None else session.carried_state
    explanation = "" if session.monitor is None else session.monitor.explain(batch, state)
    diagnosis = f" Diagnosis: {explanation}" if explanation else ""
    return RecurraError(
        f"update {step or session.step + 1}: {what}.{diagnosis} Last gradient norms: {norms}. Stopped; the last "
        "checkpoint remains. "
        f"Try --learning-rate below {options.learning_rate:g}, {clipping}, more --warmup-steps, or --precision float32"
    )


def _first_parameter(session: Session) -> str:
    """Names the first parameter that is not finite; empty if all are finite."""
    # One sum over all parameters is a fast check. It can also overflow, so that the loop below decides.
    if bool(torch.isfinite(torch.stack([parameter.detach().sum() for parameter in session.parameters]).sum())):
        return ""
    broken = (name for name, parameter in _trained(session) if not _is_finite(parameter))
    return next((f"parameter {name} is not finite" for name in broken), "")


def _first_module(session: Session, batch: Any, generator: Tensor) -> str:
    """Computes a batch again and names the first module whose output is not finite."""
    messages: list[str] = []

    def add_hook(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: Any, output: Any) -> None:
            if not messages and not all(_is_finite(tensor) for tensor in tensors(output)):
                messages.append(f"the first output that is not finite is that of {name} ({type(module).__name__})")

        return module.register_forward_hook(hook)

    # A module returns before the module that contains it, so that the innermost one is named.
    modules = session.trainable.network.named_modules()
    handles = [add_hook(name or "the network", module) for name, module in modules]
    try:
        torch.set_rng_state(generator)
        session.trainable.loss(session.model, batch, session.carried_state)
    finally:
        for handle in handles:
            handle.remove()
    return messages[0] if messages else "every module's output is finite, so the loss function is the origin"


def _trained(session: Session) -> list[tuple[str, nn.Parameter]]:
    return [(name, value) for name, value in session.trainable.network.named_parameters() if value.requires_grad]


def _is_finite(tensor: Tensor | None) -> bool:
    return tensor is None or not tensor.is_floating_point() or bool(torch.isfinite(tensor.detach()).all())

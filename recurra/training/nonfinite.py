"""Where a number that is not finite came from, and the one line that says so."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import RecurraError
from recurra.training.carried_state import tensors
from recurra.training.session import Session


def loss_failure(session: Session, batch: Any, generator: Tensor, value: float) -> RecurraError:
    """The error for a loss that is not finite.

    Args:
        session: As it was before the batch; its parameters and carried state are untouched since.
        batch: The batch, which is computed once more to see which module's output is the first not to be finite.
        generator: State of PyTorch's CPU generator before the batch.
        value: The loss.
    """
    named = _first_parameter(session) or _first_module(session, batch, generator)
    return _failure(session, f"the loss is {value}: {named}", batch=batch)


def gradient_failure(session: Session, norm: float) -> RecurraError:
    """The error for a gradient norm that is not finite, from the gradients as they lie on the parameters."""
    session.meter.last_norms.append(norm)
    broken = [name for name, parameter in _trained(session) if not _finite(parameter.grad)]
    if broken:
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        # Backpropagation meets the last modules first, and what it meets later inherits the fault.
        named = f"the gradient of parameter {broken[-1]}{more} is not finite"
    else:
        named = "each gradient is finite, but their squares overflow"
    return _failure(session, f"the gradient norm is {norm}: {named}")


def late_failure(session: Session, step: int, what: str) -> RecurraError:
    """The error for what was found only when the numbers were read from the device, some updates later."""
    hint = "to learn which module, resume on the CPU, where every update is checked"
    return _failure(session, f"the {what} is not finite; {hint}", step=step)


def validation_failure(session: Session, loss: float) -> RecurraError:
    """The error for a validation loss that is not finite."""
    named = _first_parameter(session) or "every parameter is finite, so look at the held-out data"
    return _failure(session, f"the validation loss is {loss}: {named}", step=session.step)


def weights_failure(session: Session) -> RecurraError | None:
    """The error for weights that are not finite, or None: such weights are never saved."""
    named = _first_parameter(session)
    return _failure(session, f"{named} after the update", step=session.step) if named else None


def _failure(session: Session, what: str, *, step: int | None = None, batch: Any = None) -> RecurraError:
    norms = ", ".join(f"{norm:.3g}" for norm in session.meter.last_norms) or "none yet"
    options = session.options
    clipping = "--clip 1" if options.clip is None else f"--clip below {options.clip:g}"
    found = "" if session.monitor is None else session.monitor.explain(batch, None if batch is None else session.carry)
    explained = f" Diagnosis: {found}" if found else ""
    return RecurraError(
        f"update {step or session.step + 1}: {what}.{explained} Last gradient norms: {norms}. Stopped; the last "
        "checkpoint stays. "
        f"Try --learning-rate below {options.learning_rate:g}, {clipping}, more --warmup-steps, or --precision float32"
    )


def _first_parameter(session: Session) -> str:
    """The first parameter that is not finite itself, in words; empty where all are."""
    # One sum over all parameters is finite unless one is not, or the sum overflows, which the second look tells apart.
    if bool(torch.isfinite(torch.stack([parameter.detach().sum() for parameter in session.parameters]).sum())):
        return ""
    named = (name for name, parameter in _trained(session) if not _finite(parameter))
    return next((f"parameter {name} is not finite" for name in named), "")


def _first_module(session: Session, batch: Any, generator: Tensor) -> str:
    """Compute a batch again and name the first module to finish with an output that is not finite."""
    found: list[str] = []

    def watch(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not all(_finite(tensor) for tensor in tensors(output)):
                found.append(f"the first output that is not finite is that of {name} ({type(module).__name__})")

        return module.register_forward_hook(hook)

    # A module finishes before the one that holds it, so that the innermost is named.
    modules = session.trainable.network.named_modules()
    handles = [watch(name or "the network", module) for name, module in modules]
    try:
        torch.set_rng_state(generator)
        session.trainable.loss(session.model, batch, session.carry)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "every module's output is finite, so it is the loss function itself"


def _trained(session: Session) -> list[tuple[str, nn.Parameter]]:
    return [(name, value) for name, value in session.trainable.network.named_parameters() if value.requires_grad]


def _finite(tensor: Tensor | None) -> bool:
    return tensor is None or not tensor.is_floating_point() or bool(torch.isfinite(tensor.detach()).all())

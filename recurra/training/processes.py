"""Data parallel training with Accelerate, and the communication between processes; usually there is one process.

Accelerate prepares only the network and the optimizer; data, carried state and checkpoints are handled by recurra.
Under `accelerate launch` or `torchrun` the network is wrapped in DistributedDataParallel, each process reads its own
share of the data, and gradients are summed over the shares.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn, optim

from recurra.errors import InputError


class Processes:
    """One process or several, and their communication.

    With one process the network trains on its current device; with several, each process moves it to its own device.

    Args:
        network: The network to train.
        precision: "float32", or "bfloat16" by autocast.

    Raises:
        InputError: Accelerate is configured to shard the network, which exact resumption does not support.
    """

    def __init__(self, network: nn.Module, *, precision: str) -> None:
        import accelerate

        distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
        on_cpu = next(network.parameters()).device.type == "cpu"
        mixed_precision = "bf16" if precision == "bfloat16" else "no"
        _reset_accelerate(accelerate.state.AcceleratorState, mixed_precision, on_cpu=on_cpu, distributed=distributed)
        self._utils = accelerate.utils
        self._accelerator = accelerate.Accelerator(
            mixed_precision=mixed_precision, cpu=on_cpu and not distributed, device_placement=distributed
        )
        kind = self._accelerator.distributed_type.value
        if kind not in {"NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU", "MULTI_MLU", "MULTI_HPU"}:
            raise InputError(
                f"accelerate is configured for {kind}; expected plain data parallelism (DDP). Change its configuration"
            )
        self.count: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index
        self.is_main: bool = self._accelerator.is_main_process
        self._own_forward = "forward" in network.__dict__
        if self.count > 1:
            network.to(self._accelerator.device)

    def prepare(self, network: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
        """Returns the network wrapped for the precision and the processes, and the optimizer to step."""
        model, prepared = self._accelerator.prepare(network, optimizer)
        # Accelerate's optimizer wrapper costs 0.2 ms per step for loss scaling and back ends that are not used here.
        return model, getattr(prepared, "optimizer", prepared)

    def release(self, network: nn.Module) -> None:
        """Removes Accelerate's wrapper of `forward` and its attributes from the network."""
        self._accelerator.unwrap_model(network, keep_fp32_wrapper=False)
        network.__dict__.pop("_is_accelerate_prepared", None)
        if not self._own_forward:
            network.__dict__.pop("forward", None)

    def backward(self, objective: Tensor) -> None:
        """Adds the gradient of a share of the update's objective; gradients are summed over processes."""
        # DistributedDataParallel averages over processes: scale to get the sum.
        self._accelerator.backward(objective * self.count if self.count > 1 else objective)

    def accumulating(self, model: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Context in which gradients are not synchronised unless the batch is the last one of its update."""
        return nullcontext() if last or self.count == 1 else self._accelerator.no_sync(model)

    def sum(self, *values: float) -> list[float]:
        """Returns each value summed over the processes."""
        if self.count == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64, device=self._accelerator.device)
        summed: list[float] = self._accelerator.reduce(numbers, reduction="sum").tolist()
        return summed

    def agree(self, value: Any) -> Any:
        """Returns the value of the main process on every process."""
        if self.count == 1:
            return value
        return self._utils.broadcast_object_list([value])[0]

    def gather(self, value: Any) -> list[Any]:
        """Returns the values of all processes in the order of their ranks, on every process."""
        if self.count == 1:
            return [value]
        gathered: list[Any] = self._utils.gather_object([value])
        return gathered

    def wait(self) -> None:
        """Waits until every process has called it."""
        self._accelerator.wait_for_everyone()


def _reset_accelerate(state: Any, mixed_precision: str, *, on_cpu: bool, distributed: bool) -> None:
    """Resets Accelerate's global state for a second run with another precision or device in one process."""
    shared = state._shared_state
    other_precision = shared.get("_mixed_precision", mixed_precision) != mixed_precision
    other_device = not distributed and "device" in shared and (shared["device"].type == "cpu") != on_cpu
    if other_precision or other_device:
        state._reset_state(reset_partial_state=not distributed)

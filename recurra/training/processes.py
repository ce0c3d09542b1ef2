"""The processes that train together, usually one: what Accelerate prepares, and the few numbers they agree on.

Accelerate prepares the network and the optimizer and nothing else: data, carried state and checkpoints are ours. Under
`accelerate launch` or `torchrun` the network is wrapped in DistributedDataParallel, each process reads its own share of
the data, and gradients are those of all shares together.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn, optim

from recurra.errors import InputError


class Processes:
    """One process or several, and what they do in step.

    With one process the network trains on the device it is on; with several, each moves it to its own.

    Args:
        network: The network to train.
        precision: "float32", or "bfloat16" by autocast.

    Raises:
        InputError: Accelerate was configured to shard the network, which exact resumption does not cover.
    """

    def __init__(self, network: nn.Module, *, precision: str) -> None:
        import accelerate

        distributed = int(os.environ.get("WORLD_SIZE", "1")) > 1
        on_cpu = next(network.parameters()).device.type == "cpu"
        mixed_precision = "bf16" if precision == "bfloat16" else "no"
        _forget_other_settings(
            accelerate.state.AcceleratorState, mixed_precision, on_cpu=on_cpu, distributed=distributed
        )
        self._utils = accelerate.utils
        self._accelerator = accelerate.Accelerator(
            mixed_precision=mixed_precision, cpu=on_cpu and not distributed, device_placement=distributed
        )
        kind = self._accelerator.distributed_type.value
        if kind not in {"NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU", "MULTI_MLU", "MULTI_HPU"}:
            raise InputError(
                f"accelerate is configured for {kind}; expected plain data parallelism (DDP). Configure that"
            )
        self.count: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index
        self.is_main: bool = self._accelerator.is_main_process
        self._own_forward = "forward" in network.__dict__
        if self.count > 1:
            network.to(self._accelerator.device)

    def prepare(self, network: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
        """The network wrapped for this precision and these processes, and the optimizer to step."""
        model, prepared = self._accelerator.prepare(network, optimizer)
        # The wrapper serves loss scaling and back ends not used here, for 0.2 ms a step: PyTorch's own is stepped.
        return model, getattr(prepared, "optimizer", prepared)

    def release(self, network: nn.Module) -> None:
        """Take Accelerate's wrapping of `forward` and its marks off the network."""
        self._accelerator.unwrap_model(network, keep_fp32_wrapper=False)
        network.__dict__.pop("_is_accelerate_prepared", None)
        if not self._own_forward:
            network.__dict__.pop("forward", None)

    def backward(self, objective: Tensor) -> None:
        """Add the gradient of a share of the update's objective; over processes, gradients are summed."""
        # DistributedDataParallel takes the mean over processes.
        self._accelerator.backward(objective * self.count if self.count > 1 else objective)

    def accumulating(self, model: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Inside, gradients stay on this process unless the batch is the last of its update."""
        return nullcontext() if last or self.count == 1 else self._accelerator.no_sync(model)

    def sum(self, *values: float) -> list[float]:
        """Each value summed over the processes."""
        if self.count == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64, device=self._accelerator.device)
        summed: list[float] = self._accelerator.reduce(numbers, reduction="sum").tolist()
        return summed

    def agree(self, value: Any) -> Any:
        """The main process's value, on every process."""
        if self.count == 1:
            return value
        return self._utils.broadcast_object_list([value])[0]

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes in the order of their ranks, on every process."""
        if self.count == 1:
            return [value]
        gathered: list[Any] = self._utils.gather_object([value])
        return gathered

    def wait(self) -> None:
        """Return when every process has come here."""
        self._accelerator.wait_for_everyone()


def _forget_other_settings(state: Any, mixed_precision: str, *, on_cpu: bool, distributed: bool) -> None:
    """Let a second run in one process choose its own precision: Accelerate keeps the first one's for ever."""
    shared = state._shared_state
    other_precision = shared.get("_mixed_precision", mixed_precision) != mixed_precision
    other_device = not distributed and "device" in shared and (shared["device"].type == "cpu") != on_cpu
    if other_precision or other_device:
        state._reset_state(reset_partial_state=not distributed)

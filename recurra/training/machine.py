"""Describes the machine of a run, with its matrix product rate, so that speeds of two runs can be compared."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import torch


def describe_environment(device: torch.device) -> dict[str, Any]:
    """The properties that a resumed run must share with the original one to end with the same bits."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"threads": torch.get_num_threads(), "torch": str(torch.__version__), "device": kind}


def describe_machine() -> dict[str, Any]:
    """Processor, cores, system and Python, and the rate of a float32 matrix product on the CPU in GFLOP/s."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "sgemm_gflops": round(sgemm_rate(), 1),
    }


def sgemm_rate(size: int = 768, seconds: float = 0.2) -> float:
    """GFLOP/s of float32 products of two (size, size) matrices, over about `seconds`; uses no random generator."""
    a = torch.linspace(-1, 1, size * size).reshape(size, size)
    torch.mm(a, a)
    began, products = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        torch.mm(a, a)
        products += 1
    return products * 2 * size**3 / (time.perf_counter() - began) / 1e9


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

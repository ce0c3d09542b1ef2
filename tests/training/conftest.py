import pytest
import torch

from recurra.training import machine


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One thread, no measuring of the machine, and the process's generators put back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(machine, "sgemm_rate", lambda: 1.0)
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(threads)

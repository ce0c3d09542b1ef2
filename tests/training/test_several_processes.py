"""Two processes on one machine, as `torchrun` starts them, against one process with the data of both."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from training_toy import Toy, weights

from recurra.errors import InputError
from recurra.training import TrainingOptions, read_checkpoint, train

SCRIPT = textwrap.dedent("""
    import os, signal, sys, torch
    torch.set_num_threads(1)
    from training_toy import Toy
    from recurra.training import Interrupted, TrainingOptions, machine, train
    machine.sgemm_rate = lambda: 1.0
    rank = int(os.environ["RANK"])

    class Share(Toy):
        # Each process has its own rows; the two shares differ in size.
        def __init__(self, interrupt_in=None):
            super().__init__(dropout=0.0, pieces=2)
            self.updates.data = self.updates.data[:, :2] if rank == 0 else self.updates.data[:, 2:]
            self.interrupt_in = interrupt_in

        def loss(self, network, batch, state):
            if self.interrupt_in is not None:
                self.interrupt_in -= 1
                if self.interrupt_in == 0:
                    os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(network, batch, state)

    options = TrainingOptions(steps=12, valid_every=6, log_every=3, optimizer="sgd", learning_rate=0.5)
    saved = []
    try:
        # A signal to one process, in update 5, stops them all.
        train(Share(10 if rank == 1 else None), options, sys.argv[1], save_best=saved.append)
        raise SystemExit("not interrupted")
    except Interrupted as error:
        assert "after update 5 of 12" in str(error)
    train(Share(), options, sys.argv[1], save_best=saved.append, resume=True)
    assert bool(saved) == (rank == 0)
    torch.distributed.destroy_process_group()
""")


@pytest.mark.slow
def test_two_processes_equal_one_with_the_data_of_both(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = str(Path(__file__).parent)
    children = []
    for rank in (0, 1):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])]),
            **{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
            **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"},
        }
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "two")]
        children.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    try:
        errors = [child.communicate(timeout=120)[1].decode() for child in children]
    finally:
        for child in children:
            child.kill()
    assert [child.returncode for child in children] == [0, 0], errors

    both = Toy(dropout=0.0, pieces=2)
    options = TrainingOptions(steps=12, valid_every=6, log_every=3, optimizer="sgd", learning_rate=0.5)
    result = train(both, options, tmp_path / "one", save_best=lambda metrics: None)
    two = read_checkpoint(tmp_path / "two" / "checkpoint.pt")
    assert two["step"] == 12
    assert len(two["processes"]) == 2
    for name, expected in weights(both).items():
        torch.testing.assert_close(two["network"][name], expected, rtol=1e-4, atol=1e-5)
    assert two["judge"]["history"][-1]["loss"] == pytest.approx(result.history[-1]["loss"], rel=1e-4)

    def losses(folder):
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return [(line["step"], pytest.approx(line["loss"], rel=1e-4)) for line in lines if line["event"] == "train"]

    assert [step for step, _ in losses(tmp_path / "two")] == [3, 6, 9, 12]
    for (step, loss), (other_step, other) in zip(losses(tmp_path / "two"), losses(tmp_path / "one"), strict=True):
        assert step == other_step
        assert loss.expected == other
    with pytest.raises(InputError, match="the run has 2 processes, this call 1"):
        train(Toy(pieces=2), options, tmp_path / "two", save_best=lambda metrics: None, resume=True)

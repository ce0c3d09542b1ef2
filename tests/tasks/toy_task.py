"""A whole task in one file: predict the next digit. docs/architecture.md, "Adding a task", walks through it."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from recurra.errors import InputError
from recurra.tasks import Probe, Task, Verb
from recurra.tasks.capabilities import Evaluates, Probes
from recurra.tasks.cell_names import stored_cell
from recurra.tasks.fields import read_fields, to_plain
from recurra.tasks.implementation import Implementation, Objective
from recurra.tasks.recurrent_options import RecurrentOptions
from recurra.training import Loss


# options.py: what a user can set. Each docstring is the help of an option of `recurra train toy`.
@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """The files."""

    valid_share: float = 0.25
    """Share of the digits, at the end, that is held out for validation."""


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network."""

    recurrent: RecurrentOptions = field(default=RecurrentOptions(hidden_size=8))


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """The windows."""

    window: int = 8
    """Number of digits in a window."""


# formats.py: files to examples.
def read_digits(files):
    """Returns the digits of all files, (N,) int64.

    Raises:
        InputError: a line contains something else.
    """
    digits = []
    for file in files:
        for number, line in enumerate(Path(file).read_text().splitlines(), start=1):
            if line.strip("0123456789"):
                raise InputError(f"{file}:{number}: {line!r}, expected digits")
            digits += map(int, line)
    return torch.tensor(digits)


# data.py: examples to arrays, and to the batches of updates.
class DigitData(NamedTuple):
    """The digits of a run, a `recurra.tasks.implementation.Data`."""

    train: torch.Tensor
    valid: torch.Tensor

    def notes(self):
        """Returns the lines to show before training."""
        return [f"training on {len(self.train)} digits"]

    def summary(self):
        """Returns the training data in one line, for the card."""
        return f"{len(self.train)} digits"

    def uniform_loss(self):
        """Returns the loss of a uniform guess, in nats per digit."""
        return math.log(10)


def prepare(files, options, folder, *, start, models, note):
    """Reads the files, divides the digits and writes both parts into the folder."""
    digits = read_digits(files)
    train_size = round(len(digits) * (1 - options["data"].valid_share))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"train": digits[:train_size], "valid": digits[train_size:]}, folder / "digits.pt")
    return reopen(folder)


def reopen(folder):
    """Reads what `prepare` wrote."""
    return DigitData(**torch.load(folder / "digits.pt"))


class Window(NamedTuple):
    """Consecutive digits and the digit after each, (T, 1) int64."""

    inputs: torch.Tensor
    targets: torch.Tensor
    fresh: bool = True
    """Each window starts from the initial state: no state is carried."""

    @property
    def count(self):
        """Number of predicted digits."""
        return self.targets.numel()


class Windows:
    """The windows of the training digits in random order, a `recurra.training.Updates` with one window per update.

    The order follows from the seed and the epoch alone, so that a run can be resumed from its position.
    """

    def __init__(self, digits, window, seed):
        self.digits, self.window, self.seed = digits, window, seed
        self.epoch = self.position = 0

    def updates_per_epoch(self):
        return max(1, (len(self.digits) - 1) // self.window)

    def update(self):
        """Returns the windows of the next update."""
        if self.position == self.updates_per_epoch():
            self.epoch, self.position = self.epoch + 1, 0
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.updates_per_epoch(), generator=generator)
        start = int(order[self.position]) * self.window
        self.position += 1
        digits = self.digits[start : start + self.window + 1, None]  # (T + 1, 1)
        return [Window(digits[:-1], digits[1:])]

    def state_dict(self):
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state):
        self.epoch, self.position = state["epoch"], state["position"]


# network.py: digits to scores of the next digit.
class Network(nn.Module):
    """An embedding, recurrent layers and a linear readout."""

    def __init__(self, options, cell=None):
        super().__init__()
        size = options.recurrent.hidden_size
        self.embedding, self.readout = nn.Embedding(10, size), nn.Linear(size, 10)
        self.layers = options.recurrent.stack(size, cell=cell)

    def forward(self, digits):
        """Returns the scores of the next digit, (T, B, 10), from digits (T, B)."""
        h, _ = self.layers(self.embedding(digits))  # (T, B, H)
        return self.readout(h)


def mean_loss(network, digits):
    """Returns the mean loss over digits that are read as one sequence, in nats per digit."""
    network.eval()
    with torch.inference_mode():
        return float(F.cross_entropy(network(digits[:-1, None])[:, 0], digits[1:]))


# training.py: what the network learns from the data.
class DigitObjective(Objective):
    """The cross-entropy of the next digit."""

    token_name = "digit"

    def __init__(self, model, data, options):
        self.network, self.data, self.window = model.network, data, options["windows"].window

    def batches(self, *, seed, rank, world_size):
        return Windows(self.data.train, self.window, seed)

    def loss(self, network, batch, state):
        """Returns the sum of the losses of a window, and their number."""
        scores = network(batch.inputs).flatten(0, 1)  # (T · B, 10)
        return Loss(F.cross_entropy(scores, batch.targets.flatten(), reduction="sum"), batch.count)

    def score(self, *, final):
        return {"loss": mean_loss(self.network, self.data.valid)}

    def score_part(self):
        self.score(final=True)
        return 1.0


# model.py: what users load. `config` and `files` are all that a bundle stores in addition to the weights.
class Toy(Evaluates, Probes):
    """A network that predicts digits."""

    name = "toy"

    def __init__(self, options, cell=None):
        self.options, self.network = options, Network(options, cell)

    @classmethod
    def create(cls, data, options):
        return cls(options)

    @classmethod
    def from_files(cls, config, folder, *, cell=None):
        options = read_fields(NetworkOptions, config["network"], where=f"{folder / 'config.json'}: network")
        return cls(options, stored_cell(options.recurrent, folder, cell))

    def config(self):
        return {"network": to_plain(self.options)}

    def settings(self):
        return to_plain(self.options)

    def files(self):
        return {"digits.json": json.dumps("0123456789")}

    def evaluate(self, files, folder=None):
        """Returns the loss on the files, in nats per digit."""
        return {"loss": mean_loss(self.network, read_digits(files))}

    def probe(self, files, prepared, *, rows, steps):
        """Returns one window and its losses, for `recurra diagnose`."""
        digits = read_digits(files) if files else reopen(prepared).valid
        window = digits[: steps + 1, None]  # (T + 1, 1)

        def losses(scores):
            # cross_entropy expects the classes as the second axis: (T, 10, 1).
            return F.cross_entropy(scores.transpose(1, 2), window[1:], reduction="none")  # (T, 1)

        return Probe((window[:-1],), losses)


# implementation.py: what runs, as the contract of all tasks names it.
IMPLEMENTATION = Implementation(
    model=Toy,
    options={"data": FileOptions, "network": NetworkOptions, "windows": WindowOptions},
    training={"epochs": 3.0, "learning_rate": 0.03},
    prepare=prepare,
    reopen=reopen,
    objective=DigitObjective,
    report=lambda scores: f"loss {scores['loss']:.4f} nats per digit",
)


# verbs/guess.py: a command that only this task has. Its docstring is its help.
def guess(model: Path, /, digits: str, *, cell: str | None = None) -> None:
    """Guess the next digit.

    Parameters
    ----------
    model
        The folder of a trained toy.
    digits
        The digits before it.
    cell
        module:Class, for a model that was trained with a user-defined cell.
    """
    from recurra.cli.opening import open_model

    toy = open_model(model, cell, needs=Toy, does="guess digits")
    inputs = torch.tensor([int(digit) for digit in digits])[:, None]  # (T, 1)
    print(int(toy.network(inputs)[-1, 0].argmax()))


# task.py: the row. A task of the package imports its implementation within `implement`, so that its row loads without
# torch.
TASK = Task(
    name="toy",
    title="guesser of digits",
    loss_per="digit",
    train_help="Train a guesser of digits.\n\n```sh\nrecurra train toy digits.txt --out toy\n```\n",
    files_name="DIGITS",
    files_help="Files of digits.",
    evaluate_help="A guesser of digits predicts each from those before it.",
    evaluate_files="files of digits",
    evaluate_example="recurra evaluate toy more-digits.txt",
    usage="recurra guess DIR 123",
    verbs=(Verb(name="guess", function="toy_task:guess", help="Guess the next digit."),),
    implement=lambda: IMPLEMENTATION,
)

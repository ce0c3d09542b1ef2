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


# options: what a user can choose.
@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """The files."""

    valid_share: float = 0.25
    """The last share of the digits, held out to validate with."""


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network."""

    recurrent: RecurrentOptions = field(default=RecurrentOptions(hidden_size=8))


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """The windows."""

    window: int = 8
    """Digits of a window."""


# formats and data: files to arrays.
def read_digits(files):
    digits = []
    for file in files:
        for number, line in enumerate(Path(file).read_text().splitlines(), start=1):
            if line.strip("0123456789"):
                raise InputError(f"{file}:{number}: {line!r}, expected digits")
            digits += map(int, line)
    return torch.tensor(digits)


class Batch(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor
    fresh: bool = True

    @property
    def count(self):
        return self.y.numel()


class Windows:
    """The windows of the digits in an order drawn anew for each epoch, with a place to return to."""

    def __init__(self, digits, window, seed):
        self.digits, self.window, self.seed = digits, window, seed
        self.epoch = self.place = 0

    def updates_per_epoch(self):
        return max(1, (len(self.digits) - 1) // self.window)

    def update(self):
        if self.place == self.updates_per_epoch():
            self.epoch, self.place = self.epoch + 1, 0
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        start = int(torch.randperm(self.updates_per_epoch(), generator=generator)[self.place]) * self.window
        self.place += 1
        piece = self.digits[start : start + self.window + 1, None]  # (T + 1, 1)
        return [Batch(piece[:-1], piece[1:])]

    def state_dict(self):
        return {"epoch": self.epoch, "place": self.place}

    def load_state_dict(self, state):
        self.epoch, self.place = state["epoch"], state["place"]


# network.
class Network(nn.Module):
    def __init__(self, options, cell=None):
        super().__init__()
        size = options.recurrent.hidden_size
        self.embedding, self.readout = nn.Embedding(10, size), nn.Linear(size, 10)
        self.layers = options.recurrent.stack(size, cell=cell)

    def forward(self, x):
        return self.readout(self.layers(self.embedding(x))[0])  # (T, B, 10)


def nats_of(network, digits):
    """The mean loss over digits that are read as one sequence."""
    network.eval()
    with torch.inference_mode():
        return float(F.cross_entropy(network(digits[:-1, None])[:, 0], digits[1:]))


# training: what is learned from the data.
class Digits(NamedTuple):
    train: torch.Tensor
    valid: torch.Tensor

    def notes(self):
        return [f"training on {len(self.train)} digits"]

    def summary(self):
        return f"{len(self.train)} digits"

    def uniform_loss(self):
        return math.log(10)


class DigitObjective(Objective):
    token_name = "digit"

    def __init__(self, model, data, options):
        self.network, self.data, self.window = model.network, data, options["windows"].window

    def batches(self, *, seed, rank, world_size):
        return Windows(self.data.train, self.window, seed)

    def loss(self, network, batch, state):
        scores = network(batch.x).flatten(0, 1)
        return Loss(F.cross_entropy(scores, batch.y.flatten(), reduction="sum"), batch.count)

    def score(self, *, final):
        return {"loss": nats_of(self.network, self.data.valid)}

    def score_part(self):
        self.score(final=True)
        return 1.0


def prepare(files, options, folder, *, start, models):
    digits = read_digits(files)
    kept = round(len(digits) * (1 - options["data"].valid_share))
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"train": digits[:kept], "valid": digits[kept:]}, folder / "digits.pt")
    return reopen(folder)


def reopen(folder):
    return Digits(**torch.load(folder / "digits.pt"))


# predict: the model and its verb.
class Toy(Evaluates, Probes):
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
        return {"loss": nats_of(self.network, read_digits(files))}

    def probe(self, files, prepared, *, rows, steps):
        digits = read_digits(files) if files else reopen(prepared).valid
        piece = digits[: steps + 1, None]

        def losses(scores):
            return F.cross_entropy(scores.transpose(1, 2), piece[1:], reduction="none")  # (T, 1)

        return Probe((piece[:-1],), losses)


def guess(model: Path, /, digits: str, *, cell: str | None = None) -> None:
    """Guess the next digit.

    Parameters
    ----------
    model
        The folder of a trained toy.
    digits
        Those before it.
    cell
        module:Class, for a model that was trained with a cell of your own.
    """
    from recurra.cli.opening import open_model

    toy = open_model(model, cell, needs=Toy, does="guess digits")
    x = torch.tensor([int(digit) for digit in digits])[:, None]
    print(int(toy.network(x)[-1, 0].argmax()))


# task: the row. A task of the package imports what it runs within `implement`, so that its row loads without torch.
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

IMPLEMENTATION = Implementation(
    model=Toy,
    options={"data": FileOptions, "network": NetworkOptions, "windows": WindowOptions},
    training={"epochs": 3.0, "learning_rate": 0.03},
    prepare=prepare,
    reopen=reopen,
    objective=DigitObjective,
    report=lambda scores: f"loss {scores['loss']:.4f} nats per digit",
)

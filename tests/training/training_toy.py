"""A task of its own for the tests of the loop: next numbers of a noisy ramp, with dropout and a carried state."""

from collections import namedtuple

import torch
from torch import nn
from torch.nn import functional as F

from recurra.training import Loss

State = namedtuple("State", ("h", "extra"))
SYMBOLS = 7


class Batch:
    def __init__(self, x, y, fresh):
        self.x, self.y, self.fresh = x, y, fresh
        self.count = y.numel()


class Ramps:
    """B parallel ramps modulo 7 with noise; each epoch begins at a place drawn from its own generator."""

    def __init__(self, *, rows=3, length=61, window=5, pieces=1, seed=1):
        self.generator = torch.Generator().manual_seed(seed)
        noise = torch.randint(0, 2, (length, rows), generator=self.generator)
        self.data = (torch.arange(length)[:, None] + torch.arange(rows) + noise) % SYMBOLS
        self.window, self.pieces = window, pieces
        self.epoch, self.place, self.shift = 0, 0, 0

    def updates_per_epoch(self):
        return (len(self.data) - 2) // (self.window * self.pieces)

    def update(self):
        if self.place == self.updates_per_epoch():
            self.epoch, self.place = self.epoch + 1, 0
            self.shift = int(torch.randint(0, len(self.data), (), generator=self.generator))
        data = self.data.roll(self.shift, 0)
        begin = self.place * self.window * self.pieces
        starts = range(begin, begin + self.window * self.pieces, self.window)
        fresh = self.place == 0
        self.place += 1
        return [
            Batch(data[s : s + self.window], data[s + 1 : s + self.window + 1], fresh and s == begin) for s in starts
        ]

    def state_dict(self):
        place = {"epoch": self.epoch, "place": self.place, "shift": self.shift}
        return {**place, "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.epoch, self.place, self.shift = state["epoch"], state["place"], state["shift"]
        self.generator.set_state(state["generator"])


class Network(nn.Module):
    def __init__(self, hidden=8, dropout=0.3):
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, hidden)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(hidden, hidden)
        self.output = nn.Linear(hidden, SYMBOLS)

    def forward(self, x, h):
        y, h = self.rnn(self.dropout(self.embedding(x)), h)
        return self.output(self.dropout(y)), h


class Toy:
    """A trainable. `validation` is the losses to report in turn, or None for real ones, or () for no held-out data."""

    token_name = "number"

    def __init__(self, *, seed=0, hidden=8, dropout=0.3, validation=None, **data):
        torch.manual_seed(seed)
        self.network = Network(hidden, dropout)
        self.updates = Ramps(**data)
        self.held_out = Ramps(seed=99).data
        self.validation = None if validation is None else list(validation)
        self.validations = 0
        self.rebuilt = []

    def loss(self, network, batch, state):
        h = None if state is None else state[0].h
        logits, h = network(batch.x, h)
        total = F.cross_entropy(logits.flatten(0, 1), batch.y.flatten(), reduction="sum")
        return Loss(total, batch.count, (State(h=h, extra=None), {"steps": [h[-1].sum()]}))

    def validate(self, network):
        self.validations += 1
        torch.rand(3)  # a careless task: the loop must not let this show
        if self.validation is not None:
            return {"loss": self.validation.pop(0)} if self.validation else {}
        x, y = self.held_out[:-1], self.held_out[1:]
        logits, _ = network(x, None)
        return {"loss": float(F.cross_entropy(logits.flatten(0, 1), y.flatten()))}

    def describe(self, loss):
        return {"perplexity": 2.718281828**loss}

    def rebuild_state(self, state):
        self.rebuilt.append(state)
        return None if state is None else (State(*state[0]), state[1])


def weights(toy):
    return {name: value.clone() for name, value in toy.network.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Stopping:
    """A display that stops the run after an update, as a user would."""

    def __init__(self, at, action):
        self.at, self.action = at, action
        self.notes, self.intervals, self.validations = [], [], []

    def start(self, *, step, total_steps, token_name):
        self.started = step, total_steps, token_name

    def advance(self, step):
        if step == self.at:
            self.action()

    def update(self, interval):
        self.intervals.append(interval)

    def validation(self, step, metrics, *, best):
        self.validations.append((step, metrics, best))

    def note(self, line):
        self.notes.append(line)

    def finish(self):
        self.finished = True

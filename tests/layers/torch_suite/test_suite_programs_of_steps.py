"""Models as people write them, step by step and around the layers: reinforcement learning, loops, wrappers, tools."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from twins import tensors_of

import recurra.layers


def policy_with_an_lstm_cell(lib):
    """A policy and a value on one cell; its state is reset where an episode ended; one update of clipped ratios."""
    cell, actor, critic = lib.LSTMCell(4, 8), nn.Linear(8, 2), nn.Linear(8, 1)
    parameters = [*cell.parameters(), *actor.parameters(), *critic.parameters()]
    for name, parameter in cell.named_parameters():
        nn.init.constant_(parameter, 0) if "bias" in name else nn.init.orthogonal_(parameter, 1.0)
    seen, actions = torch.randn(6, 3, 4), torch.randint(2, (6, 3))
    done, gains = torch.rand(6, 3) < 0.2, torch.randn(6, 3)

    def run():
        hx, cx, logs, values = torch.zeros(3, 8), torch.zeros(3, 8), [], []
        for t in range(6):
            keep = 1.0 - done[t].float().unsqueeze(1)
            hx, cx = cell(seen[t], (hx * keep, cx * keep))
            logs.append(F.log_softmax(actor(hx), -1).gather(1, actions[t].unsqueeze(1)).squeeze(1))
            values.append(critic(hx).squeeze(1))
        return torch.stack(logs), torch.stack(values)

    with torch.no_grad():
        old, _ = run()
    optimizer = torch.optim.Adam(parameters, lr=3e-3, eps=1e-5)
    for _ in range(3):
        logs, values = run()
        ratio = (logs - old).exp()
        loss = -torch.min(ratio * gains, ratio.clamp(0.8, 1.2) * gains).mean() + 0.5 * (values - gains).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [loss.detach(), *(parameter.detach() for parameter in parameters)]


def q_network_with_a_gru(lib):
    """Sequences out of a memory, a target network by deepcopy, a soft update of its weights."""
    online = nn.ModuleDict({"rnn": lib.GRU(3, 6, batch_first=True), "out": nn.Linear(6, 2)})
    target = copy.deepcopy(online)
    x, rewards = torch.randn(4, 5, 3), torch.randn(4, 5)
    optimizer = torch.optim.RMSprop(online.parameters(), 1e-2)
    for _ in range(3):
        q = online["out"](online["rnn"](x)[0])
        with torch.no_grad():
            best = rewards + 0.9 * target["out"](target["rnn"](x)[0]).max(-1).values
        loss = F.smooth_l1_loss(q.max(-1).values, best)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
            slow.data.copy_(0.9 * slow.data + 0.1 * fast.data)
    return [loss.detach(), *(parameter.detach() for parameter in target.parameters())]


def sine_waves_by_two_cells(lib):
    """Two cells of double precision on top of each other, trained by L-BFGS, then left to run on."""
    first, second, out = lib.LSTMCell(1, 5), lib.LSTMCell(5, 5), nn.Linear(5, 1)
    model = nn.ModuleList([first, second, out]).double()
    waves = torch.sin(torch.arange(12).double() / 2 + torch.arange(3).double()[:, None])

    def run(x, future=0):
        h1, c1, h2, c2 = (torch.zeros(3, 5, dtype=torch.double) for _ in range(4))
        outputs = []
        for t in range(x.size(1) + future):
            step = x[:, t : t + 1] if t < x.size(1) else outputs[-1]
            h1, c1 = first(step, (h1, c1))
            h2, c2 = second(h1, (h2, c2))
            outputs.append(out(h2))
        return torch.cat(outputs, dim=1)

    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(run(waves[:, :-1]), waves[:, 1:])
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return run(waves, future=5)


def scheduled_sampling_by_a_gru_cell(lib):
    """A decoder that reads the truth or its own output, by a coin."""
    cell, embed, out = lib.GRUCell(4, 6), nn.Embedding(5, 4), nn.Linear(6, 5)
    truth, h, loss = torch.randint(5, (7, 2)), torch.zeros(2, 6), 0
    token = truth[0]
    for t in range(1, 7):
        h = cell(embed(token), h)
        scores = out(h)
        loss = loss + F.cross_entropy(scores, truth[t])
        token = truth[t] if torch.rand(()) < 0.5 else scores.argmax(-1)
    return [loss.detach(), *torch.autograd.grad(loss, [*cell.parameters(), *embed.parameters()])]


def layers_of_cells_in_a_list(lib):
    """A stack written by hand out of a ModuleList of cells with dropout in evaluation mode."""
    cells = nn.ModuleList([lib.RNNCell(3, 4, nonlinearity="relu"), lib.RNNCell(4, 4)])
    x, states = torch.randn(5, 2, 3), [None, None]
    for step in x:
        for index, cell in enumerate(cells):
            states[index] = step = cell(step, states[index])
    return states


def wrapper_that_takes_the_output(lib):
    """A module in nn.Sequential that drops the state, between linear layers."""

    class First(nn.Module):
        def __init__(self, rnn):
            super().__init__()
            self.rnn = rnn

        def forward(self, x):
            self.rnn.flatten_parameters()
            return self.rnn(x)[0]

    rnn = First(lib.LSTM(4, 5, bidirectional=True))
    model = nn.Sequential(nn.Linear(3, 4), rnn, nn.LayerNorm(10), nn.Linear(10, 2))
    y = model(torch.randn(6, 2, 3))
    return [y, *torch.autograd.grad(y.sin().sum(), list(model.parameters()))]


def subclass_with_another_forward(lib):
    """A class derived from the layer, which pads its own input and returns the last step."""

    class Last(lib.LSTM):
        def __init__(self, *sizes, **options):
            super().__init__(*sizes, **options)
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, input, hx=None):  # noqa: A002
            y, state = super().forward(F.pad(input, (0, 0, 0, 0, 1, 0)), hx)
            return self.scale * y[-1], state

    return Last(3, 4, num_layers=2)(torch.randn(5, 2, 3))


def checkpoint_of_a_training_run(lib):
    """Model and optimizer saved, loaded into new ones, and trained on."""

    def make():
        model = nn.ModuleDict({"rnn": lib.GRU(3, 4, 2), "out": nn.Linear(4, 1)})
        return model, torch.optim.AdamW(model.parameters(), 0.01)

    def update(model, optimizer):
        optimizer.zero_grad()
        model["out"](model["rnn"](x)[0]).square().mean().backward()
        optimizer.step()

    x, (model, optimizer), file = torch.randn(5, 2, 3), make(), io.BytesIO()
    update(model, optimizer)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file)
    model, optimizer = make()
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    update(model, optimizer)
    return [parameter.detach() for parameter in model.parameters()]


def biases_of_the_forget_gate(lib):
    """The forget gates' biases are set to 1 by their place in the vector."""
    rnn = lib.LSTM(3, 4, 2)
    for names in rnn._all_weights:
        for name in filter(lambda name: "bias" in name, names):
            bias = getattr(rnn, name)
            count = bias.size(0)
            bias.data[count // 4 : count // 2].fill_(1.0)
    return [*rnn(torch.randn(5, 2, 3))[1], *(parameter.detach() for parameter in rnn.parameters())]


def gradients_by_accumulation(lib):
    """Half batches add up to a whole one; the model's parameters in two groups."""
    rnn, out = lib.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)
    optimizer = torch.optim.SGD([{"params": rnn.parameters()}, {"params": out.parameters(), "lr": 0.1}], lr=0.01)
    for part in torch.randn(4, 5, 3).split(2):
        (out(rnn(part)[0]).square().mean() / 2).backward()
    optimizer.step()
    return [parameter.detach() for parameter in rnn.parameters()]


def kind_by_its_name(lib):
    """The class is chosen by a word of a configuration, and hidden states by its kind."""
    results = []
    for kind in ("LSTM", "GRU", "RNN_TANH", "RNN_RELU"):
        if kind in ("LSTM", "GRU"):
            rnn = getattr(lib, kind)(3, 4, 2, dropout=0.0)
        else:
            rnn = lib.RNN(3, 4, 2, nonlinearity=kind.split("_")[1].lower(), dropout=0.0)
        assert rnn.mode == kind
        weight = next(rnn.parameters())
        hidden = weight.new_zeros(2, 2, 4)
        results.append(rnn(torch.randn(5, 2, 3), (hidden, hidden) if kind == "LSTM" else hidden))
    return results


PROGRAMS = [
    policy_with_an_lstm_cell,
    q_network_with_a_gru,
    sine_waves_by_two_cells,
    scheduled_sampling_by_a_gru_cell,
    layers_of_cells_in_a_list,
    wrapper_that_takes_the_output,
    subclass_with_another_forward,
    checkpoint_of_a_training_run,
    biases_of_the_forget_gate,
    gradients_by_accumulation,
    kind_by_its_name,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_program_computes_the_same(program):
    results = []
    for library in (nn, recurra.layers):
        torch.manual_seed(23)
        results.append(tensors_of(program(library)))
    assert len(results[0]) == len(results[1]) > 0
    for theirs, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)

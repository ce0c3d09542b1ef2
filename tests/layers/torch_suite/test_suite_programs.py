"""Models as people write them, over whole sequences: with recurra's layers they compute what they did with torch.nn's.

Each program takes the library that has RNN, LSTM and GRU, builds, runs and trains, and returns tensors. One seed gives
both the same weights, data and dropout.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence
from twins import tensors_of

import recurra.layers


def train(model, loss_of, steps=3, rule=torch.optim.Adam, **options):
    """A few updates; the losses and the final parameters."""
    optimizer = rule(model.parameters(), **{"lr": 0.01, **options})
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), *(parameter.detach() for parameter in model.parameters())


def word_language_model(lib):
    """Embedding, dropout, two layers, tied decoder; the state is carried and detached between windows."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.2)
            self.encoder = nn.Embedding(20, 8)
            self.rnn = lib.LSTM(8, 8, 2, dropout=0.2)
            self.decoder = nn.Linear(8, 20)
            self.decoder.weight = self.encoder.weight

        def init_hidden(self, rows):
            weight = next(self.parameters())
            return weight.new_zeros(2, rows, 8), weight.new_zeros(2, rows, 8)

        def forward(self, tokens, hidden):
            output, hidden = self.rnn(self.drop(self.encoder(tokens)), hidden)
            return F.log_softmax(self.decoder(self.drop(output)).view(-1, 20), dim=1), hidden

    model, text = Model(), torch.randint(20, (31, 4))
    hidden = model.init_hidden(4)

    def loss_of(model):
        nonlocal hidden
        total = 0
        for start in range(0, 30, 10):
            hidden = tuple(part.detach() for part in hidden)
            scores, hidden = model(text[start : start + 10], hidden)
            total = total + F.nll_loss(scores, text[start + 1 : start + 11].reshape(-1))
        return total

    return train(model, loss_of)


def character_generator(lib):
    """One-hot characters one at a time through a GRU of (1, 1, H) states."""
    rnn, out = lib.GRU(6, 10), nn.Linear(10, 6)
    hidden, letter, written = torch.zeros(1, 1, 10), torch.eye(6)[0], []
    for _ in range(8):
        y, hidden = rnn(letter.view(1, 1, -1), hidden)
        scores = out(y.view(1, -1))
        letter = torch.eye(6)[scores.argmax()]
        written.append(scores)
    return torch.cat(written)


def translation_with_attention(lib):
    """An encoder and a decoder of steps of length 1, with additive scores over the encoder's outputs."""
    embed, encoder = nn.Embedding(12, 6), lib.GRU(6, 8, batch_first=True)
    query, keys, value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 1, bias=False)
    decoder, out = lib.GRU(14, 8, batch_first=True), nn.Linear(8, 12)
    model = nn.ModuleList([embed, encoder, query, keys, value, decoder, out])
    source, target = torch.randint(12, (3, 5)), torch.randint(12, (3, 4))

    def loss_of(_):
        outputs, hidden = encoder(embed(source))
        loss, token = 0, torch.zeros(3, 1, dtype=torch.long)
        for t in range(4):
            scores = value(torch.tanh(query(hidden.permute(1, 0, 2)) + keys(outputs))).squeeze(2).unsqueeze(1)
            context = torch.bmm(scores.softmax(-1), outputs)
            y, hidden = decoder(torch.cat((embed(token), context), dim=2), hidden)
            loss = loss + F.cross_entropy(out(y.squeeze(1)), target[:, t])
            token = target[:, t : t + 1]
        return loss

    return train(model, loss_of)


def tagger_with_packed_sentences(lib):
    """Both directions over sentences of different lengths, packed and unpacked again."""
    rnn = lib.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
    embed, out = nn.Embedding(15, 6), nn.Linear(10, 4)
    lengths = torch.tensor([3, 6, 2])
    tokens, tags = torch.randint(15, (3, 6)), torch.randint(4, (3, 6))

    def loss_of(_):
        rows = pack_padded_sequence(embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(rnn(rows)[0], batch_first=True)
        mask = torch.arange(6) < lengths[:, None]
        return F.cross_entropy(out(output)[mask], tags[mask])

    return train(nn.ModuleList([embed, rnn, out]), loss_of)


def tagger_with_a_crf(lib):
    """One sentence at a time; the random first state and the forward algorithm of a chain over its scores."""
    embed, rnn, out = nn.Embedding(15, 6), lib.LSTM(6, 4, num_layers=1, bidirectional=True), nn.Linear(8, 3)
    transitions = nn.Parameter(torch.randn(3, 3))
    words, tags = torch.randint(15, (5,)), torch.randint(3, (5,))
    first = torch.randn(2, 1, 4), torch.randn(2, 1, 4)

    def loss_of(_):
        features = out(rnn(embed(words).view(5, 1, -1), first)[0].view(5, 8))
        alpha, gold = features[0], features[0, tags[0]]
        for t in range(1, 5):
            alpha = torch.logsumexp(alpha[:, None] + transitions, 0) + features[t]
            gold = gold + transitions[tags[t - 1], tags[t]] + features[t, tags[t]]
        return torch.logsumexp(alpha, 0) - gold

    return train(nn.ModuleList([embed, rnn, out]), loss_of, rule=torch.optim.SGD)


def classifier_of_the_last_state(lib):
    """The last states of both directions of the upper layer, taken by h[-2] and h[-1]."""
    rnn, out = lib.GRU(4, 6, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3), nn.Linear(12, 2)
    x, labels = torch.randn(5, 7, 4), torch.randint(2, (5,))

    def loss_of(_):
        _, h = rnn(x)
        return F.cross_entropy(out(torch.cat((h[-2], h[-1]), dim=1)), labels)

    return train(nn.ModuleList([rnn, out]), loss_of)


def classifier_of_images_by_rows(lib):
    """A row of the image is a step; the first states are made by hand; the last output decides."""
    rnn, out = lib.LSTM(7, 10, 2, batch_first=True), nn.Linear(10, 3)
    images, labels = torch.rand(4, 1, 7, 7), torch.randint(3, (4,))

    def loss_of(_):
        x = images.squeeze(1)
        h0 = torch.zeros(2, x.size(0), 10).to(x.device)
        c0 = torch.zeros(2, x.size(0), 10).to(x.device)
        y, _ = rnn(x, (h0, c0))
        return F.cross_entropy(out(y[:, -1, :]), labels)

    return train(nn.ModuleList([rnn, out]), loss_of)


def names_by_packed_lists(lib):
    """Sequences packed from a list of tensors, no padding anywhere."""
    rnn, out = lib.RNN(5, 6), nn.Linear(6, 3)
    pieces, labels = [torch.randn(length, 5) for length in (4, 2, 7)], torch.tensor([0, 1, 2])

    def loss_of(_):
        _, h = rnn(pack_sequence(pieces, enforce_sorted=False))
        return F.cross_entropy(out(h.squeeze(0)), labels)

    return train(nn.ModuleList([rnn, out]), loss_of)


def forecast_that_keeps_its_state(lib):
    """Warm up on a series, then feed its own forecasts back, the state carried along."""
    rnn, out = lib.LSTM(1, 8, batch_first=True), nn.Linear(8, 1)
    series = torch.sin(torch.arange(40) / 3).view(1, 40, 1)
    trained = train(nn.ModuleList([rnn, out]), lambda _: F.mse_loss(out(rnn(series[:, :-1])[0]), series[:, 1:]))
    with torch.no_grad():
        y, state = rnn(series)
        last, forecast = out(y[:, -1:]), []
        for _ in range(10):
            y, state = rnn(last, state)
            last = out(y)
            forecast.append(last)
    return (*trained, torch.cat(forecast, 1))


def autoencoder_of_sequences(lib):
    """The encoder's state is repeated over time as the decoder's input."""
    encoder, decoder, out = lib.LSTM(3, 5, batch_first=True), lib.LSTM(5, 5, batch_first=True), nn.Linear(5, 3)
    x = torch.randn(2, 6, 3)

    def loss_of(_):
        _, (h, _) = encoder(x)
        y, _ = decoder(h.transpose(0, 1).repeat(1, 6, 1))
        return F.mse_loss(out(y), x)

    return train(nn.ModuleList([encoder, decoder, out]), loss_of)


def speech_with_convolutions(lib):
    """Convolutions before three layers of both directions, CTC after them."""
    front, rnn, out = nn.Conv1d(4, 6, 3, 2, 1), lib.GRU(6, 5, 3, bidirectional=True, dropout=0.1), nn.Linear(10, 5)
    sound, lengths = torch.randn(2, 4, 16), torch.tensor([8, 5])
    texts = torch.tensor([[1, 2, 3], [4, 1, 0]])

    def loss_of(_):
        features = F.hardtanh(front(sound), 0, 20).permute(2, 0, 1)
        rows = pack_padded_sequence(features, lengths)
        scores = out(pad_packed_sequence(rnn(rows)[0])[0]).log_softmax(-1)
        return F.ctc_loss(scores, texts, lengths, torch.tensor([3, 2]))

    # Dropout of packed rows draws other numbers: see differences.py.
    rnn.eval()
    return train(nn.ModuleList([front, rnn, out]), loss_of)


def embeddings_of_pairs(lib):
    """Two sentences through one encoder, sorted and restored by hand, compared by distance."""
    embed, rnn = nn.Embedding(10, 4), lib.LSTM(4, 6, bidirectional=True)
    first = [torch.randint(10, (length,)) for length in (3, 5, 2)]
    second = [torch.randint(10, (length,)) for length in (4, 1, 6)]

    def encode(sentences):
        lengths = torch.tensor([len(one) for one in sentences])
        lengths, order = lengths.sort(descending=True)
        padded = pad_sequence(sentences)[:, order]
        y, _ = pad_packed_sequence(rnn(pack_padded_sequence(embed(padded), lengths))[0], padding_value=-1e9)
        return y.max(0).values[order.argsort()]

    return train(
        nn.ModuleList([embed, rnn]), lambda _: F.pairwise_distance(encode(first), encode(second)).sum(), lr=1e-3
    )


PROGRAMS = [
    word_language_model,
    character_generator,
    translation_with_attention,
    tagger_with_packed_sentences,
    tagger_with_a_crf,
    classifier_of_the_last_state,
    classifier_of_images_by_rows,
    names_by_packed_lists,
    forecast_that_keeps_its_state,
    autoencoder_of_sequences,
    speech_with_convolutions,
    embeddings_of_pairs,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_program_computes_the_same(program):
    results = []
    for library in (nn, recurra.layers):
        torch.manual_seed(17)
        results.append(tensors_of(program(library)))
    assert len(results[0]) == len(results[1]) > 0
    for theirs, ours in zip(*results, strict=True):
        # Single precision, after some updates of an optimizer that divides by gradients.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)

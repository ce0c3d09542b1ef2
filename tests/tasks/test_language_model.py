"""The language model: what it learns, what it predicts, what it writes."""

import math

import numpy as np
import pytest
import torch
import toys
from torch.nn import functional as F

import recurra
from recurra.cells import State, select
from recurra.data import Streams, build_tokenizer, open_text
from recurra.decoding import SamplingOptions
from recurra.errors import InputError
from recurra.tasks import job as job_module
from recurra.tasks.job import Job, Training
from recurra.tasks.language_model import training as training_module
from recurra.tasks.language_model.evaluation import loss_by_position, nats_in_order, nats_in_parts
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.options import NetworkOptions, WindowOptions
from recurra.tasks.language_model.step import GenerationStep
from recurra.tasks.language_model.training import LanguageModelObjective
from recurra.tasks.recurrent_options import RecurrentOptions

SMALL = NetworkOptions(recurrent=RecurrentOptions(hidden_size=12), embedding_size=5)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network(7, SMALL).eval()


def ramp(count):
    return (np.arange(count) * 3 % 7).astype(np.uint8)


def brute_force(network, tokens):
    """Token by token through the layer, each loss by hand."""
    state, losses = network.initial_state(1), []
    for token, target in zip(tokens[:-1].tolist(), tokens[1:].tolist(), strict=True):
        scores, state, *_ = network(torch.tensor([[token]]), state)
        losses.append(-scores[0, 0].log_softmax(-1)[target].item())
    return losses


@torch.no_grad()
def test_evaluation_carries_the_state_through_the_whole_text(network):
    tokens = ramp(400)
    assert nats_in_order(network, tokens, vocabulary=7).loss == pytest.approx(
        np.mean(brute_force(network, tokens)), abs=1e-6
    )


@torch.no_grad()
@pytest.mark.parametrize(("parts", "context"), [(1, 0), (3, 400), (5, 100), (32, 8)])
def test_evaluation_in_parts_counts_every_token_once(network, parts, context):
    tokens = ramp(401)
    loss = nats_in_parts(network, tokens, vocabulary=7, parts=parts, context=context).loss
    # After a few steps nothing is left of the start in so small a network: parts differ by rounding alone.
    assert loss == pytest.approx(nats_in_order(network, tokens, vocabulary=7).loss, abs=1e-4)


@torch.no_grad()
def test_the_loss_by_position_is_that_of_fresh_contexts(network):
    tokens = ramp(65)
    rows = loss_by_position(network, tokens, vocabulary=7, length=16)
    assert [(row["from"], row["to"]) for row in rows] == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16)]
    fresh = np.array([brute_force(network, tokens[start : start + 17]) for start in range(0, 64, 16)])
    for row in rows:
        assert row["loss"] == pytest.approx(fresh[:, row["from"] - 1 : row["to"]].mean(), abs=1e-6)


def windows(update_every, reach_back):
    options = WindowOptions(batch_size=2, update_every=update_every, reach_back=reach_back)
    torch.manual_seed(0)
    network, text = Network(7, SMALL), ramp(81)
    tokenizer = type("Seven", (), {"name": "char", "per_character": True, "size": 7})()
    return Training(LanguageModelObjective(network, tokenizer, text, text, options), seed=0), network, text


def gradient_of(training, network, batches):
    network.zero_grad()
    state = None
    for batch in batches:
        loss = training.loss(network, batch, None if batch.fresh else state)
        loss.total.backward()
        state = tuple(one.detach() for one in loss.state)
    return network.recurrent.weight_hh_l0.grad.clone()


def test_one_window_of_the_whole_stream_is_full_backpropagation():
    training, network, text = windows(None, None)
    (window,) = training.updates.update()
    assert window.inputs.shape == (40, 2)
    got = gradient_of(training, network, [window])
    network.zero_grad()
    x = torch.from_numpy(np.stack([text[:41], text[40:81]], 1).astype(np.int64))
    scores, *_ = network(x[:-1], network.initial_state(2))
    F.cross_entropy(scores.flatten(0, 1), x[1:].flatten(), reduction="sum").backward()
    torch.testing.assert_close(got, network.recurrent.weight_hh_l0.grad)


def test_a_window_that_reaches_back_further_counts_its_newest_losses_only():
    training, network, _ = windows(10, 25)
    batches = [training.updates.update()[0] for _ in range(3)]
    longest = batches[-1]
    assert longest.inputs.shape[0] > longest.counted
    loss = training.loss(network, longest, None)
    scores, *_ = network(longest.inputs, network.initial_state(2))
    newest = F.cross_entropy(
        scores[-longest.counted :].flatten(0, 1), longest.targets[-longest.counted :].flatten(), reduction="sum"
    )
    torch.testing.assert_close(loss.total, newest)
    _, at_carry, *_ = network(longest.inputs[: longest.carry], network.initial_state(2))
    torch.testing.assert_close(loss.state[0].c, at_carry[0].c)


def test_the_carried_state_makes_windows_equal_one_pass():
    training, network, text = windows(10, None)
    network.eval()
    state, total, count = None, 0.0, 0
    for _ in range(training.updates.updates_per_epoch()):
        (window,) = training.updates.update()
        loss = training.loss(network, window, None if window.fresh else state)
        state, total, count = loss.state, total + loss.total.item(), count + loss.count
    assert count == 80
    streams = [brute_force(network, text[start : start + 41]) for start in (0, 40)]
    assert total / count == pytest.approx(np.mean(streams), abs=1e-6)


def test_label_smoothing_spreads_the_target():
    training, network, _ = windows(40, None)
    (window,) = training.updates.update()
    plain = training.loss(network.eval(), window, None).total
    smooth = LanguageModelObjective(
        network,
        training.objective._tokenizer,
        ramp(81),
        ramp(81),
        WindowOptions(batch_size=2, label_smoothing=0.2, update_every=40),
    )
    scores, *_ = network(window.inputs, network.initial_state(2))
    uniform = -scores.log_softmax(-1).mean(-1).sum()
    torch.testing.assert_close(smooth.loss(network, window, None).total, 0.8 * plain + 0.2 * uniform)


def test_activation_regularisation_is_the_mean_square_of_what_is_emitted():
    options = {"batch_size": 2, "update_every": 40}
    _, network, text = windows(40, None)
    network.eval()
    tokenizer = type("Seven", (), {"name": "char", "per_character": True, "size": 7})()
    penalised = LanguageModelObjective(
        network,
        tokenizer,
        text,
        text,
        WindowOptions(**options, activation_regularisation=2.0, temporal_regularisation=3.0),
    )
    (window,) = penalised.batches(seed=0).update()
    h, _ = network.recurrent(network.embedding(window.inputs), network.initial_state(2))
    wanted = 2 * (h**2).mean() + 3 * ((h[1:] - h[:-1]) ** 2).mean()
    torch.testing.assert_close(penalised.loss(network, window, None).extra, wanted)
    plain = LanguageModelObjective(network, tokenizer, text, text, WindowOptions(**options))
    assert plain.loss(network, window, None).extra is None


def test_everything_of_awd_lstm_at_once_trains_and_resumes(text, tmp_path):
    sizes = {**toys.TINY, "num_layers": 2, "locked_dropout": True, "weight_drop": 0.3, "embedding_dropout": 0.1}
    penalties = {"activation_regularisation": 2.0, "temporal_regularisation": 1.0, "recurrent_dropout": 0.1}
    around = {"layer_norm": True, "zoneout": 0.05, "residual": True}
    schedule = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 1.0, "clip": 0.25}
    averaged = {"averaging": "all", "valid_every": 5}
    model = recurra.train(
        "lm", text, out=tmp_path / "awd", steps=20, **sizes, **penalties, **around, **schedule, **averaged
    )
    again = recurra.load(tmp_path / "awd")
    assert again.generate("the", length=9, seed=0) == model.generate("the", length=9, seed=0)


def test_it_overfits_a_line(tmp_path):
    text = tmp_path / "line.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 40)
    model = recurra.train(
        "lm",
        text,
        out=tmp_path / "out",
        valid=[text],
        steps=150,
        learning_rate=0.02,
        **{**toys.TINY, "dropout": 0.0},
    )
    # Two copies apart, so that a window may begin anywhere: all but the first characters can be known.
    assert model.generate("the quick", length=30, sampling=SamplingOptions(greedy=True), seed=0).startswith(
        " brown fox jumps over the lazy"
    )


def test_it_beats_the_frequencies_of_characters(trained, text):
    content = text.read_text()
    held_out = content[-len(content) // 10 :]
    counts = {symbol: content.count(symbol) for symbol in set(content)}
    frequency_bits = -np.mean([math.log2(counts[symbol] / len(content)) for symbol in held_out])
    metrics = recurra.bundle.read_metrics(trained)
    assert metrics["valid_bits_per_char"] < frequency_bits / 3
    assert metrics["valid_loss"] == pytest.approx(metrics["valid_bits_per_char"] * math.log(2))
    assert metrics["valid_perplexity"] == pytest.approx(math.exp(metrics["valid_loss"]))


def test_one_seed_writes_one_text_and_samples_side_by_side_do_not_change_it(trained):
    model = recurra.load(trained)
    alone = model.generate("the cat", length=60, seed=3)
    assert alone == model.generate("the cat", length=60, seed=3)
    assert alone != model.generate("the cat", length=60, seed=4)
    together = model.generate_many("the cat", samples=3, length=60, seed=3)
    assert together[0] == alone
    assert len(set(together)) > 1


def test_pieces_as_they_stream_are_the_text(trained):
    model = recurra.load(trained)
    pieces = [piece for (piece,) in model.stream("a", length=50, seed=1)]
    assert "".join(pieces) == model.generate("a", length=50, seed=1)
    assert len([piece for piece in pieces if piece]) == 50


def test_a_stop_string_ends_the_text_and_is_not_shown(trained):
    model = recurra.load(trained)
    text = model.generate("the cat", length=500, stop=["."], seed=0)
    assert "." not in text
    assert len(text) < 100


def test_a_prompt_primes_the_state(trained):
    model, greedy = recurra.load(trained), SamplingOptions(greedy=True)
    assert model.generate("the c", length=2, sampling=greedy, seed=0) == "at"
    assert model.generate("my f", length=2, sampling=greedy, seed=0) == "ox"


def test_a_search_finds_the_most_probable_text(trained):
    model = recurra.load(trained)
    network, tokenizer = model.network.eval(), model.tokenizer
    with torch.inference_mode():
        scores, state, *_ = network(torch.from_numpy(tokenizer.encode("the c"))[:, None], network.initial_state(1))
        first = scores[-1, 0].log_softmax(-1)
        second, _ = GenerationStep(network)(
            torch.arange(tokenizer.size), select(state, torch.zeros(tokenizer.size, dtype=torch.int64))
        )
    totals = first[:, None] + second
    totals[tokenizer.unknown_id] = totals[:, tokenizer.unknown_id] = -math.inf
    best = divmod(int(totals.argmax()), tokenizer.size)
    assert model.generate("the c", length=2, beam=tokenizer.size) == tokenizer.decode(best)


def test_a_search_with_one_hypothesis_is_greedy(trained):
    model = recurra.load(trained)
    for prompt in ("the cat", "a", ""):
        greedy = model.generate(prompt, length=40, greedy=True)
        assert model.generate(prompt, length=40, beam=1) == greedy
        assert model.generate(prompt, length=40, beam=1, stop=" ") == greedy[: greedy.index(" ")]
    assert model.generate("the cat", length=0, beam=3) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam=0: expected a whole number of 1 or more"),
        ({"beam": 2.0}, "beam=2.0: expected a whole number"),
        ({"beam": 2, "length": None}, "beam=2: beam search requires a length, which is None"),
        ({"beam": 2, "seed": 0, "top_k": 3}, "samples nothing: leave out seed, sampling"),
        ({"beam": 2, "samples": 2}, "samples nothing: leave out samples"),
    ],
)
def test_a_search_with_what_it_cannot_use_is_refused(trained, options, message):
    with pytest.raises(InputError, match=message):
        recurra.load(trained).stream("the", **options)


def test_a_line_scores_alike_alone_and_among_others(trained):
    model = recurra.load(trained)
    lines = ["the cat sees a dog.", "dog cat the zz", "a", "", "my fox likes the cat."]
    together = list(model.score(lines, batch_size=3))
    assert [score.text for score in together] == lines
    for line, score in zip(lines, together, strict=True):
        (alone,) = model.score([line])
        assert score.tokens == len(line) + 1
        assert score.nats == pytest.approx(alone.nats, abs=1e-4)
    assert together[0].perplexity < together[1].perplexity


def test_a_score_is_the_sum_of_token_losses(trained):
    model = recurra.load(trained)
    tokens = model.tokenizer.encode("\nmy fox hears a dog.\n")
    (score,) = model.score(["my fox hears a dog."])
    with torch.no_grad():
        assert score.nats == pytest.approx(sum(brute_force(model.network, tokens)), abs=1e-4)


@pytest.mark.parametrize("tokenizer", ["byte", "word", "bpe"])
def test_every_unit_trains_writes_and_scores(tokenizer, text, tmp_path):
    options = {"vocabulary_size": 270} if tokenizer == "bpe" else {}
    model = recurra.train("lm", text, out=tmp_path / tokenizer, unit=tokenizer, steps=30, **options, **toys.TINY)
    again = recurra.load(tmp_path / tokenizer)
    assert again.generate("the cat", length=20, seed=0) == model.generate("the cat", length=20, seed=0)
    scores = again.evaluate([text], tmp_path)
    name = "bits_per_byte" if tokenizer == "byte" else "bits_per_char"
    assert 0 < scores[name] < 8
    if tokenizer == "bpe":
        assert scores[name] == pytest.approx(
            scores["loss"] / math.log(2) * (scores["tokens"] - 1) / (scores["characters"] - 3), rel=0.01
        )


def test_tied_weights_are_one_parameter(tmp_path, text):
    sizes = {**toys.TINY, "embedding_size": 24, "tied": True}
    model = recurra.train("lm", text, out=tmp_path / "tied", steps=5, **sizes)
    assert model.network.readout.weight is model.network.embedding.weight
    again = recurra.load(tmp_path / "tied")
    assert again.network.readout.weight is again.network.embedding.weight
    assert torch.equal(again.network.embedding.weight, model.network.embedding.weight)


def test_the_state_of_a_checkpoint_is_rebuilt_as_it_was():
    training, network, _ = windows(10, None)
    state = network.initial_state(2)
    plain = tuple(type("Stand", (), {"_asdict": lambda self, one=one: one._asdict()})() for one in state)
    again = training.rebuild_state(plain)
    assert isinstance(again[0], State)
    assert torch.equal(again[0].c, state[0].c)


def test_unknown_symbols_of_a_prompt_are_told(trained):
    assert recurra.load(trained).unknown_in("the Cät") == ["C", "ä"]


def test_text_too_short_for_a_window_is_refused_before_anything_is_written(tmp_path):
    text = tmp_path / "short.txt"
    text.write_text("abc\n" * 30)
    with pytest.raises(InputError, match="108 tokens, but 1,025 are needed"):
        recurra.train("lm", text, out=tmp_path / "out", steps=1)
    assert not (tmp_path / "out").exists()


def test_tinyshakespeare_is_divided_as_its_users_do(data):
    from recurra.tasks.language_model.data import divide
    from recurra.tasks.language_model.options import TextOptions

    train, valid = divide([data / "tinyshakespeare" / "input.txt"], TextOptions())
    assert (len(train), len(valid)) == (1_003_854, 111_540)


def test_words_of_the_penn_treebank_are_counted_as_in_the_literature(data):
    text = open_text(data / "ptb" / "ptb.valid.txt")
    tokenizer = build_tokenizer("word", open_text(data / "ptb" / "ptb.train.txt"))
    assert tokenizer.size == 10_000
    assert sum(len(tokenizer.encode(block)) for block in text.blocks(1 << 30)) == 73_760


def test_streams_and_the_model_agree_on_what_is_next(trained, text):
    model = recurra.load(trained)
    assert isinstance(model, LanguageModel)
    tokens = model.tokenizer.encode(text.read_text())
    streams = Streams(tokens, batch_size=2, update_every=8, seed=0)
    streams.update()
    (window,) = streams.update()
    assert model.tokenizer.decode(window.inputs[1:, 0].numpy()) == model.tokenizer.decode(
        window.targets[:-1, 0].numpy()
    )


def test_the_time_kept_for_the_final_scores_leaves_out_what_happens_once(monkeypatch):
    clock = [0.0]
    costs = iter([50.0, 0.25])  # the first reading compiles
    monkeypatch.setattr(job_module.time, "perf_counter", lambda: clock[0])

    def read(network, tokens, **_):
        assert len(tokens) == training_module._TRIAL + 1
        clock[0] += next(costs)

    monkeypatch.setattr(training_module, "nats_in_order", read)
    text = ramp(4 * training_module._TRIAL)
    tokenizer = type("Seven", (), {"name": "char", "per_character": True, "size": 7})()
    job = Job.__new__(Job)
    job._objective = LanguageModelObjective(Network(7, SMALL), tokenizer, text, text, WindowOptions())
    assert job.final_seconds() == 1.0

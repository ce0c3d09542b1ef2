"""Text from compiled steps equals that from the layers, and states of a step are values."""

import pytest
import torch

from recurra.cells import select
from recurra.data.tokenizers.char import CharTokenizer
from recurra.engine.stream import by_rows
from recurra.engine.stream.tokens import TokenStream
from recurra.errors import InputError
from recurra.tasks.language_model.model import LanguageModel
from recurra.tasks.language_model.options import NetworkOptions
from recurra.tasks.language_model.step import GenerationStep
from recurra.tasks.recurrent_options import RecurrentOptions

ALPHABET = "abcdefghijklmnopqrstuvwxyz .\n"
OPTIONS = [
    {"greedy": True},
    {"greedy": True, "repetition_penalty": 1.3, "samples": 2},
    {"beam": 1},
    {"beam": 4},
    {"beam": 30},
    {"seed": 3, "samples": 3},
    {"seed": 3, "samples": 3, "repetition_penalty": 1.2, "top_k": 12, "temperature": 0.8},
    {"seed": 3, "samples": 20, "repetition_penalty": 1.2},
]


def model(cell="lstm", **options):
    torch.manual_seed(1)
    recurrent = RecurrentOptions(cell=cell, hidden_size=24, num_layers=2, **options)
    new = LanguageModel.new(CharTokenizer(sorted(ALPHABET)), NetworkOptions(recurrent=recurrent, embedding_size=9))
    for parameter in new.network.parameters():
        parameter.data.mul_(2)  # far from uniform, so that a text depends on its state
    return new


def texts(new, *, samples=1, length=40, **options):
    return new.generate_many("the ", samples=samples, length=length, **options)


@pytest.fixture
def scored(monkeypatch):
    """The numbers of rows of the compiled steps."""
    calls, score = [], TokenStream.score

    def counted(self, tokens):
        calls.append(len(tokens))
        return score(self, tokens)

    monkeypatch.setattr(TokenStream, "score", counted)
    return calls


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_text_is_that_of_the_layers(monkeypatch, cell, options):
    new = model(cell)
    compiled = texts(new, **options)
    monkeypatch.setattr(by_rows, "MOST_ROWS", 0)
    assert compiled == texts(new, **options)


def test_searches_and_penalties_run_on_streams(monkeypatch, scored):
    new = model()
    texts(new, beam=4, length=5)
    assert scored == [1, 4, 4, 4, 4]
    texts(new, beam=17, length=3)
    assert scored[5:] == [1]
    texts(new, samples=3, seed=0, repetition_penalty=1.1, length=3)
    assert scored[6:] == [3, 3]
    monkeypatch.setattr(by_rows, "MOST_ROWS", 0)
    texts(new, beam=4, length=5)
    assert len(scored) == 8


@torch.inference_mode()
@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_states_are_values(cell):
    network = model(cell, learn_initial_state=True).network.eval()
    step = GenerationStep(network)

    def layers(tokens, state):
        scores, state, *_ = network(tokens[None], state)
        return scores[0].log_softmax(-1), state

    def check(one, other):
        torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=0)
        for left, right in zip(one[1], other[1], strict=True):
            torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)

    tokens, rows = torch.tensor([3, 1, 4]), torch.tensor([2, 0, 0, 1])
    _, start = layers(tokens, network.initial_state(3))
    first = step(tokens, start)
    copy = [one.map(torch.clone) for one in first[1]]
    # Two continuations of a state, and one of some of its rows, in turns.
    left, right = step(tokens + 1, first[1]), step(tokens + 5, first[1])
    several = step(torch.arange(4), step.select(first[1], rows))
    check(step(tokens, left[1]), layers(tokens, layers(tokens + 1, first[1])[1]))
    check(step(tokens, right[1]), layers(tokens, layers(tokens + 5, first[1])[1]))
    check(several, layers(torch.arange(4), select(first[1], rows)))
    check(step(tokens, start), first)
    assert all(
        torch.equal(a, b) for one, two in zip(first[1], copy, strict=True) for a, b in zip(one, two, strict=True)
    )


def test_a_step_works_with_gradients_and_in_both_modes_without(scored):
    network = model().network.eval()
    step, tokens = GenerationStep(network), torch.tensor([1, 2])
    with torch.inference_mode():
        step(tokens, network.initial_state(2))
    with torch.no_grad():
        log_probs, _ = step(tokens, network.initial_state(2))
    assert scored == [2, 2]
    with_gradient, _ = step(tokens, network.initial_state(2))
    assert with_gradient.requires_grad
    assert scored == [2, 2]
    torch.testing.assert_close(with_gradient.detach(), log_probs, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_float64_runs_on_the_layers(scored):
    network = model().network.eval().double()
    log_probs, _ = GenerationStep(network)(torch.tensor([1]), network.initial_state(1))
    assert (log_probs.dtype, scored) == (torch.float32, [])


@torch.inference_mode()
@pytest.mark.parametrize("tokens", [[-1, 0], [0, 10**6]])
def test_tokens_outside_the_vocabulary_are_refused(tokens):
    network = model().network.eval()
    with pytest.raises(InputError, match="expected 0 or more and less than"):
        GenerationStep(network)(torch.tensor(tokens), network.initial_state(2))

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.decoding import BeamOptions, Hypothesis, SamplingOptions, beam_search, length_penalty, sample
from recurra.decoding.active_hypotheses import ActiveHypotheses
from recurra.errors import InputError, RecurraError
from recurra.tasks.language_model.network import Network
from recurra.tasks.language_model.options import NetworkOptions
from recurra.tasks.language_model.step import GenerationStep
from recurra.tasks.recurrent_options import RecurrentOptions

END = 0


class Chain:
    """A `Step` by a random chain for each input: what comes next hangs on the last token, the step and the input.

    A state is (rows of the input, steps so far, coverage); coverage stands in for what attention would have summed.
    """

    def __init__(self, seed, inputs=1, size=4, ends=0.0, sharp=2.0):
        draw = torch.Generator().manual_seed(seed)
        logits = sharp * torch.randn(inputs, 16, size, size, generator=draw, dtype=torch.float64)
        logits[..., END] += ends
        self.table = logits.log_softmax(-1)
        self.drawn = torch.rand(inputs, 16, size, generator=draw, dtype=torch.float64)
        self.inputs, self.size, self.sizes = inputs, size, []

    def state(self, rows=None):
        rows = torch.arange(self.inputs) if rows is None else rows
        return rows, 0, torch.zeros(len(rows), dtype=torch.float64)

    def __call__(self, tokens, state):
        rows, steps, coverage = state
        assert len(tokens) == len(rows)
        self.sizes.append(rows.tolist())
        return self.table[rows, steps, tokens], (rows, steps + 1, coverage + self.drawn[rows, steps, tokens])

    @staticmethod
    def select(state, rows):
        return state[0][rows], state[1], state[2][rows]

    @staticmethod
    def penalty(state):
        return -0.3 * state[2] / state[1]

    def search(self, longest, rows=None, penalised=False, **options):
        state = self.state(rows)
        forbidden = options.pop("forbidden", ())
        end = options.pop("end", END)
        return beam_search(
            self,
            state,
            start=torch.zeros(len(state[0]), dtype=torch.int64),
            end=end,
            options=BeamOptions(**options),
            longest=torch.as_tensor(longest).expand(len(state[0])),
            penalty=self.penalty if penalised else None,
            forbidden=forbidden,
        )


def log_probability(step, state, tokens):
    """Of tokens after END, one at a time, and the state that the last was predicted from."""
    last, total = END, 0.0
    for token in tokens:
        log_probs, state = step(torch.tensor([last]), state)
        total += float(log_probs[0, token])
        last = token
    return total, state


def every(step, state, size, longest, length_weight, penalty=None):
    """Every sequence that ends within `longest` steps, best first."""
    found = []
    for length in range(longest):
        for tokens in itertools.product(range(1, size), repeat=length):
            total, last = log_probability(step, state, [*tokens, END])
            score = total / length_penalty(length + 1, length_weight)
            if penalty is not None:
                score += float(penalty(last))
            found.append(Hypothesis(list(tokens), score, total, True))
    return sorted(found, key=lambda hypothesis: -hypothesis.score)


def same(one, other, tolerance=1e-9):
    assert [each.tokens for each in one] == [each.tokens for each in other]
    for a, b in zip(one, other, strict=True):
        assert (a.score, a.log_probability) == pytest.approx((b.score, b.log_probability), abs=tolerance)
        assert a.finished == b.finished


@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("weight", [-1.5, 0.0, 0.7, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_tries_every_sequence(seed, weight, penalised):
    chain = Chain(seed, size=4)
    [found] = chain.search(4, beam=200, nbest=12, length_penalty=weight, penalised=penalised)
    wanted = every(chain, chain.state(), 4, 4, weight, chain.penalty if penalised else None)
    same(found, wanted[:12])


def test_a_wide_beam_over_a_network_tries_every_sequence():
    torch.manual_seed(5)
    network = (
        Network(4, NetworkOptions(recurrent=RecurrentOptions(hidden_size=8, num_layers=2), embedding_size=6))
        .eval()
        .double()
    )
    for parameter in network.parameters():
        parameter.data.mul_(3)
    step, starts = GenerationStep(network), network.initial_state(2)
    rows = beam_search(
        step,
        starts,
        start=torch.zeros(2, dtype=torch.int64),
        end=END,
        options=BeamOptions(beam=150, nbest=10, length_penalty=1.0),
        longest=torch.tensor([4, 3]),
    )
    with torch.inference_mode():
        for found, longest in zip(rows, (4, 3), strict=True):
            same(found, every(step, network.initial_state(1), 4, longest, 1.0)[:10], tolerance=1e-5)


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 6), st.floats(-2, 2), st.floats(-4, 3))
def test_a_beam_of_one_is_greedy(seed, inputs, size, weight, ends):
    chain = Chain(seed, inputs, size, ends)
    rows = chain.search(12, beam=1, length_penalty=weight)
    for number, [found] in enumerate(rows):
        expected, last, state = [], END, chain.state(torch.tensor([number]))
        while len(expected) < 12:
            log_probs, state = chain(torch.tensor([last]), state)
            last = int(log_probs.argmax())
            expected.append(last)
            if last == END:
                break
        assert found.finished == (expected[-1] == END)
        assert found.tokens == [token for token in expected if token != END]
        drawn = sample(
            *chain(torch.tensor([END]), chain.state(torch.tensor([number]))),
            step=chain,
            length=12,
            generators=[torch.Generator()],
            options=SamplingOptions(greedy=True),
            end=END,
        )
        assert [int(token) for token in drawn] == expected


@settings(max_examples=150)
@given(
    st.integers(0, 2**31),
    st.integers(1, 4),
    st.integers(1, 6),
    st.floats(-3, 3),
    st.floats(-3, 3),
    st.floats(1, 9),
    st.booleans(),
    st.data(),
)
def test_an_early_stop_never_changes_what_is_found(seed, inputs, beam, weight, ends, sharp, penalised, data):
    chain = Chain(seed, inputs, 5, ends, sharp)
    options = {"beam": beam, "nbest": data.draw(st.integers(1, beam)), "length_penalty": weight}
    longest = data.draw(st.lists(st.integers(1, 14), min_size=inputs, max_size=inputs))
    early = chain.search(longest, penalised=penalised, **options)
    steps = len(chain.sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ActiveHypotheses, "_best_to_come", lambda self, live: torch.full_like(live[:, 0], math.inf))
        late = chain.search(longest, penalised=penalised, **options)
    assert early == late
    assert steps <= len(chain.sizes) - steps


def test_a_long_output_that_comes_to_be_the_best_is_waited_for():
    chain = Chain(0, 3, 3)
    chain.table.fill_(-math.inf)
    chain.table[:, 0, END, :2] = torch.tensor([0.6, 0.4]).log()
    chain.table[:, 1:9, 1, 1] = chain.table[:, 9, 1, END] = 0.0
    # -0.51 to stop at once; -0.92 to go on, which ((5 + 10) / 6)^1 makes the better one, but ((5 + 3) / 6)^1 does not.
    rows = chain.search([1, 4, 10], beam=2, length_penalty=1.0)
    assert [[each.tokens for each in found] for found in rows] == [[[]], [[]], [[1] * 9]]
    assert rows[2][0].score == pytest.approx(math.log(0.4) / 2.5)


def test_the_search_does_stop_early():
    chain = Chain(1, size=5, ends=3.0)
    chain.search(16, beam=3, length_penalty=0.0)
    assert len(chain.sizes) < 8


@given(st.integers(0, 2**31), st.integers(1, 6), st.floats(-1, 2), st.integers(0, 3))
def test_an_input_in_a_batch_is_searched_as_alone(seed, beam, weight, repeats):
    chain = Chain(seed, 4, 5)
    longest = [3, 12, 7, 1]
    options = {"beam": beam, "nbest": beam, "length_penalty": weight, "block_repeats": repeats, "penalised": True}
    together = chain.search(longest, **options)
    assert together == [chain.search([longest[row]], torch.tensor([row]), **options)[0] for row in range(4)]


def test_hypotheses_of_an_input_stand_side_by_side_and_inputs_leave():
    chain = Chain(2, 3, 5)
    chain.search([2, 6, 4], beam=4, length_penalty=3.0, nbest=4)
    assert chain.sizes[0] == [0, 1, 2]
    assert chain.sizes[1] == [0] * 4 + [1] * 4 + [2] * 4
    assert chain.sizes[2:] == [[1] * 4 + [2] * 4] * 2 + [[1] * 4] * 2


@given(st.integers(0, 2**31), st.integers(1, 8), st.floats(-1, 2), st.floats(-3, 3))
def test_the_n_best_are_sorted_distinct_and_scored_right(seed, beam, weight, ends):
    chain = Chain(seed, 2, 4, ends)
    for number, found in enumerate(chain.search(8, beam=beam, nbest=beam, length_penalty=weight, penalised=True)):
        assert 1 <= len(found) <= beam
        assert len({(tuple(each.tokens), each.finished) for each in found}) == len(found)
        ranks = [(not each.finished, -each.score) for each in found]
        assert ranks == sorted(ranks)
        for each in found:
            said = [*each.tokens, END] if each.finished else each.tokens
            assert len(said) == 8 or each.finished
            assert END not in each.tokens
            total, last = log_probability(chain, chain.state(torch.tensor([number])), said)
            score = total / length_penalty(len(said), weight) + float(chain.penalty(last))
            assert (each.score, each.log_probability) == pytest.approx((score, total))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_run_of_blocked_size_comes_twice(size):
    chain = Chain(3, 3, 4, ends=-9.0)
    free = chain.search(16, beam=3, nbest=3)
    for block, kept in ((0, True), (size, False)):
        rows = chain.search(16, beam=3, nbest=3, block_repeats=block)
        runs = [[tuple(each.tokens[i : i + size]) for i in range(17 - size)] for found in rows for each in found]
        twice = [len([run for run in each if len(run) == size]) > len(set(each)) for each in runs]
        assert any(twice) == kept
    assert free != rows


def test_what_is_cut_short_comes_after_what_is_finished():
    chain = Chain(0, size=3, ends=-4.0)
    [found] = chain.search(3, beam=16, nbest=16, length_penalty=0.0)
    cut = [each for each in found if not each.finished]
    assert [each.finished for each in found] == sorted((each.finished for each in found), reverse=True)
    assert max(each.score for each in cut) > found[0].score
    assert sorted(tuple(each.tokens) for each in cut) == list(itertools.product([1, 2], repeat=3))
    [[alone]] = chain.search(1, beam=1)
    assert (len(alone.tokens), alone.finished) == (1, False)


def test_without_an_end_every_output_is_as_long_as_it_may_be():
    chain = Chain(4, 3, 4)
    rows = chain.search([2, 5, 1], end=None, beam=64, nbest=2, length_penalty=0.0)
    assert [[len(each.tokens) for each in found] for found in rows] == [[2, 2], [5, 5], [1, 1]]
    assert not any(each.finished for found in rows for each in found)
    every_two = itertools.product(range(4), repeat=2)
    best = max(every_two, key=lambda said: log_probability(chain, chain.state(torch.tensor([0])), said)[0])
    assert rows[0][0].tokens == list(best)


def test_forbidden_tokens_never_come():
    chain = Chain(5, 2, 4, ends=-2.0)
    free = chain.search(6, beam=4, nbest=4)
    assert any(2 in each.tokens for found in free for each in found)
    for found in chain.search(6, beam=4, nbest=4, forbidden=[2]):
        assert len(found) == 4
        assert not any(2 in each.tokens for each in found)
    for found in chain.search(6, beam=4, nbest=4, forbidden=iter([END])):
        assert not any(each.finished for each in found)
    with pytest.raises(InputError, match="forbidden id 4, expected 0 or more and less than 4"):
        chain.search(6, forbidden=[4])
    with pytest.raises(InputError, match="all 4 ids are forbidden"):
        chain.search(6, forbidden=range(4))


def test_what_has_no_probability_is_not_chosen():
    chain = Chain(6, 1, 4)
    chain.table[..., 1:] = -math.inf
    chain.table[:, 0, :, 3] = -1.0
    [found] = chain.search(6, beam=5, nbest=5, length_penalty=0.0)
    assert sorted(each.tokens for each in found) == [[], [3]]
    assert all(each.finished and math.isfinite(each.score) for each in found)


def test_what_nothing_can_follow_is_cut_short():
    chain = Chain(7, 2, 3)
    [first, second] = chain.search(9, end=None, beam=4, nbest=2, block_repeats=1, forbidden=[END])
    for found in (first, second):
        assert sorted(each.tokens for each in found) == [[1, 2], [2, 1]]
        assert not any(each.finished for each in found)
    chain.table.fill_(-math.inf)
    assert chain.search(9, beam=3) == [[Hypothesis([], 0.0, 0.0, False)]] * 2


def test_of_equals_the_earlier_hypothesis_and_the_lower_id_come_first():
    chain = Chain(0, 1, 5)
    chain.table.fill_(-math.log(5))
    [found] = chain.search(2, end=None, beam=7, nbest=7, length_penalty=0.0)
    assert [each.tokens for each in found] == [[0, 0], [0, 1], [0, 2], [0, 3], [0, 4], [1, 0], [1, 1]]
    [found] = chain.search(3, beam=3, nbest=3, length_penalty=0.0)
    assert [(each.tokens, each.finished) for each in found] == [([], True), ([1], True), ([1, 1], True)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_number_is_a_failure(bad):
    chain = Chain(0, 2, 4)
    chain.table[1, 2] = bad
    with pytest.raises(RecurraError, match="NaN or"):
        chain.search(9, beam=3, nbest=3, length_penalty=3.0)


def test_arguments_that_do_not_fit_are_refused():
    chain = Chain(0, 2, 4)
    with pytest.raises(InputError, match="longest=0, expected 1 step or more"):
        chain.search([3, 0])
    with pytest.raises(InputError, match=r"longest is \(1,\) and start \(2,\)"):
        beam_search(
            chain,
            chain.state(),
            start=torch.zeros(2, dtype=torch.int64),
            end=END,
            options=BeamOptions(),
            longest=torch.tensor([3]),
        )
    assert chain.search([], torch.zeros(0, dtype=torch.int64)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, "beam=0, expected 1 or more"),
        ({"nbest": 6}, "nbest=6 outputs of beam=5"),
        ({"nbest": 0}, "nbest=0, expected 1 or more"),
        ({"block_repeats": -1}, "block_repeats=-1, expected 0 or more"),
        ({"length_penalty": math.nan}, "length_penalty=nan, expected -10 to 10"),
        ({"coverage_penalty": -0.1}, "coverage_penalty=-0.1, expected 0 to 1e"),
        ({"coverage_penalty": math.inf}, "coverage_penalty=inf, expected 0 to 1e"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        BeamOptions(**options)

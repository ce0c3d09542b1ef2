import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import BeamOptions, SamplingOptions, filter_logits
from recurra.errors import InputError

# Few distinct values, so that ties are common; two decimals, so that sums do not land on a border by rounding.
rows = st.lists(st.sampled_from([-3.0, -1.37, -0.5, 0.0, 0.21, 1.9, 2.6]), min_size=1, max_size=12)
options = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.31, 1.0, 2.7]),
    top_k=st.none() | st.integers(1, 14),
    top_p=st.none() | st.sampled_from([0.013, 0.37, 0.713, 0.99, 1.0]),
    min_p=st.none() | st.sampled_from([0.011, 0.31, 0.73, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.23, 0.87]),
)


def by_hand(logits, options, seen):
    """The same in NumPy, token by token: a ranking as a list of ids, cut three times."""
    p = np.exp(np.array(logits, dtype=np.float64))
    p = np.exp(np.log(p / p.sum()) * np.where(seen, options.repetition_penalty, 1.0) / options.temperature)
    kept = sorted(range(len(p)), key=lambda token: (-p[token], token))[: options.top_k]
    if options.top_p is not None:
        mass, least = p[kept].sum(), 0
        while p[kept[:least]].sum() < options.top_p * mass and least < len(kept):
            least += 1
        kept = kept[:least] if options.top_p < 1 else kept
    if options.min_p is not None:
        kept = [token for token in kept if p[token] >= options.min_p * p.max() * (1 - 1e-12)]
    result = np.zeros(len(p))
    result[kept] = p[kept] / p[kept].sum()
    return result


@given(rows, options, st.data())
def test_filters_equal_a_ranking_cut_by_hand(logits, options, data):
    seen = data.draw(st.lists(st.booleans(), min_size=len(logits), max_size=len(logits)))
    out = filter_logits(torch.tensor([logits], dtype=torch.float64), options, torch.tensor([seen]))
    np.testing.assert_allclose(out[0].exp().numpy(), by_hand(logits, options, np.array(seen)), atol=1e-12)


def probabilities(values, **options):
    logits = torch.tensor(values, dtype=torch.float64).log()
    return filter_logits(logits, SamplingOptions(**options)).exp().tolist()


def test_rows_are_filtered_each_on_its_own():
    out = probabilities([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], top_k=2)
    assert out == [pytest.approx([0.625, 0.375, 0]), pytest.approx([1 / 9, 0, 8 / 9])]


def test_top_k_keeps_exactly_k_and_of_equals_the_lower_ids():
    assert probabilities([[1.0, 2.0, 1.0, 1.0]], top_k=2) == [pytest.approx([1 / 3, 2 / 3, 0, 0])]
    assert probabilities([[1.0, 1.0]], top_k=5) == [pytest.approx([0.5, 0.5])]


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.5, [0.5]), (0.51, [0.5, 0.25]), (0.75, [0.5, 0.25]), (0.76, [0.5, 0.25, 0.125])]
)
def test_top_p_keeps_the_smallest_set_that_has_the_mass(top_p, kept):
    [out] = probabilities([[0.5, 0.25, 0.125, 0.125]], top_p=top_p)
    assert out == pytest.approx([value / sum(kept) for value in kept] + [0] * (4 - len(kept)))


def test_min_p_is_relative_to_the_most_probable():
    assert probabilities([[0.6, 0.25, 0.15]], min_p=0.4) == [pytest.approx([0.6 / 0.85, 0.25 / 0.85, 0])]


def test_temperature_divides_the_logarithms():
    assert probabilities([[0.8, 0.2]], temperature=0.5) == [pytest.approx([16 / 17, 1 / 17])]


def test_a_repetition_penalty_never_rewards_and_does_not_depend_on_a_constant():
    logits = torch.tensor([[-2.0, -3.0, 1.0]])
    seen = torch.tensor([[True, False, False]])
    options = SamplingOptions(repetition_penalty=1.5)
    plain, out = logits.softmax(-1), filter_logits(logits, options, seen).exp()
    assert out[0, 0] < plain[0, 0]
    assert out[0, 0] / out[0, 1] == pytest.approx(float(plain[0, 0] ** 1.5 / plain[0, 1]))
    assert torch.allclose(filter_logits(logits + 7, options, seen).exp(), out)
    with pytest.raises(InputError, match=r"repetition_penalty=1.5 needs the tokens seen"):
        filter_logits(logits, options)


def test_greedy_gives_all_to_the_most_probable_after_the_penalty():
    logits = torch.tensor([[0.0, 2.0, 2.0], [1.0, 0.0, 0.9]])
    assert filter_logits(logits, SamplingOptions(greedy=True)).exp().tolist() == [[0, 1, 0], [1, 0, 0]]
    seen = torch.tensor([[False, True, False], [True, False, False]])
    penalised = filter_logits(logits, SamplingOptions(greedy=True, repetition_penalty=2.0), seen)
    assert penalised.exp().tolist() == [[0, 0, 1], [0, 0, 1]]


def test_what_may_never_come_stays_out():
    logits = torch.tensor([[-math.inf, 1.0, 0.0]])
    for kept in ({}, {"temperature": 3.0}, {"top_p": 0.999}, {"min_p": 0.001}, {"top_k": 3}, {"greedy": True}):
        out = filter_logits(logits, SamplingOptions(**kept)).exp()
        assert out[0, 0] == 0
        assert out.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0}, "temperature=0 would divide by zero.*greedy"),
        ({"temperature": -1.0}, "temperature=-1.0, expected a number above 0"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"repetition_penalty": math.inf}, "repetition_penalty=inf"),
        ({"top_k": 0}, "top_k=0, expected 1 or more"),
        ({"top_p": 0.0}, "top_p=0.0, expected above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p=1.1"),
        ({"min_p": math.nan}, "min_p=nan"),
        ({"greedy": True, "top_k": 4, "temperature": 0.5}, "temperature=0.5, top_k=4 has no effect"),
    ],
)
def test_options_out_of_range_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        SamplingOptions(**wrong)


EXTREMES = [
    {"temperature": 1e-40},
    {"temperature": 5e-324},
    {"temperature": 1e-10, "top_k": 3, "top_p": 0.5, "min_p": 0.1},
    {"top_p": 1e-40},
    {"top_p": 5e-324},
    {"min_p": 1.0},
    {"repetition_penalty": 1e30},
    {"repetition_penalty": 1e30, "temperature": 1e-300},
    {"repetition_penalty": 1e30, "greedy": True},
]


@pytest.mark.parametrize("chosen", EXTREMES, ids=str)
def test_extreme_options_take_the_most_probable_token(chosen):
    logits = torch.tensor([[-math.inf, 0.3, 2.1, 2.0, -50.0], [4.0, -math.inf, -1e4, 1.0, 3.9]])
    seen = torch.ones_like(logits, dtype=torch.bool)
    found = filter_logits(logits, SamplingOptions(**chosen), seen)
    assert found.dtype == torch.float32
    assert found.exp().tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]


@pytest.mark.parametrize("temperature", [1e39, 1e308])
def test_an_extreme_temperature_makes_what_may_come_alike(temperature):
    logits = torch.tensor([[-math.inf, 0.3, 2.1, 2.0]])
    found = filter_logits(logits, SamplingOptions(temperature=temperature)).exp()
    assert found[0].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])


@pytest.mark.parametrize("chosen", [{"min_p": 5e-324}, {"top_p": 1.0}, {"top_k": 10**30}], ids=str)
def test_extreme_options_that_narrow_nothing_keep_every_token(chosen):
    logits = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(filter_logits(logits, SamplingOptions(**chosen)), logits.log_softmax(-1))


@pytest.mark.parametrize("temperature", [1e-4, 0.99e-4, 1e4, 1.01e4])
def test_both_ways_of_computing_agree_where_they_meet(temperature):
    logits = torch.tensor([[0.0, -1e-4, -3e-4, -1e-3]])
    wanted = (logits.double() / temperature).log_softmax(-1).float()
    torch.testing.assert_close(
        filter_logits(logits, SamplingOptions(temperature=temperature)), wanted, rtol=1e-3, atol=2e-3
    )


@pytest.mark.parametrize("name", ["temperature", "top_p", "min_p", "repetition_penalty"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_is_no_number_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"{name}={value}"):
        SamplingOptions(**{name: value})


def test_a_penalty_that_overflows_is_refused_by_name():
    with pytest.raises(InputError, match=r"repetition_penalty=1e\+31, expected at most 1e\+30"):
        SamplingOptions(repetition_penalty=1e31)
    with pytest.raises(InputError, match=r"coverage_penalty=1e\+40, expected 0 to 1e\+30"):
        BeamOptions(coverage_penalty=1e40)

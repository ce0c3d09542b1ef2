"""The conditional random field against every path written out one by one, in float64."""

import itertools
import math

import pytest
import torch

from recurra.data.spans import may_follow, rules
from recurra.errors import InputError
from recurra.layers import ConditionalRandomField

LENGTHS = (5, 1, 3, 4)
T, B = max(LENGTHS), len(LENGTHS)
BIO = ["O", "B-X", "I-X", "B-Y", "I-Y"]
BIOES = ["O", "B-X", "I-X", "E-X", "S-X"]


def field(labels=None, scheme=None, size=4):
    allowed = {}
    if labels is not None:
        size, (start, between, end) = len(labels), rules(labels, scheme)
        allowed = {"allowed_start": start, "allowed": between, "allowed_end": end}
    made = ConditionalRandomField(size, **allowed).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


FIELDS = {"free": field, "bio": lambda: field(BIO, "bio"), "bioes": lambda: field(BIOES, "bioes")}


@pytest.fixture(params=FIELDS)
def crf(request):
    return FIELDS[request.param]()


@pytest.fixture
def x(crf):
    return torch.randn(T, B, crf.size, dtype=torch.float64, requires_grad=True)


def paths(crf, scores):
    """Every path that is allowed, with its score as a sum written out."""
    start, between, end = crf.allowed_start, crf.allowed, crf.allowed_end
    for path in itertools.product(range(crf.size), repeat=len(scores)):
        steps = list(itertools.pairwise(path))
        if start[path[0]] and end[path[-1]] and all(between[a, b] for a, b in steps):
            total = crf.start[path[0]] + crf.end[path[-1]] + sum(crf.transition[a, b] for a, b in steps)
            yield path, total + sum(scores[t, label] for t, label in enumerate(path))


def brute_log_partition(crf, x):
    rows = [torch.stack([score for _, score in paths(crf, x[:n, b])]) for b, n in enumerate(LENGTHS)]
    return torch.stack([row.logsumexp(0) for row in rows])


def test_partition_function_and_gradients_equal_the_sum_over_all_paths(crf, x):
    ours, theirs = crf.log_partition(x, torch.tensor(LENGTHS)), brute_log_partition(crf, x)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    weights = torch.randn(B, dtype=torch.float64)
    inputs = [x, *crf.parameters()]
    got = torch.autograd.grad((ours * weights).sum(), inputs)
    expected = torch.autograd.grad((theirs * weights).sum(), inputs)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    assert got[0].abs().sum() > 0.1
    assert torch.equal(got[0][1:, 1], torch.zeros(T - 1, crf.size, dtype=torch.float64))


def test_best_path_is_the_best_of_all_paths(crf, x):
    best = crf.best_path(x, torch.tensor(LENGTHS))
    for b, n in enumerate(LENGTHS):
        path, score = max(paths(crf, x[:n, b]), key=lambda item: item[1].item())
        assert best.labels[:n, b].tolist() == list(path)
        assert best.labels[n:, b].tolist() == [0] * (T - n)
        assert abs(best.score[b].item() - score.item()) < 1e-10


def test_marginals_are_the_share_of_the_paths_through_a_label(crf, x):
    got = crf.marginals(x, torch.tensor(LENGTHS))
    for b, n in enumerate(LENGTHS):
        expected = torch.zeros(T, crf.size, dtype=torch.float64)
        for path, score in paths(crf, x[:n, b]):
            for t, label in enumerate(path):
                expected[t, label] += math.exp(score.item())
        expected[:n] /= expected[:n].sum(-1, keepdim=True)
        torch.testing.assert_close(got[:, b], expected, rtol=0, atol=1e-10)


def test_a_partly_labelled_row_has_the_probability_of_all_its_completions(crf, x):
    generator = torch.Generator().manual_seed(5)
    possible = torch.rand(T, B, crf.size, generator=generator) < 0.6
    possible[0, 0], possible[2] = False, True
    possible[0, 0, 0] = True  # O begins the first row, of which a path remains whatever the field
    lengths = torch.tensor(LENGTHS)
    got = crf.partial_log_probability(x, possible, lengths)
    expected = []
    for b, n in enumerate(LENGTHS):
        scored = list(paths(crf, x[:n, b]))
        within = [score for path, score in scored if all(possible[t, b, label] for t, label in enumerate(path))]
        everything = torch.stack([score for _, score in scored]).logsumexp(0)
        expected.append(torch.stack(within).logsumexp(0) - everything if within else x.new_tensor(-torch.inf))
    torch.testing.assert_close(got, torch.stack(expected), rtol=0, atol=1e-10)
    reachable = torch.tensor([bool(one.isfinite()) for one in expected])
    assert reachable.sum() >= 2
    ours = torch.autograd.grad(got[reachable].sum(), [x, *crf.parameters()])
    theirs = torch.autograd.grad(torch.stack(expected)[reachable].sum(), [x, *crf.parameters()])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_without_a_label_there_is_nothing_to_learn_and_with_one_a_step_it_is_the_path(crf, x):
    lengths, labels = torch.tensor(LENGTHS), torch.zeros(T, B, dtype=torch.int64)
    everything = torch.ones(T, B, crf.size, dtype=torch.bool)
    torch.testing.assert_close(crf.partial_log_probability(x, everything, lengths), x.new_zeros(B), rtol=0, atol=1e-12)
    path = torch.nn.functional.one_hot(labels, crf.size).bool()
    torch.testing.assert_close(
        crf.partial_log_probability(x, path, lengths), crf.log_probability(x, labels, lengths), rtol=0, atol=1e-10
    )


def test_where_no_path_is_possible_the_gradient_is_zero():
    crf = field(BIO, "bio")
    x = torch.randn(2, 2, 5, dtype=torch.float64, requires_grad=True)
    possible = torch.ones(2, 2, 5, dtype=torch.bool)
    possible[0, 0], possible[1, 0] = torch.tensor([True, 0, 0, 0, 0]).bool(), torch.tensor([False, 0, 1, 0, 0]).bool()
    got = crf.partial_log_probability(x, possible)  # row 0: O, then I-X
    assert got[0] == -torch.inf
    (gradient,) = torch.autograd.grad(got[1], x)
    assert bool(gradient.isfinite().all())
    with pytest.raises(InputError, match="possible is"):
        crf.partial_log_probability(x, possible[:1])


def test_probabilities_of_all_paths_sum_to_one(crf, x):
    scores = x[:3, :1]
    total = sum(
        crf.log_probability(scores, torch.tensor(path)[:, None]).exp().item() for path, _ in paths(crf, scores[:, 0])
    )
    assert abs(total - 1) < 1e-10


def test_gradient_of_the_loss_holds_by_finite_differences(crf, x):
    lengths, labels = torch.tensor(LENGTHS), torch.zeros(T, B, dtype=torch.int64)  # O throughout is always allowed
    assert torch.autograd.gradcheck(lambda given: crf.log_probability(given, labels, lengths), (x,))


def test_padding_is_not_read(crf, x):
    lengths = torch.tensor(LENGTHS)
    inside = (torch.arange(T)[:, None] < lengths)[:, :, None]
    other = torch.where(inside, x, torch.full_like(x, 50.0))
    assert torch.equal(crf.log_partition(x, lengths), crf.log_partition(other, lengths))
    assert torch.equal(crf.best_path(x, lengths).labels, crf.best_path(other, lengths).labels)
    for b, n in enumerate(LENGTHS):
        alone = crf.log_partition(x[:n, b : b + 1])
        torch.testing.assert_close(alone[0], crf.log_partition(x, lengths)[b], rtol=0, atol=1e-12)


def test_a_forbidden_path_has_no_probability_and_is_never_best():
    crf = field(BIO, "bio")
    x = torch.randn(4, 64, 5, dtype=torch.float64)
    x[..., 2] += 8.0  # I-X wherever it can be had
    labels = crf.best_path(x).labels
    for row in labels.T.tolist():
        names = [None, *(BIO[label] for label in row)]
        assert all(may_follow(before, after, "bio") for before, after in itertools.pairwise(names))
    forbidden = torch.tensor([[0], [2]])  # I-X after O
    assert crf.log_probability(x[:2, :1], forbidden).item() == -math.inf


def test_labels_that_nothing_reaches_leave_the_gradient_whole():
    allowed = torch.ones(3, 3, dtype=torch.bool)
    allowed[:, 2] = False
    crf = ConditionalRandomField(3, allowed=allowed, allowed_start=torch.tensor([True, True, False])).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(crf.log_partition(x).sum(), x)
    assert gradient.isfinite().all()
    assert torch.equal(gradient[..., 2], torch.zeros(4, 2, dtype=torch.float64))


def test_a_row_without_steps_is_certain():
    crf = field()
    x = torch.randn(2, 2, 4, dtype=torch.float64)
    assert crf.log_partition(x, torch.tensor([0, 2]))[0] == 0
    assert crf.best_path(x, torch.tensor([0, 2])).labels[:, 0].tolist() == [0, 0]
    assert crf.log_partition(x[:0]).tolist() == [0, 0]


def test_what_does_not_fit_is_refused():
    crf = field()
    with pytest.raises(InputError, match=r"scores are \(2, 2, 3\), expected \(T, B, 4\)"):
        crf.log_partition(torch.zeros(2, 2, 3))
    with pytest.raises(InputError, match=r"lengths \[3, 1\]: expected 2 numbers from 0 to 2"):
        crf.best_path(torch.zeros(2, 2, 4), torch.tensor([3, 1]))
    with pytest.raises(InputError, match=r"allowed is \(3, 3\), expected \(4, 4\)"):
        ConditionalRandomField(4, allowed=torch.ones(3, 3))

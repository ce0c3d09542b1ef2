"""Distributions: their losses, quantiles and samples against torch's, and the calibration of intervals."""

import numpy as np
import pytest
import torch

from recurra.errors import InputError
from recurra.tasks.forecaster.calibration import Calibration, calibrate
from recurra.tasks.forecaster.distributions import DISTRIBUTIONS, LEVELS, MEDIAN, make_distribution, student_quantiles
from recurra.tasks.forecaster.predict import mean_of

N = 4000
LEVEL, SCALE = torch.full((N,), 20.0), torch.full((N,), 4.0)


def outputs_of(distribution):
    outputs = torch.zeros(N, distribution.size)
    outputs[:, 0] = 0.3
    outputs[:, 1:] = 0.4
    return outputs


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_samples_have_the_quantiles(name):
    distribution = make_distribution(name)
    location, outputs = torch.full((N,), 0.5), outputs_of(distribution)
    drawn = distribution.sample(location, outputs, LEVEL, SCALE, torch.Generator().manual_seed(0))
    quantiles = distribution.quantiles(location[:1], outputs[:1], LEVEL[:1], SCALE[:1])[0]
    assert (quantiles.diff() >= 0).all()
    # Samples of quantiles lie between the outer ones, so that only the inner ones are comparable.
    inner = slice(3, -3)
    expected = torch.tensor(np.quantile(drawn, LEVELS), dtype=torch.float32)
    assert torch.allclose(quantiles[inner], expected[inner], atol=0.6 if name == "negative-binomial" else 0.08)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_loss_is_lowest_near_the_truth(name):
    """A proper score: data of a distribution have a lower loss under it than under shifted ones."""
    distribution = make_distribution(name)
    location, outputs = torch.full((N,), 0.5), outputs_of(distribution)
    data = distribution.sample(location, outputs, LEVEL, SCALE, torch.Generator().manual_seed(1))
    losses = {
        shift: float(distribution.loss(data, location + shift, outputs, LEVEL, SCALE).mean())
        for shift in (-0.5, 0, 0.5)
    }
    assert min(losses, key=losses.get) == 0


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_losses_have_finite_gradients_far_away(name):
    distribution = make_distribution(name)
    location = torch.tensor([0.0, 50.0, -50.0], requires_grad=True)
    outputs = torch.zeros(3, distribution.size, requires_grad=True)
    distribution.loss(torch.zeros(3), location, outputs, LEVEL[:3], SCALE[:3]).sum().backward()
    assert location.grad.isfinite().all()
    assert outputs.grad.isfinite().all()


def test_the_densities_are_those_of_torch():
    target, location = torch.linspace(-2, 2, 9), torch.zeros(9)
    normal = make_distribution("normal")
    outputs = torch.zeros(9, 2)
    expected = -torch.distributions.Normal(0.0, 1.0001).log_prob(target)
    assert torch.allclose(normal.loss(target, location, outputs, LEVEL[:9], SCALE[:9]), expected, atol=1e-4)
    counts = make_distribution("negative-binomial")
    integers = (torch.arange(9) - 20.0) / 4
    outputs = torch.zeros(9, 2)
    mean = 4 * torch.nn.functional.softplus(torch.tensor(5.0)) + 1e-6
    number = 1 / (torch.nn.functional.softplus(torch.tensor(0.0)) + 1e-4)
    binomial = torch.distributions.NegativeBinomial(number, probs=mean / (mean + number))
    losses = counts.loss(integers, location, outputs, LEVEL[:9], SCALE[:9])
    assert torch.allclose(losses, -binomial.log_prob(torch.arange(9.0)), atol=1e-4)


def test_quantiles_of_student_are_exact_to_a_percent():
    """From a table of t with 3 degrees of freedom: 90 % 1.6377, 97.5 % 3.1824."""
    quantiles = student_quantiles(torch.tensor([3.0]))[0]
    assert float(quantiles[LEVELS.index(0.9)]) == pytest.approx(1.6377, rel=0.01)
    assert float(quantiles[-1]) == pytest.approx(3.1824, rel=0.01)


def test_the_mean_of_symmetric_quantiles_is_the_median():
    normal = torch.distributions.Normal(3.0, 2.0).icdf(torch.tensor(LEVELS)).double().numpy()
    assert mean_of(normal) == pytest.approx(3.0)
    assert mean_of(np.full(len(LEVELS), 7.0)) == pytest.approx(7.0)


def test_an_unknown_distribution_is_refused():
    with pytest.raises(InputError, match="there is no distribution 'norml'. Did you mean 'normal'"):
        make_distribution("norml")


def narrow(count, horizon, factor):
    """Values of a normal distribution, and its quantiles too narrow by a factor."""
    rng = np.random.default_rng(0)
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(LEVELS)).numpy() / factor
    return rng.normal(size=(count, horizon)), np.tile(normal, (count, horizon, 1))


def test_calibration_widens_intervals_that_are_too_narrow():
    targets, quantiles = narrow(3000, 2, 2.5)
    calibrated = calibrate(targets, quantiles, stretches=1000).apply(quantiles.copy())
    fresh = np.random.default_rng(1).normal(size=(3000, 2))
    for low, high, share in ((1, 11, 0.8), (0, 12, 0.95), (3, 9, 0.5)):
        inside = (calibrated[..., low] <= fresh) & (fresh <= calibrated[..., high])
        assert inside.mean() == pytest.approx(share, abs=0.03)
    assert np.array_equal(calibrated[..., MEDIAN], quantiles[..., MEDIAN])
    assert (np.diff(calibrated, axis=-1) >= 0).all()


def test_few_stretches_have_one_factor_and_very_few_only_widen():
    targets, quantiles = narrow(300, 3, 2.0)
    targets = np.abs(targets)  # all above the median, as a series that grows
    common = calibrate(targets, quantiles, stretches=20).factors
    assert np.allclose(common, common[0, 0])
    assert common[0, 1] == pytest.approx(2.0, rel=0.15)
    assert (calibrate(targets, quantiles, stretches=3).factors >= common).all()  # fewer, and wider
    wide = narrow(300, 3, 0.5)
    assert calibrate(*wide, stretches=20).factors[0, 1] < 0.7
    assert (calibrate(*wide, stretches=3).factors == 1).all()


def test_a_horizon_beyond_the_calibration_has_its_last_factors():
    calibration = calibrate(*narrow(500, 2, 2.0), stretches=500)
    _, longer = narrow(1, 5, 2.0)
    applied = calibration.apply(longer.copy())
    assert np.allclose(applied[0, 1:], applied[0, 1])


def test_few_values_give_no_calibration():
    assert calibrate(*narrow(10, 2, 1.0), stretches=1000) is None


def test_p_values_of_ordinary_observations_are_uniform():
    targets, quantiles = narrow(2000, 1, 1.0)
    calibration = calibrate(targets, quantiles, stretches=1000)
    again = Calibration.from_plain(calibration.to_plain())
    fresh = np.abs(np.random.default_rng(3).normal(size=4000)) / 1.28155
    rates = [np.mean([again.p_value(surprise) <= rate for surprise in fresh]) for rate in (0.01, 0.05, 0.2)]
    assert np.allclose(rates, (0.01, 0.05, 0.2), atol=0.012)
    assert again.p_value(1e9) == pytest.approx(1 / 2001)

"""Laplace is what laplace-torch makes of it, what is known in closed form, and small where the Jacobian is large."""

import math
import sys
import warnings
from dataclasses import replace

import pytest
import torch
from problems import SIDE, Memory, problem
from torch import nn

from baselines.all_weights import UnitNoise
from baselines.heads import features_and_outputs
from baselines.laplace import Laplace
from baselines.last_layer import STRUCTURES, closed_form
from baselines.likelihood import Categorical, Gaussian
from baselines.map import MAP
from baselines.prior_precision import GRID
from baselines.protocol import Unsupported
from baselines.train import Diverged

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import laplace as laplace_torch

KINDS = ["categorical", "gaussian"]
SHORT = {"epochs": 2}


class Linear(nn.Sequential):
    """A network that is one layer."""

    def __init__(self, outputs, inputs=SIDE**2):
        super().__init__(nn.Flatten(), nn.Linear(inputs, outputs))


class Examples(Memory):
    """As the data loader that laplace-torch expects."""

    dataset = property(lambda self: range(self.num_examples))

    def __iter__(self):
        return self.ordered(16)

    def __len__(self):
        return -(-self.num_examples // 16)


def reference(model, subset, structure, given, kind="classification", **arguments):
    """The library's own posterior."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        posterior = laplace_torch.Laplace(model, kind, subset, structure, **arguments)
        labels = given.train.y if kind == "classification" else torch.zeros(given.train.num_examples, 2)
        posterior.fit(Examples(given.train.x, labels))
        posterior.optimize_prior_precision(method="marglik")
    return posterior


@pytest.mark.parametrize("structure", ["diag", "kron", "full"])
@pytest.mark.parametrize("network", ["dense", "plain"])
def test_the_posterior_of_the_last_layer_is_that_of_laplace_torch(structure, network):
    given = problem(network=network, **SHORT)
    ours = Laplace(structure=structure).fit(given)
    theirs = reference(ours.model, "last_layer", structure, given, last_layer_name="fc")
    assert ours.posterior.prior_precision.item() == pytest.approx(theirs.prior_precision.item(), rel=1e-4)
    x = given.validation.x
    features, mean = features_and_outputs(ours.model, ours.model.fc, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        their_mean, covariance = theirs._glm_predictive_distribution(x)
        probabilities = theirs(x, pred_type="glm", link_approx="probit")
    assert torch.allclose(mean, their_mean, atol=1e-5)
    assert torch.allclose(ours.posterior.variance(features), covariance.diagonal(dim1=1, dim2=2), rtol=1e-4, atol=1e-5)
    assert torch.allclose(ours.outputs(x)[0].softmax(-1), probabilities, atol=1e-5)


@pytest.mark.parametrize("structure", ["diag", "kron", "full"])
def test_the_posterior_of_a_regression_is_that_of_laplace_torch_on_outputs_of_unit_noise(structure):
    given = problem("gaussian", Linear, **SHORT)
    ours = Laplace(structure=structure).fit(given)
    theirs = reference(UnitNoise(ours.model), "all", structure, given, "regression")
    assert ours.posterior.prior_precision.item() == pytest.approx(theirs.prior_precision.item(), rel=1e-4)
    features, _ = features_and_outputs(ours.model, ours.model[1], given.validation.x[:7])
    features = torch.cat([features, torch.ones(7, 1)], 1)
    jacobian = torch.einsum("bi,cd->bcdi", features, torch.eye(2))  # weights and bias of output d
    jacobian = torch.cat([jacobian[..., :-1].flatten(2), jacobian[..., -1]], -1)
    expected = theirs.functional_variance(jacobian).diagonal(dim1=1, dim2=2)
    assert torch.allclose(ours.posterior.variance(features[:, :-1]), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("structure", ["diag", "kron", "full"])
def test_the_closed_form_equals_the_dense_covariance_of_the_weights(structure, kind):
    given = problem(kind, **SHORT)
    fitted = Laplace(structure=structure, prior_precision=0.7).fit(given)
    posterior = fitted.posterior.double()
    outputs, inputs = posterior.size
    root = posterior.scaled(torch.eye(outputs * inputs).double().view(-1, outputs, inputs)).flatten(1)
    covariance = (root.T @ root).view(outputs, inputs, outputs, inputs)
    features = torch.randn(9, inputs - 1).double()
    phi = posterior.augmented(features)
    blocks = [covariance[c, :, c] for c in range(outputs)]
    expected = torch.stack([torch.einsum("bi,ij,bj->b", phi, block, phi) for block in blocks], 1)
    assert torch.allclose(posterior.variance(features), expected, rtol=1e-9)


class Known(nn.Module):
    """A linear regression solved exactly; the weight of a constant feature is the log-variance."""

    def __init__(self, mean, noise):
        super().__init__()
        self.fc = nn.Linear(6, 2, bias=False).double()
        self.fc.weight.data = torch.zeros(2, 6).double()
        self.fc.weight.data[0, :5], self.fc.weight.data[1, 5] = mean, 2 * math.log(noise)

    def forward(self, x):
        return self.fc(with_one(x))


def with_one(x):
    """Features and a constant."""
    return torch.cat([x, torch.ones(len(x), 1).double()], 1)


def test_a_linear_regression_with_known_noise_is_bayesian_linear_regression():
    torch.manual_seed(0)
    x, noise, precision = torch.randn(40, 5).double(), 0.3, 2.0
    y = x @ torch.randn(5).double() + noise * torch.randn(40).double()
    covariance = (x.T @ x / noise**2 + precision * torch.eye(5)).inverse()
    mean = covariance @ x.T @ y / noise**2

    given = replace(problem("gaussian", max_steps=0), example=torch.zeros(1, 5).double(), train=Memory(x, y))
    given = replace(given, make_model=lambda seed: Known(mean, noise))
    new = torch.randn(7, 5).double()
    fitted = Laplace(structure="full", prior_precision=precision).fit(given)
    posterior = (with_one(x).T @ with_one(x) / noise**2 + precision * torch.eye(6)).inverse()
    added = torch.einsum("bi,ij,bj->b", with_one(new), posterior, with_one(new))
    outputs = fitted.outputs(new)[0]
    assert torch.allclose(outputs[:, 0], new @ mean, rtol=1e-9)
    assert torch.allclose(outputs[:, 1].exp(), noise**2 + added, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("structure", ["diag", "kron", "full"])
def test_draws_approach_the_gaussian_of_the_outputs(structure, kind):
    given = problem(kind, **SHORT)
    fitted = Laplace(structure=structure, link="mc", draws=4000).fit(given)
    features, mean = features_and_outputs(fitted.model, fitted.model.fc, given.validation.x)
    outputs, variance = fitted.outputs(given.validation.x), fitted.posterior.variance(features)
    assert torch.allclose(outputs.mean(0), mean, atol=0.1)
    assert torch.allclose(outputs.var(0), variance, rtol=0.15, atol=1e-3)


@pytest.mark.parametrize("structure", ["diag", "kron", "full"])
def test_draws_of_all_weights_are_those_that_laplace_torch_draws(structure):
    given = problem(network=Linear, **SHORT)
    fitted = Laplace(subset="all", structure=structure, predictive="nn", draws=5).fit(given)
    drawn = [torch.cat([p.flatten() for p in weights.values()]) for weights in fitted._weights()]
    expected = fitted.posterior.sample(5, torch.Generator().manual_seed(fitted.seed))
    assert torch.allclose(torch.stack(drawn), expected, atol=1e-6)
    assert fitted.outputs(given.validation.x).shape == (5, 96, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", ["probit", "mc"])
def test_all_weights_of_a_network_of_one_layer_are_its_last_layer(kind, link):
    given = problem(kind, Linear, **SHORT)
    options = {"structure": "full", "link": link, "draws": 3000}
    x = given.validation.x[:20]
    last, every = (
        given.likelihood.reduce(Laplace(subset=s, **options).fit(given).outputs(x)) for s in ("last_layer", "all")
    )
    for name, values in last.items():
        tolerance = {"probit": 1e-4, "mc": 0.2}[link]
        assert torch.allclose(values, every[name], atol=tolerance, rtol=tolerance), name


def test_more_prior_precision_means_less_uncertainty():
    given, entropies = problem(**SHORT), []
    for precision in (0.1, 1e2, 1e6):
        p = Laplace(prior_precision=precision).fit(given).outputs(given.validation.x)[0].softmax(-1)
        entropies.append(-(p * p.log()).sum(-1).mean().item())
    assert entropies == sorted(entropies, reverse=True) and entropies[0] > entropies[2]


@pytest.mark.parametrize("subset", ["last_layer", "all"])
def test_fitting_leaves_no_warning_filters_behind(subset):
    filters = list(warnings.filters)
    Laplace(subset=subset).fit(problem(network="plain", max_steps=1))
    assert warnings.filters == filters


@pytest.mark.parametrize("structure", ["diag", "kron", "full"])
@pytest.mark.parametrize("subset", ["last_layer", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_that_are_no_numbers_are_a_divergence_and_no_exit(kind, subset, structure):
    given = problem(kind, "plain" if subset == "last_layer" else Linear, max_steps=0)
    given.train.x[3] = float("nan")
    with pytest.raises(Diverged, match="finite"):
        Laplace(subset=subset, structure=structure).fit(given)


@pytest.mark.parametrize(
    ("method", "network", "reason"),
    [
        (Laplace(structure="full"), lambda outputs: Linear(1000, 2048), "use structure=kron or diag"),
        (Laplace(subset="all"), lambda outputs: nn.Linear(2048, 1000), "use subset=last_layer"),
    ],
)
def test_what_would_not_fit_into_memory_is_refused_with_the_way_out(method, network, reason):
    given = replace(
        problem(max_steps=0),
        example=torch.zeros(1, 2048),
        likelihood=Categorical(1000),
        make_model=lambda seed: network(1000),
    )
    with pytest.raises(Unsupported, match=reason):
        method.predictor(given)


def test_an_earlier_prediction_does_not_fix_the_draws_of_a_state_that_is_loaded_later():
    given = problem(**SHORT)
    method = Laplace(link="mc", draws=3)
    fitted, fresh = method.fit(given), method.predictor(given)
    before = fresh.outputs(given.validation.x)
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh.outputs(given.validation.x), fitted.outputs(given.validation.x))
    assert not torch.equal(before, fresh.outputs(given.validation.x))


def test_the_closed_form_adds_the_functions_variance_to_the_noise():
    mean, variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, 0.1]])
    out = closed_form(Gaussian(), mean, variance)
    assert out[0, 0] == 0.5 and out[0, 1].exp() == pytest.approx(0.2 + torch.tensor(-1.0).exp().item())


MEMORY = """
import resource, torch
from torch import nn
from dataclasses import replace
from problems import Memory, problem
from baselines.laplace import Laplace
from baselines.likelihood import Categorical
torch.manual_seed(0)
given = problem(max_steps=0)
train = Memory(torch.randn(256, 2048), torch.randint(1000, (256,)))
given = replace(given, likelihood=Categorical(1000), example=torch.zeros(1, 2048), train=train)
given = replace(given, make_model=lambda seed: nn.Linear(2048, 1000))
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with torch.inference_mode():
    out = {method}.fit(given).outputs(torch.randn(100, 2048))
assert out.isfinite().all() and out.shape[1:] == (100, 1000)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["Laplace()", "Laplace(structure='diag')", "Laplace(link='mc')"])
def test_a_thousand_classes_of_two_thousand_features_are_fitted_and_predicted_within_two_gib(method):
    import os
    import subprocess
    from pathlib import Path

    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'tests/support'}"}
    code = MEMORY.replace("{method}", method)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2


def test_the_map_fit_that_is_taken_over_is_left_as_it_was():
    given = problem(**SHORT)
    fit = MAP().fit(given)
    before = {name: value.clone() for name, value in fit.state_dict().items()}
    shared = replace(given, fitter=lambda method, asked: fit)
    Laplace().fit(shared)
    assert all(torch.equal(value, fit.state_dict()[name]) for name, value in before.items())
    assert STRUCTURES.keys() == {"diag", "kron", "full"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("structure", ["diag", "kron", "full"])
def test_a_prior_precision_chosen_on_validation_loses_least_there_of_all_that_are_tried(structure, kind):
    given = problem(kind, **SHORT)
    chosen = Laplace(structure=structure, prior_precision="validation").fit(given)
    x, y = given.validation.x, given.validation.y
    found, losses = given.likelihood.loss(chosen.outputs(x)[0], y).item(), []
    for precision in GRID:
        chosen.posterior.prior_precision.fill_(precision)
        losses.append(given.likelihood.loss(chosen.outputs(x)[0], y).item())
    assert found == pytest.approx(min(losses), rel=1e-5) and max(losses) > 1.01 * min(losses)


def test_a_prior_precision_of_all_weights_is_not_chosen_on_validation():
    with pytest.raises(Unsupported, match="subset=last_layer"):
        Laplace(subset="all", prior_precision="validation").fit(problem(**SHORT))


def test_features_that_are_mostly_zero_are_decomposed_as_in_double_precision():
    torch.manual_seed(0)
    features = 3 * torch.randn(30, 90).relu() * (torch.arange(90) % 5 == 0)
    outputs, new = 0.1 * torch.randn(30, 2), 3 * torch.randn(7, 90).relu()
    found = []
    for dtype in (torch.float32, torch.float64):
        posterior = STRUCTURES["kron"](nn.Linear(90, 2).to(dtype))
        posterior.prior_precision.fill_(1e-3)
        posterior.fit([(features.to(dtype), outputs.to(dtype))], Categorical(2))
        found.append(posterior.variance(new.to(dtype)).double())
    assert torch.allclose(found[0], found[1], rtol=1e-5)

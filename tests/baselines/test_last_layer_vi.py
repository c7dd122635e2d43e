"""A Gaussian head's divergence, moments and draws are those of the Gaussians of torch."""

from dataclasses import replace

import pytest
import torch
from problems import problem
from torch.distributions import MultivariateNormal, kl_divergence

from baselines.gaussian_head import GaussianHead
from baselines.heads import features_and_outputs, find_head
from baselines.last_layer_vi import LastLayerVI
from baselines.protocol import Unsupported

STRUCTURES = ["diag", "full"]


def head(structure, bias=True):
    torch.manual_seed(1)
    made = GaussianHead(torch.nn.Linear(5, 3, bias=bias), 3, structure, 0.3).double()
    with torch.no_grad():
        for p in (made.log_std, made.lower):
            if p is not None:
                p += 0.5 * torch.randn_like(p)
    return made


def gaussians(made):
    """Each output's weights as a distribution of torch."""
    factor = made.factor().detach()
    return MultivariateNormal(made.mean.detach(), scale_tril=factor if factor.dim() == 3 else torch.diag_embed(factor))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_kl_is_that_of_torch_distributions(structure, bias):
    made = head(structure, bias)
    size = made.inputs
    prior = MultivariateNormal(torch.zeros(size).double(), 0.7 * torch.eye(size).double())
    assert made.kl(0.7).item() == pytest.approx(kl_divergence(gaussians(made), prior).sum().item(), rel=1e-9)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_moments_of_the_outputs_are_those_of_the_dense_covariance(structure):
    made, features = head(structure), torch.randn(7, 5).double()
    phi, covariance = made.augmented(features), gaussians(made).covariance_matrix
    mean, variance = made(features)
    assert torch.allclose(mean, phi @ made.mean.T)
    assert torch.allclose(variance, torch.einsum("bi,oij,bj->bo", phi, covariance, phi))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_draws_have_the_posteriors_covariance_and_are_drawn_again_when_it_changes(structure):
    made = head(structure)
    drawn = made.draws(20_000, seed=0)
    for index, covariance in enumerate(gaussians(made).covariance_matrix):
        assert torch.allclose(torch.cov(drawn[:, index].T), covariance, atol=0.05 * covariance.max())
    assert made.draws(20_000, seed=0) is drawn
    other = head(structure)
    other.load_state_dict({name: value + 1 for name, value in made.state_dict().items()})
    assert not torch.equal(other.draws(5, 0), drawn[:5])
    made.load_state_dict(other.state_dict())
    assert torch.equal(made.draws(5, 0), other.draws(5, 0))


@pytest.mark.parametrize("network", ["dense", "conv", "vit"])
def test_before_training_the_mean_is_the_network(network):
    given = problem(network=network)
    predictor, plain = LastLayerVI().predictor(given), given.new_model().eval()
    x = given.validation.x[:5]
    assert torch.allclose(predictor.moments(x)[0], plain(x), atol=1e-5)
    features, _ = features_and_outputs(plain, find_head(plain, given.example), x)
    assert torch.allclose(predictor.model(x), features, atol=1e-6)


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_more_weight_on_the_kl_keeps_the_posterior_nearer_to_the_prior(kind):
    kls = [LastLayerVI(kl_weight=weight).fit(problem(kind)).head.kl(1 / 25).item() for weight in (0.1, 1.0, 10.0)]
    assert kls == sorted(kls, reverse=True) and kls[0] > 1.3 * kls[2]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_where_the_kl_outweighs_the_data_the_posterior_reaches_the_priors_width_from_a_tenth_of_it(structure):
    fitted = LastLayerVI(structure=structure, kl_weight=10.0).fit(problem("gaussian", epochs=20))
    std = fitted.head.log_std.exp()
    assert 0.12 < std.min() and std.max() < 0.22 and std.mean() > 0.15


def test_a_network_of_one_layer_is_refused():
    given = replace(problem(), example=torch.zeros(1, 64), make_model=lambda seed: torch.nn.Linear(64, 4))
    with pytest.raises(Unsupported, match="one layer"):
        LastLayerVI().predictor(given)

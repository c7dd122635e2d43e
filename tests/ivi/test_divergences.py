"""Divergences from the prior, against torch.distributions and dense matrices."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.overrides import TorchFunctionMode

import ivi

LOW_RANK = [ivi.LowRank(3), ivi.LowRank(0), ivi.Kronecker(2, 2), ivi.Full()]


def moved(net):
    """The network some way from where its prior was taken."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return other


def make(covariance, layers="all"):
    net = nn.Sequential(nn.Conv1d(2, 2, 2), nn.Flatten(), nn.Linear(4, 3)).double()
    return ivi.variationalize(net, covariance, layers, example=torch.zeros(1, 2, 3, dtype=torch.float64))


def dense(net):
    """Mean and covariance matrix of every random layer."""
    result = []
    for layer in ivi.random_layers(net).values():
        rows = layer.covariance.rows(layer.factors, layer.shape)
        result.append((torch.cat([layer.weight.flatten(), layer.bias.flatten()]), rows.T @ rows))
    return result


@pytest.mark.parametrize("floor", [0.1, 1.0])
@pytest.mark.parametrize("covariance", LOW_RANK, ids=str)
def test_low_rank_kl_is_that_of_the_dense_gaussians_with_noise(covariance, floor):
    net = make(covariance)
    prior, after = ivi.prior(net), moved(net)
    expected = 0.0
    for layer, (mean, cov), (mean0, cov0) in zip(
        ivi.random_layers(net).values(), dense(after), dense(net), strict=True
    ):
        noise = (floor * layer.prior_std[0]) ** 2 * torch.eye(len(mean), dtype=mean.dtype)
        expected += kl_divergence(MultivariateNormal(mean, cov + noise), MultivariateNormal(mean0, cov0 + noise))
    torch.testing.assert_close(ivi.kl(after, prior, floor), expected, rtol=1e-9, atol=1e-9)
    assert abs(ivi.kl(net, prior, floor)) < 1e-9
    assert ivi.kl(after, prior, floor).requires_grad
    torch.autograd.backward(ivi.kl(after, prior, floor))
    assert all(p.grad is not None for p in after.parameters() if p.numel())


@pytest.mark.parametrize("covariance", LOW_RANK, ids=str)
def test_low_rank_kl_to_an_isotropic_prior(covariance):
    net = make(covariance)
    expected = 0.0
    for layer, (mean, cov) in zip(ivi.random_layers(net).values(), dense(net), strict=True):
        eye = torch.eye(len(mean), dtype=mean.dtype)
        q = MultivariateNormal(mean, cov + (0.5 * layer.prior_std[0]) ** 2 * eye)
        expected += kl_divergence(q, MultivariateNormal(torch.zeros_like(mean), 0.7**2 * eye))
    torch.testing.assert_close(ivi.kl(net, ivi.prior(net, std=0.7), floor=0.5), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("log", [False, True])
def test_mean_field_kl_is_exact_and_takes_no_floor(log):
    net = make(ivi.Diagonal(log=log))
    prior, after = ivi.prior(net), moved(net)
    expected = expected_isotropic = 0.0
    for (mean, cov), (mean0, cov0) in zip(dense(after), dense(net), strict=True):
        q = Normal(mean, cov.diagonal().sqrt())
        expected += kl_divergence(q, Normal(mean0, cov0.diagonal().sqrt())).sum()
        expected_isotropic += kl_divergence(q, Normal(0.0, 0.7)).sum()
    torch.testing.assert_close(ivi.kl(after, prior), expected)
    torch.testing.assert_close(ivi.kl(after, prior, floor=9.0), expected)
    torch.testing.assert_close(ivi.kl(after, ivi.prior(net, std=0.7)), expected_isotropic)


def dense_wasserstein2(mean, cov, mean0, cov0):
    def root(matrix):
        values, vectors = torch.linalg.eigh(matrix)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T

    cross = root(root(cov0) @ cov @ root(cov0))
    return (mean - mean0).square().sum() + (cov + cov0 - 2 * cross).trace()


@pytest.mark.parametrize("covariance", [*LOW_RANK, ivi.Diagonal(), ivi.Diagonal(log=True)], ids=str)
def test_wasserstein2_is_that_of_the_dense_gaussians(covariance):
    net = make(covariance)
    prior, after = ivi.prior(net), moved(net)
    pairs = list(zip(dense(after), dense(net), strict=True))
    expected = torch.stack([dense_wasserstein2(*q, *p) for q, p in pairs]).sum()
    torch.testing.assert_close(ivi.wasserstein2(after, prior), expected, rtol=1e-5, atol=1e-5)
    isotropic = [(torch.zeros_like(m), 0.49 * torch.eye(len(m), dtype=m.dtype)) for m, _ in dense(after)]
    expected = torch.stack([dense_wasserstein2(*q, *p) for q, p in zip(dense(after), isotropic, strict=True)]).sum()
    torch.testing.assert_close(ivi.wasserstein2(after, ivi.prior(net, std=0.7)), expected, rtol=1e-5, atol=1e-5)
    assert abs(ivi.wasserstein2(net, prior)) < 1e-9
    ivi.wasserstein2(after, prior).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in after.parameters() if p.numel())


def test_the_noise_floor_only_loses_information_and_without_it_the_kl_is_infinite():
    net = make(ivi.LowRank(2))
    prior, after = ivi.prior(net), moved(net)
    values = [ivi.kl(after, prior, floor).item() for floor in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1e4 * values[-1]


def test_a_prior_does_not_move_with_the_network():
    net = make(ivi.LowRank(2))
    prior = ivi.prior(net)
    with torch.no_grad():
        net[0].weight += 1
        net[0].weight_factor += 1
    assert ivi.kl(net, prior) > 1
    assert not any(g.mean.requires_grad for g in prior.layers.values())
    with pytest.raises(ValueError, match="the prior is of the layers"):
        ivi.kl(make(ivi.LowRank(2), "last"), prior)


def test_the_mean_field_elbo_of_a_linear_model_is_tight_at_the_known_posterior():
    """ELBO = log evidence where q is the posterior: only with kl / N beside a mean loss, not with weight 1."""
    generator = torch.Generator().manual_seed(0)
    num_examples, prior_std, noise_std = 40, 0.8, 0.5
    x = torch.randn(num_examples, 3, generator=generator, dtype=torch.float64)
    x = torch.linalg.qr(x)[0] * math.sqrt(num_examples)  # orthogonal inputs: the posterior factorizes
    y = x @ torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64) + noise_std * torch.randn(
        num_examples, generator=generator, dtype=torch.float64
    )
    net = ivi.variationalize(nn.Linear(3, 1, bias=False).double(), ivi.Diagonal(), [""])
    precision = num_examples / noise_std**2 + prior_std**-2
    with torch.no_grad():
        net.weight.copy_(x.T @ y / noise_std**2 / precision)
        net.weight_factor.fill_(precision**-0.5)
    residual = (y - x @ net.weight.squeeze()).square() + x.square() @ net.weight_factor.squeeze().square()
    nll = (residual / (2 * noise_std**2) + math.log(noise_std * math.sqrt(2 * math.pi))).mean()
    elbo = -num_examples * (nll + ivi.kl(net, ivi.prior(net, std=prior_std)) / num_examples)
    evidence = MultivariateNormal(
        torch.zeros(num_examples, dtype=torch.float64),
        prior_std**2 * x @ x.T + noise_std**2 * torch.eye(num_examples, dtype=torch.float64),
    ).log_prob(y)
    torch.testing.assert_close(elbo, evidence, rtol=1e-9, atol=1e-9)


class NoHalf(TorchFunctionMode):
    """Refuses half precision in linear algebra and in matrix products, as CUDA's autocast leaves it to do."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if "linalg" in name or name in ("cholesky_solve", "matmul", "__matmul__", "kron", "logdet"):
            operands = [a for a in args if isinstance(a, torch.Tensor)]
            assert not {a.dtype for a in operands} & {torch.bfloat16, torch.float16}, name
            assert not torch.is_autocast_enabled("cpu"), f"{name} under autocast"
        return func(*args, **(kwargs or {}))


TERMS = {"kl": ivi.kl, "w2": ivi.wasserstein2}


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("covariance", [*LOW_RANK, ivi.Diagonal(), ivi.Diagonal(log=True)], ids=str)
def test_half_precision_around_or_in_the_network_changes_no_divergence(covariance, isotropic, term):
    net = make(covariance).float()
    after = moved(net).bfloat16().float()  # numbers that both formats have
    net = copy.deepcopy(net).bfloat16().float()
    std = 0.5 if isotropic else None
    expected = TERMS[term](after, ivi.prior(net, std))
    wanted = torch.autograd.grad(expected, list(after.parameters()), allow_unused=True)
    with torch.autocast("cpu", torch.bfloat16), NoHalf():
        actual = TERMS[term](after, ivi.prior(net, std))
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)
    for one, other in zip(
        torch.autograd.grad(actual, list(after.parameters()), allow_unused=True), wanted, strict=True
    ):
        assert other is None or torch.allclose(one, other, rtol=1e-3, atol=1e-5)
    half, half_prior = copy.deepcopy(after).bfloat16(), ivi.prior(copy.deepcopy(net).bfloat16(), std)
    with NoHalf():
        low = TERMS[term](half, half_prior)
    torch.testing.assert_close(low, expected, rtol=1e-4, atol=1e-6)
    low.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in half.parameters())


@pytest.mark.parametrize("term", TERMS)
def test_no_divergence_is_negative_however_it_is_rounded(term):
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16):
        net = nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 10)).to(dtype)
        ivi.variationalize(net, ivi.LowRank(10), "all", example=torch.zeros(1, 300, dtype=dtype))
        prior = ivi.prior(net)
        for size in (0.0, 1e-6, 1e-4, 1e-2):
            with torch.no_grad():
                net[0].weight += size * torch.randn_like(net[0].weight)
            with torch.autocast("cpu", torch.bfloat16):
                assert 0 <= TERMS[term](net, prior).item() < 1e5

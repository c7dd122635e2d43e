"""The suite of tables: its rows of plain tools are scikit-learn's own numbers, its parts are disjoint."""

import importlib.util

import numpy as np
import pytest
import torch
from problems import CPU, Memory
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from baselines.likelihood import Categorical, Gaussian
from baselines.protocol import Problem, Unsupported
from baselines.recipe import Recipe
from baselines.seeds import Seeds
from baselines.spec import parse
from benchmarks.data import load, read_spec
from benchmarks.reference.gaussian_process import GaussianProcess
from benchmarks.reference.gradient_boosting import GradientBoosting
from benchmarks.suite import load_suite, load_task


def problem_of(likelihood, rows=120, features=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * rows, features, generator=generator)
    y = (x[:, 0] + x[:, 1] ** 2 + 0.3 * torch.randn(len(x), generator=generator)).float()
    if likelihood.kind == "categorical":
        y = torch.bucketize(y, torch.linspace(-1, 2, likelihood.outputs - 1))
    parts = Memory(x[:rows], y[:rows]), Memory(x[rows:], y[rows:])
    recipe = Recipe(epochs=1, batch_size=10, lr=0.1)
    return Problem(likelihood, x[:1] * 0, *parts, recipe, CPU, Seeds.of("rows", 0), lambda seed: torch.nn.Identity())


def saved_and_loaded(method, problem, fitted):
    again = method.predictor(problem)
    again.load_state_dict(fitted.state_dict())
    return again


def test_the_process_predicts_what_that_of_scikit_learn_does():
    problem, method = problem_of(Gaussian()), GaussianProcess()
    fitted = saved_and_loaded(method, problem, problem.fit(method))
    state = {name: value.numpy() for name, value in fitted.state_dict().items()}
    kernel = ConstantKernel(state["size"]) * RBF(state["scales"]) + WhiteKernel(state["noise"])
    theirs = GaussianProcessRegressor(kernel, optimizer=None, alpha=1e-8)
    order = [int((problem.train.x.double() - row).abs().sum(1).argmin()) for row in torch.tensor(state["x"])]
    theirs.fit(state["x"], problem.train.y.double().numpy()[order])
    mean, sd = theirs.predict(problem.validation.x.double().numpy(), return_std=True)
    ours = fitted.outputs(problem.validation.x)[0].double().numpy()
    assert np.allclose(ours[:, 0], mean, atol=1e-5) and np.allclose(np.exp(ours[:, 1] / 2), sd, rtol=1e-5)
    assert np.mean((ours[:, 0] - problem.validation.y.numpy()) ** 2) < 0.3


@pytest.mark.parametrize("likelihood", [Gaussian(), Categorical(2), Categorical(3)], ids=["number", "two", "three"])
def test_boosting_predicts_what_that_of_scikit_learn_does(likelihood):
    problem, method = problem_of(likelihood), GradientBoosting(trees=30)
    fitted = saved_and_loaded(method, problem, problem.fit(method))
    kind = GradientBoostingRegressor if likelihood.kind == "gaussian" else GradientBoostingClassifier
    seed = problem.of(method).seeds.noise("trees") % 2**32
    theirs = kind(n_estimators=30, max_depth=3, learning_rate=0.1, random_state=seed)
    theirs.fit(problem.train.x.numpy(), problem.train.y.numpy())
    x, ours = problem.validation.x, fitted.outputs(problem.validation.x)[0]
    if likelihood.kind == "gaussian":
        assert np.allclose(ours[:, 0], theirs.predict(x.numpy()), atol=1e-5)
        error = np.mean((theirs.predict(x.numpy()) - problem.validation.y.numpy()) ** 2)
        assert np.allclose(ours[:, 1].exp(), error, rtol=1e-5)
    else:
        assert np.allclose(ours.softmax(-1), theirs.predict_proba(x.numpy()), atol=1e-5)


def test_what_a_plain_tool_cannot_do_is_skipped_with_its_reason():
    with pytest.raises(Unsupported, match="predicts a real number"):
        GaussianProcess().predictor(problem_of(Categorical(2)))


def test_the_suite_names_its_plain_tools_by_their_files_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specs = [parse(text) for text in load_suite("tables").methods]
    assert [spec.label for spec in specs[-2:]] == ["gaussian_process", "gradient_boosting"]
    assert all(spec.package is None for spec in specs[-2:]), "methods from files are never ranked"


@pytest.mark.parametrize(
    ("inside", "outside", "column", "bound"),
    [
        ("diabetes_young", "diabetes_old", "age", 60),
        ("diamonds", "diamonds_large", "carat", 1.5),
    ],
)
def test_what_is_out_of_distribution_lies_beyond_a_bound_that_training_rows_keep(inside, outside, column, bound):
    if inside == "diamonds" and importlib.util.find_spec("plotnine") is None:
        pytest.skip("needs plotnine")
    spec = read_spec(inside)
    place = spec.features.index(column)
    near, far = (load(name, "all").inputs[:, place] for name in (inside, outside))
    assert near.max() <= bound + 1e-6 and far.min() > bound and spec.near == (outside,)


def test_the_third_cultivar_is_none_of_the_two():
    assert load("wine_two", "all").labels.unique().tolist() == [0, 1]
    assert load("wine_third", "all").labels.unique().tolist() == [2]


@pytest.mark.parametrize("name", load_suite("tables").tasks)
def test_each_task_uses_rows_that_are_there(name):
    task = load_task(name)
    sizes = task.data
    assert sizes.train + sizes.validation + sizes.test <= read_spec(sizes.name).splits["all"].examples

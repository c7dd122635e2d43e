"""The code of docs/library.md: the tests run it, and check that the page shows these very lines."""

import math
import tempfile
from pathlib import Path

# [model]
import timm
import torch

import ivi

net = timm.create_model("resnet10t", num_classes=10)
net = ivi.variationalize(net)
# [end]
x = torch.randn(2, 3, 32, 32)
# [readme]
net = ivi.variationalize(timm.create_model("resnet18", num_classes=10), ivi.LowRank(10))
optimizer = torch.optim.SGD(ivi.param_groups(net, lr=0.05), momentum=0.9)
logits = ivi.predict(net, x, draws=32)  # [draws, batch, classes]
# [end]
readme_logits = logits
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))
images = torch.randn(256, 1, 8, 8, generator=torch.Generator().manual_seed(0))
labels = images.flatten(1)[:, :10].argmax(1)
batches = [*zip(images.split(64), labels.split(64), strict=True)] * 20

# [choose]
net = ivi.variationalize(
    net,
    covariance=ivi.LowRank(10),  # or Diagonal(), Full(), Kronecker(4, 4)
    layers="ends",  # or "last", "all", a list of names, a predicate of name and module
    noise="antithetic",  # or "shared", as in the paper, or "per_example"
    example=images[:1],  # timm models need none
    generator=torch.Generator().manual_seed(0),
)
# [end]
prior = ivi.prior(net)

# [train]
optimizer = torch.optim.SGD(ivi.param_groups(net, lr=0.05), lr=0.05, momentum=0.9)
net.train()
for x, y in batches:
    loss = torch.nn.functional.cross_entropy(net(x), y)  # the expected loss, by one draw; no KL term
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
# [end]

# [predict]
with torch.inference_mode():
    logits = ivi.predict(net, images, draws=32)  # [32, batch, classes]
    log_probabilities = logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))
# [end]

# [fixed]
draws = ivi.seeded_draws(net, 8, seed=1, head_draws=4)  # 8 passes, 32 draws; only the seed is kept
with torch.inference_mode():
    logits = torch.cat([ivi.predict(net, x, draws) for x in images.split(100)], dim=1)
# [end]

# [mean]
net.eval()
mean_logits = net(images)  # the mean weights: repeats exactly
# [end]

# [regularize]
num_examples = len(images)
x, y = batches[0]
net.train()
ibvi = torch.nn.functional.cross_entropy(net(x), y)
with_kl = ibvi + ivi.kl(net, prior) / num_examples
with_w2 = ibvi + 0.01 * ivi.wasserstein2(net, prior)
# [end]

path = Path(tempfile.mkdtemp()) / "net.safetensors"


def make_net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10))


# [save]
ivi.save(net, path)
same = ivi.load(make_net, path)  # the plain network or a function that makes it
# [end]

# [script]
torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
)
model = ivi.variationalize(model, ivi.LowRank(10), noise="antithetic", example=images[:1])
groups = ivi.param_groups(model, lr=0.02)  # covariance factors: rates of their own, no weight decay
optimizer = torch.optim.SGD(groups, lr=0.02, momentum=0.9, weight_decay=5e-4)
steps = len(batches)
warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1, (t + 1) / (0.1 * steps)))
model.train()
for x, y in batches:
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    warm_up.step()
ivi.update_bn(model, batches)  # statistics of the mean weights, over the training images
draws = ivi.seeded_draws(model, 32, seed=0)
with torch.inference_mode():
    logits = torch.cat([ivi.predict(model, x, draws) for x in images.split(100)], dim=1)
    probabilities = logits.softmax(-1).mean(0)  # [images, classes]
# [end]

# [mup]
parametrization = ivi.MaximalUpdate(base_width=32)
ivi.initialize_(net, parametrization)
optimizer = torch.optim.Adam(ivi.param_groups(net, 1e-3, parametrization, optimizer="adam"), lr=1e-3)
# [end]

# [theory]
from ivi.linear import Posterior, Regression  # noqa: E402

x, y = torch.randn(5, 20, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
start = Posterior(mean=torch.zeros(20, dtype=torch.float64), factor=torch.randn(20, 3, dtype=torch.float64))
problem = Regression(x, y)
limit = problem.limit(start)  # where gradient descent on the expected loss ends
nearest = problem.least_wasserstein2(start)  # how near a q of zero loss can be to where it started
# [end]

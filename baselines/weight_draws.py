"""Networks that predict with several sets of all their weights, and the batch statistics that belong to each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

Values = dict[str, Tensor]


class WeightDraws(nn.Module):
    """A network that predicts with fixed draws of its weights: they are made at the first question and kept.

    Subclasses say what a draw is, in `draw`. Whatever changes what is drawn calls `forget`; loading a state does.

    Args:
        model: the network, in evaluation mode.
        draws: how many.
        seed: of the noise, which is drawn on the CPU: every device has the same.
    """

    def __init__(self, model: nn.Module, draws: int, seed: int) -> None:
        super().__init__()
        self.model, self.draws, self.seed = model, draws, seed
        self._drawn: list[Values] | None = None
        self.register_load_state_dict_post_hook(lambda module, keys: module.forget())

    def draw(self, index: int, generator: torch.Generator) -> Values:
        """Parameters, and buffers that go with them, of one draw by name; draws are asked for in their order."""
        raise NotImplementedError

    def each(self) -> Iterator[Values]:
        """The draws one after the other, none of them kept."""
        generator = torch.Generator().manual_seed(self.seed)
        for index in range(self.draws):
            with torch.inference_mode(False), torch.no_grad():  # whoever asks first, gradients may be wanted later
                values = self.draw(index, generator)
            yield values

    def forget(self) -> None:
        """Let the next question make the draws anew."""
        self._drawn = None

    def drawn(self) -> list[Values]:
        """All draws."""
        if self._drawn is None:
            self._drawn = list(self.each())
        return self._drawn

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs [draws, batch, outputs]."""
        return torch.stack([functional_call(self.model, values, (x,)) for values in self.drawn()])


class NormStatistics(nn.Module):
    """Running statistics of every batch normalization of a network, for each of several sets of weights.

    Until they are estimated they are the network's own. A network without batch normalization has none.
    """

    def __init__(self, model: nn.Module, count: int) -> None:
        super().__init__()
        norms = {n: m for n, m in model.named_modules() if isinstance(m, _BatchNorm) and m.running_mean is not None}
        self._norms, self._names = norms, [f"{n}.{kind}" for n in norms for kind in ("running_mean", "running_var")]
        for i, name in enumerate(self._names):
            value = model.get_buffer(name)
            self.register_buffer(f"statistics_{i}", value.detach().expand(count, *value.shape).clone())

    def of(self, index: int) -> Values:
        """Statistics of one set of weights, by the names that the network's buffers have."""
        return {name: self.get_buffer(f"statistics_{i}")[index] for i, name in enumerate(self._names)}

    def estimate(
        self, index: int, model: nn.Module, weights: Mapping[str, Tensor], batches: Callable[[], Iterable[Tensor]]
    ) -> None:
        """Estimate the statistics under ``weights`` anew, each batch counting alike; one example is no batch.

        Everything but batch normalization runs in evaluation mode, and the network's own statistics stay as they are.
        """
        if not self._norms:
            return
        momenta = {name: norm.momentum for name, norm in self._norms.items()}
        fresh = self.of(index)  # they are written into
        for name in self._norms:
            fresh[f"{name}.num_batches_tracked"] = torch.zeros_like(model.get_buffer(f"{name}.num_batches_tracked"))
        try:
            for norm in self._norms.values():
                norm.momentum = None  # the mean over all batches
                norm.train()
            with torch.no_grad():
                for x in batches():
                    if len(x) > 1:
                        functional_call(model, {**weights, **fresh}, (x,))
        finally:
            for name, norm in self._norms.items():
                norm.momentum = momenta[name]
                norm.eval()

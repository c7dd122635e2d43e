"""From a predictor to predictions: the harness, not the method, turns members into probabilities."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from baselines.protocol import BatchSource, Predictor
from baselines.train import Diverged
from leaderboard.predictions import Predictions

BATCH_SIZE = 250
_LOWEST = torch.finfo(torch.float16).min


def predict(predictor: Predictor, source: BatchSource, labelled: bool, batch_size: int = BATCH_SIZE) -> Predictions:
    """Predictions on every image of ``source``.

    Raises:
        Diverged: a logit is not finite.
        ValueError: the logits have the wrong shape.
    """
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    labels = []
    with torch.inference_mode():
        for x, y in source.ordered(batch_size):
            logits = predictor.logits(x)
            if logits.dim() != 3 or logits.shape[1] != len(x):
                raise ValueError(f"logits have shape {tuple(logits.shape)}, not [members, {len(x)}, classes]")
            parts.append(tuple(part.cpu() for part in reduce_members(logits)))  # type: ignore[arg-type]
            labels.append(y.cpu())
    log_probs, expected_entropy, energy = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    if not torch.isfinite(torch.from_numpy(energy)).all():
        raise Diverged("predictions are not finite numbers")
    return Predictions(log_probs, expected_entropy, energy, torch.cat(labels).numpy() if labelled else None)


def reduce_members(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [members, batch, classes] -> log mean probability [batch, classes], expected entropy and energy [batch].

    Probabilities are averaged, not logits, in log space and in float32. Their logarithm is rounded to what float16
    holds, which halves what is stored. The expected entropy takes over what that does to the entropy, so that their
    difference, the mutual information, stays what it was.
    """
    logits = logits.float()
    log_p = logits.log_softmax(-1)
    log_mean = log_p.logsumexp(0) - math.log(len(logits))
    rounded = _rounded(log_mean)
    information = (_entropy(log_mean) - _entropy(log_p).mean(0)).clamp(min=0)
    return rounded, _entropy(rounded) - information, -logits.logsumexp(-1).mean(0)


def _rounded(log_p: Tensor) -> Tensor:
    """``log_p`` in numbers that float16 holds; no class is drawn level with the most probable one."""
    half = torch.where(log_p.isinf(), log_p, log_p.clamp(min=_LOWEST)).half().float()
    best, peak = log_p.max(-1, keepdim=True)
    top = half.gather(-1, peak)
    drawn_level = ((half == top) & (log_p < best)).any(-1, keepdim=True)
    above = (top * (1 - 2**-10)).half().float()
    return torch.where(drawn_level, half.scatter(-1, peak, above), half)


def _entropy(log_p: Tensor) -> Tensor:
    return -(log_p.exp() * log_p).nan_to_num(nan=0.0, neginf=0.0).sum(-1)

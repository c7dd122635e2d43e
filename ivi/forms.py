"""Exact ways to apply one layer under many draws of its weights, each for the situation in which it is cheapest.

O outputs, I fan-in, P = O I weights, L positions, N rows of input, K draws, rank R. Costs are multiply-adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ivi.layers import RandomLayer


def loop(layer: RandomLayer, inputs: list[Tensor], z: Tensor) -> Tensor:
    """One ordinary pass per draw, over its own input: K P R for the weights, then P L per row."""
    weights, biases = layer.draw_weights(z)
    each = [None] * len(z) if biases is None else biases.unbind()
    passes = zip(inputs, weights.unbind(), each, strict=True)
    return torch.cat([layer.apply_weights(*one) for one in passes])


def wide(layer: RandomLayer, x: Tensor, weights: Tensor, biases: Tensor | None) -> Tensor:
    """K weights [K, *shape] on the same input as one layer of K O outputs: [K, N, O, ...]. K N L P."""
    if isinstance(layer, nn.Linear):
        flat = x.reshape(-1, x.shape[-1])
        out = flat @ weights.mT if biases is None else torch.baddbmm(biases.unsqueeze(1), *_batched(flat, weights))
        return out.reshape(len(weights), *x.shape[:-1], -1)
    groups, outputs = _groups(layer), weights.shape[1]
    grouped = weights.unflatten(1, (groups, -1)).transpose(0, 1).flatten(0, 2)
    out = layer.apply_weights(x, grouped, None)
    out = out.unflatten(1, (groups, len(weights), outputs // groups)).transpose(1, 2).flatten(2, 3).transpose(0, 1)
    return out if biases is None else out + _over_positions(biases.unsqueeze(1), out)


def basis(layer: RandomLayer, x: Tensor, z: Tensor) -> Tensor:
    """K draws on the same input, mixed from R + 1 basis outputs: [K, N, O, ...].

    (R + 1) N L P + K (R + 1) N L O.
    """
    parts = wide(layer, x, *_basis_weights(layer))
    return (_coefficients(z).to(parts.dtype) @ parts.flatten(1)).unflatten(1, parts.shape[1:])


def mixed(layer: RandomLayer, x: Tensor, z: Tensor) -> Tensor:
    """Row n under its own draw z[n], the basis outputs mixed row by row: (R + 1) N L P."""
    parts = wide(layer, x, *_basis_weights(layer))
    return torch.einsum("nr,rn...->n...", _coefficients(z).to(parts.dtype), parts)


def stacked(layer: RandomLayer, x: Tensor, z: Tensor) -> Tensor:
    """Row n under its own draw z[n], as one layer over the inputs [x, z_1 x, ..., z_R x]: (R + 1) N L P.

    The same sum as `mixed`, kept on the side of the input: for layers with fewer inputs than outputs.
    """
    coefficients = _coefficients(z).to(x.dtype)
    weights, biases = _basis_weights(layer)
    if isinstance(layer, nn.Linear):
        inputs = torch.einsum("nr,n...i->n...ri", coefficients, x).flatten(-2)
        out = layer.apply_weights(inputs, weights.transpose(0, 1).flatten(1), None)
        shape = (len(x), *[1] * (x.dim() - 2), -1)
        return out if biases is None else out + (coefficients @ biases.to(x.dtype)).reshape(shape)
    groups = _groups(layer)
    inputs = torch.einsum("nr,ngc...->ngrc...", coefficients, x.unflatten(1, (groups, -1))).flatten(1, 3)
    out = layer.apply_weights(inputs, weights.transpose(0, 1).flatten(1, 2), None)
    return out if biases is None else out + _over_positions(coefficients @ biases.to(x.dtype), out)


def every_draw(layer: RandomLayer, x: Tensor, z: Tensor) -> Tensor:
    """Every row of x under every draw z [K, D], by the cheapest form: [K N, ...], draws outermost."""
    rank, num_draws, fan_in = layer.covariance.basis_size(layer.shape), len(z), layer.shape.fan_in
    # One convolution of many outputs is slower on a CPU than many small ones (0.3 to 0.9 times as fast where measured).
    if not layer.is_plain or (x.device.type == "cpu" and not isinstance(layer, nn.Linear)):
        return loop(layer, [x] * num_draws, z)
    if rank is not None and num_draws * (fan_in - rank - 1) > fan_in * (rank + 1):
        return basis(layer, x, z).flatten(0, 1)
    return wide(layer, x, *layer.draw_weights(z)).flatten(0, 1)


def own_draw(layer: RandomLayer, x: Tensor, z: Tensor, num_examples: int) -> Tensor:
    """The batch cut into K contiguous groups of examples, group k under draw z[k]; [N, ...]."""
    if x.shape[0] % num_examples:
        raise RuntimeError(
            f"each example has its own noise, but of the {x.shape[0]} rows that reach this layer one cannot tell which "
            f"belong to which of {num_examples} examples; use noise='shared'"
        )
    rows = x.shape[0] // num_examples
    rank = layer.covariance.basis_size(layer.shape)
    if layer.is_plain and rank is not None and len(z) == num_examples and num_examples > rank + 1:
        each = z.repeat_interleave(rows, 0)
        smaller_input = layer.shape.weight[1] < layer.shape.weight[0]
        return stacked(layer, x, each) if smaller_input else mixed(layer, x, each)
    if layer.is_plain and isinstance(layer, nn.Linear) and len(z) == num_examples:
        return _per_example_linear(layer, x, z)
    size, larger = divmod(num_examples, len(z))
    return loop(layer, list(x.split([(size + (k < larger)) * rows for k in range(len(z))])), z)


def _per_example_linear(layer: RandomLayer, x: Tensor, z: Tensor) -> Tensor:
    weights, biases = layer.draw_weights(z)
    flat = x.reshape(len(z), -1, x.shape[-1])
    out = flat @ weights.mT if biases is None else torch.baddbmm(biases.unsqueeze(1), flat, weights.mT)
    return out.reshape(*x.shape[:-1], -1)


def _batched(flat: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return flat.expand(len(weights), *flat.shape), weights.mT


def _basis_weights(layer: RandomLayer) -> tuple[Tensor, Tensor | None]:
    rows = layer.covariance.rows(layer.factors, layer.shape)
    weights, biases = layer.shape.split(rows)
    weights = torch.cat([layer.mean_weight.unsqueeze(0), weights])
    if layer.mean_bias is None or biases is None:
        return weights, None
    return weights, torch.cat([layer.mean_bias.unsqueeze(0), biases])


def _coefficients(z: Tensor) -> Tensor:
    return torch.cat([z.new_ones(len(z), 1), z], 1)


def _groups(layer: nn.Module) -> int:
    groups = layer.groups
    assert isinstance(groups, int)
    return groups


def _over_positions(biases: Tensor, out: Tensor) -> Tensor:
    return biases.to(out.dtype).reshape(*biases.shape, *[1] * (out.dim() - biases.dim()))

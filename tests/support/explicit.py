"""What a variational network must predict, computed the long way."""

import copy

import torch

import ivi


def by_hand(plain, net, x, draws):
    """Every draw written into a plain copy, one pass each, in the same grad mode."""
    outputs = []
    for index in range(len(draws)):
        twin = copy.deepcopy(plain).eval()
        for name, layer in ivi.random_layers(net).items():
            at = index if name == draws.head else index // draws.head_draws
            weight, bias = layer.draw_weights(draws.part(name, layer, at, at + 1)[0])
            one = twin.get_submodule(name)
            with torch.no_grad():
                one.weight.copy_(weight)
                if bias is not None:
                    one.bias.copy_(bias)
        outputs.append(twin(x))
    return torch.stack(outputs)

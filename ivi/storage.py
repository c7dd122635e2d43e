"""A variational network in one file: its weights and what made them random."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ivi.covariance import Covariance, Diagonal, Full, LowRank
from ivi.kronecker import Kronecker
from ivi.layers import RandomLayer, make_random
from ivi.sampler import Sampler
from ivi.variationalize import attach, random_layers

_COVARIANCES: dict[str, type[Any]] = {kind.__name__: kind for kind in (LowRank, Diagonal, Full, Kronecker)}
_KEY = "ivi"


def save(net: nn.Module, path: str | Path) -> None:
    """Write a variational network's state dict, and which layers are random and how, as a safetensors file.

    Raises:
        ImportError: safetensors is not installed.
        ValueError: the network is not variational, or has a covariance of a class of one's own.
    """
    layers = random_layers(net)
    first = next(iter(layers.values()))
    covariance: Any = first.covariance
    kind = type(covariance).__name__
    if _COVARIANCES.get(kind) is not type(covariance):
        raise ValueError(f"only {', '.join(_COVARIANCES)} can be saved, not {kind}: save the state dict")
    about = {
        "format": 1,
        "noise": first.sampler.noise,
        "covariance": {"kind": kind, **asdict(covariance)},
        "layers": {name: {"noise": one.noise, "unit": one.prior_std} for name, one in layers.items()},
    }
    state = {name: _saved(name, value) for name, value in net.state_dict().items()}
    _safetensors().save_file(state, str(path), metadata={_KEY: json.dumps(about)})


def load(net: nn.Module | Callable[[], nn.Module], path: str | Path) -> nn.Module:
    """Read what `save` wrote.

    Args:
        net: the network, plain or variational, or a function that makes it; of the architecture that was saved.
        path: the file.

    Returns:
        The network, changed in place: its random layers, weights and factors are those of the file. The training noise
        comes from torch's global generator until `ivi.set_generator` says otherwise.

    Raises:
        ImportError: safetensors is not installed.
        ValueError: the file is no such one, or the network has other layers.
        RuntimeError: a weight is missing or has another shape.
    """
    net = net if isinstance(net, nn.Module) else net()
    with _safetensors("").safe_open(str(path), framework="pt") as file:
        about = json.loads((file.metadata() or {}).get(_KEY, "null"))
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dictionary
    if not isinstance(about, dict) or about.get("format") != 1:
        raise ValueError(f"{path}: not a file of ivi.save in a format that this version reads")
    covariance = _covariance(about["covariance"])
    present = {name: m for name, m in net.named_modules() if isinstance(m, RandomLayer)}
    if not present:
        _make_layers_random(net, about, covariance)
    elif present.keys() != about["layers"].keys() or any(m.covariance != covariance for m in present.values()):
        raise ValueError(
            f"{path}: saved with {covariance} on {list(about['layers'])}; the network has "
            f"{next(iter(present.values())).covariance} on {list(present)}: pass the plain network"
        )
    for name, layer in random_layers(net).items():
        layer.noise, layer.prior_std = about["layers"][name]["noise"], tuple(about["layers"][name]["unit"])
        layer.sampler.noise = about["noise"]
    net.load_state_dict(state)
    return net


def _make_layers_random(net: nn.Module, about: dict[str, Any], covariance: Covariance) -> None:
    named = dict(net.named_modules())
    missing = [name for name in about["layers"] if name not in named]
    if missing:
        raise ValueError(f"the network has no layer named {', '.join(missing)}")
    sampler = Sampler(about["noise"])
    for name in about["layers"]:
        sampler.layers[name] = make_random(named[name], covariance, sampler, None)
    attach(net, sampler)


def _covariance(about: dict[str, Any]) -> Covariance:
    values = dict(about)
    return _COVARIANCES[values.pop("kind")](**values)


def _saved(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} of the state dict is a {type(value).__name__}, not a tensor: it cannot be saved")
    return value.detach().cpu().contiguous().clone()  # tied weights are written twice


def _safetensors(module: str = ".torch") -> Any:
    from importlib import import_module

    try:
        return import_module(f"safetensors{module}")
    except ImportError as error:
        raise ImportError("ivi.save and ivi.load need the package safetensors: pip install safetensors") from error

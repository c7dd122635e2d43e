"""Pretrained weights: read from a file without running any of it, and put under a network's own names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from baselines.names import UserError
from benchmarks.pretrained import weights_file
from benchmarks.suite import TaskModel, is_file

# Blocks of each stage of EfficientNet-Lite0 (Tan & Le 2019, arXiv 1905.11946, table 1), which its file numbers through.
_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_BLOCK = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1"},
    **{"_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def load_pretrained(net: nn.Module, model: TaskModel) -> None:
    """Give ``net`` the weights that ``model`` names; its head too, where the file's has as many outputs.

    Raises:
        UserError: the file cannot be read, or holds the weights of another network: its first difference.
    """
    path = weights_file(model)
    if path is None:
        return
    state = read_weights(path)
    if not is_file(model.pretrained):
        state = {lite0_name(name): value for name, value in state.items()}
    own = net.state_dict()
    head = _head_of(net)
    state = {name: value for name, value in state.items() if not (name.startswith(head) and _differs(own, name, value))}
    faults = [f"{name} is missing" for name in own if name not in state and not name.startswith(head)]
    faults += [f"{name} is none of its weights" for name in state if name not in own]
    faults += [
        f"{name} has shape {tuple(value.shape)}, not {tuple(own[name].shape)}"
        for name, value in state.items()
        if name in own and value.shape != own[name].shape
    ]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"pretrained: {path} does not fit {model.name}: {faults[0]}{more}")
    net.load_state_dict(own | state)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a .safetensors file, or of a .pth file, of which nothing but tensors is read.

    Raises:
        UserError: it is no such file.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the restricted unpickler raises whatever a strange file makes it raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"pretrained: {path} cannot be read as weights: {reason}") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"pretrained: {path} holds no table of named tensors")
    return dict(found)


def lite0_name(name: str) -> str:
    """timm's name of an entry of the package's EfficientNet-Lite0."""
    first, _, rest = name.partition(".")
    if first != "_blocks":
        return f"{_ENDS.get(first, first)}.{rest}"
    found = re.fullmatch(r"(\d+)\.(\w+)\.(\w+)", rest)
    if found is None:
        return name
    index, layer, entry = int(found[1]), found[2], found[3]
    stage = 0
    names = _BLOCK if index else _FIRST_BLOCK
    while stage < len(_DEPTHS) - 1 and index >= _DEPTHS[stage]:
        index, stage = index - _DEPTHS[stage], stage + 1
    return f"blocks.{stage}.{index}.{names.get(layer, layer)}.{entry}"


def _head_of(net: Any) -> str:
    """What the names of the head's weights begin with."""
    return f"{net.pretrained_cfg['classifier']}."


def _differs(own: dict[str, Tensor], name: str, value: Tensor) -> bool:
    return name not in own or own[name].shape != value.shape

"""Networks for rows of a table."""

from __future__ import annotations

from typing import Any

from timm.models import register_model
from torch import Tensor, nn


class TableMLP(nn.Module):
    """A network of ``depth`` hidden layers of ``width`` units (SiLU) for rows of ``in_chans`` features."""

    def __init__(self, num_classes: int, in_chans: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        hidden: list[nn.Module] = []
        for i in range(depth):
            hidden += [nn.Linear(width if i else in_chans, width), nn.SiLU()]
        self.hidden = nn.Sequential(*hidden)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, outputs] of rows [batch, features]."""
        return self.fc(self.hidden(x))

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.fc


class TableResNet(nn.Module):
    """A residual network for rows of ``in_chans`` features (Gorishniy et al. 2021, arXiv 2106.11959, section 3.2).

    Each of ``depth`` blocks is x + W2 relu(W1 norm(x)), with layer normalization in place of their batch normalization
    and without dropout, which are methods' own matter here.
    """

    def __init__(self, num_classes: int, in_chans: int, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.stem = nn.Linear(in_chans, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.act = nn.ReLU()
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, outputs] of rows [batch, features]."""
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.fc(self.act(self.norm(x)))

    def get_classifier(self) -> nn.Linear:
        """The last layer."""
        return self.fc


@register_model
def mlp_table(pretrained: bool = False, **kwargs: Any) -> TableMLP:
    """An MLP for rows of a table, for `timm.create_model`; ``in_chans``: features."""
    if pretrained:
        raise ValueError("mlp_table has no pretrained weights")
    return TableMLP(**_given(kwargs))


@register_model
def resnet_table(pretrained: bool = False, **kwargs: Any) -> TableResNet:
    """A residual network for rows of a table, for `timm.create_model`; ``in_chans``: features."""
    if pretrained:
        raise ValueError("resnet_table has no pretrained weights")
    return TableResNet(**_given(kwargs))


def _given(kwargs: dict[str, Any]) -> dict[str, Any]:
    names = ("num_classes", "in_chans", "width", "depth")
    return {name: kwargs[name] for name in names if kwargs.get(name) is not None}

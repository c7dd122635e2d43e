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


@register_model
def mlp_table(pretrained: bool = False, **kwargs: Any) -> TableMLP:
    """An MLP for rows of a table, for `timm.create_model`; ``in_chans``: features."""
    if pretrained:
        raise ValueError("mlp_table has no pretrained weights")
    names = ("num_classes", "in_chans", "width", "depth")
    return TableMLP(**{name: kwargs[name] for name in names if kwargs.get(name) is not None})

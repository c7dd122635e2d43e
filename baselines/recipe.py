"""How a task's networks are trained. The recipe is the task's, the same for every method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from baselines.names import UserError, unknown

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Recipe(BaseModel):
    """Training recipe.

    Exactly one of ``epochs`` and ``max_steps`` is given; ``max_steps = 0`` leaves pretrained weights as they are.
    ``warmup`` is the fraction of all steps over which the learning rate rises linearly. ``clip_norm`` bounds the norm
    of the whole gradient, for every method alike. ``trunk_rate`` is a factor on the learning rate of all layers but the
    head, for pretrained networks. ``parametrization``: of initial weights and of how rates depend on a layer's shape:
    the network's own and one rate for all, or `ivi.MaximalUpdate` (arXiv 2203.03466), with every layer drawn anew.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(gt=0)] | None = None
    max_steps: Annotated[int, Field(ge=0)] | None = None
    batch_size: Annotated[int, Field(gt=0)]
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 0.0
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: Positive | None = None
    augment: Literal["none", "crop-flip"] = "none"
    precision: Literal["float32", "bfloat16"] = "float32"
    trunk_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    parametrization: Literal["standard", "maximal_update"] = "standard"

    @model_validator(mode="after")
    def _one_length(self) -> Recipe:
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give exactly one of epochs and max_steps")
        return self

    @model_serializer(mode="wrap")
    def _used(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later stands in identities only where it is used, so that those of older runs stay."""
        later = {"trunk_rate": 1.0, "parametrization": "standard"}
        return {name: value for name, value in handler(self).items() if name not in later or value != later[name]}

    def changed(self, changes: Mapping[str, Any]) -> Recipe:
        """This recipe with some fields changed. One of ``epochs`` and ``max_steps`` takes the place of the other.

        Raises:
            UserError: there is no such field, or its value is none that a recipe may have.
        """
        for name in changes:
            if name not in Recipe.model_fields:
                raise unknown("field of a recipe in recipe_changes", name, Recipe.model_fields)
        length = {"epochs": None, "max_steps": None} if changes.keys() & {"epochs", "max_steps"} else {}
        try:
            return Recipe.model_validate(self.model_dump() | length | dict(changes))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "length"
            raise UserError(f"recipe_changes {dict(changes)}: {where}: {first['msg'].lower()}") from None

    def steps(self, num_examples: int) -> int:
        """Optimizer steps for ``num_examples`` training examples; an incomplete last batch of an epoch is left out."""
        return (self.epochs or 0) * self.steps_per_epoch(num_examples) if self.max_steps is None else self.max_steps

    def steps_per_epoch(self, num_examples: int) -> int:
        """Full batches in one pass over ``num_examples`` examples, at least one."""
        return max(1, num_examples // self.batch_size)

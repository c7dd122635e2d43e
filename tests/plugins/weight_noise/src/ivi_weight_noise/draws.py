"""What methods with several draws have in common."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field


@dataclass(frozen=True)
class Draws:
    """A method that predicts with several draws.

    Attributes:
        draws: how many.
    """

    draws: Annotated[int, Field(ge=1)] = 8

    family: ClassVar[str] = "gaussian"

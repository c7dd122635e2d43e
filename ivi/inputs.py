"""How many examples a network's inputs hold, whatever they are packed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in a tensor, mapping, list or tuple, however deep."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors(part)


def change_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same with each tensor changed; mappings become dictionaries of their items where they cannot be remade."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        items = {key: change_tensors(part, change) for key, part in value.items()}
        try:
            return type(value)(items)  # pyright: ignore[reportCallIssue]
        except TypeError:
            return items
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(change_tensors(part, change) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(change_tensors(part, change) for part in value)
    return value


def count_examples(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Length of the batch: the first dimension of the tensors in the first argument that has any.

    Raises:
        ValueError: no argument has a tensor with a first dimension, or those of the first that has disagree.
    """
    if args and isinstance(args[0], Tensor) and args[0].dim():
        return len(args[0])
    for value in (*args, *kwargs.values()):
        sizes = {len(tensor) for tensor in tensors(value) if tensor.dim()}
        if len(sizes) == 1:
            return sizes.pop()
        if sizes:
            raise ValueError(
                f"cannot tell the number of examples: the tensors of the input, a {type(value).__name__}, have the "
                f"first dimensions {sorted(sizes)}; use noise='shared', or put the batch first in each of them"
            )
    kinds = ", ".join(type(value).__name__ for value in (*args, *kwargs.values())) or "nothing"
    raise ValueError(
        f"cannot tell the number of examples: there is no tensor in the input ({kinds}); use noise='shared', or pass "
        f"tensors, or mappings, lists and tuples of them"
    )

"""The user's data as tensors, all in memory, of which batches are taken by number."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from trainers.errors import InvalidInput

__all__ = ["Examples"]


class Examples:
    """Tensors of N rows, in the tuples and dicts in which the user gave them.

    Args:
        data: a tensor or array, or tuples, lists and dicts of them, of N rows each; or a map-style
            Dataset, whose examples are collated as a DataLoader would.

    Attributes:
        tensors: as `data`; whole numbers as int64, which PyTorch's losses ask for as labels.
        count: N.

    Raises:
        InvalidInput: these are no examples.
    """

    def __init__(self, data: object) -> None:
        if isinstance(data, DataLoader):
            data = data.dataset
        if isinstance(data, IterableDataset):
            raise InvalidInput(
                f"data is a {type(data).__name__}, an IterableDataset: every restart must see the "
                "same examples by number; give a map-style Dataset, tensors or arrays"
            )
        if isinstance(data, Dataset):
            data = _collated(data)
        self.tensors = mapped(_tensor, data)
        rows = {len(leaf) if leaf.ndim else -1 for leaf in leaves(self.tensors)}
        if len(rows) != 1 or min(rows) < 1:
            shapes = ", ".join(str(tuple(leaf.shape)) for leaf in leaves(self.tensors)) or "nothing"
            raise InvalidInput(
                f"data has shapes {shapes}; each must begin with the number of examples, at least 1"
            )
        for leaf in leaves(self.tensors):
            if leaf.is_floating_point() and not leaf.isfinite().all():
                raise InvalidInput("data holds NaN or infinity; fill or drop those examples")
        (self.count,) = rows

    def of(self, dtype: torch.dtype, device: torch.device) -> Examples:
        """The same, with real numbers in that precision, there."""
        return self._changed(
            self.count,
            lambda leaf: leaf.to(device, dtype if leaf.is_floating_point() else leaf.dtype),
        )

    def first(self, count: int) -> Examples:
        """At most so many of them."""
        return self._changed(min(count, self.count), lambda leaf: leaf[:count])

    def _changed(self, count: int, change: Callable[[torch.Tensor], torch.Tensor]) -> Examples:
        other = object.__new__(Examples)
        other.count, other.tensors = count, mapped(change, self.tensors)
        return other

    def batch(self, numbers: torch.Tensor) -> Any:
        """The examples `numbers` (B,), or of each restart its own, (r, B)."""
        return mapped(lambda leaf: leaf[numbers], self.tensors)


def mapped(change: Callable[[Any], torch.Tensor], tree: object) -> Any:
    """`tree` with every leaf changed; what is neither tuple, list nor dict is one."""
    if isinstance(tree, Mapping):
        return {key: mapped(change, value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(mapped(change, value) for value in tree)
    return change(tree)


def leaves(tree: object) -> list[Any]:
    """The leaves in order."""
    if isinstance(tree, Mapping):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, tuple | list):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def _tensor(value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        array = value.to_numpy() if hasattr(value, "to_numpy") else np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise InvalidInput(
                f"data holds a {type(value).__name__} of {array.dtype}; give tensors or arrays of "
                "numbers, with labels and words as whole numbers"
            )
        value = torch.tensor(array)
    value = value.detach()
    whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
    return value.to(torch.int64) if whole else value


def _collated(data: Dataset[Any]) -> Any:
    sized: Any = data
    if not hasattr(sized, "__len__") or len(sized) < 1:
        raise InvalidInput(f"data is a {type(data).__name__} without examples")
    first, again = (leaves(mapped(_tensor, sized[0])) for _ in range(2))
    if not all(map(torch.equal, first, again)):
        warnings.warn(
            f"{type(data).__name__} gives another example 0 each time (a random transform): it is "
            "asked once, and every restart and epoch sees the same",
            RuntimeWarning,
            stacklevel=4,
        )
    items: Sequence[Any] = [sized[i] for i in range(len(sized))]
    try:
        return default_collate(items)
    except (TypeError, RuntimeError, KeyError) as error:
        raise InvalidInput(
            f"data is a {type(data).__name__} whose examples cannot be collated into tensors: "
            f"{str(error).splitlines()[0]}"
        ) from error

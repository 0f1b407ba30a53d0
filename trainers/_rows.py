"""What is known of R restarts as arrays with a row for each, of which some rows go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "filled"]


def filled(count: int, label: object) -> NDArray[np.object_]:
    """An array (count,) of `label` itself: `np.full` would make a plain string of a `StrEnum`."""
    out: NDArray[np.object_] = np.empty(count, dtype=object)
    out.fill(label)
    return out


class Rows:
    """A base for dataclasses whose arrays, also those inside other `Rows`, have a row a restart.

    What is no array belongs to all restarts and is shared.
    """

    def _each(self, change: Callable[[Any], Any]) -> Self:
        changed = {
            name: change(value) if isinstance(value, np.ndarray | Rows) else value
            for name, value in vars(self).items()
        }
        return type(self)(**changed)

    def rows(self, keep: NDArray[Any]) -> Self:
        """The restarts `keep` alone, a mask (R,) or indices (r,): copies."""
        return self._each(lambda v: v.rows(keep) if isinstance(v, Rows) else v[keep])

    def some(self, keep: NDArray[np.bool_]) -> Self:
        """As `rows` of a mask, but itself where that is all of them: small parts are dear."""
        return self if keep.all() else self.rows(keep)

    def copy(self) -> Self:
        """All of them; to change the copy leaves this as it is."""
        return self._each(lambda v: v.copy())

    def put(self, where: NDArray[Any], part: Self) -> None:
        """Write the restarts of `part` back to where `rows` or `some` took them from."""
        if part is self:
            return
        for name, value in vars(part).items():
            if isinstance(value, Rows):
                getattr(self, name).put(where, value)
            elif isinstance(value, np.ndarray):
                getattr(self, name)[where] = value

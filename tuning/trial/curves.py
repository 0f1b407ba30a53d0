"""What is kept of every restart along the way, as tables of float32: losses, and the sharpness."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curves", "SharpnessHistory", "checkpoints", "quantiles", "spread"]

FloatArray = NDArray[np.float64]
_LEVELS = (0.1, 0.5, 0.9)
_MOST_POINTS = 200  # of a curve that is shown


@dataclass(frozen=True)
class Curves:
    """Losses at K checkpoints.

    Attributes:
        steps (K,): the checkpoints, 0 and T among them.
        losses (K, R) float32: the loss of each restart; NaN once diverged.
        lowest (K, R) float32: the lowest loss so far, for the step at which a target was reached.
    """

    steps: NDArray[np.int64]
    losses: NDArray[np.float32]
    lowest: NDArray[np.float32]

    @classmethod
    def join(cls, parts: list[Curves]) -> Curves:
        """The restarts of `parts` side by side."""
        return cls(
            parts[0].steps,
            np.concatenate([p.losses for p in parts], axis=1),
            np.concatenate([p.lowest for p in parts], axis=1),
        )

    def thinned(self, most: int) -> Curves:
        """At most `most` of the checkpoints, the first and the last among them."""
        shown = spread(len(self.steps), most)
        return Curves(self.steps[shown], self.losses[shown], self.lowest[shown])

    def quantiles(self, levels: tuple[float, ...] = _LEVELS) -> FloatArray:
        """(len(levels), K): quantiles over the restarts, one that diverged counting as infinite.

        NaN where a quantile is infinite: a curve ends where that part of the restarts diverged.
        """
        return quantiles(self.losses, levels)

    def steps_to(self, target: float) -> FloatArray:
        """(R,): the first checkpoint at which a restart had reached `target`; infinite if never."""
        # Both rounded alike, or a restart that ends on the target exactly might miss it.
        with np.errstate(over="ignore"):
            reached = self.lowest <= np.float32(target)
        return np.where(
            reached.any(axis=0), self.steps[reached.argmax(axis=0)].astype(np.float64), np.inf
        )

    def to_json(self) -> dict[str, Any]:
        """Steps as a list; the two tables as base64 of little-endian float32, row by row."""
        return {
            "steps": self.steps.tolist(),
            "losses": _packed(self.losses),
            "lowest": _packed(self.lowest),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        steps = np.array(value["steps"], dtype=np.int64)
        losses, lowest = (_unpacked(value[key], len(steps)) for key in ("losses", "lowest"))
        return cls(steps, losses, lowest)


@dataclass(frozen=True)
class SharpnessHistory:
    """lambda_max(P^-1 H) along the way; see `trainers.training.sharpness_recorder`.

    Attributes:
        steps (K,): where it was measured, 0 and T among them.
        values (K, R) float32: of each restart; NaN once diverged.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def join(cls, parts: list[SharpnessHistory]) -> SharpnessHistory | None:
        """The restarts of `parts` side by side; None of none."""
        if not parts:
            return None
        return cls(parts[0].steps, np.concatenate([p.values for p in parts], axis=1))

    def quantiles(self, most: int = _MOST_POINTS) -> tuple[NDArray[np.int64], FloatArray]:
        """At most `most` of the steps (K',), the first and the last among them, and there the 10,
        50 and 90 % quantiles over the restarts (3, K'), of the kind that `Curves.quantiles` has."""
        shown = spread(len(self.steps), most)
        return self.steps[shown], quantiles(self.values[shown], _LEVELS)

    def to_json(self) -> dict[str, Any]:
        """As `Curves.to_json`."""
        return {"steps": self.steps.tolist(), "values": _packed(self.values)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        steps = np.array(value["steps"], dtype=np.int64)
        return cls(steps, _unpacked(value["values"], len(steps)))


def checkpoints(steps: int) -> NDArray[np.int64]:
    """At most 105 steps at which losses are kept, 0 and `steps` among them: half of them evenly
    spaced, half on a logarithmic scale."""
    even = np.linspace(0, steps, min(steps, 60) + 1)
    log = np.geomspace(1, steps, 45)
    return np.unique(np.concatenate([even, log]).round().astype(np.int64))


def spread(count: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the indices below `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


def quantiles(table: NDArray[np.float32], levels: tuple[float, ...] = _LEVELS) -> FloatArray:
    """(len(levels), K) of a table (K, R); see `Curves.quantiles`."""
    infinite = np.where(np.isnan(table), np.inf, table.astype(np.float64))
    ordered = np.quantile(infinite, levels, axis=1, method="inverted_cdf")
    return np.where(np.isfinite(ordered), ordered, np.nan)


def _packed(table: NDArray[np.float32]) -> str:
    return base64.b64encode(table.astype("<f4").tobytes()).decode()


def _unpacked(text: str, rows: int) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").reshape(rows, -1)

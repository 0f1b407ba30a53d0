"""What training one setting gives: a table with a row for each restart, and loss curves.

A `SettingResult` holds all that the report needs, and turns into plain JSON and back without loss,
for that is what a finished trial carries in the study.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trainers import Dynamics

__all__ = ["Curves", "Restarts", "Role", "Setting", "SettingResult"]

FloatArray = NDArray[np.float64]

_WORST = 1e150  # stands for a loss that is not finite; sums and squares of it still are


class Role(StrEnum):
    """Why a setting is tried."""

    SEARCH = "search"
    CONFIRMATION = "confirmation"  # on fresh starts, that played no part in choosing it


@dataclass(frozen=True)
class Setting:
    """An optimizer with all its hyperparameters, tried on a range of restarts.

    Attributes:
        number: the trial's number in the study.
        optimizer: index in the job's list of optimizers.
        learning_rate: the rate.
        role: search or confirmation.
        first: index of the first restart.
        restarts: R.
    """

    number: int
    optimizer: int
    learning_rate: float
    role: Role
    first: int
    restarts: int


@dataclass(frozen=True)
class Restarts:
    """One row a restart; arrays (R,).

    Attributes:
        dynamics: `Dynamics` as text. point: `Point` as text.
        start_loss, loss, basin_loss: NaN where there is none.
        smallest_curvature, largest_curvature: of the Hessian at the bottom; NaN if not measured.
        diverged_at: the step of divergence, or -1.
        validation_loss: where it ended, on held-out examples; NaN if there are none.
        reason: one sentence.
    """

    dynamics: NDArray[np.str_]
    point: NDArray[np.str_]
    start_loss: FloatArray
    loss: FloatArray
    basin_loss: FloatArray
    smallest_curvature: FloatArray
    largest_curvature: FloatArray
    diverged_at: NDArray[np.int64]
    validation_loss: FloatArray
    reason: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """(R,)."""
        return np.asarray(self.dynamics == Dynamics.DIVERGED)

    @property
    def unstable(self) -> NDArray[np.bool_]:
        """(R,): diverged, or oscillating without progress."""
        return np.asarray(self.diverged | (self.dynamics == Dynamics.OSCILLATING))

    @classmethod
    def join(cls, parts: list[Restarts]) -> Restarts:
        """The rows of `parts`, one after another."""
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)}
        )

    def to_json(self) -> dict[str, list[Any]]:
        """Columns as lists; NaN as None. Texts that repeat are fine: the study compresses well."""
        return {f.name: _listed(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, columns: dict[str, list[Any]]) -> Self:
        """The inverse of `to_json`."""
        arrays: dict[str, NDArray[Any]] = {}
        for field in fields(cls):
            values = columns[field.name]
            if field.name in ("dynamics", "point", "reason"):
                arrays[field.name] = np.array(values, dtype=np.str_)
            elif field.name == "diverged_at":
                arrays[field.name] = np.array(values, dtype=np.int64)
            else:
                arrays[field.name] = np.array(
                    [np.nan if v is None else v for v in values], dtype=np.float64
                )
        return cls(**arrays)


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

    def quantiles(self, levels: tuple[float, ...] = (0.1, 0.5, 0.9)) -> FloatArray:
        """(len(levels), K): quantiles over the restarts, one that diverged counting as infinite.

        NaN where a quantile is infinite: a curve ends where that part of the restarts diverged.
        """
        infinite = np.where(np.isnan(self.losses), np.inf, self.losses.astype(np.float64))
        ordered = np.quantile(infinite, levels, axis=1, method="inverted_cdf")
        return np.where(np.isfinite(ordered), ordered, np.nan)

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
            "losses": base64.b64encode(self.losses.astype("<f4").tobytes()).decode(),
            "lowest": base64.b64encode(self.lowest.astype("<f4").tobytes()).decode(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        steps = np.array(value["steps"], dtype=np.int64)
        losses, lowest = (
            np.frombuffer(base64.b64decode(value[key]), dtype="<f4").reshape(len(steps), -1)
            for key in ("losses", "lowest")
        )
        return cls(steps, losses, lowest)


@dataclass(frozen=True)
class SettingResult:
    """What became of one setting.

    `training_seconds` and `classifying_seconds` are host time over all its tasks, `finished_at` is
    when the last of them ended (unix time): facts of one run, no part of the answer.
    """

    setting: Setting
    restarts: Restarts
    curves: Curves
    training_seconds: float
    classifying_seconds: float
    finished_at: float

    @classmethod
    def join(cls, parts: list[SettingResult]) -> SettingResult:
        """One result from those of its tasks, in the order of their restarts."""
        return cls(
            replace(parts[0].setting, restarts=sum(p.setting.restarts for p in parts)),
            Restarts.join([p.restarts for p in parts]),
            Curves.join([p.curves for p in parts]),
            sum(p.training_seconds for p in parts),
            sum(p.classifying_seconds for p in parts),
            max(p.finished_at for p in parts),
        )

    @cached_property
    def value(self) -> float:
        """What the search minimises: the mean of min(J_end, J0) over the restarts; always finite.

        One that diverged counts as if it had never been trained. Kept, for every later proposal
        asks for it again.
        """
        table = self.restarts
        end = np.where(table.diverged, table.start_loss, np.minimum(table.loss, table.start_loss))
        return float(np.mean(np.clip(np.where(np.isnan(end), _WORST, end), -_WORST, _WORST)))

    @cached_property
    def unstable_fraction(self) -> float:
        """Part of the restarts that diverged or oscillated."""
        return float(self.restarts.unstable.mean())

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "setting": {f.name: getattr(self.setting, f.name) for f in fields(self.setting)},
            "restarts": self.restarts.to_json(),
            "curves": self.curves.to_json(),
            "training_seconds": self.training_seconds,
            "classifying_seconds": self.classifying_seconds,
            "finished_at": self.finished_at,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        setting = Setting(**{**value["setting"], "role": Role(value["setting"]["role"])})
        return cls(
            setting,
            Restarts.from_json(value["restarts"]),
            Curves.from_json(value["curves"]),
            value["training_seconds"],
            value["classifying_seconds"],
            value["finished_at"],
        )


def _listed(column: NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f":
        return [v if np.isfinite(v) else None for v in values]
    return values

"""What training gives, of a block and of a setting: a row for each restart, and loss curves.

A `SettingResult` holds all that the report needs, and turns into plain JSON and back without loss,
for that is what a finished trial carries in the study.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trainers import Dynamics, Fall, Point
from tuning.trial.bought import Bought
from tuning.trial.curves import Curves, SharpnessHistory
from tuning.trial.setting import Block, Role, Setting

__all__ = [
    "NOT_KNOWN",
    "BlockResult",
    "Bought",
    "Curves",
    "Restarts",
    "Role",
    "Setting",
    "SettingResult",
    "SharpnessHistory",
    "bought_of",
    "of_role",
]

FloatArray = NDArray[np.float64]

#: In the place of a `Fall`: it hovers high without progress, and nothing says what holds it there.
NOT_KNOWN = "not-known"

_WORST = 1e150  # stands for a loss that is not finite; sums and squares of it still are
_TEXTS = ("dynamics", "motion", "fall", "point", "reason")
_FLAGS = ("still", "held")
_WHOLE = ("diverged_at", "spikes")
# Columns that studies written before lack; they are NaN there.
_LATER = (
    "lr_sharpness",
    "hover",
    "tail_loss",
    "tail_gap",
    "tail_excess",
    "cosine",
    "displacement",
    "trend",
    "tail_middle",
    "sharpest",
    "swing",
)


@dataclass(frozen=True)
class Restarts:
    """One row a restart; arrays (R,).

    Attributes:
        dynamics: `Dynamics` as text. motion: the same but for whether it settled.
        fall: `Fall` as text, empty where it is not unstable, or `NOT_KNOWN`.
        hover: as in `Outcomes`. point: `Point` as text.
        start_loss, loss, tail_loss, basin_loss: NaN where there is none.
        lower_bound: no bottom below is lower; -inf where nothing is known.
        tail_gap, tail_excess, still, held: of the tail, as in `trainers.outcomes.stability`.
        spikes: losses of the tail far above the others.
        cosine, displacement, trend, tail_middle, sharpest, swing: as in `Outcomes`.
        smallest_curvature, largest_curvature: of the Hessian at the bottom; NaN if not measured.
        lr_sharpness: lr * lambda_max(P^-1 H) where training ended; NaN if it diverged, and in
            studies written before it was kept.
        diverged_at: the step of divergence, or -1.
        validation_loss: where it ended, on held-out examples; NaN if there are none.
        reason: one sentence.

    `dynamics`, `fall` and `hover` are relative to the descent of the task's restarts, until they
    are labelled anew with that of the whole job (`tuning.analysis.basin_labels`).
    """

    dynamics: NDArray[np.str_]
    motion: NDArray[np.str_]
    fall: NDArray[np.str_]
    hover: FloatArray
    point: NDArray[np.str_]
    start_loss: FloatArray
    loss: FloatArray
    tail_loss: FloatArray
    basin_loss: FloatArray
    lower_bound: FloatArray
    tail_gap: FloatArray
    tail_excess: FloatArray
    still: NDArray[np.bool_]
    held: NDArray[np.bool_]
    spikes: NDArray[np.int64]
    cosine: FloatArray
    displacement: FloatArray
    trend: FloatArray
    tail_middle: FloatArray
    sharpest: FloatArray
    swing: FloatArray
    smallest_curvature: FloatArray
    largest_curvature: FloatArray
    lr_sharpness: FloatArray
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
        """(R,): whether it is known to have fallen."""
        return np.asarray((self.fall != "") & (self.fall != NOT_KNOWN))

    @property
    def doubtful(self) -> NDArray[np.bool_]:
        """(R,): whether it is not known if it has fallen."""
        return np.asarray(self.fall == NOT_KNOWN)

    @classmethod
    def join(cls, parts: list[Restarts]) -> Restarts:
        """The rows of `parts`, one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)}
        )

    def to_json(self) -> dict[str, list[Any]]:
        """Columns as lists; what is not finite as None. Texts that repeat are fine: the study
        compresses well."""
        return {f.name: _listed(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, columns: dict[str, list[Any]]) -> Self:
        """The inverse of `to_json`; also of studies that have fewer columns."""
        columns = _completed(columns)
        arrays: dict[str, NDArray[Any]] = {}
        for name in (field.name for field in fields(cls)):
            values = columns[name]
            if name in _TEXTS:
                arrays[name] = np.array(values, dtype=np.str_)
            elif name in _FLAGS:
                arrays[name] = np.array(values, dtype=np.bool_)
            elif name in _WHOLE:
                arrays[name] = np.array(values, dtype=np.int64)
            else:
                nothing = -np.inf if name == "lower_bound" else np.nan
                arrays[name] = np.array(
                    [nothing if v is None else v for v in values], dtype=np.float64
                )
        return cls(**arrays)


def _completed(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """With those that studies have lacked which were written before hovering was measured, or the
    sharpness. What they knew stays as it was told: where nothing is known of a tail, nothing is
    labelled anew."""
    doing, unknown = columns["dynamics"], [None] * len(columns["loss"])
    falls = {Dynamics.DIVERGED: Fall.DIVERGED, Dynamics.OSCILLATING: Fall.SWINGS}
    bottoms = zip(columns["basin_loss"], columns["point"], strict=True)
    return {
        **dict.fromkeys(_LATER, unknown),
        **dict.fromkeys(_FLAGS, [False] * len(unknown)),
        "spikes": [0] * len(unknown),
        "motion": doing,
        "fall": [str(falls.get(Dynamics(d), "")) for d in doing],
        "lower_bound": [None if p == Point.UNDETERMINED else loss for loss, p in bottoms],
        **columns,
    }


@dataclass(frozen=True)
class BlockResult:
    """What became of one block: what a task gives; see `SettingResult`."""

    block: Block
    restarts: Restarts
    curves: Curves
    training_seconds: float
    classifying_seconds: float
    finished_at: float
    sharpness: SharpnessHistory | None = None


@dataclass(frozen=True)
class SettingResult:
    """What became of one setting.

    `training_seconds` and `classifying_seconds` are host time over all its tasks, `finished_at` is
    when the last of them ended (unix time): facts of one run, no part of the answer. `sharpness` is
    None where the job did not ask for it. `bought` is None unless time had ended the search when
    this was told.
    """

    setting: Setting
    restarts: Restarts
    curves: Curves
    training_seconds: float
    classifying_seconds: float
    finished_at: float
    sharpness: SharpnessHistory | None = None
    bought: Bought | None = None

    @classmethod
    def join(cls, setting: Setting, parts: Sequence[BlockResult] | Sequence[SettingResult]) -> Self:
        """The result of `setting` from those of its tasks, or of its trials, in the order of its
        starts."""
        return cls(
            setting,
            Restarts.join([p.restarts for p in parts]),
            Curves.join([p.curves for p in parts]),
            sum(p.training_seconds for p in parts),
            sum(p.classifying_seconds for p in parts),
            max(p.finished_at for p in parts),
            SharpnessHistory.join([p.sharpness for p in parts if p.sharpness is not None]),
        )

    @cached_property
    def value(self) -> float:
        """What the search minimises: the mean of `ends`. Kept, for every later proposal asks for it
        again."""
        return float(np.mean(self.ends))

    @property
    def ends(self) -> NDArray[np.float64]:
        """(R,): min(J_end, J0), always finite. One that diverged counts as if it had never been
        trained."""
        table = self.restarts
        end = np.where(table.diverged, table.start_loss, np.fmin(table.loss, table.start_loss))
        return np.clip(np.where(np.isnan(end), _WORST, end), -_WORST, _WORST)

    @cached_property
    def unstable_fraction(self) -> float:
        """Part of the restarts that are unstable."""
        return float(self.restarts.unstable.mean())

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "setting": self.setting.to_json(),
            "restarts": self.restarts.to_json(),
            "curves": self.curves.to_json(),
            "sharpness": None if self.sharpness is None else self.sharpness.to_json(),
            "training_seconds": self.training_seconds,
            "classifying_seconds": self.classifying_seconds,
            "finished_at": self.finished_at,
            **({} if self.bought is None else {"bought": asdict(self.bought)}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(
            Setting.from_json(value["setting"]),
            Restarts.from_json(value["restarts"]),
            Curves.from_json(value["curves"]),
            value["training_seconds"],
            value["classifying_seconds"],
            value["finished_at"],
            SharpnessHistory.from_json(sharpness)
            if (sharpness := value.get("sharpness"))
            else None,
            Bought(**bought) if (bought := value.get("bought")) else None,
        )


def of_role(results: Iterable[SettingResult], role: Role) -> list[SettingResult]:
    """Those of `results` that were tried for this reason, in order."""
    return [result for result in results if result.setting.role is role]


def bought_of(results: Iterable[SettingResult]) -> Bought | None:
    """What time bought, if it ended the search."""
    return next((r.bought for r in results if r.bought is not None), None)


def _listed(column: NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f":
        return [v if np.isfinite(v) else None for v in values]
    return values

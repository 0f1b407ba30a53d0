"""Results with a known truth, made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from trainers import InvalidInput
from tuning.spec.job import JobSpec, read_spec
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.result import BlockResult, Curves, Restarts, SettingResult
from tuning.trial.setting import Block, Role, Setting

STEPS = (0, 10, 100, 1000)


@dataclass(frozen=True)
class Row:
    """One restart. `path`: its losses at the checkpoints after the first; by default all `loss`."""

    dynamics: str = "settled"
    point: str = "minimum"
    start: float = 1.0
    loss: float = 0.0
    basin_loss: float = 0.0
    smallest: float = 1.0
    largest: float = 2.0
    lr_sharpness: float = 0.2
    diverged_at: int = -1
    validation: float = math.nan
    path: tuple[float, ...] | None = None

    def curve(self) -> tuple[float, ...]:
        """Losses at `STEPS`."""
        return (self.start, *(self.path or (self.loss,) * (len(STEPS) - 1)))


GOOD = Row()
TRAPPED = Row(loss=0.5, basin_loss=0.5)
OSCILLATING = Row(dynamics="oscillating", loss=0.8)
DIVERGED = Row(
    dynamics="diverged",
    point="none",
    loss=9.0,
    basin_loss=math.nan,
    smallest=math.nan,
    largest=math.nan,
    lr_sharpness=math.nan,
    diverged_at=7,
    path=(math.nan,) * 3,
)


def slow(steps: int, row: Row = GOOD) -> Row:
    """`row`, at its loss from checkpoint `steps` on and at its start before."""
    return replace(row, path=tuple(row.loss if s >= steps else row.start for s in STEPS[1:]))


def restarts(rows: Sequence[Row]) -> Restarts:
    """The table of `rows`."""
    falls = {"diverged": "diverged", "oscillating": "swings"}
    unknown, no = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=bool)
    return Restarts(
        dynamics=np.array([r.dynamics for r in rows], dtype=np.str_),
        motion=np.array([r.dynamics for r in rows], dtype=np.str_),
        # Nothing is known of the tails, so that these labels stay as they are made here.
        fall=np.array([falls.get(r.dynamics, "") for r in rows], dtype=np.str_),
        hover=unknown,
        tail_loss=unknown,
        tail_gap=unknown,
        tail_excess=unknown,
        still=no,
        held=no,
        spikes=np.zeros(len(rows), dtype=np.int64),
        cosine=unknown,
        displacement=unknown,
        trend=unknown,
        tail_middle=unknown,
        sharpest=unknown,
        swing=unknown,
        lower_bound=np.array(
            [
                -np.inf if r.point == "undetermined" or math.isnan(r.basin_loss) else r.basin_loss
                for r in rows
            ]
        ),
        point=np.array([r.point for r in rows], dtype=np.str_),
        start_loss=np.array([r.start for r in rows], dtype=np.float64),
        loss=np.array([r.loss for r in rows], dtype=np.float64),
        basin_loss=np.array([r.basin_loss for r in rows], dtype=np.float64),
        smallest_curvature=np.array([r.smallest for r in rows], dtype=np.float64),
        largest_curvature=np.array([r.largest for r in rows], dtype=np.float64),
        lr_sharpness=np.array([r.lr_sharpness for r in rows], dtype=np.float64),
        diverged_at=np.array([r.diverged_at for r in rows], dtype=np.int64),
        validation_loss=np.array([r.validation for r in rows], dtype=np.float64),
        reason=np.array(["made by hand" for _ in rows], dtype=np.str_),
    )


def curves(rows: Sequence[Row]) -> Curves:
    """The losses of `rows` at `STEPS`."""
    losses = np.array([r.curve() for r in rows], dtype=np.float32).T
    lowest = np.fmin.accumulate(losses, axis=0)
    return Curves(np.array(STEPS, dtype=np.int64), losses, lowest)


def block(rate: float, *, optimizer: int = 0, first: int = 0, restarts: int = 2) -> Block:
    """`restarts` starts in a row, from `first`."""
    return Block(optimizer, {LEARNING_RATE: rate}, tuple(range(first, first + restarts)))


def setting(
    number: int,
    rate: float,
    *,
    optimizer: int = 0,
    role: Role = Role.SEARCH,
    first: int = 0,
    restarts: int = 2,
) -> Setting:
    """A setting of one block."""
    one = block(rate, optimizer=optimizer, first=first, restarts=restarts)
    return Setting(number, role, (one,))


def result(
    number: int,
    rate: float,
    rows: Sequence[Row],
    *,
    optimizer: int = 0,
    role: Role = Role.SEARCH,
    first: int = 0,
) -> SettingResult:
    """What trial `number` gave."""
    tried = setting(number, rate, optimizer=optimizer, role=role, first=first, restarts=len(rows))
    return SettingResult(tried, restarts(rows), curves(rows), 1.0, 0.5, 100.0 + number)


def answer(setting: Setting, rows: Sequence[Row]) -> SettingResult:
    """What `setting` gave: as many of `rows`, from the first and over again, as it has restarts."""
    chosen = [rows[i % len(rows)] for i in range(len(setting.starts))]
    return replace(result(setting.number, setting.learning_rate, chosen), setting=setting)


def block_answer(block: Block, rows: Sequence[Row]) -> BlockResult:
    """What a task gave that trained `block`, a row for each of its starts."""
    return BlockResult(block, restarts(rows), curves(rows), 1.0, 0.5, 100.0)


def job(settings: int = 4, **tables: Any) -> JobSpec:
    """A job of `settings` settings, 64 restarts, with these tables beside."""
    search = {"sampler": "tpe", "settings": settings, **tables.pop("search", {})}
    training = {"restarts": 64, **tables.pop("training", {})}
    problem = {"name": "single-weight"}
    return read_spec({"problem": problem, "search": search, "training": training, **tables})


def same(a: SettingResult, b: SettingResult) -> bool:
    """Whether two results are equal to the bit, NaN equal to NaN."""
    return a.to_json() == b.to_json()


def refused(source: object) -> str:
    """The message about `source`, which is one line."""
    with pytest.raises(InvalidInput) as caught:
        read_spec(source)  # type: ignore[arg-type]
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message

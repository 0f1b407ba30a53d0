"""A row of the report for each setting, and the one that is recommended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuning.report.status import Status
from tuning.statistics.intervals import Rate

__all__ = ["BestStable", "SettingRow"]


@dataclass(frozen=True)
class SettingRow:
    """One setting and what became of its restarts.

    Attributes:
        number: of the trial in the study.
        optimizer: its name with the hyperparameters that are not the default, as in
            `adam(beta1=0.8)`.
        learning_rate: the rate. role: why it was tried. restarts: R.
        dynamics, basins: how many restarts had each label; diverged restarts have no basin.
        joint: how many had each pair of labels, as in `settled/global-minimum` and `diverged/none`;
            `unstable` in the place of the dynamics of who fell without diverging.
        falls: why restarts are unstable, and how many by each reason.
        hover, worst_hover: median and largest height of the tail over the bottom, in descents, over
            the restarts that did not diverge; None without any.
        evidence: what the basins rest on, and how many on each.
        unstable, diverged, trapped, global_minimum: rates over all R, with 95 % Wilson intervals;
            restarts that are not judged widen those of trapped and global_minimum, which are given
            among the judged.
        trapped_at: trapped, by tolerance in parts of the descent.
        unstable_upper: one-sided Clopper-Pearson bound at the job's confidence; of a confirmation
            at the one that decided it (`judge`).
        status: how far it came.
        loss: median over the restarts of the loss where they ended, None if over half of them
            diverged.
        best_loss: the lowest of them. validation_loss: median on held-out examples.
        reached: how many restarts reached the target. cost: steps spent by all restarts for each
            that did, None if none did.
    """

    number: int
    optimizer: str
    learning_rate: float
    role: str
    restarts: int
    dynamics: Mapping[str, int]
    basins: Mapping[str, int]
    joint: Mapping[str, int]
    falls: Mapping[str, int]
    hover: float | None
    worst_hover: float | None
    evidence: Mapping[str, int]
    unstable: Rate
    diverged: Rate
    trapped: Rate
    global_minimum: Rate
    trapped_at: Mapping[str, Rate]
    unstable_upper: float
    status: Status
    loss: float | None
    best_loss: float | None
    validation_loss: float | None
    reached: int
    cost: float | None


@dataclass(frozen=True)
class BestStable:
    """The recommended setting.

    Attributes:
        number: of the chosen setting. optimizer, hyperparameters, learning_rate: what to use.
        unstable, trapped: rates on the fresh starts that confirmed it.
        unstable_upper: Clopper-Pearson bound on P(unstable) there, at the confidence that makes the
            job's that of the whole procedure. margin: the safety factor.
        unstable_at_margin: rate at margin times the learning rate, on the same fresh starts.
        unstable_upper_at_margin: its bound. cost: expected steps to the target, on fresh starts.
        trapped_at: trapped, by tolerance in parts of the descent.
        decades_to_cliff: log10 of cliff over rate; None where no cliff was found.
    """

    number: int
    optimizer: str
    hyperparameters: Mapping[str, float]
    learning_rate: float
    unstable: Rate
    unstable_upper: float
    margin: float
    unstable_at_margin: Rate
    unstable_upper_at_margin: float
    trapped: Rate
    trapped_at: Mapping[str, Rate]
    cost: float | None
    decades_to_cliff: float | None

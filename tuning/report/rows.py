"""A row of the report for each setting, and the one to use."""

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
        number: of the trial in the study, the first of several.
        optimizer: its name with the hyperparameters that are not the default, as in
            `adam(beta1=0.8)`.
        learning_rate: the rate. role: why it was tried. restarts: R.
        dynamics, basins: how many restarts had each label; diverged restarts have no basin.
        joint: how many had each pair of labels, as in `settled/global-minimum` and `diverged/none`;
            `unstable` in the place of the dynamics of who fell without diverging.
        falls: why restarts are unstable, and how many by each reason; `not-known` of whom it is not
            known.
        hover, worst_hover: median and largest height of the tail over the bottom, in descents, over
            the restarts that did not diverge; None without any.
        evidence: what the basins rest on, and how many on each.
        unstable, diverged, trapped, global_minimum: rates over all R, with 95 % Wilson intervals;
            restarts that are not judged widen those of trapped and global_minimum, which are given
            among the judged, and likewise of unstable, if it is not known of some.
        trapped_at: trapped, by tolerance in parts of the descent.
        unstable_upper: one-sided Clopper-Pearson bound at the job's confidence; on fresh starts
            that of the sequential test that decided, at its own confidence (`judge`).
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
    """The setting to use.

    Attributes:
        number: of the chosen setting. optimizer, hyperparameters, learning_rate: what to use.
        status: confirmed, on fresh starts; or looks-stable, where none could be confirmed: what is
            told is then of its restarts in the search.
        fresh_starts: how many confirmed it; 0 where none did. look, looks: at which of its test's
            looks it was accepted, and of how many; None where it was not.
        unstable, trapped: rates on these starts.
        unstable_upper: upper bound on P(unstable). Of a confirmed one that of its sequential test,
            at the confidence that makes the job's that of the whole procedure; else that of Clopper
            and Pearson at the job's confidence, which knows nothing of its having been chosen.
        margin: the safety factor.
        unstable_at_margin: rate at margin times the learning rate, on the same fresh starts; None
            where it was not confirmed. unstable_upper_at_margin: its bound.
        cost: expected steps to the target, on these starts.
        trapped_at: trapped, by tolerance in parts of the descent.
        decades_to_cliff: log10 of cliff over rate; None where no cliff was found.
    """

    number: int
    optimizer: str
    hyperparameters: Mapping[str, float]
    learning_rate: float
    status: Status
    fresh_starts: int
    look: int | None
    looks: int | None
    unstable: Rate
    unstable_upper: float
    margin: float
    unstable_at_margin: Rate | None
    unstable_upper_at_margin: float | None
    trapped: Rate
    trapped_at: Mapping[str, Rate]
    cost: float | None
    decades_to_cliff: float | None

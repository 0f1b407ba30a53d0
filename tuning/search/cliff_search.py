"""The search for the cliff: a campaign for each optimizer, all of them out of one budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from trainers.errors import InvalidInput
from tuning.analysis.cliff_goal import cliff_target, costs_of, goal_of, trained_of
from tuning.analysis.running_labels import RunningLabels
from tuning.cliff.budget import Spending, demand, granted
from tuning.cliff.campaign import Campaign, reserve
from tuning.cliff.observations import Trained
from tuning.cliff.rounds import Asked, Phase, Probe, Steps
from tuning.search.wanted import Wanted
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.result import SettingResult
from tuning.trial.setting import Block, Role

__all__ = ["CliffSearch"]

_UNLIMITED = 10**15


_NOTHING = Spending(explored=0, starts=0, over=False)


@dataclass
class _Run:
    """One optimizer's campaign, on its way."""

    campaign: Campaign
    steps: Steps[None]
    round: list[SettingResult] = field(default_factory=list)  # told so far
    open: int = 0  # blocks of the round that are not told
    rounds: int = 0
    spending: Spending = _NOTHING  # what is in flight too


class CliffSearch:
    """See `plan.Search`. A round of a campaign is proposed as soon as all of the one before has
    been told, from all results so far; so several optimizers hide each other's rounds."""

    def __init__(self, spec: JobSpec, known_minimum: float | None) -> None:
        if len(spec.search.space.dimensions) > 1:
            raise InvalidInput("sampler = 'cliff' searches the learning rate alone: use tpe")
        self._spec = spec
        self._labels = RunningLabels(known_minimum, spec.thresholds)
        self._budget = _budget(spec)
        self._affordable = _UNLIMITED
        self.cut: int | None = None
        self._trials, self._count = spec.budget.settings, 0
        #: The budget, in restarts, that leads to what has been granted: the most that was wanted.
        self.spent = 0
        self._told: Sequence[SettingResult] = ()
        self._runs: list[_Run] = []
        for optimizer in range(len(spec.search.space.optimizers)):
            campaign = Campaign(goal_of(spec), partial(self._costs, optimizer))
            self._runs.append(_Run(campaign, campaign.steps()))

    def begin(self, told: Sequence[SettingResult]) -> list[Wanted]:
        tried = [w for o, run in enumerate(self._runs) for w in self._next(o, next(run.steps))]
        for count, result in enumerate(told):
            if count >= len(tried) or (tried[count].block,) != result.setting.blocks:
                raise InvalidInput(
                    f"trial {result.setting.number} of the study is not what this job tries there: "
                    "the study is damaged, or another version of Surefoot made it"
                )
            tried += self.tell(told[: count + 1])
        return tried[len(told) :]

    def tell(self, told: Sequence[SettingResult]) -> list[Wanted]:
        self._told = told
        optimizer = told[-1].setting.optimizer
        run = self._runs[optimizer]
        run.round.append(told[-1])
        run.open -= 1
        if run.open:
            return []
        labels = self._labels.of(told)
        found = trained_of([labels.relabelled(result) for result in run.round])
        run.round, run.rounds = [], run.rounds + 1
        return self._send(optimizer, found)

    def limit(self, restarts: int) -> None:
        """What is beyond is not granted; the campaigns go on to their ends."""
        self._budget = min(self._budget, restarts)

    @property
    def committed(self) -> int:
        """At most: an end that is over may have taken less."""
        spending = [run.spending for run in self._runs]
        return sum(one.explored + reserve(one.starts) * one.over for one in spending)

    def afford(self, restarts: int) -> None:
        self._affordable = restarts

    def _send(self, optimizer: int, found: Sequence[Trained]) -> list[Wanted]:
        run = self._runs[optimizer]
        try:
            return self._next(optimizer, run.steps.send(found))
        except StopIteration:
            run.spending = replace(run.spending, over=True)
            return []

    def _next(self, optimizer: int, asked: Asked) -> list[Wanted]:
        run = self._runs[optimizer]

        def fits(trainings: int, starts: int) -> bool:
            if self._trials is not None and self._count >= self._trials:
                return False
            wanted = self._wanted_with(run, trainings, starts)
            if self.cut is None and self._affordable < wanted <= self._budget:
                self.cut = max(self._affordable, self.spent)
                self.limit(self.cut)
            return wanted <= self._budget

        probes = granted(asked, run.spending.starts, fits)
        if not probes:
            return self._send(optimizer, ())
        run.open = len(probes)
        self._count += len(probes)
        starts = max(run.spending.starts, *(max(p.starts) + 1 for p in probes))
        trainings = sum(len(p.starts) for p in probes) * (asked.phase is not Phase.CLOSE)
        self.spent = max(self.spent, self._wanted_with(run, trainings, starts))
        run.spending = replace(
            run.spending, explored=run.spending.explored + trainings, starts=starts
        )
        return [_wanted(optimizer, probe, run.rounds) for probe in probes]

    def _wanted_with(self, run: _Run, trainings: int, starts: int) -> int:
        """`demand`, if `run` is granted so many trainings and then has so many starts."""
        explored = run.spending.explored + trainings
        grown = replace(run.spending, explored=explored, starts=starts)
        return demand([grown if other is run else other.spending for other in self._runs])

    def _costs(self, optimizer: int) -> Mapping[float, float]:
        labels = self._labels.of(self._told)
        target = cliff_target(labels.results, labels, self._spec).loss
        mine = [r for r in labels.results if r.setting.optimizer == optimizer]
        return costs_of(mine, target, self._spec)


def _wanted(optimizer: int, probe: Probe, number: int) -> Wanted:
    role = Role.SEARCH if probe.fresh else Role.PROBE
    return Wanted(role, Block(optimizer, {LEARNING_RATE: probe.rate}, probe.starts), number)


def _budget(spec: JobSpec) -> int:
    """Restarts of the search."""
    if (restarts := spec.search_restarts) is not None:
        return restarts
    return spec.default_restarts if spec.budget.minutes_alone is None else _UNLIMITED

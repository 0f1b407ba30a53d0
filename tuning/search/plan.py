"""A job's plan: what the coordinator leaves to others, as the job file asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from tuning.analysis.basin_labels import Labels
from tuning.analysis.build import next_confirmations
from tuning.search.coordinator import Plan
from tuning.search.proposer import Proposer
from tuning.search.records import violation
from tuning.search.samplers import Told
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Role, Setting
from tuning.trial.task import split_into_tasks

__all__ = ["is_complete", "make_plan", "make_proposer"]


def make_proposer(spec: JobSpec) -> Proposer:
    """The proposer that `spec` asks for.

    Raises:
        InvalidInput: the sampler cannot be had here.
    """
    search = spec.search
    return Proposer(
        search.space,
        sampler=search.sampler,
        try_first=search.first_points,
        settings=search.settings,
        in_flight=search.in_flight,
        restarts=spec.training.restarts,
        seed=spec.seed,
    )


def make_plan(spec: JobSpec, flops: float, known_minimum: float | None) -> Plan:
    """The coordinator's decisions, as `spec` asks for them.

    Args:
        flops: floating-point operations of one gradient. known_minimum: J there, or None.
    """
    proposer = make_proposer(spec)

    def propose(number: int, told: Sequence[SettingResult], between: Sequence[Setting]) -> Setting:
        # On the scale of what this proposal may see.
        scaled = Labels.of(told, known_minimum, spec.thresholds).results if told else ()
        results = [Told(r.setting, r.value, violation(r, spec)) for r in scaled]
        return proposer.propose(number, results, between)

    return Plan(
        settings=spec.search.settings,
        in_flight=spec.search.in_flight,
        propose=propose,
        parts=lambda setting: split_into_tasks(setting, spec.training.steps, flops),
        confirm=lambda told: next_confirmations(spec, known_minimum, told),
    )


def is_complete(plan: Plan, results: Sequence[SettingResult]) -> bool:
    """Whether nothing is left to try."""
    searched = len(of_role(results, Role.SEARCH)) >= plan.settings
    return searched and not plan.confirm(results)

"""Whole small jobs in this process, without Ray and MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainers import Problem
from tuning.analysis.build import build_report
from tuning.analysis.problem_info import problem_facts
from tuning.execution.in_process import InProcessPool
from tuning.report.model import Report, RunFacts
from tuning.search.loop import Listeners, Progress, run_loop
from tuning.search.plan import JobPlan
from tuning.spec.job import JobSpec, read_spec
from tuning.study import StudyStore
from tuning.trial.result import SettingResult
from tuning.trial.task import TrainingConfig

RUN = RunFacts("job-1", "today", 1.0, 1.0, 1.0, 1, {})


class Interrupted(Exception):
    """The coordinator was killed."""


def carry_on(
    spec: JobSpec, store: StudyStore, *, stop_at: int = -1, problem: Problem | None = None
) -> tuple[list[SettingResult], list[Progress]]:
    """Run the job from wherever its study stands; killed when `stop_at` results have been told."""
    problem = problem or spec.make_problem()
    seen: list[Progress] = []

    def on_told(results: list[SettingResult]) -> None:
        if len(results) == stop_at:
            raise Interrupted

    plan = JobPlan(spec, problem.flops(), problem.known_minimum)
    pool = InProcessPool(problem, TrainingConfig.of(spec))
    return run_loop(spec, plan, pool, store, on_told, Listeners(seen.append, print)), seen


def new_store(tmp_path: Path, name: str = "job") -> StudyStore:
    return StudyStore.create(f"journal:///{tmp_path}/{name}.log", name, {})


def run(tmp_path: Path, **tables: Any) -> tuple[JobSpec, list[SettingResult], Report]:
    spec = read_spec(tables)
    results, _ = carry_on(spec, new_store(tmp_path))
    return spec, results, build_report(spec, facts(spec), results, RUN)


def facts(spec: JobSpec) -> dict[str, Any]:
    return problem_facts(spec.problem.name, spec.make_problem())

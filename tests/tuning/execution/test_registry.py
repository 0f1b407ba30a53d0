"""Which pool `workers` means, and how a third joins."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import tuning
from trainers import InvalidInput, Problem
from tuning.execution import registry
from tuning.execution.base import Pool
from tuning.execution.in_process import InProcessPool, InThisProcess
from tuning.execution.ray_pool import OnThisMachine
from tuning.execution.registry import Workers, pool_maker
from tuning.spec.cluster_section import ClusterSpec
from tuning.trial.task import TrainingConfig

JOB: dict[str, Any] = {
    "problem": {"name": "double-well"},
    "search": {"sampler": "tpe", "settings": 2},
    "training": {"restarts": 4, "steps": 10},
}


class Third:
    """A pool from elsewhere; counts how often it is made."""

    made = 0

    def make_pool(self, problem: Problem, config: TrainingConfig, limits: ClusterSpec) -> Pool:
        Third.made += 1
        return InProcessPool(problem, config)


def test_the_pools_that_are_built_in() -> None:
    assert pool_maker(None) == OnThisMachine()
    assert pool_maker(4) == OnThisMachine(4)
    assert isinstance(pool_maker("inline"), InThisProcess)


@pytest.mark.parametrize("workers", [0, -1, 10_001, True, 2.0, "inlined", []])
def test_what_no_pool_goes_by_is_refused(workers: object) -> None:
    with pytest.raises(InvalidInput) as error:
        pool_maker(workers)
    assert str(error.value) == (
        f"workers = {workers!r} is not valid; a whole number from 1 to 10000, "
        "or 'inline', 'cluster'"
    )


@pytest.mark.usefixtures("no_pictures")
def test_a_third_is_given_or_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = metadata.EntryPoint("third", f"{__name__}:THIRD", "surefoot.pools")

    def installed(**wanted: Any) -> metadata.EntryPoints:
        return metadata.EntryPoints([point]).select(**wanted)

    monkeypatch.setattr(registry, "entry_points", installed)
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda _: Third())
    before = Third.made
    ways: list[Workers] = ["inline", Third(), "third"]
    answers = [
        {**tuning.tune(JOB, workers=workers, home=tmp_path / str(i)).to_dict(), "run": None}
        for i, workers in enumerate(ways)
    ]
    assert answers[0] == answers[1] == answers[2]
    assert Third.made == before + 2
    with pytest.raises(InvalidInput, match=r"from 1 to 10000, or 'inline', 'cluster', 'third'$"):
        pool_maker("forth")

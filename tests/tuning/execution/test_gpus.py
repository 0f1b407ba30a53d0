"""GPUs that tasks reserve. There is no hardware here: Ray is told of two, which it hands out as it
would others; what a task sees of them is what it says of CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainers import InvalidInput
from trainers.problem import FloatArray
from tuning.execution import ray_slots
from tuning.execution.base import Done
from tuning.execution.ray_pool import RayPool
from tuning.execution.ray_slots import Reserved
from tuning.spec.cluster_section import ClusterSpec
from tuning.testing.pools import CONFIG, carry_out, task
from tuning.testing.problems import Bowl


class Watching(Bowl):
    """Writes when each task began and ended and which GPUs it saw; there is room for some at once.

    Its validation loss is called once a task, in its end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def validation_loss(self, w: FloatArray) -> FloatArray:
        begin = time.time()
        time.sleep(0.5)
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        line = f"{os.getpid()} {begin} {time.time()} {seen or 'none'}\n"
        with open(self.folder / "tasks", "a", encoding="utf-8") as file:
            file.write(line)
        return np.zeros(len(w))


@pytest.fixture(scope="module")
def two_gpus() -> Iterator[None]:
    """Ray with CPUs for eight tasks, and two GPUs that it takes our word for."""
    import ray

    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            num_cpus=8,
            num_gpus=2,
            include_dashboard=False,
            object_store_memory=128 * 1024**2,
            _temp_dir=folder,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": os.getcwd()}},
        )
        yield
        ray.shutdown()


def carried_out(folder: Path, gpus: float, tasks: int) -> list[tuple[str, float, float, str]]:
    """Process, begin, end and GPUs of each task."""
    pool = RayPool(Watching(folder), CONFIG, limits=ClusterSpec(gpus_per_task=gpus))
    events = carry_out(pool, [task(i) for i in range(tasks)])
    pool.close()
    assert all(isinstance(event, Done) for event in events.values()), events
    lines = (folder / "tasks").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines]
    return [(process, float(begin), float(end), seen) for process, begin, end, seen in rows]


def at_once(intervals: list[tuple[float, float]]) -> int:
    """How many of them share a moment, at most."""
    return max(sum(b <= begin < e for b, e in intervals) for begin, _ in intervals)


@pytest.mark.cluster
@pytest.mark.usefixtures("two_gpus")
def test_two_tasks_share_a_gpu_and_no_more(tmp_path: Path) -> None:
    done = carried_out(tmp_path, gpus=0.5, tasks=8)
    assert {seen for *_, seen in done} == {"0", "1"}  # both are used, and each task sees one
    assert at_once([(begin, end) for _, begin, end, _ in done]) <= 4
    for gpu in ("0", "1"):
        assert at_once([(begin, end) for _, begin, end, seen in done if seen == gpu]) <= 2
    # A worker that has used a GPU holds memory of it: it ends with its task.
    assert len({process for process, *_ in done}) == 8


@pytest.mark.cluster
@pytest.mark.usefixtures("two_gpus")
def test_without_any_none_are_seen(tmp_path: Path) -> None:
    done = carried_out(tmp_path, gpus=0.0, tasks=2)
    assert [seen for *_, seen in done] == ["none"] * 2


@pytest.mark.cluster
@pytest.mark.usefixtures("two_gpus")
def test_more_than_there_are_is_one_line() -> None:
    with pytest.raises(InvalidInput) as refused:
        RayPool(Bowl(), CONFIG, limits=ClusterSpec(gpus_per_task=3))
    assert str(refused.value) == (
        "cluster.gpus_per_task = 3 cannot be: the workers have at most 2 on one node (ray status); "
        "leave it out to train on CPUs, or start workers with GPUs"
    )


@pytest.mark.parametrize(
    ("cpus", "gpus", "nodes", "free", "slots", "now"),
    [
        (1.0, 0.0, [], (7.0, 0.0), 8, 7),
        (1.0, 0.5, [2.0], (8.0, 1.5), 4, 3),
        (1.0, 0.1, [1.0], (8.0, 1.0), 8, 8),  # CPUs are fewer; and 1 // 0.1 is 9
        (0.1, 0.1, [1.0], (8.0, 1.0), 10, 10),
        (1.0, 0.6, [2.0], (8.0, 2.0), 2, 3),  # one on each; Ray tells of their sum alone
        (1.0, 2.0, [3.0, 1.0], (8.0, 4.0), 1, 2),  # not of two nodes
        (4.0, 1.0, [4.0], (8.0, 4.0), 2, 2),
    ],
)
def test_slots_are_what_fits(
    monkeypatch: pytest.MonkeyPatch,
    cpus: float,
    gpus: float,
    nodes: list[float],
    free: tuple[float, float],
    slots: int,
    now: int,
) -> None:
    there: dict[str, Any] = {"CPU": (8.0, free[0]), "GPU": (sum(nodes), free[1])}
    monkeypatch.setattr(ray_slots, "resources", there.__getitem__)
    monkeypatch.setattr(ray_slots, "gpus_of_nodes", lambda: nodes)
    assert Reserved(cpus, gpus).slots() == (slots, min(now, slots))

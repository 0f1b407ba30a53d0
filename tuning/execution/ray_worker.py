"""One task, as a Ray worker carries it out."""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tuning.execution.base import Failed, Lost, Outcome, TaskId
from tuning.execution.in_process import attempt
from tuning.execution.ray_nodes import own_address
from tuning.execution.ray_progress import say
from tuning.execution.ray_slots import Reserved, hide_gpus
from tuning.trial.setting import Block
from tuning.trial.watch import Watch

__all__ = ["WorkerJob", "attempt_on_worker", "stuck"]

_PASSAGE = "objects do not pass between these nodes: run surefoot doctor"


@dataclass(frozen=True)
class WorkerJob:
    """What every task is given.

    Attributes:
        given: a reference to the problem and the work, which is in `address`.
        timeout, transfer: seconds, as for the pool.
        origins: the distribution of each module that a plug-in is in.
        reserved: what each task has to itself.
        said: the name under which tasks say how far they are.
    """

    given: list[Any]
    address: str
    timeout: float
    transfer: float
    origins: Mapping[str, str]
    reserved: Reserved
    said: str


def attempt_on_worker(job: WorkerJob, task_id: TaskId, block: Block) -> Outcome:
    """What became of it."""
    import ray

    if not job.reserved.gpus:
        hide_gpus()
    try:
        problem, config = ray.get(job.given[0], timeout=job.transfer)
    except ray.exceptions.GetTimeoutError:
        return Lost(task_id, stuck("its problem", job.address, own_address(), job.transfer))
    except ray.exceptions.RaySystemError as error:  # it came, and cannot be unpickled
        if not isinstance(absent := error.client_exc, ModuleNotFoundError):
            raise
        return Failed(task_id, _not_installed(str(absent.name), job.origins))
    # A thread of C, which needs no lock of Python's: it ends also a task that hangs in C code, and
    # leaves in the worker's log where it hung.
    faulthandler.dump_traceback_later(job.timeout, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        return attempt(problem, config, task_id, block, Watch(partial(say, job.said, task_id)))
    finally:
        faulthandler.cancel_dump_traceback_later()


def stuck(what: str, there: str, here: str, seconds: float) -> str:
    """Why a task was lost that waited for `what` to pass."""
    return f"{what} did not come from node {there} to {here} within {seconds:.0f} s: {_PASSAGE}"


def _not_installed(module: str, origins: Mapping[str, str]) -> str:
    what = origins.get(module.partition(".")[0], "the distribution that has it")
    return f"node {own_address()} has no module {module!r}: install {what} there, and on every node"

"""Tasks on Ray workers. The only module that imports Ray."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from typing import Any

from trainers import Problem
from tuning.pool import Event, Failed, Lost, Pool, Ticket, attempt
from tuning.results import Setting
from tuning.work import Work

__all__ = ["RayPool", "start_ray"]

#: One BLAS thread on every worker, set before NumPy is imported there: the rounding depends on it.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


def start_ray(workers: int | None, folder: str) -> bool:
    """Start Ray on this machine with `workers` CPUs (default: all), its files in `folder`.

    Returns whether this call started it, so that the caller shuts down what it started and nothing
    else. A session that the caller's own program has started already is used as it is.
    """
    import ray

    if ray.is_initialized():
        return False
    # Ray 2.60 turns token authentication on by default, writes a token into the home directory and
    # warns. A cluster that ends with this process and listens on loopback alone needs none.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A task that a Ctrl-C killed has nobody left to look at its error, and needs nobody.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    path = os.pathsep.join(p for p in (os.getcwd(), *sys.path) if p)
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        object_store_memory=256 * 1024**2,
        _temp_dir=folder,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {**ONE_THREAD, "PYTHONPATH": path}},
    )
    return True


class RayPool(Pool):
    """Carries out tasks as Ray tasks of one CPU.

    `max_retries=0`: a lost task is an event, counted and retried by the coordinator, and never run
    again behind its back.
    """

    def __init__(self, problem: Problem, work: Work, *, workers: int | None = None) -> None:
        import ray

        self._ray = ray
        self._folder = tempfile.TemporaryDirectory(
            prefix="surefoot-ray-", ignore_cleanup_errors=True
        )
        self._running: dict[Any, Ticket] = {}
        self._started = start_ray(workers, self._folder.name)
        with contextlib.ExitStack() as undo:  # what was started must not stay behind a failure
            undo.callback(self.close)
            self._job = ray.put((problem, work))
            undo.pop_all()
        self._remote = ray.remote(num_cpus=1, max_retries=0)(_attempt)
        # A session that was there already may have set no threads; these workers need one.
        self._options = {"runtime_env": {"env_vars": ONE_THREAD}} if not self._started else {}

    def submit(self, ticket: Ticket, setting: Setting) -> None:
        task = self._remote.options(
            name=f"setting {ticket.number} part {ticket.part}", **self._options
        )
        self._running[task.remote(self._job, ticket, setting)] = ticket

    def wait(self, timeout: float) -> list[Event]:
        if not self._running:
            return []
        pending = list(self._running)
        ready, _ = self._ray.wait(pending, num_returns=1, timeout=timeout)
        if ready:  # whatever else has come back by now
            ready, _ = self._ray.wait(pending, num_returns=len(pending), timeout=0)
        return [self._event(reference) for reference in ready]

    def _event(self, reference: Any) -> Event:
        ticket = self._running.pop(reference)
        errors = self._ray.exceptions
        try:
            event: Event = self._ray.get(reference)
        except (
            errors.RayTaskError
        ) as error:  # not the user's loss, which `attempt` catches: the problem itself
            return Failed(ticket, str(error))
        except errors.RayError as error:
            return Lost(ticket, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return event

    def close(self) -> None:
        for reference in self._running:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(reference, force=True)
        self._running.clear()
        if self._started and self._ray.is_initialized():
            self._ray.shutdown()
            self._started = False
        self._folder.cleanup()


def _attempt(job: tuple[Problem, Work], ticket: Ticket, setting: Setting) -> Event:
    problem, work = job
    return attempt(problem, work, ticket, setting)

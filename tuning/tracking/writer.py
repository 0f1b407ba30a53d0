"""The one thread that writes to MLflow."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from trainers._mask import mask
from tuning.tracking.address import check, link
from tuning.tracking.mlflow_store import ENVIRONMENT, Store, is_transient, mlflow_errors, quiet
from tuning.tracking.run import Run
from tuning.tracking.view import report_path, view_path, view_tags

__all__ = ["Description", "Tracker"]

T = TypeVar("T")

#: Tags of the experiment, from its id and that of the run that it points to, None without one.
Description = Callable[[str, str | None], Mapping[str, str]]

QUEUE_RUNS = 256  # of about 100 kB
RECONCILE_SECONDS = 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 15.0


class Tracker:
    """Keeps MLflow in step with the study. `put` and `reconcile` may be called from any thread.

    Args:
        uri: of an MLflow server (http, https) or database.
        experiment: its name; created, or restored when somebody has deleted it.
        artifact_root: where a new experiment in a database keeps its files; by default beside the
            sqlite file. A server has its own place.
        experiment_tags: of a new one, beside the tag of the ready view; `describe` gives others.
        capacity: runs that may wait; those beyond are left for `reconcile`.

    Raises:
        InvalidInput: `uri` cannot work.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        *,
        artifact_root: Path | None,
        experiment_tags: Mapping[str, str],
        capacity: int = QUEUE_RUNS,
    ) -> None:
        check(uri)
        self._uri = uri
        self._open = partial(
            Store, uri, experiment, artifact_root, {**experiment_tags, **view_tags(0)}
        )
        self._capacity = capacity
        self._thread = threading.Thread(target=self._work, name="mlflow-writer", daemon=True)
        self._stop = threading.Event()
        # The condition guards what follows.
        self._changed = threading.Condition()
        self._waiting: dict[str, Run | None] = {}  # None: to be dropped
        self._description: tuple[str, Description] | None = None
        self._writing = False
        self._anew = False
        self._ended = True
        self._missing: dict[str, str] = {}  # key -> digest, in the order of `put`
        self._experiment_id: str | None = None
        self._pointed_to: str | None = None
        self._outage: str | None = None
        self._refusal: str | None = None

    def start(self) -> None:
        """Open the store in the writer's thread (importing MLflow takes 1.5 s of CPU, creating the
        tables of an sqlite file 2 s more) and write what is put."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._ended = False
        self._writing = True  # the experiment
        self._thread.start()

    def put(self, run: Run) -> None:
        """Have `run` written, in place of any other with its key. Returns at once; when the queue
        is full the run is only remembered as missing, or forgotten if it is under way."""
        with self._changed:
            if not run.under_way:
                self._missing[run.key] = run.digest
            if run.key in self._waiting or len(self._waiting) < self._capacity:
                self._waiting[run.key] = run
                self._changed.notify_all()

    def drop(self, key: str) -> None:
        """Have the run with this key, which was under way, deleted. Returns at once."""
        with self._changed:
            self._waiting[key] = None
            self._changed.notify_all()

    def reconcile(self, runs: Iterable[Run], timeout: float = RECONCILE_SECONDS) -> None:
        """`put` each of `runs`, waiting for room in the queue up to `timeout` seconds in all, but
        not while MLflow is out of reach. What MLflow has, complete and current, costs nothing.

        MLflow is looked at anew: a coordinator that has lost its lease, and does not know yet, may
        have written too."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._anew = True
        for run in runs:
            with self._changed:
                self._changed.wait_for(
                    lambda: len(self._waiting) < self._capacity or self._outage or self._ended,
                    max(0.0, deadline - time.monotonic()),
                )
            self.put(run)

    def describe(self, key: str, description: Description) -> None:
        """Have the experiment described, in place of any description that still waits, when all
        runs that were put before are written.

        Args:
            key: of the run that it points to.
        """
        with self._changed:
            self._description = key, description
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until nothing is left to write; whether that is so."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._ended or not (self._waiting or self._writing or self._description),
                timeout,
            )

    def close(self, timeout: float) -> list[str]:
        """`wait`; then stop, and return the keys of the runs that are not known to be in MLflow."""
        self.wait(timeout)
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
            return list(self._missing)

    @property
    def waiting(self) -> int:
        """Runs that are still to be written."""
        with self._changed:
            return len(self._waiting)

    @property
    def experiment_id(self) -> str | None:
        """None until the store is open."""
        return self._experiment_id

    @property
    def path(self) -> str | None:
        """Below a server's address: the report in the run that the description points to, once it
        is there, and before that the experiment's view; None until the store is open."""
        if self._experiment_id is None:
            return None
        if self._pointed_to is not None:
            return report_path(self._experiment_id, self._pointed_to)
        return view_path(self._experiment_id)

    @property
    def url(self) -> str | None:
        """The same with the server's address; None for a database."""
        return self.path and link(self._uri, self.path)

    @property
    def problem(self) -> str | None:
        """One line: why MLflow cannot be written to now, or what it last refused; else None."""
        return self._outage or self._refusal

    def _work(self) -> None:
        try:
            with quiet():
                store = self._persist("the experiment", self._open)
                if store is None:
                    return
                self._experiment_id = store.experiment_id
                while (run := self._next()) is not None:
                    if self._anew:
                        self._anew = False
                        store.forget()
                    if isinstance(run, str):
                        self._persist(f"the end of run {run}", partial(store.drop, run))
                        continue
                    if not isinstance(run, Run):
                        self._persist("the description", partial(self._describe, store, *run))
                        continue
                    done = self._persist(f"run {run.key}", partial(store.write, run))
                    with self._changed:
                        # Unless another of this key was put meanwhile.
                        if done and self._missing.get(run.key) == run.digest:
                            del self._missing[run.key]
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _describe(self, store: Store, key: str, description: Description) -> bool:
        self._pointed_to = store.run_id(key)
        return store.describe(description(store.experiment_id, self._pointed_to))

    def _next(self) -> Run | str | tuple[str, Description] | None:
        """A run to write, the key of one to drop, or a description."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._waiting or self._description or self._stop.is_set()
            )
            if self._stop.is_set():
                return None
            self._writing = True
            if self._waiting:
                key = next(iter(self._waiting))
                return self._waiting.pop(key) or key
            described, self._description = self._description, None
            return described

    def _persist(self, what: str, call: Callable[[], T]) -> T | None:
        """The result of `call`, repeated through outages; None if MLflow refuses, or on `close`."""
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                result = call()
            except mlflow_errors() as error:
                reason = str(error).replace(self._uri.rstrip("/"), mask(self._uri).rstrip("/"))
                line = (reason.splitlines() or [type(error).__name__])[0][:300]
                if not is_transient(error):
                    self._outage = None
                    self._refusal = f"MLflow at {mask(self._uri)} refused {what}: {line}"
                    return None
                with self._changed:
                    self._outage = f"MLflow at {mask(self._uri)} cannot be reached: {line}"
                    self._changed.notify_all()
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self._outage = None
                return result
        return None

"""One experiment in MLflow, and the calls to MLflow that Surefoot needs."""

from __future__ import annotations

import fcntl
import socket
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from http.client import IncompleteRead
from itertools import zip_longest
from pathlib import Path
from shutil import copytree
from typing import NamedTuple
from urllib.parse import urlsplit

from tuning.tracking.address import sqlite_file
from tuning.tracking.artifacts import PROXIED, artifact_place
from tuning.tracking.mlflow_values import chunks, last_step, metrics_of, milliseconds, scalars
from tuning.tracking.run import DIGEST_TAG, KEY_TAG, UNDER_WAY_TAG, Run

__all__ = ["ENVIRONMENT", "Store", "check_port", "is_transient", "mlflow_errors", "quiet"]

# MLflow takes at most 1000 items in a batch, 100 params among them.
BATCH_METRICS, BATCH_PARAMS = 900, 100

# Set unless the user has. MLflow's own retries would repeat `create_run`, which makes a second run,
# and cannot be interrupted; and it prints a link for each run.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}
DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
PORT_CHECK_SECONDS = 5.0
_NOTE = "mlflow.note.content"
NOT_NOW = ("TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED")


class _StoredRun(NamedTuple):
    run_id: str
    digest: str | None
    finished: bool
    last: int = -1  # step that was logged, while it is under way


class Store:
    """One experiment in MLflow. Raises what MLflow raises."""

    def __init__(
        self, uri: str, experiment: str, artifact_root: Path | None, tags: Mapping[str, str]
    ) -> None:
        from mlflow import MlflowClient

        check_port(uri)
        _create_tables(uri)
        self._client = MlflowClient(tracking_uri=uri)
        self._place = artifact_place(uri, artifact_root)
        self._tags: dict[str, str] = {}  # the experiment's, as far as that is known
        self.experiment_id = self._experiment(experiment, tags)
        self.describe({tag: value for tag, value in tags.items() if tag not in self._tags})
        # job id -> key -> what MLflow has; a job is looked up when its first run comes.
        self._jobs: dict[str, dict[str, _StoredRun]] = {}

    def forget(self) -> None:
        """Look again what MLflow has, before the next run is written."""
        self._jobs.clear()

    def write(self, run: Run) -> bool:
        """Make MLflow hold `run`, once and complete, or so far as it is. Returns True."""
        # Put back when all is done: after a failure nobody knows what MLflow has, so look again.
        held = self._jobs.pop(run.job, None)
        if held is None:
            held = self._search(run.job)
        old = held.get(run.key)
        if run.under_way:
            held[run.key] = self._go_on(run, old)
            self._jobs[run.job] = held
            return True
        if old and old.digest != run.digest and not _can_be_completed(old, run):
            self._client.delete_run(old.run_id)
            old = None
        if not (old and old.finished):
            held[run.key] = _StoredRun(self._write(run, old and old.run_id), run.digest, True)
        elif old.digest != run.digest:
            self._complete(run, old.run_id)
            held[run.key] = old._replace(digest=run.digest)
        self._jobs[run.job] = held
        return True

    def drop(self, key: str) -> bool:
        """Have no run with this key. Returns True."""
        if (run_id := self.run_id(key)) is not None:
            self._client.delete_run(run_id)
            del self._jobs[key.partition("/")[0]][key]
        return True

    def _go_on(self, run: Run, old: _StoredRun | None) -> _StoredRun:
        """Log what is new of a run that is under way."""
        if old is None:
            run_id = self._begin(run)
            self._params_and_metrics(run, run_id)
        else:
            run_id = old.run_id
            new = [metric for metric in metrics_of(run) if metric.step > old.last]
            if new:
                self._client.log_batch(run_id, new)
            self._client.set_tag(run_id, _NOTE, run.note or "")
        return _StoredRun(run_id, run.digest, False, last_step(run))

    def _complete(self, run: Run, run_id: str) -> None:
        """A tenth of what writing it anew costs, and most that change when a job ends need no
        more."""
        from mlflow.entities import RunTag

        # The digest is one of them, so that what an outage interrupts is done again.
        tags = [RunTag(name, value) for name, value in run.all_tags().items()]
        self._client.log_batch(run_id, scalars(run.late, run.seconds[0]), tags=tags)

    def _write(self, run: Run, run_id: str | None) -> str:
        if run_id is None:
            run_id = self._begin(run)
        self._params_and_metrics(run, run_id)
        if run.files:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in run.files.items():
                    file = Path(folder, name)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.encode() if isinstance(content, str) else content)
                self._keep(run_id, folder)
        self._client.set_terminated(run_id, "FINISHED", milliseconds(run.seconds[1]))
        return run_id

    def _begin(self, run: Run) -> str:
        start = milliseconds(run.seconds[0])
        created = self._client.create_run(self.experiment_id, start, run.all_tags())
        return str(created.info.run_id)

    def _params_and_metrics(self, run: Run, run_id: str) -> None:
        from mlflow.entities import Param

        params = [Param(name, value) for name, value in run.all_params().items()]
        batches = zip_longest(
            chunks(metrics_of(run), BATCH_METRICS), chunks(params, BATCH_PARAMS), fillvalue=()
        )
        for some_metrics, some_params in batches:
            self._client.log_batch(run_id, some_metrics, some_params)

    def _keep(self, run_id: str, folder: str) -> None:
        """Keep what is in `folder` as artifacts of a run."""
        where = self._client.get_run(run_id).info.artifact_uri
        if self._place.beside is None or not where.startswith(PROXIED):
            self._client.log_artifacts(run_id, folder)
            return
        # MLflow lets servers alone write there: this machine's is not running, perhaps.
        copytree(folder, self._place.beside / where.removeprefix(PROXIED), dirs_exist_ok=True)

    def run_id(self, key: str) -> str | None:
        """MLflow's name for the run with this key; None if it is not there."""
        job = key.partition("/")[0]
        held = self._jobs.get(job)
        if held is None:
            held = self._jobs[job] = self._search(job)
        return held[key].run_id if key in held else None

    def describe(self, tags: Mapping[str, str]) -> bool:
        """Give the experiment these tags; those that it has cost nothing. Returns True."""
        for tag, value in tags.items():
            if self._tags.get(tag) != value:
                self._client.set_experiment_tag(self.experiment_id, tag, value)
                self._tags[tag] = value
        return True

    def _search(self, job: str) -> dict[str, _StoredRun]:
        """The job's runs. Where two have one key (a `create_run` was carried out after its caller
        had given up), one that is finished stays and the rest are deleted; so are those that were
        under way, perhaps under another coordinator."""
        found: dict[str, _StoredRun] = {}
        surplus: list[_StoredRun] = []
        wanted = f"tags.`{KEY_TAG}` LIKE '{job}/%'"
        runs = self._client.search_runs([self.experiment_id], wanted)
        while runs:
            for run in runs:
                key, digest = run.data.tags[KEY_TAG], run.data.tags.get(DIGEST_TAG)
                other = found.get(key)
                held = _StoredRun(run.info.run_id, digest, run.info.status == "FINISHED")
                if UNDER_WAY_TAG in run.data.tags:
                    surplus.append(held)
                    continue
                if other:
                    held, useless = (other, held) if other.finished else (held, other)
                    surplus.append(useless)
                found[key] = held
            if not runs.token:
                break
            runs = self._client.search_runs([self.experiment_id], wanted, page_token=runs.token)
        for useless in surplus:  # not before: a page begins so many runs after the first
            self._client.delete_run(useless.run_id)
        return found

    def _experiment(self, name: str, tags: Mapping[str, str]) -> str:
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                made = self._client.create_experiment(name, self._place.uri, dict(tags))
                self._tags = dict(tags)
                return str(made)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            # Another process was faster.
            return self._experiment(name, tags)
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        self._tags = dict(found.tags)
        return str(found.experiment_id)


def _can_be_completed(old: _StoredRun, run: Run) -> bool:
    return old.finished and old.digest is not None and run.completes(old.digest)


def check_port(uri: str) -> None:
    """Raises OSError if no database listens: MLflow would try for 100 s before it says so."""
    parts = urlsplit(uri)
    port = DEFAULT_PORTS.get(parts.scheme.partition("+")[0])
    if port and parts.hostname:
        socket.create_connection((parts.hostname, parts.port or port), PORT_CHECK_SECONDS).close()


def _create_tables(uri: str) -> None:
    """Make the sqlite file, if it is one and there is none, with all its tables or not at all.

    MLflow's migrations take 2 s and cannot be taken up again: where a process ended in their
    middle the file would be of no use for good. And MLflow lets two processes make them at once,
    of which one fails."""
    from mlflow import MlflowClient

    file = sqlite_file(uri)
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{file}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return
        unfinished = Path(f"{file}.unfinished")
        unfinished.unlink(missing_ok=True)
        address, mark, options = uri.partition("?")
        MlflowClient(tracking_uri=f"{address}.unfinished{mark}{options}")
        unfinished.replace(file)


def quiet() -> AbstractContextManager[None]:
    """MLflow, Alembic and SQLAlchemy log nothing in this thread; other threads are left alone."""
    from mlflow.utils.logging_utils import suppress_logs_in_thread

    return suppress_logs_in_thread()


def mlflow_errors() -> tuple[type[Exception], ...]:
    """What a call to MLflow may raise. (OSError: requests, and the folder of the artifacts.)"""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, CommandError, OSError


def is_transient(error: BaseException | None) -> bool:
    """Whether the same call may succeed later: nobody answered, or the answer was "not now"."""
    from mlflow.exceptions import MlflowException
    from requests import exceptions as http
    from sqlalchemy.exc import OperationalError

    if isinstance(error, MlflowException):
        # MLflow gives a request that failed the code of an internal error, without a cause.
        return error.error_code in NOT_NOW or is_transient(error.__context__)
    if isinstance(error, http.RetryError):
        # But "500" is a server that is there and fails at this very request.
        return "500 error" not in str(error)
    return isinstance(
        error,
        http.ConnectionError
        | http.Timeout
        | http.ChunkedEncodingError  # it was killed in the middle of its answer
        | IncompleteRead
        | OperationalError
        | ConnectionError
        | TimeoutError
        | socket.gaierror,
    )

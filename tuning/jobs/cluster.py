"""Where jobs live on a cluster: in its PostgreSQL, beside their studies."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers._mask import mask
from tuning import tracking
from tuning.errors import InvalidInput, JobNotFound, StudyNotFound
from tuning.jobs.base import Job, Jobs, State, progress_facts
from tuning.jobs.files import ANSWER, FAILURE, PRIORITY, REPORT
from tuning.jobs.schema import CREATING, TABLES, Entry, Line, add_lines, is_ready, put, read_lines
from tuning.storage import postgres
from tuning.storage.file_lease import Holder
from tuning.storage.postgres_lease import PostgresLease, held
from tuning.study import StudyStore
from tuning.study.counts import counts

if TYPE_CHECKING:
    import psycopg

__all__ = ["ClusterJob", "ClusterJobs"]

URL = "SUREFOOT_STORAGE_URL"


class ClusterJobs(Jobs["ClusterJob"]):
    """The jobs of a cluster. Any number of processes may use it at once.

    Every method raises `Unreachable` while the database is away, and InvalidInput if the
    address or the password is wrong.
    """

    none_yet = "no job has been submitted yet"

    def __init__(self, url: str) -> None:
        postgres.check(url)
        self.url = url

    @classmethod
    def configured(cls, url: str | None = None) -> ClusterJobs | None:
        """That at `url`, or at SUREFOOT_STORAGE_URL; None if neither is given."""
        url = url or os.environ.get(URL)
        return cls(url) if url else None

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """One transaction."""
        with (
            postgres.connect(self.url, autocommit=False) as connection,
            postgres.translate_errors(self.url),
            connection,
        ):
            yield connection

    def prepare(self) -> None:
        """Make the tables if they are not there."""
        with self.session() as session:
            if not is_ready(session):
                session.execute("select pg_advisory_xact_lock(%s)", [CREATING])
                session.execute(TABLES)

    def add(
        self, job_id: str, owner: str, address: str, settings: int, files: Mapping[str, bytes]
    ) -> bool:
        """A new job; False if there is one with this id, which stays as it is."""
        self.prepare()
        with self.session() as session:
            made = session.execute(
                "insert into surefoot_job (id, owner, address, settings) values (%s, %s, %s, %s)"
                " on conflict do nothing",
                [job_id, owner, address, settings],
            )
            if made.rowcount:
                for name, content in files.items():
                    put(session, job_id, name, content)
            return bool(made.rowcount)

    def entries(
        self, *, owner: str | None = None, job_id: str | None = None, unfinished: bool = False
    ) -> list[Entry]:
        """The jobs, the oldest first; those of one owner, one job alone, or those on which work is
        left, if asked for."""
        if not (owner or "").isprintable() or not (job_id or "").isprintable():
            return []  # none can be called so, nor can PostgreSQL be asked for a NUL
        # First, so that a job which ends meanwhile is seen with its report or with its coordinator.
        holder = held(self.url)
        with self.session() as session:
            if not is_ready(session):
                return []
            rows = session.execute(
                "select id, owner, created, address, settings, wanted, attempt,"
                " extract(epoch from now() - submitted)::float8, told, idle, complete,"
                " exists (select from surefoot_file where job = id and name = %s),"
                " exists (select from surefoot_file where job = id and name = %s),"
                " (select convert_from(content, 'UTF8') from surefoot_file"
                " where job = id and name = %s),"
                " (select coalesce(max(convert_from(content, 'UTF8')), '0') from surefoot_file"
                " where job = id and name = %s)::integer"
                " from surefoot_job where owner = coalesce(%s, owner) and id = coalesce(%s, id)"
                " and not (complete and %s)"
                " order by created, id",
                [REPORT, FAILURE, ANSWER, PRIORITY, owner, job_id, unfinished],
            ).fetchall()
        return [replace(entry, holder=holder(entry.id)) for entry in (Entry(*row) for row in rows)]

    @property
    def place(self) -> str:
        return mask(self.url)

    def ids(self) -> list[str]:
        return [entry.id for entry in self.entries()]

    def find(self, job_id: str) -> ClusterJob | None:
        return ClusterJob(self, job_id) if self.entries(job_id=job_id) else None


@dataclass(frozen=True)
class ClusterJob(Job):
    """One job in the database."""

    on_this_machine = False
    database: ClusterJobs
    name: str

    def on_cluster(self) -> ClusterJob:
        return self

    @property
    def id(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        return self.database.place

    @property
    def entry(self) -> Entry:
        """Its row, as it is now.

        Raises:
            JobNotFound: it has been deleted.
        """
        found = self.database.entries(job_id=self.id)
        if not found:
            raise JobNotFound(f"job {self.id} has been deleted")
        return found[0]

    @property
    def state(self) -> State:
        return self.entry.state

    @property
    def holder(self) -> Holder | None:
        return self.entry.holder

    @property
    def tracking(self) -> tuple[str, Path | None]:
        uri = self.spec.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            raise InvalidInput(
                "no MLflow server is named: set MLFLOW_TRACKING_URI, here and where the Ray head "
                "runs, or tracking.uri in the job file"
            )
        return uri, None

    def read_bytes(self, name: str) -> bytes | None:
        with self.database.session() as session:
            row = session.execute(
                "select content from surefoot_file where job = %s and name = %s", [self.id, name]
            ).fetchone()
            return None if row is None else bytes(row[0])

    def write(self, name: str, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        with self.database.session() as session:
            put(session, self.id, name, data)

    def remove(self, name: str) -> None:
        with self.database.session() as session:
            session.execute(
                "delete from surefoot_file where job = %s and name = %s", [self.id, name]
            )

    def study(self) -> StudyStore:
        if self.id not in counts(self.database.url):  # its first coordinator makes it
            raise StudyNotFound(
                f"job {self.id} has no results yet; surefoot status {self.id} tells"
            )
        return StudyStore.open(self.database.url, self.id)

    @contextmanager
    def writing(self) -> Iterator[StudyStore]:
        """See `Job.writing`.

        Raises:
            JobNotFound: the job has been deleted.
        """
        url = self.database.url
        with PostgresLease(url, self.id) as lease:
            if self.database.find(self.id) is None:  # whoever deletes it needs the lease too
                raise JobNotFound(f"job {self.id} has been deleted")
            yield self._study_to_write(url, lease)

    @property
    def told(self) -> int:
        """How many results its study holds."""
        return counts(self.database.url).get(self.id, 0)

    def claim(self, attempt: int) -> bool:
        """Take submission `attempt` + 1 upon oneself; False if somebody else was faster, or the
        job is not wanted any more."""
        told = self.told
        with self.database.session() as session:
            taken = session.execute(
                "update surefoot_job set attempt = attempt + 1, submitted = now(), told = %s,"
                " idle = case when attempt = 0 or %s > told then 0 else idle + 1 end"
                " where id = %s and attempt = %s and wanted = 'run' and not complete",
                [told, told, self.id, attempt],
            )
            return bool(taken.rowcount)

    def want(self, what: str) -> None:
        """Record that the job shall "run" (again: a failure is forgotten) or "stop"."""
        with self.database.session() as session:
            session.execute(
                "update surefoot_job set wanted = %s, idle = 0,"
                " complete = complete and %s = 'stop' where id = %s",
                [what, what, self.id],
            )
            if what == "run":
                session.execute(
                    "delete from surefoot_file where job = %s and name = %s", [self.id, FAILURE]
                )

    def fail(self, why: str) -> None:
        """Record why nobody shall go on with it, unless somebody does.

        Raises:
            LeaseHeld: somebody is at work on it.
        """
        with PostgresLease(self.database.url, self.id):
            self.write(FAILURE, f"{why}\n")

    def completed(self) -> None:
        """Record that nothing is left to do."""
        with self.database.session() as session:
            session.execute("update surefoot_job set complete = true where id = %s", [self.id])

    def say(self, *texts: str) -> None:
        """Add lines to what is kept of the job's log; of one that was deleted nothing is kept."""
        with self.database.session() as session:
            add_lines(session, self.id, texts)

    def lines(self, after: int = 0) -> list[Line]:
        """The log's lines with numbers above `after`."""
        with self.database.session() as session:
            return read_lines(session, self.id, after)

    def describe(self, count: Callable[[StudyStore], int]) -> dict[str, Any]:
        entry = self.entry  # read once: each look at the database is a connection
        return {
            **progress_facts(entry, self.told, entry.settings),
            "created": entry.created.isoformat(),
            "owner": entry.owner,
            "coordinators": entry.attempt,
            "database": self.place,
        }

    def stop(self, end_coordinator: Callable[[Entry], None]) -> None:
        """See `Job.stop`. It will not be started again, also where its coordinator cannot be told
        now, which sees it by itself if it works at all."""
        entry = self.entry
        if entry.complete:
            return
        self.want("stop")
        self.say("told to stop")
        if entry.attempt:
            end_coordinator(entry)

    def delete(self) -> None:
        if self.holder is not None:
            raise InvalidInput(f"job {self.id} is at work: surefoot stop {self.id} first")
        uri, _ = self.tracking
        self.want("stop")
        tracking.delete_experiment(uri, self.id)
        self.erase()

    def erase(self) -> None:
        with PostgresLease(self.database.url, self.id) as lease:
            if self.id in counts(self.database.url):  # it may have had no coordinator
                StudyStore.delete(self.database.url, self.id, lease)
            with self.database.session() as session:
                session.execute("delete from surefoot_job where id = %s", [self.id])

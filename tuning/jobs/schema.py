"""The tables in which a cluster keeps its jobs, beside Optuna's.

`surefoot_job` holds what was asked for and how often it was submitted to Ray; `surefoot_file` what
a job's folder holds on one machine; `surefoot_line` what its coordinators had to say. What a job is
doing is worked out from these, its lease and its study, never from Ray's word for it, which can be
wrong after the head was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tuning.jobs.base import State
from tuning.storage.file_lease import Holder

if TYPE_CHECKING:
    import psycopg

__all__ = ["CREATING", "TABLES", "Entry", "Line", "add_lines", "is_ready", "put", "read_lines"]

TABLES = """
create table if not exists surefoot_job (
  id text primary key,
  owner text not null,
  created timestamptz not null default now(),
  address text not null,                  -- of the Ray cluster, as its submitter sees it
  settings integer not null,
  wanted text not null default 'run' check (wanted in ('run', 'stop')),
  attempt integer not null default 0,     -- how often it has been submitted to Ray
  submitted timestamptz,                  -- the last time
  told integer not null default 0,        -- results in its study at that time
  idle integer not null default 0,        -- attempts in a row that told nothing new
  complete boolean not null default false -- report written, MLflow complete: nothing is left to do
);
create table if not exists surefoot_file (
  job text references surefoot_job on delete cascade, name text, content bytea not null,
  primary key (job, name)
);
create table if not exists surefoot_line (
  number bigserial primary key, job text not null references surefoot_job on delete cascade,
  at timestamptz not null default now(), text text not null
);
create index if not exists surefoot_line_job on surefoot_line (job, number);
"""
STARTING_SECONDS = 30.0
CREATING = 0x5EF007  # the lock of whoever creates the tables


@dataclass(frozen=True)
class Entry:
    """A row of `surefoot_job`, and what follows from it."""

    id: str
    owner: str
    created: datetime
    address: str
    settings: int
    wanted: str
    attempt: int
    submitted_ago: float | None  # seconds, by the database's clock
    told: int
    idle: int
    complete: bool
    reported: bool
    failed: bool
    answer: str | None = None  # in a few words, of a job that is done
    priority: int = 0
    holder: Holder | None = None

    @property
    def attended(self) -> bool:
        """Whether it has a coordinator, or one that was asked for may still be starting."""
        begins = self.submitted_ago is not None and self.submitted_ago < STARTING_SECONDS
        wanted = self.wanted == "run" and not self.complete and not self.failed
        return self.holder is not None or (wanted and begins)

    @property
    def state(self) -> State:
        """See `State`."""
        if self.reported:
            return State.DONE
        if self.holder is not None:
            return State.RUNNING
        if self.failed:
            return State.FAILED
        return State.STOPPED if self.wanted == "stop" else State.WAITING


@dataclass(frozen=True)
class Line:
    """What a coordinator, or somebody about it, said."""

    number: int
    at: datetime
    text: str


def is_ready(session: psycopg.Connection[Any]) -> bool:
    row = session.execute("select to_regclass('surefoot_line_job') is not null").fetchone()
    return row is not None and bool(row[0])


def put(session: psycopg.Connection[Any], job_id: str, name: str, content: bytes) -> None:
    """Of a job that was deleted nothing is kept: its last coordinator may not know yet."""
    session.execute(
        "insert into surefoot_file (job, name, content)"
        " select id, %s, %s from surefoot_job where id = %s for key share"
        " on conflict (job, name) do update set content = excluded.content",
        [name, content, job_id],
    )


def add_lines(session: psycopg.Connection[Any], job_id: str, texts: Sequence[str]) -> None:
    """Of a job that was deleted nothing is kept."""
    # One writer at a time: a line with a smaller number never appears after one with a greater, so
    # that whoever reads on from a number misses none.
    there = session.execute(
        "select id from surefoot_job where id = %s for no key update", [job_id]
    ).fetchone()
    if there is not None:
        session.cursor().executemany(
            "insert into surefoot_line (job, text) values (%s, %s)",
            [(job_id, _storable(text)) for text in texts],
        )


def read_lines(session: psycopg.Connection[Any], job_id: str, after: int) -> list[Line]:
    """Those with numbers above `after`."""
    rows = session.execute(
        "select number, at, text from surefoot_line where job = %s and number > %s order by number",
        [job_id, after],
    ).fetchall()
    return [Line(*row) for row in rows]


def _storable(text: str) -> str:
    """Without what PostgreSQL cannot keep: NUL, and bytes that were no UTF-8."""
    return text.replace("\0", "").encode(errors="replace").decode()

"""A job's folder and its study: neither is made, nor removed, because the other cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.postgres_server import Postgres
from tests.support.study_places import record
from tuning.errors import InvalidInput
from tuning.jobs.files import HEADER, STUDY
from tuning.jobs.local import LocalJob
from tuning.spec.job import read_spec
from tuning.study import StudyStore


def make(tmp_path: Path, url: str | None = None) -> LocalJob:
    """A job whose study holds one trial, and is kept at `url`; by default in the job's folder."""
    job = LocalJob(tmp_path / "jobs" / "wells-1")
    spec = read_spec({"problem": {"name": "xor"}, "storage": {"url": url} if url else {}})
    header = {"spec": spec.model_dump(mode="json"), "problem": {}, "created": "", "folder": ""}
    job.write(HEADER, json.dumps(header))
    with job.writing() as store:
        store.append(record(0))
    return job


def damage(path: Path) -> None:
    """A line in the middle cannot be read, as after a disk's fault."""
    first, *rest = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([first, "{}\n", *rest]), encoding="utf-8")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A journal that other jobs use too."""
    path = tmp_path / "shared.log"
    StudyStore.create(f"journal:///{path}", "another", {})
    return path


def test_a_study_that_cannot_be_read_is_not_taken_for_none(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make(tmp_path, f"journal:///{shared}")
    damage(shared)
    content = shared.read_bytes()
    monkeypatch.setattr(StudyStore, "create", lambda *_: pytest.fail("another one is made"))
    with pytest.raises(InvalidInput, match=r"is not a study journal, or is damaged"), job.writing():
        pytest.fail("it works on nothing")
    assert shared.read_bytes() == content


def test_a_damaged_journal_of_several_jobs_keeps_a_job_from_being_deleted(
    tmp_path: Path, shared: Path
) -> None:
    """Its study would be there for good, with nothing that leads to it."""
    job = make(tmp_path, f"journal:///{shared}")
    damage(shared)
    content = shared.read_bytes()
    with pytest.raises(InvalidInput, match=r"is not a study journal, or is damaged"):
        job.erase()
    assert job.read(HEADER)
    assert shared.read_bytes() == content


def test_a_study_of_another_version_of_optuna_keeps_a_job_from_being_deleted(
    tmp_path: Path, postgres: Postgres
) -> None:
    url = postgres.new_database("older")
    job = make(tmp_path, url)
    [(now,)] = postgres.execute("SELECT version_num FROM alembic_version", "older")
    postgres.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'", "older")
    with pytest.raises(InvalidInput, match="are of an older Optuna"):
        job.erase()
    assert job.read(HEADER)
    postgres.execute(f"UPDATE alembic_version SET version_num = '{now}'", "older")
    job.erase()
    assert not job.folder.exists()
    with pytest.raises(InvalidInput, match=r"no study 'wells-1'"):
        StudyStore.open(url, job.id)


def test_a_job_is_deleted_though_its_own_journal_is_damaged(tmp_path: Path) -> None:
    """It is in the job's folder, and goes with it."""
    job = make(tmp_path)
    damage(job.folder / STUDY)
    job.erase()
    assert not job.folder.exists()


@pytest.mark.parametrize("kind", ["own", "journal", "database"])
def test_a_job_without_a_study_is_gone_on_with_or_deleted(
    tmp_path: Path, shared: Path, postgres: Postgres, kind: str
) -> None:
    """It was cut off between making the folder and making the study."""
    places = {"own": None, "journal": f"journal:///{shared}", "database": postgres.url}
    job = make(tmp_path, places[kind])
    StudyStore.delete(job.study_url, job.id)
    with job.writing() as store:
        assert store.records() == []
    StudyStore.delete(job.study_url, job.id)
    job.erase()
    assert not job.folder.exists()

"""What Ray's Jobs API answers, in our words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from trainers import InvalidInput
from tuning.cluster import ray_jobs
from tuning.cluster.ray_jobs import RayJobs, authorization
from tuning.errors import RayUnreachable


def test_the_token_is_read_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though Ray has been imported, and has read its own mode, long ago."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert authorization() == {}
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    with pytest.raises(InvalidInput, match=r"cannot be read from .*token: No such file"):
        authorization()
    file.write_text("abc\n", encoding="ascii")
    assert authorization() == {"Authorization": "Bearer abc"}
    monkeypatch.setenv("RAY_AUTH_TOKEN", "xyz")
    assert authorization() == {"Authorization": "Bearer xyz"}


def test_a_submission_with_404_in_its_id_is_not_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    status = 500

    def answer(submission: str) -> None:
        raise RuntimeError(f"Request failed with status code {status}: of {submission}.")

    client = SimpleNamespace(get_job_status=answer, get_job_logs=answer)
    monkeypatch.setattr(ray_jobs, "_client", lambda _: client)
    jobs = RayJobs("http://127.0.0.1:8265")
    for ask in (jobs.state, jobs.log):
        with pytest.raises(RayUnreachable, match="status code 500: of job-ab404c"):
            ask("job-ab404c.1")
    status = 404
    assert (jobs.state("job.1"), jobs.log("job.1")) == (None, "")

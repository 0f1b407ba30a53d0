"""A job that asks for more GPUs than this machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.surefoot_command import surefoot


@pytest.mark.cluster
def test_it_ends_at_once_and_says_why(tmp_path: Path) -> None:
    """Nothing is trained, and it does not wait for a GPU."""
    job = tmp_path / "job.toml"
    job.write_text(
        'problem = { name = "double-well" }\ncluster = { gpus_per_task = 64 }\n', encoding="utf-8"
    )
    ran = surefoot(tmp_path / "home", "run", str(job), "--workers", "1")
    assert ran.code == 2
    last = ran.err.splitlines()[-1]
    assert "cluster.gpus_per_task = 64 cannot be: the workers have " in last
    assert last.endswith("leave it out to train on CPUs, or start workers with GPUs")
    assert "Traceback" not in ran.err

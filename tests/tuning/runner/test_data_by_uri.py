"""A job on data by URI: credentials stay in the job's own header, which `resume` needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from tests.support.surefoot_command import complaint, surefoot
from trainers.data.uri import fetch
from tuning.jobs.files import HEADER

# A place in this process's memory: there, user and query are a part of the name.
PLACE = "me:hush@host/rows.csv?token=hush2"
JOB = f"""
[problem]
name = "mlp"
data = "memory://{PLACE}"
target = "y"
hidden = [2]
[search]
sampler = "tpe"
settings = 2
[training]
restarts = 8
steps = 20
"""


@pytest.mark.usefixtures("no_pictures")
def test_credentials_are_in_the_header_and_nowhere_else(
    tmp_path: Path, write: Callable[..., str]
) -> None:
    rows = "x,y\n" + "".join(f"{i * i % 17},{i % 2}\n" for i in range(60))
    memory, home = fsspec.filesystem("memory"), tmp_path / "home"
    memory.pipe(f"/{PLACE}", rows.encode())
    ran = surefoot(home, "run", write(JOB), "--workers", "inline", "--json")
    assert ran.code in (0, 3)
    assert json.loads(ran.out)["job"]["problem"]["data"] == "memory://***@host/rows.csv?token=***"
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [p.name for p in files if b"hush" in p.read_bytes()] == [HEADER]
    assert "hush" not in ran.out + ran.err

    fetch.cache_clear()  # as in another process, to which other data are given
    memory.pipe(f"/{PLACE}", rows.replace("16,", "15,").encode())
    line = complaint(surefoot(home, "resume", "mlp-1", "--workers", "inline", "-q"))
    assert "the data memory://***@host/rows.csv?token=*** have changed since it began" in line


def test_data_that_are_not_there_cost_nothing(tmp_path: Path, write: Callable[..., str]) -> None:
    job = write(JOB.replace("rows.csv", "absent.csv"))
    line = complaint(surefoot(tmp_path / "home", "run", job))
    assert line.startswith(f"surefoot: {job}: problem mlp: data = 'memory://***@host/absent.csv?")
    assert line.endswith("cannot be fetched: it does not exist")
    assert not (tmp_path / "home").exists()

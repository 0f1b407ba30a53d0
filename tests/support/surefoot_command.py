"""The command `surefoot`, called in this process."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tuning.cli.exit_codes import ExitCode
from tuning.cli.main import main
from tuning.jobs.local import LocalJobs
from tuning.search.records import results_of
from tuning.study import StudyStore
from tuning.trial.result import SettingResult

__all__ = ["WELLS", "Ran", "complaint", "results_in", "surefoot", "without_pictures", "without_run"]

#: Two wells; takes no time. 16 restarts can promise that at most 18 % are unstable.
WELLS = """
name = "wells"
[problem]
name = "double-well"
[search]
optimizers = ["gd", "momentum"]
sampler = "tpe"
settings = 6
[training]
restarts = 16
steps = 40
[stability]
max_unstable = 0.2
"""


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


def surefoot(home: Path, *arguments: str) -> Ran:
    """The command, with its data under `home`."""
    out, err = io.StringIO(), io.StringIO()
    at_sigterm = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("SUREFOOT_HOME", str(home))
        patch.setenv("COLUMNS", "200")
        try:
            with pytest.raises(SystemExit) as ended:
                main(list(arguments))
        finally:
            signal.signal(signal.SIGTERM, at_sigterm)
    assert isinstance(ended.value.code, int)
    return Ran(ended.value.code, out.getvalue(), err.getvalue())


def complaint(ran: Ran) -> str:
    """The one line that bad input earns."""
    assert ran.code == ExitCode.USAGE
    assert ran.out == ""
    assert "Traceback" not in ran.err
    (line,) = ran.err.splitlines()
    assert line.startswith("surefoot: ")
    return line


def without_run(text: str) -> dict[str, Any]:
    """A report from JSON, without the facts of the run."""
    return {**json.loads(text), "run": None}


def results_in(home: Path, job_id: str) -> list[SettingResult]:
    """What the job's study holds."""
    job = LocalJobs(home).job(job_id)
    return results_of(StudyStore.open(job.study_url, job.id))


@contextmanager
def without_pictures() -> Iterator[None]:
    """Reports without pictures, which take most of the time of a small job; see test_render."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuning.report.plots.all.pictures", lambda _: {})
        yield

"""A job whose files were damaged, or could not be written: one line, and nothing is made up."""

from __future__ import annotations

import errno
import io
import json
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.support.surefoot_command import WELLS, complaint, surefoot, without_run
from tuning.cli.exit_codes import ExitCode
from tuning.cli.main import main
from tuning.jobs.files import HEADER, REPORT, REPORT_PAGE, STUDY
from tuning.jobs.local import LocalJobs

pytestmark = pytest.mark.usefixtures("no_pictures")

LOOKING = (
    ["status", "wells-1"],
    ["report", "wells-1"],
    ["resume", "wells-1", "--workers", "inline", "-q"],
    ["replay", "wells-1", "--setting", "0", "--restart", "0"],
    ["explain", "wells-1", "--setting", "0", "--restart", "0"],
)


@pytest.fixture
def home(wells: Path, tmp_path: Path) -> Path:
    """A copy with one finished job, to be damaged."""
    return Path(shutil.copytree(wells, tmp_path / "home"))


@pytest.mark.parametrize("content", ["{", "[]", "{}", "1"])
def test_a_damaged_header(home: Path, content: str) -> None:
    path = home / "jobs" / "wells-1" / HEADER
    path.write_text(content)
    says = f"{path} is damaged: it lacks "
    for arguments in LOOKING:
        assert says in complaint(surefoot(home, *arguments))


def test_a_damaged_header_is_a_row_among_the_others(home: Path) -> None:
    shutil.copytree(home / "jobs" / "wells-1", home / "jobs" / "bad-1")
    path = home / "jobs" / "bad-1" / HEADER
    path.write_text("{")
    listed = surefoot(home, "list")
    assert listed.code == 0
    rows = {line.split()[0]: line for line in listed.out.splitlines()}
    assert rows["wells-1"].split()[1] == "done"
    assert rows["bad-1"].split()[1] == "damaged"
    assert rows["bad-1"].endswith(f"{path} is damaged: it lacks JSON")
    as_json = json.loads(surefoot(home, "list", "--json").out)
    assert {row["id"]: row["state"] for row in as_json} == {"wells-1": "done", "bad-1": "damaged"}
    assert "bad-1" in complaint(surefoot(home, "status", "wells-2"))
    assert surefoot(home, "delete", "wells-1").code == 0
    assert surefoot(home, "list").out.count("\n") == 1


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_a_damaged_report_is_made_again(home: Path, content: str) -> None:
    path = home / "jobs" / "wells-1" / REPORT
    whole = path.read_text()
    path.write_text(content)
    ran = surefoot(home, "report", "wells-1", "--format", "json")
    assert without_run(ran.out) == without_run(whole)
    assert surefoot(home, *LOOKING[2]).code == 0
    assert without_run(path.read_text()) == without_run(whole)


def test_a_study_that_lost_a_line(home: Path) -> None:
    """What follows the gap would be taken for other settings."""
    path = home / "jobs" / "wells-1" / STUDY
    lines = path.read_text().splitlines(keepends=True)
    trials = [i for i, line in enumerate(lines) if json.loads(line)["op_code"] == 4]
    del lines[trials[1]]
    path.write_text("".join(lines))
    for arguments in LOOKING:
        assert "the study is damaged: trial 1 holds setting 2" in complaint(
            surefoot(home, *arguments)
        )


def test_the_report_of_a_job_whose_data_are_gone(tmp_path: Path, write: Callable[..., str]) -> None:
    rows = "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40))
    table = write(f"a,b,y\n{rows}", "table.csv")
    job = write(
        re.sub(r'name = "double-well"', f'name = "mlp"\ndata = "{table}"\ntarget = "y"', WELLS)
    )
    ran = surefoot(tmp_path / "home", "run", job, "--workers", "inline", "--json")
    Path(table).unlink()
    again = surefoot(tmp_path / "home", "report", "wells-1", "--format", "json")
    assert again.out == ran.out
    assert "does not exist" in complaint(surefoot(tmp_path / "home", *LOOKING[3]))


def test_a_disk_that_is_full_at_the_report(
    tmp_path: Path, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path.write_bytes

    def fill(path: Path, data: bytes) -> int:
        if REPORT_PAGE in path.name:
            written(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill)
    ran = surefoot(tmp_path, "run", write(WELLS), "--workers", "inline", "-q")
    folder = LocalJobs(tmp_path).job("wells-1").folder
    assert ran.code == ExitCode.FAILED
    assert ran.err.splitlines() == [
        f"surefoot: job wells-1 failed: {folder / REPORT_PAGE}: cannot be written: "
        "No space left on device",
        "surefoot: what was done is kept. Once mended, go on with: surefoot resume wells-1",
    ]
    assert not list(folder.glob(".*"))
    monkeypatch.undo()
    assert surefoot(tmp_path, *LOOKING[2]).code in (0, 3)


def test_a_terminal_that_cannot_encode_a_tick(wells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setenv("SUREFOOT_HOME", str(wells))
    at_sigterm = signal.getsignal(signal.SIGTERM)
    with redirect_stdout(plain), pytest.raises(SystemExit) as ended:
        main(["report", "wells-1"])
    signal.signal(signal.SIGTERM, at_sigterm)
    assert ended.value.code == 0

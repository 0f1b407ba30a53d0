"""Bad input costs nothing: one clear line on stderr, exit code 2, and no trace on the disk."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.surefoot_command import WELLS, complaint, surefoot
from tuning.jobs.local import LocalJobs

pytestmark = pytest.mark.usefixtures("no_pictures")


def table(name: str, line: str) -> str:
    """The job with `line` in place of the one with its key, or added, in the table `name`."""
    key = line.split("=")[0].strip()
    text = re.sub(rf"(?<=\[{name}\])((?:(?!\n\[).)*?)\n{key} = .*?(?=\n)", r"\1", WELLS, flags=re.S)
    return text.replace(f"[{name}]", f"[{name}]\n{line}")


def on_data(line: str) -> str:
    return f'[problem]\nname = "mlp"\n{line}\n'


BAD_JOBS = {
    "unknown key": (
        table("search", "setings = 3"),
        r"job.toml: unknown key 'search.setings'; did you mean 'settings'\? valid: ",
    ),
    "unknown table": (WELLS + "\n[train]\n", r"unknown key 'train'; did you mean 'training'\?"),
    "type": (table("search", 'settings = "many"'), r"search.settings = 'many' is not valid: "),
    "range": (table("training", "restarts = 0"), r"training.restarts = 0 is not valid: input .*1"),
    "fraction": (table("stability", "confidence = 95"), r"stability.confidence = 95 is not valid"),
    "problem": ('[problem]\nname = "xorr"', r"unknown problem 'xorr'; did you mean 'xor'\?"),
    "no problem": ("seed = 1", r"problem is missing"),
    "its parameter": (table("problem", "tlt = 1"), r"unknown parameter 'tlt'; did you mean 'tilt'"),
    "its value": (table("problem", "tilt = 9"), r"problem double-well: tilt = 9.* is not valid"),
    "optimizer": (table("search", 'optimizers = ["adm"]'), r"search.optimizers.0: .*did you mean"),
    "its hyperparameter": (
        table("search", 'optimizers = [{ name = "momentum", beta = 2 }]'),
        r"search.optimizers.0: .*beta = 2",
    ),
    "sampler": (table("search", 'sampler = "best"'), r"search.sampler = 'best' is not valid: "),
    "empty range": (
        table("search", "learning_rate = { low = 1, high = 1 }"),
        r"low = 1 must be below high = 1: the range is empty",
    ),
    "reversed range": (
        table("search", "learning_rate = { low = 20.0 }"),
        r"low = 20 must be below",
    ),
    "first rates": (
        table("search", "try_first = [99]"),
        r"try_first has 99, outside learning_rate",
    ),
    "few settings": (table("search", "settings = 1"), r"settings = 1 is fewer than the 2 optimiz"),
    "batches of nothing": (table("training", "batch_size = 8"), r"double-well has no examples"),
    "module": ('[problem]\nname = "no.such:Thing"', r"no module 'no'"),
    "tracking": (WELLS + '[tracking]\nuri = "ftp://x"', r"tracking.uri = 'ftp://x'"),
    "storage": (WELLS + '[storage]\nurl = "mysql://x"', r"storage.url = 'mysql://x' is not valid"),
    "TOML": ("[problem", r"is not valid TOML: "),
    "no file": (on_data('data = "no.csv"\ntarget = "y"'), r"no\.csv"),
    "no data": (on_data("hidden = [2]"), r"parameter 'data' is missing"),
    "text": (on_data('data = "text.csv"\ntarget = "y"'), r"column 'b' does not hold numbers: 'x'"),
    "an id": (
        on_data('data = "ids.csv"\ntarget = "y"'),
        r'column \'b\' has 3 different values in 3 rows.*; write drop = \["b"\], encode it',
    ),
    "missing": (
        on_data('data = "nan.csv"\ntarget = "y"\nmissing = "fill"'),
        r"job\.toml: problem mlp: missing = 'fill' is not valid; valid: error, impute, drop",
    ),
    "NaN": (
        on_data('data = "nan.csv"\ntarget = "y"'),
        r"column 'b' has 1 missing value, in row 2; write missing = \"impute\" to fill them in, or",
    ),
    "target": (on_data('data = "good.csv"\ntarget = "z"'), r"there is no column 'z'; name one of"),
    "no target": (on_data('data = "good.csv"'), r"no target is given; name one of the columns: "),
    "one class": (
        on_data('data = "one.csv"\ntarget = "y"'),
        r"target 'y' is 'same' in every row; classification needs at least 2 classes",
    ),
    "large batch": (
        on_data('data = "wine"') + "[training]\nbatch_size = 1000",
        r"training.batch_size = 1000 is more than the 142 training examples",
    ),
    "hidden": (on_data('data = "wine"\nhidden = [0]'), r"hidden = \[0\]"),
    "size": (
        on_data(f'data = "wine"\nhidden = [{10**12}]'),
        r"job\.toml: the problem is too large for this machine: ",
    ),
    "file named": ('[problem]\nname = "xorr"', r"job\.toml: unknown problem 'xorr'"),
    "rates beyond pictures": (
        table("search", "learning_rate = { low = 1e-300, high = 1e-299 }"),
        r"search.learning_rate: 1e-300 to 1e-299 is not valid: rates from 1e-100 to 1e\+100 are",
    ),
    "storage is a folder": (
        WELLS + f'[storage]\nurl = "journal:///{Path(__file__).parent}"',
        r"job\.toml: storage.url = .* is a folder; name a file in it",
    ),
}


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("what", BAD_JOBS)
def test_a_bad_job_costs_nothing(
    tmp_path: Path, write: Callable[..., str], command: str, what: str
) -> None:
    text, message = BAD_JOBS[what]
    write("a,b,y\n1,2,0\n3,x,1\n5,6,0\n", "text.csv")
    write("a,b,y\n1,u,0\n3,v,1\n5,w,0\n", "ids.csv")
    write("a,b,y\n1,2,0\n3,,1\n5,6,0\n", "nan.csv")
    write("a,b,y\n1,2,0\n3,4,1\n5,6,0\n", "good.csv")
    write("a,b,y\n1,2,same\n3,4,same\n5,6,same\n", "one.csv")
    home = tmp_path / "home"
    assert re.search(message, complaint(surefoot(home, command, write(text))))
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run"], "Missing argument 'JOB.toml'"),
        (["run", "no.toml"], "no.toml: no such file"),
        (["run", "."], ". is a folder; name the job file in it"),
        (["run", "JOB", "--worker", "2"], "No such option"),
        (["run", "JOB", "more"], "unexpected extra argument"),
        (
            ["run", "JOB", "--workers", "0"],
            "0 is not valid; a whole number from 1 to 10000, or 'inline', 'cluster'",
        ),
        (["run", "JOB", "--workers", "9" * 20], "9 is not valid; a whole number from 1 to 10000"),
        (
            ["run", "JOB", "--workers", "-1"],
            "'-1' is not valid; a whole number from 1 to 10000, or 'inl",
        ),
        (
            ["run", "JOB", "--workers", "2.5"],
            "'2.5' is not valid; a whole number from 1 to 10000, or",
        ),
        (
            ["run", "JOB", "--workers", "²"],
            "'²' is not valid; a whole number from 1 to 10000, or 'inline', 'cluster'",
        ),
        (
            ["resume", "wells-1", "--workers", "all"],
            "'all' is not valid; a whole number from 1 to 10000",
        ),
        (["report", "wells-1", "--format", "xml"], "'xml' is not one of 'table', 'json', 'csv', "),
        (["replay", "wells-1", "--setting", "1"], "Missing option '--restart'"),
        (["replay", "wells-1", "--setting", "x", "--restart", "1"], "'x' is not a valid integer"),
        (["ui", "--port", "70000"], "70000 is not in the range 0<=x<=65535"),
    ],
)
def test_bad_usage(
    tmp_path: Path, write: Callable[..., str], arguments: list[str], message: str
) -> None:
    job = write(WELLS)
    home = tmp_path / "home"
    ran = surefoot(home, *[job if word == "JOB" else word for word in arguments])
    assert message in complaint(ran)
    assert not home.exists()


def test_an_unknown_id_suggests_the_nearest(wells: Path) -> None:
    for arguments in (
        ["status"],
        ["report"],
        ["resume"],
        ["replay", "--setting", "0", "--restart", "0"],
    ):
        line = complaint(surefoot(wells, arguments[0], "wels-1", *arguments[1:]))
        assert line.startswith(f"surefoot: no job 'wels-1' in {wells}; did you mean 'wells-1'?")
    assert complaint(surefoot(wells, "status", "../jobs/wells-1"))


def test_a_restart_that_is_not_there(wells: Path) -> None:
    line = complaint(surefoot(wells, "replay", "wells-1", "--setting", "0", "--restart", "16"))
    assert line == "surefoot: setting 0 has no restart 16; valid: 0 to 15"


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_home_that_cannot_be_written(
    tmp_path: Path, write: Callable[..., str], below: str
) -> None:
    """A file is in its place: that stops the superuser too."""
    place = Path(write("", "taken")) / below
    line = complaint(surefoot(place, "run", write(WELLS), "--workers", "inline"))
    assert re.search(rf"SUREFOOT_HOME {re.escape(str(place))}: .*; set SUREFOOT_HOME to a ", line)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["job.toml", "taken"]


def test_a_study_that_cannot_be_made_leaves_no_job(
    tmp_path: Path, write: Callable[..., str]
) -> None:
    for url, why in (
        (write("a note in one line", "note.txt"), "is not a study journal"),
        (f"{write('', 'taken')}/study.log", "taken"),
    ):
        job = write(f'{WELLS}[storage]\nurl = "journal:///{url}"')
        line = complaint(surefoot(tmp_path / "home", "run", job, "--workers", "inline"))
        assert f"the study journal:///{url} cannot be made: " in line
        assert why in line
        assert surefoot(tmp_path / "home", "list", "--json").out == "[]\n"
        assert not list((tmp_path / "home" / "jobs").iterdir())
    assert (tmp_path / "note.txt").read_text() == "a note in one line"


def test_a_job_that_somebody_is_at_work_on(wells: Path) -> None:
    job = LocalJobs(wells).job("wells-1")
    with job.lease:
        line = complaint(surefoot(wells, "resume", "wells-1", "--workers", "inline", "-q"))
        assert f"is held by process {os.getpid()} on " in line
        facts = json.loads(surefoot(wells, "status", "wells-1", "--json").out)
        assert facts["state"] == "running"
        assert facts["holder"].startswith(f"process {os.getpid()} on ")
        assert json.loads(surefoot(wells, "list", "--json").out)[0]["state"] == "running"

"""Plug-ins in the commands, and a whole job that uses them."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tuning
from tests.support.plugins import install, install_sample, on_path
from tests.support.surefoot_command import complaint, surefoot
from trainers import OPTIMIZERS, PROBLEMS, InvalidInput

pytestmark = pytest.mark.usefixtures("no_pictures")

ODD = """
from __future__ import annotations
from trainers import Problem

class Odd(Problem):
    parameters = 1

    def __init__(self, scale, shape=(1, 2), far=float("inf"), kind=int):
        self.scale = scale

    def initial(self, rng):
        return rng.uniform(-1, 1, 1)

    def loss_and_gradient(self, w):
        return (w * w)[:, 0], 2.0 * w

print("welcome")
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of sys.path in which the sample is installed."""
    install_sample(tmp_path / "site")
    with on_path(tmp_path / "site"):
        yield tmp_path / "site"


def test_they_are_listed_with_their_distribution(tmp_path: Path, site: Path) -> None:
    install(site, "odd", {"plugged_odd": ODD}, problems={"odd": "plugged_odd:Odd"})
    ran = surefoot(tmp_path, "problems", "--json")
    assert (ran.code, ran.err) == (0, "welcome\n")
    problems = json.loads(ran.out)
    assert list(problems) == [*PROBLEMS, "odd", "spring", "stiff-spring"]
    assert {entry["distribution"] for entry in list(problems.values())[: len(PROBLEMS)]} == {None}
    assert problems["spring"]["distribution"] == "surefoot-spring 0.1.0"
    assert problems["spring"]["parameters"] == {"masses": 4, "stiffness": 1.0, "hardening": 0.0}
    assert problems["odd"] == {
        "summary": "",
        "parameters": {"scale": "required", "shape": [1, 2], "far": "inf", "kind": repr(int)},
        "distribution": "odd 1.0",
    }
    ran = surefoot(tmp_path, "optimizers", "--json")
    assert list(json.loads(ran.out)) == [*OPTIMIZERS, "qhm"]
    assert json.loads(ran.out)["qhm"]["distribution"] == "surefoot-spring 0.1.0"
    for command, name in (("problems", "stiff-spring"), ("optimizers", "qhm")):
        lines = surefoot(tmp_path, command).out.splitlines()
        (line,) = [line for line in lines if line.split()[0] == name]
        assert line.endswith(" [surefoot-spring 0.1.0]")
        assert all("[" not in line for line in lines if line.startswith(("xor ", "adam ")))
    odd = surefoot(tmp_path, "problems").out.splitlines()
    shown = odd[[line.split()[0] for line in odd].index("odd") + 1].split(", kind")[0]
    assert shown.strip() == 'scale = (required), shape = [1, 2], far = "inf"'


def test_a_broken_one_is_one_line_on_stderr(
    tmp_path: Path, site: Path, write: Callable[..., str]
) -> None:
    install(
        site,
        "surefoot-broken",
        {"plugged_leaves": "raise SystemExit\n"},
        problems={"leaves": "plugged_leaves:X"},
        optimizers={"leaves": "plugged_leaves:X"},
    )
    where = f"(plugged_leaves:X): loading it raised SystemExit ({site}/plugged_leaves.py, line 1)"
    rest = f"of surefoot-broken 1.0 {where}; mend or uninstall surefoot-broken"
    for command, what in (("problems", "problem"), ("optimizers", "optimizer")):
        for arguments in ([command], [command, "--json"]):
            ran = surefoot(tmp_path, *arguments)
            assert (ran.code, ran.err) == (0, f"surefoot: skipped: {what} 'leaves' {rest}\n")
            assert "surefoot-spring 0.1.0" in ran.out
    by_problem = write('[problem]\nname = "leaves"\n')
    assert complaint(surefoot(tmp_path, "check", by_problem)) == (
        f"surefoot: {by_problem}: problem 'leaves' {rest}"
    )
    by_rule = write('[problem]\nname = "xor"\n[search]\noptimizers = ["gd", "leaves"]\n', "r.toml")
    assert complaint(surefoot(tmp_path, "check", by_rule)) == (
        f"surefoot: {by_rule}: search.optimizers.1: optimizer 'leaves' {rest}"
    )
    good = write('[problem]\nname = "spring"\n[search]\noptimizers = ["qhm"]\n', "g.toml")
    ran = surefoot(tmp_path, "check", good)
    assert (ran.code, ran.err) == (0, "")


def test_a_job_from_end_to_end(tmp_path: Path) -> None:
    install_sample(tmp_path / "site")
    home = tmp_path / "home"
    with on_path(tmp_path / "site"):
        report = tuning.tune(
            problem={"name": "spring", "masses": 3},
            search={"optimizers": ["gd", "qhm"]},
            training={"steps": 300},
            workers="inline",
            home=home,
        )
        assert report.run.host["surefoot-spring"] == "0.1.0"
        # Of three masses the largest curvature is 4 sin^2(3 pi / 8); 300 steps see a threshold to
        # a few hundredths.
        curvature = 4.0 * math.sin(3.0 * math.pi / 8.0) ** 2
        for name, limit in (("gd", 2.0), ("qhm", 2.0 * 1.9 / (1.9 - 2.0 * 0.9 * 0.7))):
            cliff = report.cliffs[name]
            assert cliff.low == pytest.approx(limit / curvature, rel=0.05)
            assert cliff.high == pytest.approx(limit / curvature, rel=0.05)
        assert {row.optimizer for row in report.settings} == {"gd", "qhm"}
        assert tuning.load_report(report.run.job_id, home=home).to_dict() == report.to_dict()
    # The report names an optimizer that is no more.
    needs = (
        "job spring-1 uses the plug-in surefoot-spring 0.1.0, which is not installed on "
        f"{socket.gethostname()}: install it there, and on every worker"
    )
    with pytest.raises(InvalidInput) as error:
        tuning.load_report("spring-1", home=home)
    assert str(error.value) == needs
    assert complaint(surefoot(home, "resume", "spring-1")) == f"surefoot: {needs}"
    listed = surefoot(home, "list")
    assert (listed.code, listed.out.split()[:2]) == (0, ["spring-1", "done"])


def test_a_report_needs_no_problem_any_more(tmp_path: Path) -> None:
    install_sample(tmp_path / "site")
    home = tmp_path / "home"
    with on_path(tmp_path / "site"):
        report = tuning.tune(
            problem="stiff-spring",
            search={"optimizers": ["gd"], "sampler": "random", "settings": 2},
            training={"restarts": 4, "steps": 10},
            workers="inline",
            home=home,
        )
    assert report.run.host["surefoot-spring"] == "0.1.0"
    assert tuning.load_report("stiff-spring-1", home=home).to_dict() == report.to_dict()
    ran = surefoot(home, "replay", "stiff-spring-1", "--setting", "0", "--restart", "0")
    assert "uses the plug-in surefoot-spring 0.1.0, which is not installed" in complaint(ran)

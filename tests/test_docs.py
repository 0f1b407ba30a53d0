"""The README says what is true: its job file is valid, its Python runs, its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tuning.cli import cli
from tuning.jobspec import read_spec

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_job_file_is_valid() -> None:
    (block,) = _blocks("toml")
    spec = read_spec(tomllib.loads(block))
    assert spec.training.restarts == 64
    assert [rule.name for rule in spec.search.rules] == ["gd", "momentum", "adam"]


@pytest.mark.parametrize("block", _blocks("python"), ids=lambda b: b.splitlines()[0])
def test_the_python_runs(block: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_command_is_documented_and_exists() -> None:
    mentioned = set()
    for line in re.findall(r"^surefoot (.*)$", README, re.MULTILINE):
        words = line.split("  ")[0].split(" | ")
        mentioned |= {word.split()[0] for word in words}
    assert mentioned == set(cli.commands)


def test_every_file_named_is_there() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)", README)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]

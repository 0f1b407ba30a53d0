"""The plug-in that shows how one is written: built, installed, and held to its own tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.plugins import SAMPLE

Python = Callable[..., str]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Runs Python in a copy of the project, where pip has installed it."""
    copy, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    shutil.copytree(SAMPLE, copy, dirs_exist_ok=True)
    place = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=copy,
            env=place,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    options = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    run("-m", "pip", "install", "--quiet", *options, "--target", str(site), str(copy))
    (copy / "surefoot_spring.py").unlink()  # what is installed is what is tried
    return run


def test_it_is_found(python: Python) -> None:
    problems = json.loads(python("-m", "tuning", "problems", "--json"))
    assert list(problems)[-2:] == ["spring", "stiff-spring"]
    assert problems["spring"]["distribution"] == "surefoot-spring 0.1.0"
    assert "qhm" in json.loads(python("-m", "tuning", "optimizers", "--json"))


def test_its_own_tests_pass(python: Python) -> None:
    ran = python("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_spring.py")
    assert "5 passed" in ran


def test_its_job_is_valid(python: Python) -> None:
    assert python("-m", "tuning", "check", "spring.toml").startswith("spring.toml is valid: ")

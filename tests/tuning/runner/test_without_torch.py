"""Where PyTorch is not installed, who asks for it is told the command that installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: For `import torch`, a module that is not there.
ABSENT = 'import sys; sys.modules["torch"] = None; '
INSTALL = "pip install 'surefoot[torch]'"


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ABSENT + program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_find_learning_rate_says_how_to_install_it(tmp_path: Path) -> None:
    done = run("import tuning; tuning.find_learning_rate(model=object, data=([0], [0]))", tmp_path)
    last = done.stderr.splitlines()[-1]
    assert last == (
        "trainers.errors.InvalidInput: PyTorch is not installed, and it trains this problem: "
        + INSTALL
    )
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", ["import torch", "from trainers.torch import TorchProblem"])
def test_a_job_whose_module_needs_it_says_so_in_one_line(tmp_path: Path, first: str) -> None:
    (tmp_path / "model.py").write_text(f"{first}\ndef make_problem(): ...\n", encoding="utf-8")
    (tmp_path / "job.toml").write_text(
        'problem = { name = "model:make_problem" }', encoding="utf-8"
    )
    done = run("from tuning.cli.main import main; main(['run', 'job.toml'])", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "surefoot: job.toml: problem 'model:make_problem': PyTorch is not installed, and model "
        f"imports it: {INSTALL}\n"
    )
    assert not (tmp_path / "surefoot-data").exists()

"""What tests of the command share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.surefoot_command import WELLS, surefoot, without_pictures


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes a file beside the job, and gives its path."""

    def writing(text: str, name: str = "job.toml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return writing


@pytest.fixture(scope="session")
def wells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one finished job, wells-1."""
    folder = tmp_path_factory.mktemp("home")
    job = folder.parent / "wells.toml"
    job.write_text(WELLS, encoding="utf-8")
    with without_pictures():
        ran = surefoot(folder, "run", str(job), "--workers", "inline")
    assert (ran.code, ran.err) == (0, ""), ran
    (folder / "printed.txt").write_text(ran.out, encoding="utf-8")
    return folder

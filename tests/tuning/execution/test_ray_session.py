"""Ray on this machine that does not start: a line, and the job goes on later."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from tests.support.surefoot_command import WELLS, surefoot
from tuning.errors import Transient
from tuning.execution.ray_session import start_ray


def too_slow(**_: object) -> None:
    raise Exception("The current node timed out during startup.")  # as Ray does


def wrong(**_: object) -> None:
    raise ValueError("no such option")


def test_a_node_that_is_slow_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", too_slow)
    with pytest.raises(Transient, match=r"may be overloaded \(The current node timed out"):
        start_ray(2, str(tmp_path))
    (tmp_path / "wells.toml").write_text(WELLS, encoding="utf-8")
    ran = surefoot(tmp_path / "home", "run", str(tmp_path / "wells.toml"), "-q")
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith("surefoot: Ray did not start on this machine")
    assert surefoot(tmp_path / "home", "resume", "wells-1", "--workers", "inline", "-q").code == 0


def test_what_is_wrong_otherwise_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "init", wrong)
    with pytest.raises(ValueError, match="no such option"):
        start_ray(2, str(tmp_path))

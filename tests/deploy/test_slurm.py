"""deploy/slurm.sh: what it runs, and where there is no Ray to run on."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.compose import COMPOSE_FILE

SCRIPT = COMPOSE_FILE.parent / "deploy" / "slurm.sh"
STAND_INS = {
    "scontrol": '[ "$*" = "show hostnames node[3-4]" ] && printf "node3\\nnode4\\n"',
    "srun": 'exec "$@"',
    "ray": 'printf "%s\\n" "$@" >"$TOLD"; stat -c %a "$RAY_AUTH_TOKEN_PATH" >>"$TOLD";'
    ' wc -c <"$RAY_AUTH_TOKEN_PATH" >>"$TOLD"; echo "$RAY_AUTH_MODE" >>"$TOLD"; exit 3',
}


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["my job.toml"], ["surefoot", "run", "my job.toml", "--workers", "cluster"]),
        (["--resume", "xor-1"], ["surefoot", "resume", "xor-1", "--workers", "cluster"]),
    ],
)
def test_the_script_runs_surefoot_on_all_nodes(
    tmp_path: Path, arguments: list[str], command: list[str]
) -> None:
    for name, body in STAND_INS.items():
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n", encoding="ascii")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    ran = subprocess.run(
        [str(SCRIPT), *arguments],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "TOLD": str(tmp_path / "told"),
            "SLURM_JOB_ID": "17",
            "SLURM_JOB_NODELIST": "node[3-4]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "16",
        },
        check=False,
    )
    assert ran.returncode == 3  # that of what it ran
    told = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
    assert told == [
        *("symmetric-run", "--address", "node3:6379", "--min-nodes", "2", "--num-cpus", "16"),
        *("--", *command),
        *("600", "64", "token"),  # the token: its owner's alone, 32 bytes in hexadecimal
    ]
    assert list((tmp_path / "surefoot-data").iterdir()) == []  # and gone with the job


def test_without_a_cluster_that_is_a_line(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tuning", "run", "xor.toml", "--workers", "cluster", "-q"],
        cwd=COMPOSE_FILE.parent / "examples",
        env={**os.environ, "SUREFOOT_HOME": str(tmp_path), "RAY_ADDRESS": "127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2, ran.stderr
    (line,) = ran.stderr.splitlines()
    assert "no Ray" in line

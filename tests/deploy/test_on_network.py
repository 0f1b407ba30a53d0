"""`on-network`: a program is told the address of this machine towards a host."""

from __future__ import annotations

import subprocess

import pytest

from deploy.compose import COMPOSE_FILE

PROGRAM = COMPOSE_FILE.parent / "deploy" / "on-network"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_address_follows_from_the_route_to_the_host(host: str) -> None:
    done = run(host, "echo", "start", "--head")
    assert done.stdout == "start --head --node-ip-address=127.0.0.1\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_the_program_s_exit_code_is_kept() -> None:
    assert run("127.0.0.1", "sh", "-c", "exit 7").returncode == 7


def test_a_host_that_has_no_address_is_named_in_one_line() -> None:
    done = run("ray-head.nowhere.invalid", "echo")
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("on-network: ray-head.nowhere.invalid has no address here, or no route")

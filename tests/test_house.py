"""The house itself: what is locked, what is exposed, who may import whom."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))

PINNED = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?:\s*;.*?)?(?: --hash=sha256:[0-9a-f]{64})+"
)
# An address of any kind, a folder of some machine, or an option that says where to look.
PLACE = re.compile(
    r"\w+://|file:\S|@ |(?<![\w.])/\w+/|--(?:extra-)?index|--find-links|--trusted-host|-[efi] "
)


def locked(lock: str) -> dict[str, str]:
    """Version by name of each requirement in `lock`; ValueError for one without a hash."""
    text = re.sub(r"\s*\\\n\s*", " ", lock)
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    versions = {}
    for line in lines:
        match = PINNED.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"not pinned with hashes: {line}")
        versions[canonicalize_name(match["name"])] = match["version"]
    return {str(name): version for name, version in versions.items()}


def command(name: str) -> str:
    """The program `name` of the environment that runs the tests."""
    return str(Path(sys.executable).with_name(name))


def run(*arguments: str) -> None:
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_locked_requirement_has_a_hash() -> None:
    assert len(locked(LOCK)) > 100


@pytest.mark.parametrize(
    "lock",
    ["numpy==2.4.6\n", "numpy>=2 \\\n    --hash=sha256:" + "0" * 64, "numpy==2.4.6 --hash=md5:00"],
)
def test_a_requirement_without_pin_or_hash_is_noticed(lock: str) -> None:
    with pytest.raises(ValueError, match="not pinned with hashes: numpy"):
        locked(lock)


def test_the_lock_names_no_place() -> None:
    assert PLACE.search(LOCK) is None


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "--extra-index-url=x",
        "--find-links wheels",
        "-f wheels",
        "--trusted-host example.org",
        "torch @ file:wheels/torch.whl",
        "# via -c /home/somebody/constraints.txt",
        "-e .",
    ],
)
def test_a_place_in_a_lock_is_noticed(line: str) -> None:
    assert PLACE.search(line) is not None


def declared() -> list[str]:
    extras = PROJECT["optional-dependencies"]
    requirements: list[str] = [
        *PROJECT["dependencies"],
        *extras["dev"],
        *extras["postgres"],
        *extras["server"],
    ]
    return requirements


@pytest.mark.parametrize("declaration", declared())
def test_the_lock_satisfies_the_project(declaration: str) -> None:
    requirement = Requirement(declaration)
    version = locked(LOCK)[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_torch_is_not_locked() -> None:
    assert "torch" not in locked(LOCK)


def test_compose_file_is_valid() -> None:
    run(
        command("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"
    )


def test_published_ports_are_this_machine_s_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_service_is_confined_and_watched(name: str) -> None:
    service: dict[str, Any] = COMPOSE["services"][name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0
    assert "healthcheck" in service
    assert re.fullmatch(r"[\w/-]+:\d+\.\d+[\w.-]*", service["image"])
    for needed in service.get("depends_on", {}).values():
        assert needed == {"condition": "service_healthy"}


def test_layers() -> None:
    run(command("lint-imports"), "--no-cache", "--no-logo")


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_port_of_a_command_is_exposed(name: str) -> None:
    """`make cluster` puts another port in the place of each that is, and of no other."""
    service: dict[str, Any] = COMPOSE["services"][name]
    words = " ".join([*service["command"], *service["healthcheck"]["test"]])
    named = set(re.findall(r"port=(\d+)|0\.0\.1:(\d+)", words))
    exposed = set(service.get("expose", []))
    assert {own or local for own, local in named} <= exposed
    assert {port.split(":")[-1] for port in service.get("ports", [])} <= exposed


def test_no_secret_stands_in_the_compose_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service["environment"].items():
            if any(word in name for word in ("PASSWORD", "KEY", "TOKEN")):
                assert name.endswith(("_FILE", "_PATH"))
                assert value.startswith("/run/secrets/")


def test_only_what_the_image_needs_reaches_its_build() -> None:
    first, *rest = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert first == "*"
    copied = re.findall(
        r"^COPY (?!--from)(?:--\S+ )?(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    let_in = {line[1:].removesuffix("/**") for line in rest if line.startswith("!")}
    assert let_in == {source for sources in copied for source in sources.split()}

"""The house itself: what is locked, what is exposed, who may import whom, how large a room is."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any

import grimp
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]
CI = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("library", ["torch", "jax", "keras", "optax"])
def test_what_is_not_locked_is_pinned_for_ci(library: str) -> None:
    assert library not in locked(LOCK)
    pins = re.findall(rf"\b{library}==([\d.]+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert len(pins) == 1
    (loop,) = re.findall(r"^for library in (.*); do$", CI, re.MULTILINE)
    assert library in loop.split()


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


# ---------------------------------------------------------------------------------------- rooms

MOST_EXPORTS, MOST_LINES = 8, 300
PACKAGES = ("tuning", "trainers")
#: `from tuning import tune`: all that a user needs, and so more than eight.
PUBLIC = {"tuning", "trainers"}
#: A report draws itself (`Report.to_html`): imported when asked, and all of it within report/.
KNOWN_BACKWARD = {
    ("tuning.report.model", f"tuning.report.{name}")
    for name in ("figures.kinds", "html", "notebook", "terminal")
}


def rooms() -> list[str]:
    """Every package of tuning and trainers, by its dotted name."""
    return sorted(
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    )


def faults_of(room: ModuleType) -> list[str]:
    """What is wrong with a package's front door."""
    faults = []
    if len((room.__doc__ or "").strip().splitlines()) < 1:
        faults.append("no docstring says what lives there and who may come in")
    exported: list[str] | None = getattr(room, "__all__", None)
    if exported is None:
        return [*faults, "no __all__"]
    if room.__name__ not in PUBLIC and len(exported) > MOST_EXPORTS:
        faults.append(f"exports {len(exported)} names, at most {MOST_EXPORTS}")
    missing = [name for name in exported if not hasattr(room, name)]
    return [*faults, *(f"exports {name}, which is not there" for name in missing)]


@pytest.mark.parametrize("name", rooms())
def test_a_room_says_what_it_is_and_exports_little(name: str) -> None:
    assert faults_of(importlib.import_module(name)) == []


def test_a_bad_front_door_is_noticed() -> None:
    bare = ModuleType("bare")
    assert faults_of(bare) == [
        "no docstring says what lives there and who may come in",
        "no __all__",
    ]
    wide = ModuleType("wide", "All there is.")
    wide.__dict__["__all__"] = list("abcdefghi")
    wide.__dict__.update(dict.fromkeys("abcdefgh"))
    assert faults_of(wide) == [
        "exports 9 names, at most 8",
        "exports i, which is not there",
    ]


def too_long(folders: Iterable[Path]) -> dict[str, int]:
    """Lines of the modules below `folders` that want to be two."""
    lines = {
        str(path): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders
        for path in folder.rglob("*.py")
    }
    return {path: count for path, count in lines.items() if count > MOST_LINES}


def test_no_module_is_over_300_lines(tmp_path: Path) -> None:
    assert too_long(ROOT / folder for folder in (*PACKAGES, "deploy")) == {}
    (tmp_path / "long.py").write_text("pass\n" * 301)
    (tmp_path / "fits.py").write_text("pass\n" * 300)
    assert too_long([tmp_path]) == {str(tmp_path / "long.py"): 301}


def circle(imported: Mapping[str, Iterable[str]]) -> list[str]:
    """Modules that import one another in a circle, the first again at the end; or none."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_modules_import_one_another_in_a_circle() -> None:
    """Nor late, in a function, where Python would not complain."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    imported = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    for one, other in KNOWN_BACKWARD:
        imported[one].remove(other)
    assert circle(imported) == []
    assert circle({"a": ["b"], "b": ["c"], "c": ["a"]})[0] in "abc"


def test_layers() -> None:
    run(command("lint-imports"), "--no-cache", "--no-logo")


def layers_of(lines: Iterable[str]) -> list[set[str]]:
    """From high to low; those beside one another, `a | b`, are independent."""
    return [{name.strip() for name in line.split("|")} for line in lines if line.strip()]


def test_the_layers_of_the_architecture_are_those_that_are_checked() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    written = [
        layers_of(block.splitlines())
        for block in re.findall(r"^```layers\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]
    contracts = SETTINGS["tool"]["importlinter"]["contracts"]
    assert written == [layers_of(c["layers"]) for c in contracts if c["type"] == "layers"]
    named = set().union(*(layer for layers in written for layer in layers))
    assert {name for name in rooms() if name.count(".") == 1} <= named

"""Distributions with entry points, installed as pip leaves them, into a folder of sys.path."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.own_modules import imported_from

__all__ = ["SAMPLE", "install", "install_sample", "on_path"]

#: The project that shows how a plug-in is written.
SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin"


def install(
    folder: Path,
    name: str,
    modules: Mapping[str, str],
    *,
    problems: Mapping[str, str] | None = None,
    optimizers: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> None:
    """Write the modules, by name, and the metadata of a distribution that has them."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    groups = {"surefoot.problems": problems or {}, "surefoot.optimizers": optimizers or {}}
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for module, code in modules.items():
        (folder / f"{module}.py").write_text(code, encoding="utf-8")


def install_sample(folder: Path) -> None:
    """`SAMPLE`, with the entry points of its pyproject.toml."""
    project = tomllib.loads((SAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]
    install(
        folder,
        project["name"],
        {"surefoot_spring": (SAMPLE / "surefoot_spring.py").read_text(encoding="utf-8")},
        problems=points["surefoot.problems"],
        optimizers=points["surefoot.optimizers"],
        version=project["version"],
    )


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """What is installed in `folder` is there; and after that is not, nor has ever been imported."""
    with pytest.MonkeyPatch.context() as patch, imported_from(folder):
        patch.syspath_prepend(folder)
        yield

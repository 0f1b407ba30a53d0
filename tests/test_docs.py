"""The README says what is true: its job file is valid, its Python runs, its commands exist.
The chapter on outcomes likewise: its program prints what it says, its thresholds are those in use;
and the page on models of one's own.
"""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainers import Basin, Dynamics, Thresholds
from tuning.cli.main import cli
from tuning.report.model import Report
from tuning.runner.local_api import prepare, sourced
from tuning.spec.cluster_section import ClusterSpec
from tuning.spec.job import read_spec
from tuning.spec.sections import OutcomesSpec

ROOT = Path(__file__).parent.parent
#: A search for a page's sake, in the words of `find_learning_rate`.
SMALL = 'steps=40, settings=2, restarts=6, workers="inline", progress=False'
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTER = (ROOT / "docs" / "outcomes.md").read_text(encoding="utf-8")
OWN_MODEL = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8")


def _blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def test_the_job_file_is_valid() -> None:
    (block,) = _blocks("toml")
    spec = read_spec(tomllib.loads(block))
    assert spec.training.restarts == 64
    assert [rule.name for rule in spec.search.rules] == ["gd", "momentum", "adam"]


@pytest.mark.parametrize("block", _blocks("python"), ids=lambda b: b.splitlines()[0])
def test_the_python_runs(block: str, tmp_path: Path) -> None:
    if "import torch" in block:
        pytest.importorskip("torch", reason="pip install torch==2.13.0")
        whole, block = block, block.replace("batch_size=32,", f"batch_size=32, {SMALL},")
        assert block != whole
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_command_is_documented_and_exists() -> None:
    mentioned = set()
    for line in re.findall(r"^surefoot (.*)$", README, re.MULTILINE):
        words = line.split("  ")[0].split(" | ")
        mentioned |= {word.split()[0] for word in words}
    assert mentioned == {name for name, command in cli.commands.items() if not command.hidden}


PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_named_is_there(page: Path) -> None:
    named = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [name for name in named if not (page.parent / name).exists()]


def test_every_page_is_named_in_the_readme() -> None:
    assert not [page.name for page in PAGES[2:] if f"docs/{page.name}" not in README]


def test_every_key_of_the_cluster_is_explained() -> None:
    (block,) = _blocks("toml")
    table = block[block.index("[cluster]") :]
    assert set(re.findall(r"^#? ?(\w+) =", table, re.MULTILINE)) == set(ClusterSpec.model_fields)


# ------------------------------------------------------------------------------ docs/outcomes.md


def test_the_chapter_s_program_prints_what_it_says(tmp_path: Path) -> None:
    """Its blocks are one program; each is followed by what it prints."""
    told = re.findall(
        r"^```python\n(.*?)^```\n```text\n(.*?)^```", CHAPTER, re.MULTILINE | re.DOTALL
    )
    assert len(told) == CHAPTER.count("```python") == CHAPTER.count("```text")
    program = "print('-----')\n".join(block for block, _ in told)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("-----\n") == [printed for _, printed in told]


def test_every_threshold_is_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (.+) \| (.+) \|$", CHAPTER, re.MULTILINE)
    keys = [*OutcomesSpec.model_fields, "max_hover"]
    assert [key for key, *_ in rows] == keys
    limits = Thresholds()
    default = {key: getattr(limits, key) for key in keys}
    told = {key: value for key, value, *_ in rows}
    materials = [limits.material_for(known=known) for known in (True, False)]
    assert [float(value) for value in told.pop("material").split("/")] == materials
    assert default.pop("material") is None
    assert {key: float(value) for key, value in told.items()} == default
    text = CHAPTER[: CHAPTER.index("## Every threshold")]
    for key in keys:
        assert f"`{key}`" in text, key
    # Where the text gives a value, it is the one in use.
    for key, value in re.findall(r"`(\w+)` = (-?[\d.e-]*\d)", text):
        assert float(value) == default[key], key


def test_every_label_has_its_section_and_its_picture() -> None:
    sections = re.findall(r"^### (.+)$", CHAPTER, re.MULTILINE)
    assert set(map(str, [*Dynamics, *Basin])) <= set(sections)
    parts = re.split(r"^### .+$", CHAPTER, flags=re.MULTILINE)[1:]
    for name, part in zip(sections, parts, strict=True):
        assert len(re.findall(rf"^!\[{name}\]\(pictures/", part, re.MULTILINE)) == 1, name


def test_the_chapter_s_pictures_are_those_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    example = runpy.run_path(str(ROOT / "examples" / "outcomes.py"))
    drawn = {f"outcomes-{draw.__name__.replace('_', '-')}.png" for draw in example["PICTURES"]}
    shown = set(re.findall(r"\]\(pictures/(.+?)\)", CHAPTER))
    folder = ROOT / "docs" / "pictures"
    assert shown == drawn == {path.name for path in folder.glob("outcomes-*.png")}
    assert max((folder / name).stat().st_size for name in shown) < 80_000


def test_the_chapter_is_named() -> None:
    for page in (README, (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")):
        assert "(docs/outcomes.md)" in page


# ------------------------------------------------------------------------- docs/your-own-model.md


@pytest.mark.science
@pytest.mark.usefixtures("no_pictures")
def test_the_page_on_models_of_one_s_own_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its blocks are one program. Every job in it is checked as far as can be without running it,
    which makes the problem and tries its optimizers; the first one is run."""
    pytest.importorskip("torch", reason="pip install torch==2.13.0")
    finder = importlib.import_module("tuning.runner.find_learning_rate")
    tune: Callable[..., Report] = finder.tune
    reports: list[Report] = []
    said: list[list[str]] = []

    def first_alone(**given: Any) -> Report:
        job = {key: given[key] for key in given if key not in ("workers", "home", "progress")}
        if not reports:
            reports.append(tune(**job, workers="inline", home=tmp_path))
        said.append(prepare(*sourced(None, job)).remarks)
        return reports[0]

    monkeypatch.setattr(finder, "tune", first_alone)
    monkeypatch.chdir(tmp_path)
    blocks = _blocks("python", OWN_MODEL)
    exec(compile("\n".join(blocks), "page", "exec"), {"__name__": "page"})
    assert len(said) == OWN_MODEL.count("tuning.find_learning_rate(\n")
    assert said == [[]] * len(said)  # nothing of it needs the loop
    assert "Net\n" in capsys.readouterr().out
    (job,) = _blocks("toml", OWN_MODEL)
    assert read_spec(tomllib.loads(job)).problem.name == "model:make_problem"

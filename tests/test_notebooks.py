"""The notebooks among the examples: kept without outputs, and they run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
FIGURE = "application/vnd.plotly.v1+json"
#: How many figures each draws.
FIGURES = {"lesson": 4, "reading_a_report": 6}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # it has no types


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs_and_named(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
    assert f"examples/{path.name}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.science
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel of its own, on loopback; a cell that raises ends it."""
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(path)
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    shown = [out.data for out in outputs if "data" in out]
    assert sum(FIGURE in data for data in shown) == FIGURES[path.stem]
    said = "".join(out.text for out in outputs if out.output_type == "stream")
    assert "Traceback" not in said
    (card,) = (data["text/html"] for data in shown if "Surefoot ·" in data.get("text/html", ""))
    assert "Best" in card
    if path.stem == "lesson":
        assert "lr = 0.1: [1.    0.8   0.64  0.512 0.41  0.328]" in said
        assert "lr = 2:   [   1.   -3.    9.  -27.   81. -243.]" in said
        assert "lr = 2.0: never; it diverged" in said
    else:
        assert "recommended: " in said

"""What travels with a job: the user's modules and tables, and nothing else."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.own_modules import imported_from
from trainers import InvalidInput, Problem, get_problem
from tuning.cluster import bundle
from tuning.spec.job import read_spec

ROOT = Path(__file__).resolve().parents[3]
WELL = """
from trainers import Problem
{imports}
class Well(Problem):
    known_minimum, parameters = 0.0, 1
    def initial(self, rng):
        return rng.normal(size=1)
    def loss_and_gradient(self, w):
        {body}
        return (w * w).sum(1), 2 * w
"""


def well(imports: str = "", body: str = "pass") -> str:
    return WELL.format(imports=imports, body=body)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which modules are imported, and forgotten afterwards."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    with imported_from(folder):
        yield folder


@pytest.fixture
def write(place: Path) -> Callable[..., None]:
    def writing(**files: str) -> None:
        for name, text in files.items():
            path = place / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        importlib.invalidate_caches()

    return writing


def made(module: str) -> Problem:
    problem: Problem = importlib.import_module(module).Well()
    return problem


def names(problem: Problem, folder: Path, /, **tables: Any) -> list[str]:
    spec = read_spec({"problem": {"name": "xor"}} | tables)
    return sorted(bundle.collect(spec, problem, folder)[0])


def test_a_single_file_and_the_modules_beside_it(
    write: Callable[..., None], tmp_path: Path
) -> None:
    write(wells=well("import helper, deep.er"), helper="", deep__er="", unused="")
    assert names(made("wells"), tmp_path) == ["deep/er.py", "helper.py", "wells.py"]


def test_all_of_a_package_also_what_is_imported_when_it_runs(
    place: Path, write: Callable[..., None], tmp_path: Path
) -> None:
    write(pack=well(), pack__sub__lazy="", helper="")
    (place / "pack.py").rename(place / "pack" / "wells.py")
    (place / "pack" / "__init__.py").write_text("", encoding="utf-8")
    (place / "pack" / ".#wells.py").symlink_to("nowhere")  # an editor's lock
    (place / "pack" / "broken.py").symlink_to("nowhere")
    (place / "pack" / ".venv").mkdir()
    (place / "pack" / ".venv" / "theirs.py").write_text("", encoding="utf-8")
    wanted = ["pack/__init__.py", "pack/sub/lazy.py", "pack/wells.py"]
    assert names(made("pack.wells"), tmp_path) == wanted
    # The class may live in the package's __init__ as well.
    (place / "pack2").mkdir()
    (place / "pack2" / "__init__.py").write_text(well(), encoding="utf-8")
    importlib.invalidate_caches()
    beside = ["pack/__init__.py", "pack/wells.py", "pack2/__init__.py"]  # the first was imported
    assert names(made("pack2"), tmp_path) == beside


def test_a_namespace_package(write: Callable[..., None], tmp_path: Path) -> None:
    write(space__inner__wells=well("from space import aside"), space__aside="")
    assert names(made("space.inner.wells"), tmp_path) == ["space/aside.py", "space/inner/wells.py"]


MADE = """
import helper
import torch
from trainers.torch import TorchProblem

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
    def forward(self, x):
        return self.layer(x)

def make_problem():
    data = torch.ones(4, 2), torch.ones(4, 1)
    return TorchProblem(Net, torch.nn.functional.mse_loss, data)
"""


def test_a_problem_made_by_a_function_travels_with_its_module(
    write: Callable[..., None], tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="pip install torch==2.13.0")
    write(model=MADE, helper="", unused="")
    problem = get_problem("model:make_problem")
    by_name = names(problem, tmp_path, problem={"name": "model:make_problem"})
    assert by_name == ["helper.py", "model.py"]
    # Given as an object it is pickled, and its module found by that of the model.
    assert names(problem, tmp_path, problem={"name": problem.reference}) == by_name
    assert problem.reference == "model:Net"


def test_installed_modules_do_not_travel(place: Path, tmp_path: Path) -> None:
    library = place / ".venv" / "lib" / "python3.11" / "site-packages"
    library.mkdir(parents=True)
    (library / "theirs.py").write_text(well(), encoding="utf-8")
    (place / "mine.py").write_text(well("import theirs"), encoding="utf-8")
    sys.path.insert(0, str(library))
    try:
        importlib.invalidate_caches()
        assert names(made("mine"), tmp_path) == ["mine.py"]
        assert names(made("theirs"), tmp_path) == []
    finally:
        sys.path.remove(str(library))
        del sys.modules["theirs"]
    assert names(get_problem("xor"), tmp_path) == []


def test_modules_from_a_folder_below_are_another_path_s(
    place: Path, write: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(wells=well("import elsewhere"), project__elsewhere="")
    monkeypatch.syspath_prepend(place / "project")
    assert names(made("wells"), tmp_path) == ["wells.py"]


SCRIPT = """
import sys
from pathlib import Path
from tuning.cluster import bundle
from tuning.spec.job import read_spec
{well}
spec = read_spec({{"problem": {{"name": "xor"}}}})
print(sorted(bundle.collect(spec, Well(), Path.cwd())[0]))
"""


@pytest.mark.parametrize("as_module", [False, True])
def test_a_class_of_the_program_itself_takes_along_what_it_imports(
    tmp_path: Path, as_module: bool
) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    name = "app.helper" if as_module else "helper"
    (folder / "helper.py").write_text("", encoding="utf-8")
    (folder / "script.py").write_text(SCRIPT.format(well=well(f"import {name}")), encoding="utf-8")
    program = ["-m", "app.script"] if as_module else [str(folder / "script.py")]
    done = subprocess.run(
        [sys.executable, *program],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == f"{['app/helper.py', 'app/script.py'] if as_module else ['helper.py']}\n"


def table(folder: Path, data: str) -> tuple[dict[str, Path], str | None]:
    tables = {"name": "mlp", "data": data, "target": "y", "hidden": [2]}
    spec = read_spec({"problem": tables})
    return bundle.collect(spec, spec.make_problem(folder), folder)


def test_a_table_keeps_its_place_beside_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "x,y\n" + "".join(f"{i * i % 17},{i % 2}\n" for i in range(60))
    here, aside = tmp_path / "job", tmp_path / "aside"
    for path in (here / "t" / "rows.csv", aside / "rows.csv"):
        path.parent.mkdir(parents=True)
        path.write_text(rows, encoding="utf-8")
    inside = here / "t" / "rows.csv"
    for data in ("t/rows.csv", "./t/rows.csv", "t/../t/rows.csv", str(inside)):
        assert table(here, data) == ({"t/rows.csv": inside}, "t/rows.csv")
    outside = ({"_data/rows.csv": aside / "rows.csv"}, "_data/rows.csv")
    for data in ("../aside/rows.csv", str(aside / "rows.csv")):
        assert table(here, data) == outside
    monkeypatch.chdir(aside)
    assert table(here, "rows.csv") == outside
    # A file that is called as a data set is not that data set.
    (here / "wine").write_text("", encoding="utf-8")
    spec = read_spec({"problem": {"name": "mlp", "data": "wine", "hidden": [2]}})
    assert bundle.collect(spec, spec.make_problem(here), here) == ({}, None)


def test_more_files_beside_the_job(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    for name in ("t/a.csv", "t/b.csv", "t/c.txt", "x.bin"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "t" / "link.csv").symlink_to(tmp_path / "x.bin")

    def included(*patterns: str) -> list[str]:
        return names(get_problem("xor"), tmp_path, cluster={"include": list(patterns)})

    assert included("t/*.csv", "t/a.csv") == ["t/a.csv", "t/b.csv", "t/link.csv"]
    assert included("**/*") == ["t/a.csv", "t/b.csv", "t/c.txt", "t/link.csv", "x.bin"]
    for wrong in ("../*.csv", "t/../../x", str(tmp_path / "x.bin"), "", "/etc/passwd"):
        with pytest.raises(InvalidInput, match=r"^cluster.include: '.*' is not valid; a file or"):
            included(wrong)
    for absent in ("*.csv", "t", "a\0b"):
        with pytest.raises(InvalidInput, match=r"matches no file in|is not valid"):
            included(absent)


def test_two_files_of_one_name_are_refused(write: Callable[..., None], tmp_path: Path) -> None:
    write(wells=well())
    (tmp_path / "wells.py").write_text("other", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"wells.py would both travel with the job as wells.py"):
        names(made("wells"), tmp_path, cluster={"include": ["wells.py"]})


def test_too_much_is_refused_with_the_largest_named(tmp_path: Path) -> None:
    for name, megabytes in (("small.bin", 1), ("large.bin", 100)):
        with open(tmp_path / name, "wb") as file:
            file.truncate(megabytes * 1_000_000)
    assert len(names(get_problem("xor"), tmp_path, cluster={"include": ["large.bin"]})) == 1
    with pytest.raises(InvalidInput, match=r"^101 MB would travel.* large.bin alone has 100: put"):
        names(get_problem("xor"), tmp_path, cluster={"include": ["*.bin"]})


def test_too_much_is_put_where_the_job_says_and_once(tmp_path: Path) -> None:
    with open(tmp_path / "large.bin", "wb") as file:
        file.truncate(101_000_000)
    store = tmp_path / "a store"
    said = {"include": ["large.bin"], "files": store.as_uri().replace("%20", " ")}
    assert "large.bin" in names(get_problem("xor"), tmp_path, cluster=said)
    files = {"one/large.bin": tmp_path / "large.bin", "two": Path(__file__)}
    assert bundle.is_large(files)
    address = bundle.put(files, f"file://{store}")
    (kept,) = store.iterdir()
    assert address == f"file://{kept}"
    before = kept.stat()
    assert bundle.put(files, f"file://{store}/") == address
    assert kept.stat() == before
    with zipfile.ZipFile(kept) as archive:
        assert archive.namelist() == ["bundle/one/large.bin", "bundle/two"]
        assert archive.read("bundle/two") == Path(__file__).read_bytes()
    with pytest.raises(InvalidInput, match=r"cluster.files = 'file:///proc/x' cannot be written"):
        bundle.put(files, "file:///proc/x")
    for wrong in ("s3://", "/tmp/x", "ftp://host/x", "file://relative"):
        with pytest.raises(InvalidInput, match=r"cluster.files = .* is not valid"):
            names(get_problem("xor"), tmp_path, cluster={"files": wrong})


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_bytes(b"x" * 1000)
    two.write_bytes(b"")
    packed = bundle.pack({"b/one": one, "a": two})
    os.utime(one, (1, 1))
    assert bundle.pack({"a": two, "b/one": one}) == packed
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["a", "b/one"]
        assert archive.read("b/one") == b"x" * 1000
    marks = bundle.digests({"b": one, "a": two})
    assert list(marks) == ["a", "b"]
    one.write_bytes(b"x" * 999)
    assert bundle.digests({"b": one})["b"] != marks["b"]

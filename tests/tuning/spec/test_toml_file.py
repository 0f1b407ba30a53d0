"""Job files on disk, and garbage: whatever comes in, the answer is a job or one line."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.made_results import refused
from trainers import InvalidInput
from tuning.spec.job import JobSpec, folder_of, read_spec
from tuning.spec.sections import SearchSpec


def test_files_that_are_no_job(tmp_path: Path) -> None:
    (tmp_path / "xor.toml").write_text('problem = { name = "xor" }', encoding="utf-8")
    assert refused(tmp_path / "xro.toml").startswith(
        f"{tmp_path}/xro.toml: no such file; did you mean 'xor.toml'?"
    )
    assert refused(tmp_path / "q" / "xor.toml") == f"{tmp_path}/q/xor.toml: no such file"
    assert refused(tmp_path / "zzz") == f"{tmp_path}/zzz: no such file"
    assert refused(tmp_path) == f"{tmp_path} is a folder; name the job file in it"
    assert refused(tmp_path / "xor.toml" / "a").endswith("a: Not a directory")
    assert refused("x" * 5000).endswith("File name too long")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = \xff", "is not UTF-8 text; a job file is TOML"),
        (b"seed = ", r"is not valid TOML: Invalid value \(at end of document\)"),
        (b"seed = 1\nseed = 2", "is not valid TOML: Cannot overwrite a value"),
        (b"a = " + 5000 * b"1", "is not valid TOML: Exceeds the limit"),
        (b"a = " + 5000 * b"[", "is not valid TOML"),
        (b"seed = 1", ": problem is missing"),
        (b"\xef\xbb\xbfseed = 1", "begins with a byte order mark; save it as UTF-8 without"),
        (b"seed = 0x1" + 5000 * b"0", ": seed is a number of 20001 bits; give one below 1e308"),
        (b"problem" + 31 * b".a" + b" = 1", r": problem\.a\.a\.a is nested more than 30 deep"),
        (b"[problem]\nname = 'x'\nday = 2020-01-01", ": problem: day = datetime.date"),
    ],
)
def test_files_with_wrong_content(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "job.toml"
    path.write_bytes(content)
    found = refused(path)
    assert found.startswith(str(path))
    assert re.search(message, found), found


def test_a_data_file_beside_the_job_is_found(tmp_path: Path) -> None:
    job, data = tmp_path / "jobs" / "job.toml", tmp_path / "jobs" / "rows.csv"
    job.parent.mkdir()
    job.write_text('problem = { name = "mlp", data = "rows.csv", target = "y" }', encoding="utf-8")
    spec = read_spec(job)
    with pytest.raises(InvalidInput, match=r"rows\.csv"):
        spec.make_problem(folder_of(job))
    data.write_text("x,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40)), encoding="utf-8")
    assert spec.make_problem(folder_of(job)).examples == 32
    assert spec.problem.parameters["data"] == "rows.csv"  # the report says what the job says
    (tmp_path / "jobs" / "digits").touch()  # a built-in data set is never a file
    job.write_text('problem = { name = "mlp", data = "digits" }', encoding="utf-8")
    assert read_spec(job).make_problem(folder_of(job)).examples == 1437


def test_a_module_beside_the_job_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    job = tmp_path / "jobs" / "job.toml"
    job.parent.mkdir()
    job.write_text('problem = { name = "lies_beside:make" }', encoding="utf-8")
    spec = read_spec(job)
    with pytest.raises(InvalidInput, match="no module 'lies_beside'"):
        spec.make_problem()
    (tmp_path / "jobs" / "lies_beside.py").write_text(
        "from trainers import get_problem\ndef make(): return get_problem('xor')\n",
        encoding="utf-8",
    )
    importlib.invalidate_caches()
    assert spec.make_problem(folder_of(job)).examples == 4
    assert sys.path[-1] == str(job.parent)  # behind all that is found without it


# ------------------------------------------------------------------------------------------ chance

KEYS = st.sampled_from(
    [*JobSpec.model_fields, *SearchSpec.model_fields, "low", "high", "steps", "margin", "data"]
) | st.text(max_size=4)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["gd", "adam", "xor", "tpe", 0.1, 1, 5])
)  # fmt: skip
GARBAGE = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


def tried(job: dict[str, Any]) -> tuple[JobSpec | None, str]:
    try:
        return read_spec(job), ""
    except InvalidInput as error:
        return None, str(error)


@settings(max_examples=300, deadline=None)
@given(data=st.dictionaries(KEYS, GARBAGE, max_size=5), real=st.booleans())
def test_garbage_is_refused_or_comes_back_the_same(data: dict[str, Any], real: bool) -> None:
    job = {**data, "problem": {"name": "xor"}} if real else data
    spec, message = tried(job)
    if spec is None:
        assert len(message.splitlines()) == 1
    else:
        assert read_spec(spec.model_dump()) == spec
        assert read_spec(spec.model_dump(mode="json")) == spec


@settings(max_examples=100, deadline=None)
@given(source=LEAVES | st.lists(LEAVES, max_size=3))
def test_what_is_neither_path_nor_dict_is_refused(source: object) -> None:
    refused(source)

"""Problems and data that are wrong for sure, each in an else valid job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.support.wrong_jobs import (
    DATES,
    TEXTS,
    Wrong,
    changed,
    misspelt,
)
from trainers.problems.registry import PROBLEMS, parameters_of

__all__ = ["damaged_tables", "make_files", "on", "wrong_data", "wrong_problems"]

# --------------------------------------------------------------------------------------- problems

OWN = {
    "surefoot_raises": 'raise ValueError("the value\\nis mine")\n',
    "surefoot_leaves": "raise SystemExit(0)\n",
    "surefoot_syntax": "def f(:\n",
    "surefoot_lacks": "import surefoot_absent_too\n",
    "surefoot_empty": "",
    "surefoot_abstract": "from trainers import Problem\nclass Half(Problem):\n    parameters = 1\n",
}
NAMES = st.sampled_from(
    [
        "", ":", ":X", "a:b:c", "x:", "a..b:X", "a b:X", "math:pi", "collections:Counter",
        "surefoot_absent:X", "surefoot_absent.more:X", "trainers.nothing:X", "trainers:Problem",
        "trainers:X", "../x:Y", "surefoot_empty:Y", "surefoot_abstract:Half",
        *(f"{module}:Bowl" for module in OWN),
    ]
)  # fmt: skip


def wrong_problems() -> st.SearchStrategy[Wrong]:
    """Unknown problems, and values that no parameter of a built-in one takes."""
    unknown = (st.sampled_from(list(PROBLEMS)).flatmap(misspelt) | TEXTS).map(
        lambda name: name + "x" if name in PROBLEMS else name.replace(":", "")
    )
    named = (unknown | NAMES).map(
        lambda name: Wrong.job(changed(("problem",), {"name": name}), "problem")
    )
    keys = [
        (name, key, parameter.default)
        for name, kind in PROBLEMS.items()
        for key, parameter in parameters_of(kind).items()
        if key not in ("data", "target", "task")  # in wrong_data
    ]
    return named | st.sampled_from(keys).flatmap(lambda entry: _parameter(*entry)) | _hidden()


def _parameter(name: str, key: str, default: Any) -> st.SearchStrategy[Wrong]:
    number = not isinstance(default, str)
    content = (
        st.sampled_from([{}, {"a": 1}, [[[[]]]], float("nan"), float("-inf"), [{}]])
        | DATES
        | (TEXTS.map(lambda text: text if number else f"{text}?"))
    )
    needed = getattr(PROBLEMS[name], "example", {})
    return content.map(
        lambda value: Wrong.job(changed(("problem",), {"name": name, **needed, key: value}), key)
    )


def _hidden() -> st.SearchStrategy[Wrong]:
    bad = st.integers(max_value=0) | st.floats() | st.booleans() | TEXTS | st.just([3])
    lists = st.tuples(st.lists(st.integers(1, 9), max_size=4), bad).map(lambda p: [*p[0], p[1]])
    tables = [{"name": "xor"}, {"name": "mlp", "data": "wine"}]
    return st.tuples(st.sampled_from(tables), lists | st.just([10**12])).map(
        lambda p: Wrong.job(
            changed(("problem",), {**p[0], "hidden": p[1]}),
            "too large" if p[1] == [10**12] else "hidden",
        )
    )


# ------------------------------------------------------------------------------------------- data

ROWS = [["a", "b", "y"], *([str(i), str(i * i % 7), str(i % 2)] for i in range(30))]
FILES = {
    "rows.csv": "\n".join(map(",".join, ROWS)),
    "rows.txt": "a,y\n1,0\n2,1\n",
    "empty.csv": "",
    "header.csv": "a,b,y",
    "one-row.csv": "a,b,y\n1,2,0\n",
    "one-class.csv": "a,y\n" + "".join(f"{i},same\n" for i in range(9)),
    "one-column.csv": "y\n1\n2\n3\n",
    "twice.csv": "a,a,y\n1,2,0\n3,4,1\n5,6,0\n",
    "no-name.csv": ",a,y\n0,2,0\n1,4,1\n2,6,0\n",
    "noise.csv": "\0\1\2\3",
    "quote.csv": 'a,y\n"1,0\n2,1\n',
    "noise.parquet": "PAR1 and no more",
    "noise.npz": "PK\3\4 and no more",
}
NO_FILES = ["absent.csv", "absent/rows.csv", "rows.csv/rows.csv", "folder.csv", "loop.csv", "rows",
    "rows.txt", "x" * 5000 + ".csv", "\0.csv", "", " ", ".", "..", "/", "wins", "absent.npz",
    "absent\n.csv", "~nobody-at-all/x.csv"]  # fmt: skip


def make_files(folder: Path) -> None:
    """What the jobs name, in `folder`."""
    for name, text in {**FILES, **{f"{module}.py": code for module, code in OWN.items()}}.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "folder.csv").mkdir()
    (folder / "loop.csv").symlink_to("loop.csv")
    for kind in (
        "csv",
        "parquet",
        "npz",
    ):  # to read at its start is an error, for the superuser too
        (folder / f"unreadable.{kind}").symlink_to("/proc/self/mem")
    np.savez(folder / "wrong-names.npz", a=np.ones(3))
    np.savez(folder / "wrong-shape.npz", X=np.ones(3), y=np.ones(3))
    np.savez(folder / "objects.npz", X=np.array([[{}]]), y=np.ones(1))


def on(data: object, *says: str, secret: str = "\0", **more: object) -> Wrong:
    """A job on `data`."""
    table = {"name": "mlp", "data": data, "target": "y", "hidden": [2], **more}
    return Wrong.job(changed(("problem",), table), *says, secret=secret)


def wrong_data() -> st.SearchStrategy[Wrong]:
    """Data that are not there, are damaged, or do not fit the other keys."""
    sick = [name for name in FILES if name != "rows.csv"]
    sick += ["wrong-names.npz", "wrong-shape.npz", "objects.npz"]
    sick += ["unreadable.csv", "unreadable.parquet", "unreadable.npz"]
    values = st.one_of(
        st.sampled_from([({"target": "z"}, "'z'"), ({"target": "B"}, "'B'")]),
        (st.integers() | st.lists(st.just("y"))).map(lambda t: ({"target": t}, "target = ")),
        TEXTS.map(lambda text: ({"task": f"{text}?"}, "task = ")),
        (st.floats(1.0) | st.floats(max_value=-1e-9) | st.sampled_from([True, "x", []])).map(
            lambda share: ({"validation": share}, "validation = ")
        ),
        (st.integers(max_value=-1) | st.integers(2**32) | st.floats()).map(
            lambda seed: ({"split_seed": seed}, "split_seed = ")
        ),
        st.just(({"validation": 0.97}, "validation = 0.97")),
    )
    return st.one_of(
        st.sampled_from(NO_FILES).map(
            lambda name: on(name, "data = ", repr(name)[1:-1] if len(name) < 60 else "")
        ),
        st.sampled_from(sick).map(lambda name: on(name, name)),
        (st.integers() | st.lists(TEXTS, max_size=3) | st.booleans()).map(
            lambda data: on(data, "data = ")
        ),
        values.map(lambda entry: on("rows.csv", entry[1], **entry[0])),
        st.sampled_from(["wine", "digits"]).map(lambda name: on(name, "target = 'y'")),
        st.just(Wrong.job(changed(("problem",), {"name": "mlp"}), "'data' is missing")),
    )


def damaged_tables() -> st.SearchStrategy[tuple[str, str]]:
    """A CSV table with one thing wrong in one of its rows, and what the line says of it."""
    rows, columns = st.integers(1, len(ROWS) - 1), st.integers(0, 1)
    stray = st.sampled_from(["x", "1.2.3", "--", "1e", "é", "0x1g", "a b"]).map(
        lambda t: (t, "row")
    )
    gap = st.sampled_from([("", "missing"), ("NaN", "missing")])
    endless = st.sampled_from(["inf", "-inf", "1e999"]).map(lambda t: (t, "infinite"))
    surplus = st.just(("1,2", "cannot be read as a CSV table"))

    def damage(row: int, column: int, cell: str, says: str) -> tuple[str, str]:
        table = [list(line) for line in ROWS]
        table[row][column] = cell
        return "\n".join(map(",".join, table)), says

    return st.tuples(rows, columns, stray | gap | endless | surplus).map(
        lambda p: damage(p[0], p[1], *p[2])
    )

"""Job files that are wrong for sure: a valid one, and one thing in it made wrong.

The tables and keys are read from the models, so a new key is covered by itself.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tests.support.toml_writer import document
from tuning.spec.job import JobSpec
from tuning.spec.sections import ProblemSpec

__all__ = ["Wrong", "broken_toml", "changed", "inconsistent", "unknown_keys", "wrong_values"]

#: What the values of a job may be repeated by at most in the line that refuses them.
SHORT = 60

DAY = datetime.date(2020, 1, 1)
HUGE = 16**5000  # more digits than Python writes
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["", "x" * 5000])
LISTS = st.sampled_from([[], [[]], [[[1]]], ["x"], [{}], [1] * 1000])
TABLES: st.SearchStrategy[Any] = st.sampled_from([{}, {"name": 1}, {"x": {"y": []}}])
DATES = st.just(DAY)
BOOLEANS = st.booleans()
NUMBERS = st.integers() | st.floats() | st.just(HUGE)


@dataclass(frozen=True)
class Wrong:
    """A job file, and what the line that refuses it must say or must not."""

    content: bytes
    says: tuple[str, ...] = ()
    secret: str = "\0"  # in no line

    @classmethod
    def job(cls, job: Mapping[str, Any], *says: str, secret: str = "\0") -> Wrong:
        return cls(document(job).encode(), says, secret)


def valid() -> dict[str, Any]:
    """A job that would run, for a moment only: should a wrong one be taken for valid, a test fails
    soon."""
    return {
        "problem": {"name": "xor"},
        "search": {"optimizers": ["gd", "adam"], "settings": 2},
        "training": {"restarts": 1, "steps": 1},
    }


def changed(path: tuple[str, ...], content: Any) -> dict[str, Any]:
    """The valid job with `content` at `path`."""
    job = valid()
    table = job
    for key in path[:-1]:
        table = table.setdefault(key, {})
    table[path[-1]] = content
    return job


# ------------------------------------------------------------------------- keys, types and ranges


def tables(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Each table below `model`, as its path and its model."""
    yield path, model
    for key, field in model.model_fields.items():
        for kind in kinds(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from tables(kind, (*path, key))


def kinds(annotation: Any) -> list[Any]:
    """The types that `annotation` allows, without None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in kinds(part)]
    return [] if annotation is NoneType else [annotation]


TABLES_OF_A_JOB = list(tables(JobSpec))
FIELDS = [
    ((*path, key), field)
    for path, model in TABLES_OF_A_JOB
    for key, field in model.model_fields.items()
]


def of_another_type(kind: Any) -> st.SearchStrategy[Any]:
    """Values that no key of the type `kind` takes."""
    origin = get_origin(kind)
    if origin is Literal:
        names = [name for name in get_args(kind) if isinstance(name, str)]
        other = (st.sampled_from(names).flatmap(misspelt) | TEXTS).map(
            lambda text: text + "x" if text in names else text
        )
        return other | NUMBERS | LISTS | TABLES | DATES
    if origin is list:
        return TEXTS | NUMBERS | BOOLEANS | TABLES | DATES
    if kind is str:
        return NUMBERS | BOOLEANS | LISTS | TABLES | DATES
    if kind is bool:
        return TEXTS | NUMBERS | LISTS | TABLES | DATES
    if kind is int:
        return TEXTS | BOOLEANS | LISTS | TABLES | DATES | st.floats()
    if kind is float:
        endless = st.sampled_from([float("nan"), float("inf"), float("-inf"), HUGE])
        return TEXTS | BOOLEANS | LISTS | TABLES | DATES | endless
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return TEXTS | NUMBERS | BOOLEANS | LISTS | DATES
    raise TypeError(f"a job has a key of the type {kind}; say here what is wrong for it")


def out_of_range(field: FieldInfo) -> list[st.SearchStrategy[Any]]:
    """Numbers beyond each bound that `field` has."""
    whole = int in kinds(field.annotation)
    found: list[st.SearchStrategy[Any]] = []
    for bound in field.metadata:
        low = getattr(bound, "gt", getattr(bound, "ge", None))
        high = getattr(bound, "lt", getattr(bound, "le", None))
        strict = hasattr(bound, "gt") or hasattr(bound, "lt")
        for edge, side in ((low, -1), (high, 1)):
            if edge is None:
                continue
            far = st.integers(0 if strict else 1, 10**12)
            found.append(far.map(partial(_beyond, edge, side, int if whole else float)))
    return found


def _beyond(edge: float, side: int, kind: type, distance: int) -> float:
    return kind(edge + side * distance)  # type: ignore[no-any-return]


def wrong_values() -> st.SearchStrategy[Wrong]:
    """A value of another type, or out of its range, for each key of each table."""

    def of(path: tuple[str, ...], field: FieldInfo) -> st.SearchStrategy[Wrong]:
        allowed = kinds(field.annotation)
        other = of_another_type(allowed[0]) if len(allowed) == 1 else DATES  # nothing is a date
        values = st.one_of(other, *out_of_range(field))
        return values.map(lambda content: Wrong.job(changed(path, content), *shown(path, content)))

    return st.sampled_from(FIELDS).flatmap(lambda entry: of(*entry))


def shown(path: tuple[str, ...], content: Any) -> tuple[str, ...]:
    """The key, and the value where it is short."""
    huge = isinstance(content, int) and abs(content) > 2**64
    text = "" if huge else repr(content)
    return (".".join(path), text if len(text) <= SHORT and "\\" not in text else "")


# ----------------------------------------------------------------------------------- unknown keys


def misspelt(name: str) -> st.SearchStrategy[str]:
    """`name` with a letter more, a letter less, or in capitals."""
    more = st.integers(0, len(name)).map(lambda i: f"{name[:i]}x{name[i:]}")
    less = st.integers(0, len(name) - 1).map(lambda i: name[:i] + name[i + 1 :])
    return more | less | st.just(name.upper())


def unknown_keys() -> st.SearchStrategy[Wrong]:
    """A key, or a table, that is none."""

    def in_table(path: tuple[str, ...], model: type[BaseModel]) -> st.SearchStrategy[Wrong]:
        known = set(model.model_fields) | ({"hidden"} if model is ProblemSpec else set())
        names = st.sampled_from(sorted(known)).flatmap(misspelt) | TEXTS
        wrong = st.tuples(names.map(lambda n: n if n not in known else n + "x"), LISTS | BOOLEANS)

        def job(key: str, content: Any) -> Wrong:
            written = repr(key if model is ProblemSpec else ".".join((*path, key)))
            return Wrong.job(
                changed((*path, key), content), written[1:-1] if len(key) <= SHORT else ""
            )

        return wrong.map(lambda entry: job(*entry))

    return st.sampled_from(TABLES_OF_A_JOB).flatmap(lambda entry: in_table(*entry))


# ------------------------------------------------------------------------------- one by one right


def inconsistent() -> st.SearchStrategy[Wrong]:
    """Values that are valid alone, and not together."""
    rates = st.floats(1e-90, 1e90)
    bounds = st.tuples(rates, rates).map(sorted)
    return st.one_of(
        bounds.map(
            lambda b: Wrong.job(
                changed(("search", "learning_rate"), {"low": b[1], "high": b[0]}),
                "search.learning_rate: low = ",
            )
        ),
        st.floats(10.1, 1e90).map(
            lambda rate: Wrong.job(changed(("search", "try_first"), [0.1, rate]), "try_first has")
        ),
        st.integers(2, 40).map(
            lambda n: Wrong.job(changed(("search", "optimizers"), ["gd"] * n), "the same optimizer")
        ),
        st.integers(1, 10**6).map(
            lambda n: Wrong.job(
                changed(("training",), {"steps": n, "sharpness_every": n + 1}),
                f"sharpness_every = {n + 1}",
            )
        ),
        st.integers(5, 10**9).map(
            lambda n: Wrong.job(changed(("training", "batch_size"), n), f"batch_size = {n}")
        ),
        st.just(Wrong.job(changed(("search", "settings"), 1), "settings = 1 is fewer than the 2")),
        st.just(Wrong.job(changed(("stability", "choose_by"), "validation"), "choose_by")),
        st.text(st.characters(codec="utf-8"), max_size=20).map(
            lambda text: Wrong.job(changed(("name",), f"a/{text}"), "name: ")
        ),
    )


# -------------------------------------------------------------------------------------- no TOML


def broken_toml() -> st.SearchStrategy[Wrong]:
    """Files that are not TOML, or not a job at all."""
    text = document(valid()).encode()
    lines = text.splitlines(keepends=True)
    places = st.integers(0, len(text))
    inside = [  # of a table on its line, which stays open when it is cut there
        sum(map(len, lines[:i])) + k
        for i, line in enumerate(lines)
        for k in range(line.index(b"{") + 1, line.rindex(b"}"))
    ]
    bad_bytes = st.sampled_from([b"\xff", b"\xc3(", b"\x00", b"\x07", b"\x7f"])
    deep = st.integers(1000, 5000)
    files = st.one_of(
        st.sampled_from(inside).map(lambda k: text[:k]),
        st.tuples(places, bad_bytes).map(lambda p: text[: p[0]] + p[1] + text[p[0] :]),
        st.binary(max_size=200).map(lambda noise: b"\x00" + noise),
        st.sampled_from(["utf-16", "utf-32", "utf-8-sig"]).map(text.decode().encode),
        deep.map(lambda n: text + b"x = " + b"[" * n),
        deep.map(lambda n: text + b"x = " + b"[" * n + b"]" * n),
        deep.map(lambda n: text + b"x = " + b"{a=" * n),
        deep.map(lambda n: text + b"[" + b".".join([b"a"] * n) + b"]\n"),
        deep.map(lambda n: b"problem." + b".".join([b"a"] * n) + b' = 1\nproblem.name = "xor"\n'),
        st.sampled_from(lines).map(lambda line: text + line),
        st.integers(4301, 9000).map(lambda n: b"seed = " + b"1" * n + b"\n" + text),
        st.integers(400, 9000).map(lambda n: b"seed = 1e" + str(n).encode() + b"\n" + text),
        st.sampled_from(
            ["2020-13-01", "2020-02-30", "25:00:00", "1_", "01", "+", "tru", "0xg"]
        ).map(lambda word: f"seed = {word}\n".encode() + text),
        st.sampled_from([b"", b"\n", b"# nothing\n", b"[[problem]]\nname = 'xor'\n", b"[problem]"]),
        st.sampled_from([b"problem = 'xor'\n", b"problem = []\n", b"[problem.name]\n"]),
    )
    return files.map(Wrong)

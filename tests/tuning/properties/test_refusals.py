"""Bad input costs nothing: 2,000 wrong job files and command lines, each refused in one line; 200
of them in `make test`.

Each is wrong by construction, so none would run. The same ones every time; one that fails is
printed whole, and `surefoot check` on its content shows it again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.surefoot_command import complaint, surefoot
from tests.support.thoroughness import WHOLE
from tests.support.wrong_addresses import wrong_addresses
from tests.support.wrong_jobs import (
    Wrong,
    broken_toml,
    inconsistent,
    unknown_keys,
    wrong_values,
)
from tests.support.wrong_lines import calls, unknown_commands, wrong_lines
from tests.support.wrong_problems import (
    damaged_tables,
    make_files,
    on,
    wrong_data,
    wrong_problems,
)
from tuning.cli.main import cli

LONGEST = 420  # characters, with the path of the job file
COMMANDS = st.sampled_from([("check",), ("check", "--json"), ("run", "-q", "--workers", "inline")])

CALLS = dict(calls(cli))
JOBS = {
    "broken TOML": (broken_toml(), 250),
    "unknown keys": (unknown_keys(), 250),
    "wrong values": (wrong_values(), 800),
    "inconsistent values": (inconsistent(), 100),
    "wrong problems": (wrong_problems(), 400),
    "wrong data": (wrong_data(), 200),
    "wrong addresses": (wrong_addresses(), 250),
}
TABLES, LINES_OF_A_COMMAND = 100, 60


def test_there_are_enough() -> None:
    jobs = sum(count for _, count in JOBS.values()) + TABLES
    assert jobs + LINES_OF_A_COMMAND * len(CALLS) >= 2000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with files that the jobs name."""
    folder = tmp_path_factory.mktemp("jobs")
    make_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)
        yield folder


def examples(count: int) -> settings:
    return settings(
        max_examples=count if WHOLE else count // 10,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def refused(place: Path, arguments: tuple[str, ...]) -> str:
    """The line about it; nothing else was said, and nothing was made."""
    before = listing(place)
    line = complaint(surefoot(place / "home", *arguments))
    assert line.isprintable()
    assert len(line) <= LONGEST, len(line)
    assert listing(place) == before
    return line


def listing(folder: Path) -> set[str]:
    return {entry.path for entry in os.scandir(folder)}


@pytest.mark.parametrize("what", JOBS)
def test_a_wrong_job_is_refused(place: Path, what: str) -> None:
    strategy, count = JOBS[what]
    job = place / "job.toml"
    job.touch()

    @examples(count)
    @given(wrong=strategy, command=COMMANDS)
    def each(wrong: Wrong, command: tuple[str, ...]) -> None:
        job.write_bytes(wrong.content)
        line = refused(place, (*command, str(job)))
        assert "job.toml" in line
        for words in wrong.says:
            assert words in line
        assert wrong.secret not in line

    each()


def test_a_damaged_table_is_refused(place: Path) -> None:
    job, table = place / "job.toml", place / "damaged.csv"
    job.write_bytes(on("damaged.csv").content)
    table.touch()

    @examples(TABLES)
    @given(damaged=damaged_tables())
    def each(damaged: tuple[str, str]) -> None:
        content, says = damaged
        table.write_text(content, encoding="utf-8")
        line = refused(place, ("check", str(job)))
        assert "damaged.csv" in line
        assert says in line

    each()


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_a_wrong_command_line_is_refused(place: Path, words: tuple[str, ...]) -> None:
    (place / "job.toml").write_bytes(b"")

    @examples(LINES_OF_A_COMMAND)
    @given(wrong=wrong_lines(words, CALLS[words]))
    def each(wrong: tuple[tuple[str, ...], str]) -> None:
        arguments, says = wrong
        assert says in refused(place, arguments)

    each()


def test_a_command_that_is_none_is_refused(place: Path) -> None:
    @examples(LINES_OF_A_COMMAND)
    @given(name=unknown_commands())
    def each(name: str) -> None:
        assert "No such command" in refused(place, (name,))

    each()

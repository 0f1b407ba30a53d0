"""The exit codes are those that README.md and the help promise, and each error has its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.surefoot_command import surefoot
from tuning import errors
from tuning.cli import main
from tuning.cli.exit_codes import ExitCode

README = Path(__file__).resolve().parents[3] / "README.md"


def promised(text: str) -> list[int]:
    sentence = re.search(r"Exit codes: (.*?)\.\s", text, re.DOTALL)
    assert sentence
    return [int(code) for code in re.findall(r"(?:^|, )(\d+) ", " ".join(sentence[1].split()))]


def test_readme_and_help_name_all_of_them(tmp_path: Path) -> None:
    assert promised(README.read_text(encoding="utf-8")) == list(ExitCode)
    assert promised(surefoot(tmp_path, "--help").out) == list(ExitCode)


def drawn() -> dict[str, int]:
    """Error -> its exit code in the tree of `tuning.errors`, or that of the one above it."""
    codes: dict[int, int] = {}
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        if entry := re.match(r"([│ ]*[├└]── )(\w+).*?(?:exit code (\d+))?$", line):
            depth = len(entry[1])
            codes[depth] = int(entry[3]) if entry[3] else codes[depth - 4]
            found[entry[2]] = codes[depth]
    return found


@pytest.mark.parametrize(("name", "code"), drawn().items())
def test_each_error_has_the_exit_code_that_is_drawn(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = ("LeaseHeld", "LeaseLost", "Unreachable")
    error = getattr(errors, name)(*("a", "b") if name in two else ("what is wrong",))

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(main.cli, "main", fail)
    ran = surefoot(tmp_path)
    assert (ran.code, ran.out, ran.err) == (code, "", f"surefoot: {error}\n")

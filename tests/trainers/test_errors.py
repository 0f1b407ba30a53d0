"""Whatever it repeats, the message of bad input is one line that can be printed and read."""

from __future__ import annotations

import pickle

import pytest

from trainers.errors import InvalidInput, in_brief


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("steps = 0: give 1 or more", "steps = 0: give 1 or more"),
        ("a\nb\r\n\x1b[1m\0\ud800é", "a\\nb\\r\\n\\x1b[1m\\x00\\ud800é"),
        ("", ""),
    ],
)
def test_what_cannot_be_printed_is_escaped(message: str, line: str) -> None:
    assert str(InvalidInput(message)) == line


def test_a_long_message_keeps_its_ends() -> None:
    line = str(InvalidInput(f"job.toml: name = {5000 * 'x'} is not valid; give a short one"))
    assert len(line) == 400
    assert line.startswith("job.toml: name = xxx")
    assert line.endswith("xxx is not valid; give a short one")
    assert " ... " in line
    assert str(InvalidInput(400 * "x")) == 400 * "x"


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        ("setting 3 was lost 6 times; last: killed\n", "setting 3 was lost 6 times; last: killed"),
        ("it raised:\nTraceback:\n  file x\nValueError: no\n\n", "it raised: ValueError: no"),
        ("", ""),
    ],
)
def test_a_failure_in_brief(failure: str, line: str) -> None:
    assert in_brief(failure) == line


def test_it_survives_its_way_from_a_worker() -> None:
    assert str(pickle.loads(pickle.dumps(InvalidInput("a\nb")))) == "a\\nb"

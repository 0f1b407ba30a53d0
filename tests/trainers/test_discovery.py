"""To add an optimizer or a problem is to add one file."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.own_modules import imported_from
from trainers._discovery import find_named
from trainers.optimizers.base import Optimizer
from trainers.optimizers.registry import OPTIMIZERS
from trainers.problem import Problem
from trainers.problems.registry import PROBLEMS

RULE = """
from __future__ import annotations

from dataclasses import dataclass

from trainers.optimizers.sgd import GradientDescent


@dataclass(frozen=True)
class SignDescent(GradientDescent):
    name = {name!r}
"""
BOWL = """
from __future__ import annotations

from trainers.problems.landscapes import SingleWeight


class Bowl(SingleWeight):
    name = "bowl"


class Nameless(SingleWeight):
    pass
"""


@pytest.fixture
def more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules both packages take for their own."""
    for package in ("trainers.optimizers", "trainers.problems"):
        path = import_module(package).__path__
        monkeypatch.setattr(import_module(package), "__path__", [*path, str(tmp_path)])
    with imported_from(tmp_path):
        yield tmp_path


def test_a_new_file_is_found_after_the_others(more: Path) -> None:
    (more / "a_bowl.py").write_text(BOWL, encoding="utf-8")
    found = find_named("trainers.problems", Problem)  # type: ignore[type-abstract]
    assert list(found) == [*PROBLEMS, "bowl"]
    (more / "a_rule.py").write_text(RULE.format(name="sign"), encoding="utf-8")
    rules = find_named("trainers.optimizers", Optimizer)  # type: ignore[type-abstract]
    assert list(rules) == [*OPTIMIZERS, "sign"]
    assert str(rules["sign"]()) == "sign"


def test_two_of_one_name_are_noticed(more: Path) -> None:
    (more / "a_rule.py").write_text(RULE.format(name="adam"), encoding="utf-8")
    with pytest.raises(ValueError, match="are both called 'adam'"):
        find_named("trainers.optimizers", Optimizer)  # type: ignore[type-abstract]


def test_the_order_is_that_of_the_lists() -> None:
    assert list(OPTIMIZERS)[:5] == ["gd", "momentum", "nesterov", "rmsprop", "adam"]
    assert list(PROBLEMS)[:3] == ["single-weight", "double-well", "quadratic"]
    assert list(PROBLEMS)[11:13] == ["xor", "mlp"]

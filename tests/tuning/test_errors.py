"""The trees of errors are as they are drawn."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

import trainers.errors
import tuning.errors


@pytest.mark.parametrize("module", [trainers.errors, tuning.errors])
def test_the_tree_is_as_drawn(module: ModuleType) -> None:
    above: dict[int, type] = {-4: Exception}
    names = []
    for line in (module.__doc__ or "").splitlines():
        if entry := re.match(r"((?:[│ ]*[├└]── )?)(\w+)(?: \*)?(?:  .*)?$", line):
            depth = len(entry[1])
            error = above[depth] = getattr(module, entry[2])
            assert error.__bases__ == (above[depth - 4],)
            names.append(entry[2])
    assert sorted(names) == sorted(
        n for n in module.__all__ if isinstance(getattr(module, n), type)
    )

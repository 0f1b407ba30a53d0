"""While a task is trained, BLAS has one thread; after it, as many as before."""

from __future__ import annotations

import sys

import numpy as np  # noqa: F401  # brings a BLAS
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from tuning.trial import one_thread as module
from tuning.trial.one_thread import one_thread


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}


def test_one_thread_inside_and_as_before_outside() -> None:
    with threadpool_limits(2):
        for _ in range(2):
            with one_thread():
                assert threads() == {1}
            assert threads() == {2}


def test_libraries_are_looked_for_when_modules_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def counted() -> ThreadpoolController:
        looks.append(1)
        return ThreadpoolController()

    monkeypatch.setattr(module, "ThreadpoolController", counted)
    module._controller.cache_clear()
    for _ in range(3):
        with one_thread():
            pass
    assert len(looks) == 1
    monkeypatch.setitem(sys.modules, "a_module_that_has_just_come", module)
    with one_thread():
        assert len(looks) == 2
    module._controller.cache_clear()

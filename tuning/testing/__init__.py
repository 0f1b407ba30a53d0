"""Conformance suites: what any pool and any place of studies must do, ours and yours.

A check is a function that takes the thing to examine, and raises AssertionError with a sentence
that says what is wrong; it needs no test framework. With pytest:

    @pytest.mark.parametrize("check", POOL_CHECKS, ids=lambda check: check.__name__)
    def test_my_pool(check):
        check(MyPool)  # called with a problem and a TrainingConfig

For tests alone: nothing in `tuning` imports this room. It knows `execution`, `study` and what is
below them.
"""

from __future__ import annotations

from tuning.testing.pools import POOL_CHECKS, OpenPool
from tuning.testing.studies import STUDY_CHECKS, Studies

__all__ = ["POOL_CHECKS", "STUDY_CHECKS", "OpenPool", "Studies"]

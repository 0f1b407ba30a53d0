"""Conformance: what every problem and every optimizer must keep to, to be held to in one's tests.

    from trainers.testing import check_problem

    def test_my_problem():
        check_problem(MyProblem())

or, by the name that a plug-in has given it, `check_problem(get_problem("spring"))`.

Each check ends quietly or raises AssertionError, in a sentence. Nothing in `trainers` needs this.
"""

from __future__ import annotations

from trainers.testing.optimizers import check_optimizer
from trainers.testing.problems import check_problem

__all__ = ["check_optimizer", "check_problem"]

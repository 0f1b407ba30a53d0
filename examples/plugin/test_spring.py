"""Run where the plug-in is installed: pytest test_spring.py"""

from __future__ import annotations

import numpy as np
import pytest

from trainers import get_optimizer, get_problem, starts, train
from trainers.testing import check_optimizer, check_problem


@pytest.mark.parametrize("hardening", [0.0, 0.5])
def test_the_problem_keeps_to_the_interface(hardening: float) -> None:
    check_problem(get_problem("spring", hardening=hardening))
    check_problem(get_problem("stiff-spring"))


def test_the_optimizer_keeps_to_the_interface() -> None:
    check_optimizer(get_optimizer("qhm"))


def test_gradient_descent_is_stable_below_the_limit_and_not_above() -> None:
    spring = get_problem("spring", masses=3)
    limit = 2.0 / (4.0 * np.sin(3.0 * np.pi / 8.0) ** 2)
    w0, gd = starts(spring, restarts=4), get_optimizer("gd")
    below, above = (
        train(spring, gd, learning_rate=share * limit, starts=w0, steps=2000)
        for share in (0.99, 1.01)
    )
    assert (below.final_losses < 1e-9).all()
    assert above.diverged.all()


def test_the_first_steps_of_qhm() -> None:
    rule, w = get_optimizer("qhm", beta=0.5, nu=0.5), np.array([[3.0, -4.0]])
    state, rate = rule.init(w), np.full((1, 1), 0.1)
    rule.step(w, np.array([[4.0, 0.0]]), rate, state)  # v = 2, 0
    np.testing.assert_allclose(w, [[2.7, -4.0]], rtol=1e-12)
    rule.step(w, np.array([[0.0, 4.0]]), rate, state)  # v = 1, 2
    np.testing.assert_allclose(w, [[2.65, -4.3]], rtol=1e-12)

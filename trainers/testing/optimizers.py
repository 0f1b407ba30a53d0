"""What every optimizer must keep to."""

from __future__ import annotations

import pickle

import numpy as np

from trainers.optimizers.base import Optimizer, OptimizerState
from trainers.problem import FloatArray

__all__ = ["check_optimizer"]

_STEPS = 12
_CURVATURES = np.array([0.5, 1.0, 4.0])
_LONG = 4000  # steps after which what grows by a thousandth in each has grown fiftyfold


def check_optimizer(rule: Optimizer) -> None:
    """Hold `rule` to the interface `trainers.optimizers.Optimizer`.

    It is equal to its pickled copy and to the rule of its hyperparameters; many restarts move as
    each does alone, bit for bit, also when some leave; the gradient is only read and may be w
    itself; a copied state lives on its own and nothing is kept in the scratch; the preconditioner
    is None or positive; and without one a quadratic is stable up to `stability_limit` and not
    above.

    Raises:
        AssertionError: the first of these that does not hold.
    """
    again: Optimizer = pickle.loads(pickle.dumps(rule))
    assert again == rule, f"{rule}: a pickled copy is not equal to it"
    assert type(rule)(**rule.hyperparameters) == rule, f"{rule} is not made of its hyperparameters"
    _check_rows(rule)
    _check_inputs(rule)
    _check_state(rule)
    if _check_preconditioner(rule):
        _check_limit(rule)


def _start() -> tuple[FloatArray, FloatArray]:
    """w (4, 3) and rates (4, 1), each row its own."""
    w = np.random.default_rng(0).uniform(-2.0, 2.0, (4, len(_CURVATURES)))
    return w, np.array([[0.001], [0.01], [0.05], [0.1]])


def _move(
    rule: Optimizer, w: FloatArray, rate: FloatArray, state: OptimizerState, steps: int
) -> None:
    """Steps on J = 1/2 sum_i c_i w_i^2, in place."""
    for _ in range(steps):
        rule.step(w, _CURVATURES * w, rate, state)


def _check_rows(rule: Optimizer) -> None:
    w, rate = _start()
    begin, state = w.copy(), rule.init(w)
    _move(rule, w, rate, state, _STEPS)
    assert not np.array_equal(w, begin), f"{rule}: steps do not move w"
    for row in range(len(w)):
        alone = begin[row : row + 1].copy()
        _move(rule, alone, rate[row : row + 1], rule.init(alone), _STEPS)
        assert np.array_equal(alone[0], w[row]), f"{rule}: a restart moves otherwise beside others"
    keep = np.array([True, False, True, True])
    rest, part = w[keep], state.rows(keep)
    _move(rule, w, rate, state, _STEPS)
    _move(rule, rest, rate[keep], part, _STEPS)
    assert np.array_equal(rest, w[keep]), f"{rule}: a restart moves otherwise when others leave"


def _check_inputs(rule: Optimizer) -> None:
    apart, rate = _start()
    together = apart.copy()
    one, two = rule.init(apart), rule.init(together)
    for _ in range(_STEPS):
        gradient = apart.copy()
        gradient.flags.writeable = False
        try:
            rule.step(apart, gradient, rate, one)
        except ValueError as error:
            raise AssertionError(f"{rule}: a step writes to the gradient: {error}") from error
        rule.step(together, together, rate, two)
        assert np.array_equal(apart, together), f"{rule}: the gradient may be w itself"


def _check_state(rule: Optimizer) -> None:
    w, rate = _start()
    state = rule.init(w)
    _move(rule, w, rate, state, _STEPS)
    tried, copy = w.copy(), state.copy()
    _move(rule, tried, rate, copy, _STEPS)
    for _ in range(_STEPS):
        state.scratch.fill(np.nan)
        _move(rule, w, rate, state, 1)
    same = np.array_equal(w, tried)
    assert same, f"{rule}: the copy of a state shares something with it, or the scratch is kept"


def _check_preconditioner(rule: Optimizer) -> bool:
    """Whether it is the identity."""
    w, rate = _start()
    state = rule.init(w)
    _move(rule, w, rate, state, _STEPS)
    divisor = rule.preconditioner(state)
    if divisor is None:
        return True
    assert divisor.shape == w.shape, f"{rule}: the preconditioner has shape {divisor.shape}"
    sound = np.isfinite(divisor).all() and (divisor > 0).all()
    assert sound, f"{rule}: the preconditioner is not finite and above 0"
    return False


def _check_limit(rule: Optimizer) -> None:
    """One weight of curvature 1, so that the rate is the sharpness, a little below and above."""
    for share, stable in ((0.5, True), (0.995, True), (1.005, False)):
        w = np.ones((1, 1))
        state, rate = rule.init(w), np.full((1, 1), share * rule.stability_limit)
        with np.errstate(all="ignore"):
            for _ in range(_LONG):
                rule.step(w, w.copy(), rate, state)
        settled = bool(np.abs(w[0, 0]) < 1.0)
        assert settled == stable, (
            f"{rule}: at {share} of its stability_limit {rule.stability_limit:.6g} a quadratic is "
            f"{'stable' if settled else 'not stable'}"
        )

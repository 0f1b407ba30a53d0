"""Trials that Optuna copies at no cost: those told, in a study that is made for one proposal."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

__all__ = ["told_trial"]


class _ToldTrial(FrozenTrial):
    """Its copies share what is in it. An in-memory study copies deeply each trial that it is given,
    which for all that were told took three quarters of the time of a proposal."""

    def __deepcopy__(self, memo: dict[int, object], /) -> _ToldTrial:
        return copy.copy(self)


def told_trial(
    params: Mapping[str, float],
    distributions: dict[str, BaseDistribution],
    *,
    value: float | None = None,
    constraints: dict[str, float] | None = None,
) -> FrozenTrial:
    """A trial with its result, or one that still runs if `value` is None; not to be changed."""
    trial = create_trial(
        state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
        params=dict(params),
        distributions=distributions,
        value=value,
        constraints=constraints,
    )
    trial.__class__ = _ToldTrial
    return trial

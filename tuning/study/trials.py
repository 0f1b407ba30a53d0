"""A finished trial as Surefoot knows it, and as Optuna does."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from trainers.errors import InvalidInput
from tuning.spec.search_space import LEARNING_RATE, Dimension, SearchSpace

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["JsonValue", "TrialRecord", "check_json", "to_record", "to_trial"]

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial: all that the report needs.

    Attributes:
        number: 0, 1, 2, ... without a gap.
        params: "optimizer", one of those of `space`, and a value in each of its dimensions.
        space: what was searched, from which Optuna's distributions are made.
        value: what was minimised; finite.
        constraints: each at most 0 where satisfied (Optuna's convention); finite.
        attributes: everything else; JSON without NaN or infinity.
    """

    number: int
    params: Mapping[str, float | str]
    space: SearchSpace
    value: float
    constraints: tuple[float, ...] = ()
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)


def to_trial(record: TrialRecord) -> FrozenTrial:
    """Raises ValueError: not finite, not in its range, not JSON."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution
    from optuna.trial import create_trial

    if not all(map(math.isfinite, (record.value, *record.constraints))):
        raise ValueError(f"trial {record.number} has a value or constraint that is not finite")
    check_json(record.attributes)
    return create_trial(
        params=dict(record.params),
        distributions={
            **{d.name: FloatDistribution(d.low, d.high, log=True) for d in record.space.dimensions},
            "optimizer": CategoricalDistribution(record.space.optimizers),
        },
        value=record.value,
        constraints={str(i): violation for i, violation in enumerate(record.constraints)},
        user_attrs=dict(record.attributes),
    )


def to_record(trial: FrozenTrial, place: str) -> TrialRecord:
    """Raises InvalidInput for a trial that `to_trial` did not make; `place` says where it is."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    searched = dict(trial.distributions)
    optimizer = searched.pop("optimizer", None)
    dimensions = tuple(
        Dimension(name, found.low, found.high)
        for name, found in searched.items()
        if isinstance(found, FloatDistribution)
    )
    if (
        trial.value is None
        or LEARNING_RATE not in searched
        or len(dimensions) < len(searched)
        or not isinstance(optimizer, CategoricalDistribution)
    ):
        raise InvalidInput(
            f"trial {trial.number} in {place} was not written by Surefoot: "
            "keep other programs' trials in another study"
        )
    violations = trial.constraints
    return TrialRecord(
        number=trial.number,
        params=dict(trial.params),
        space=SearchSpace(tuple(map(str, optimizer.choices)), dimensions),
        value=trial.value,
        constraints=tuple(violations[str(i)] for i in range(len(violations))),
        attributes=dict(trial.user_attrs),
    )


def check_json(attributes: Mapping[str, JsonValue]) -> None:
    """Raises ValueError."""
    try:
        json.dumps(dict(attributes), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"attributes are not JSON: {error}") from error

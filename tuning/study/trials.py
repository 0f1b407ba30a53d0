"""A finished trial as Surefoot knows it, and as Optuna does."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from trainers.errors import InvalidInput
from tuning.spec.search_space import LEARNING_RATE, Dimension, SearchSpace

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["JsonValue", "TrialRecord", "check_json", "to_record", "to_trial"]

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)

# Attributes of these types are hidden from programs that show a table of trials, under this prefix.
_LARGE = (Mapping, list, tuple)
_HIDDEN = "surefoot:"


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial: all that the report needs.

    Attributes:
        number: 0, 1, 2, ... without a gap.
        params: "optimizer", one of those of `space`, and a value in each of its dimensions.
        space: what was searched, from which Optuna's distributions are made.
        value: what was minimised; finite.
        constraints: each at most 0 where satisfied (Optuna's convention); finite.
        attributes: everything else; JSON without NaN or infinity. Lists and objects are kept as
            Optuna's system attributes, which no table of trials has a column for: Optuna's
            dashboard shows the others.
        curve: step -> loss, for Optuna's plots of intermediate values; finite.
        began, ended: in local time without a zone, as Optuna has it; None where it is not told.
    """

    number: int
    params: Mapping[str, float | str]
    space: SearchSpace
    value: float
    constraints: tuple[float, ...] = ()
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)
    curve: Mapping[int, float] = field(default_factory=dict)
    began: datetime | None = field(default=None, compare=False)
    ended: datetime | None = field(default=None, compare=False)


def to_trial(record: TrialRecord) -> FrozenTrial:
    """Raises ValueError: not finite, not in its range, not JSON."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution
    from optuna.trial import create_trial

    if not all(map(math.isfinite, (record.value, *record.constraints, *record.curve.values()))):
        raise ValueError(f"trial {record.number} has a value or constraint that is not finite")
    check_json(record.attributes)
    large = {key for key, value in record.attributes.items() if isinstance(value, _LARGE)}
    trial = create_trial(
        params=dict(record.params),
        distributions={
            **{d.name: FloatDistribution(d.low, d.high, log=True) for d in record.space.dimensions},
            "optimizer": CategoricalDistribution(record.space.optimizers),
        },
        value=record.value,
        constraints={str(i): violation for i, violation in enumerate(record.constraints)},
        user_attrs={key: v for key, v in record.attributes.items() if key not in large},
        system_attrs={_HIDDEN + key: v for key, v in record.attributes.items() if key in large},
        intermediate_values=dict(record.curve),
    )
    if record.began is not None and record.ended is not None:
        trial.datetime_start, trial.datetime_complete = record.began, record.ended
    return trial


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
        # Of studies that earlier versions wrote all are user attributes.
        attributes={
            **trial.user_attrs,
            **{
                key.removeprefix(_HIDDEN): value
                for key, value in trial.system_attrs.items()
                if key.startswith(_HIDDEN)
            },
        },
        curve=dict(trial.intermediate_values),
        began=trial.datetime_start,
        ended=trial.datetime_complete,
    )


def check_json(attributes: Mapping[str, JsonValue]) -> None:
    """Raises ValueError."""
    try:
        json.dumps(dict(attributes), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"attributes are not JSON: {error}") from error

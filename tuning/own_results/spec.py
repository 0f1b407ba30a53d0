"""What stands where a job's file would: the settings as they were tried, and what may be asked."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from trainers.errors import InvalidInput
from tuning.own_results.tails import LEAST_POINTS
from tuning.spec.advice import Advice
from tuning.spec.job import JobSpec
from tuning.spec.search_space import SearchSpace
from tuning.spec.sections import LearningRates, SearchSpec, StabilitySpec
from tuning.spec.validation_errors import one_line
from tuning.statistics.intervals import clopper_pearson_upper, restarts_needed

__all__ = ["ResultsSpec", "TriedRates", "TriedSettings", "stability_of"]

_MAY_FALL = 2  # of the larger number of new seeds that is proposed


class TriedRates(LearningRates):
    """The lowest and the highest rate that were tried, which may be one."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return self


class TriedSettings(SearchSpec):
    """`optimizers` are tables with a name, whoever wrote their steps: of them nothing is known."""

    optimizers: list[dict[str, Any]] = Field(min_length=1)
    learning_rate: TriedRates
    settings: int = Field(ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        return self

    @property
    def rules(self) -> list[Any]:
        """None: their limits on a quadratic are not known."""
        return []

    @property
    def hyperparameters(self) -> list[dict[str, float]]:
        """None are known."""
        return [{} for _ in self.optimizers]

    @property
    def space(self) -> SearchSpace:
        """The optimizers; nothing is searched."""
        return SearchSpace(tuple(table["name"] for table in self.optimizers), ())


class ResultsSpec(JobSpec):
    """Results that are there already.

    Attributes:
        points: losses of each training: 1 where only the final one is known.
        started: whether the losses at the start are known.
    """

    search: TriedSettings
    points: int = Field(ge=1)
    started: bool

    @property
    def fresh_starts(self) -> int:
        """Nothing is trained here."""
        return 0

    @property
    def advice(self) -> Advice:
        """What to do about the answer, for who trains with scripts of their own."""
        return Advice(
            down_to="train at rates down to {:.3g}",
            up_to="train at rates up to {:.3g} and leave the higher ones out",
            steps="train for more steps",
            starts="train {} seeds at each rate",
            judge="give known_minimum, if it is known: losses alone tell who reached the lowest "
            "one only then, and who is trapped they do not tell",
            fresh="",
            confirm=self._to_confirm,
            unseen=self._unseen,
        )

    @property
    def _to_confirm(self) -> str:
        limits = self.stability
        none, some = _seeds(0, limits), _seeds(_MAY_FALL, limits)
        at = "it" if limits.margin == 1 else f"it and at {limits.margin:g} times it"
        each, both = ("", "") if limits.margin == 1 else (" at each", " at both")
        return (
            f"to confirm it, train {none} new seeds at {at}: if none is unstable, P(unstable) is "
            f"at most {100 * limits.max_unstable:g} % at {100 * limits.confidence:g} % "
            f"confidence{both}; of {some}{each}, {_MAY_FALL} may be"
        )

    @property
    def _unseen(self) -> tuple[str, ...]:
        out = []
        if self.points == 1:
            out.append(
                "Of each training one loss is known, the final one: of instability only "
                "divergence was looked for. Who swings high, or ends above its start, is not "
                "known, and `descending` stands for all that did not diverge; give the losses "
                "along the run as a list"
            )
        elif self.points < LEAST_POINTS:
            out.append(
                f"{self.points} losses of each training have too short a tail: of instability "
                "only divergence was looked for, and `descending` stands for all that did not "
                f"diverge. Give {LEAST_POINTS} or more"
            )
        else:
            out.append(
                "Of instability, losses show who diverged and who ends above its start; who swings "
                "between places of the same loss they do not show"
            )
        if not self.started:
            out.append(
                "The losses at the start are not known, so neither is whether the best rate "
                "learns, nor how far: give a column start_loss, or the losses along the run"
            )
        return tuple(out)

    @property
    def answer_key(self) -> dict[str, Any]:
        """What was given, and what was asked."""
        search = self.search
        return {
            "name": self.name,
            "search": {
                "optimizers": [table["name"] for table in search.optimizers],
                "learning_rate": search.learning_rate.model_dump(mode="json"),
                "settings": search.settings,
            },
            "training": {"restarts": self.training.restarts, "losses": self.points},
            "stability": self.stability.model_dump(mode="json", exclude={"confirm"}),
        }


def stability_of(given: Mapping[str, Any] | None) -> StabilitySpec:
    """`[stability]` from a dict.

    Raises:
        InvalidInput: one line that names the key, the value and what is valid.
    """
    if given is not None and not isinstance(given, Mapping):
        raise InvalidInput(f"stability = {given!r} is not valid: give a dict, as a job file has it")
    try:
        return StabilitySpec.model_validate(dict(given or {}))
    except ValidationError as error:
        raise InvalidInput(f"stability: {one_line(error, StabilitySpec)}") from error


def _seeds(unstable: int, limits: StabilitySpec) -> int:
    """The least number of seeds of which so many may be unstable."""
    least = restarts_needed(limits.max_unstable, limits.confidence)
    if not unstable:
        return least

    def enough(seeds: int) -> bool:
        return clopper_pearson_upper(unstable, seeds, limits.confidence) <= limits.max_unstable

    seeds = range(least, 8 * least + 8 * unstable)
    return seeds[bisect_left(seeds, True, key=enough)]

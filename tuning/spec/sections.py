"""The tables of a job file, each with a sensible default for every key but the problem's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from trainers import OPTIMIZERS, InvalidInput, Thresholds, get_optimizer
from trainers.data.uri import masked
from trainers.optimizers.base import UpdateRule
from trainers.optimizers.torch_rule import TORCH, TorchRule, may_be_torchs
from trainers.training.trainer import Trainer
from tuning.spec.search_space import LEARNING_RATE, Dimension, SearchSpace

__all__ = [
    "SAMPLERS",
    "BudgetSpec",
    "OutcomesSpec",
    "ProblemSpec",
    "SamplerName",
    "SearchSpec",
    "Section",
    "StabilitySpec",
    "StorageSpec",
    "TrackingSpec",
    "TrainingSpec",
]


class Section(BaseModel):
    """Unknown keys and other types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ProblemSpec(BaseModel):
    """`[problem]`: a name, and the problem's own parameters beside it.

    Attributes:
        check: whether the code of a problem of one's own is tried before anything is trained.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str
    check: Annotated[bool, Field(strict=True)] = True

    @property
    def parameters(self) -> dict[str, Any]:
        """The other keys."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _kept_as_json(self) -> Self:
        for key, value in self.parameters.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                raise ValueError(
                    f"{key} = {value!r} is not valid: finite numbers, text, true, false, lists and "
                    "tables are"
                ) from error
        return self


_LOWEST_RATE, _HIGHEST_RATE = 1e-100, 1e100  # beyond any use; the axes of pictures bear no more


class LearningRates(Section):
    """The range that is searched, on a logarithmic scale."""

    low: float = Field(default=1e-4, gt=0)
    high: float = Field(default=10.0, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(
                f"low = {self.low:g} must be below high = {self.high:g}: the range is empty"
            )
        if self.low < _LOWEST_RATE or self.high > _HIGHEST_RATE:
            valid = f"rates from {_LOWEST_RATE:g} to {_HIGHEST_RATE:g} are"
            raise ValueError(f"{self.low:g} to {self.high:g} is not valid: {valid}")
        return self


def _known_optimizer(value: object) -> dict[str, Any]:
    table: dict[Any, Any] = {"name": value} if isinstance(value, str) else {}
    if isinstance(value, Mapping):
        table = dict(value)
    name = table.pop("name", None)
    if not isinstance(name, str) or not all(isinstance(key, str) for key in table):
        raise ValueError(
            f"{value!r} is not valid: an optimizer is a name, or a table with one, as in "
            '{ name = "adam", beta1 = 0.9 }'
        )
    try:
        _rule(name, table)
    except (InvalidInput, OverflowError) as error:
        raise ValueError(str(error)) from error
    return {"name": name, **table}


def _rule(name: str, hyperparameters: Mapping[str, Any]) -> UpdateRule:
    """One of ours, else of PyTorch's: whose problem it trains is not known before that is made, see
    `SearchSpec.trained_by`."""
    if name.startswith(TORCH):
        return TorchRule.of(name, hyperparameters)
    try:
        return get_optimizer(name, **hyperparameters)
    except InvalidInput:
        if not may_be_torchs(name, hyperparameters, ours=name in OPTIMIZERS):
            raise
        return TorchRule.of(name, hyperparameters)


def _parts(entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    rest = dict(entry)
    return rest.pop("name"), rest


SamplerName: TypeAlias = Literal["cliff", "tpe", "gp", "random", "grid", "qmc"]
#: Every `[search] sampler` there is; all but the first have a function in `search.samplers`.
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)


class SearchSpec(Section):
    """`[search]`: which settings are tried."""

    optimizers: list[Annotated[dict[str, Any], BeforeValidator(_known_optimizer)]] = Field(
        default=[{"name": "gd"}], min_length=1
    )
    learning_rate: LearningRates = LearningRates()
    settings: int = Field(default=48, ge=1, le=100_000)
    sampler: SamplerName = "cliff"
    try_first: list[Annotated[float, Field(gt=0)]] | None = None
    in_flight: int = Field(default=8, ge=1, le=10_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        rules = list(map(str, self.rules))
        if len(set(rules)) < len(rules):
            raise ValueError(
                "optimizers names the same optimizer twice; give them different hyperparameters"
            )
        if self.settings < len(rules):
            raise ValueError(
                f"settings = {self.settings} is fewer than the {len(rules)} optimizers that share "
                "them; give each at least one"
            )
        for rate in self.try_first or []:
            if not self.learning_rate.low <= rate <= self.learning_rate.high:
                raise ValueError(
                    f"try_first has {rate:g}, outside learning_rate {self.learning_rate.low:g} to "
                    f"{self.learning_rate.high:g}; widen the range or drop it"
                )
        needed = len(self.try_first or []) * len(rules)
        if self.sampler != "cliff" and self.settings < needed:
            raise ValueError(
                f"settings = {self.settings} leaves out rates of try_first, which has "
                f"{len(self.try_first or [])} for each of {len(rules)} optimizers; write "
                f"settings = {needed} or more, or name fewer rates"
            )
        return self

    @property
    def rules(self) -> list[UpdateRule]:
        """The optimizers, in order."""
        return [_rule(name, rest) for name, rest in map(_parts, self.optimizers)]

    def trained_by(self, trainer: Trainer) -> Self:
        """With every optimizer one of the trainer's.

        Raises:
            InvalidInput: it has no such optimizer, or that takes no such hyperparameters.
        """
        entries = []
        for i, (name, rest) in enumerate(map(_parts, self.optimizers)):
            try:
                entries.append({"name": trainer.full_name(name, rest), **rest})
            except InvalidInput as error:
                raise InvalidInput(f"search.optimizers.{i}: {error}") from error
        return self.model_copy(update={"optimizers": entries})

    @property
    def hyperparameters(self) -> list[dict[str, float]]:
        """Of each optimizer, all but the learning rate."""
        return [rule.hyperparameters for rule in self.rules]

    @property
    def space(self) -> SearchSpace:
        """What a setting chooses from. A new hyperparameter is a dimension here, and an argument of
        the training in `trial.task`."""
        rate = Dimension(LEARNING_RATE, self.learning_rate.low, self.learning_rate.high)
        return SearchSpace(tuple(rule.label for rule in self.rules), (rate,))

    @property
    def first_points(self) -> list[dict[str, float]]:
        """Points of the space that are tried before the sampler proposes: the rates of `try_first`,
        or 0.001, 0.01, 0.1 if in range."""
        rates = self.try_first
        if rates is None:
            low, high = self.learning_rate.low, self.learning_rate.high
            rates = [rate for rate in (0.001, 0.01, 0.1) if low <= rate <= high]
        return [{LEARNING_RATE: rate} for rate in rates]


class TrainingSpec(Section):
    """`[training]`: how each setting is trained. `memory_per_task`: GB that a task may take, where
    the problem can tell: tasks are cut so."""

    restarts: int = Field(default=64, ge=1, le=1_000_000)
    steps: int = Field(default=2000, ge=1, le=10_000_000)
    batch_size: int | None = Field(default=None, ge=1)
    sharpness_every: int | None = Field(default=None, ge=1)
    memory_per_task: float = Field(default=2.0, gt=0, le=1e6)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (every := self.sharpness_every) is not None and every > self.steps:
            raise ValueError(f"sharpness_every = {every} is more than the {self.steps} steps")
        return self


class StabilitySpec(Section):
    """`[stability]`: which rate may be recommended. `confirm`: fresh starts at most, in all, for
    its confirmation."""

    max_unstable: float = Field(default=0.05, gt=0, lt=1)
    max_hover: float = Field(default=Thresholds.max_hover, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    margin: float = Field(default=2.0, ge=1, le=1000)
    confirm: int = Field(default=512, ge=1, le=1_000_000)
    target_loss: float | None = Field(default=None)
    choose_by: Literal["cost", "validation"] = "cost"


class BudgetSpec(Section):
    """`[budget]`: what the job may take, all of it; the least of what is given. Without any, a
    search for the cliff takes 384 restarts for each optimizer, any other its `settings`, and the
    confirmation of the winner comes on top.

    `minutes`: after which the search ends, in time for the confirmation. `restarts`: trainings, of
    search and confirmation. `steps`: the same in steps of one restart. `settings`: trials of the
    search. `fresh`: starts of the confirmation, of `stability.confirm`.
    """

    minutes: float | None = Field(default=None, gt=0, le=1e6)
    restarts: int | None = Field(default=None, ge=1, le=1_000_000_000)
    steps: int | None = Field(default=None, ge=1)
    settings: int | None = Field(default=None, ge=1, le=1_000_000)
    fresh: int | None = Field(default=None, ge=0)

    @property
    def minutes_alone(self) -> float | None:
        """`minutes`, where they alone bound the trainings."""
        return self.minutes if self.restarts is None and self.steps is None else None


class OutcomesSpec(Section):
    """`[outcomes]`: thresholds of the decisions about each restart; see `trainers.Thresholds`, of
    which `max_hover` is in `[stability]`."""

    diverged: float = Field(default=Thresholds.diverged, gt=1)
    settled: float = Field(default=Thresholds.settled, gt=0, lt=1)
    opposed: float = Field(default=Thresholds.opposed, gt=-1, lt=0)
    confined: float = Field(default=Thresholds.confined, gt=0, lt=1)
    edge: float = Field(default=Thresholds.edge, gt=0, le=1)
    swing: float = Field(default=Thresholds.swing, gt=0, lt=1)
    material: float | None = Field(default=Thresholds.material, ge=0, lt=1)
    strict: float = Field(default=Thresholds.strict, gt=0, lt=1)
    saddle: float = Field(default=Thresholds.saddle, gt=0, lt=1)
    negligible: float = Field(default=Thresholds.negligible, gt=0, lt=1)
    at_rest: float = Field(default=Thresholds.at_rest, gt=0, lt=1)
    proof: float = Field(default=Thresholds.proof, gt=0, lt=1)
    push: float = Field(default=Thresholds.push, gt=0, lt=1)
    kink: float = Field(default=Thresholds.kink, gt=0, lt=1)
    polish_budget: float = Field(default=Thresholds.polish_budget, gt=0)
    flow_tolerance: float = Field(default=Thresholds.flow_tolerance, gt=0, lt=1)
    dense_limit: int = Field(default=Thresholds.dense_limit, ge=0, le=5000)


def _printable(address: str) -> str:
    if not address.isprintable():  # a path with a NUL in it is an error wherever it is used
        raise ValueError(f"{masked(address)!r} is not valid: it holds characters that do not print")
    return address


class TrackingSpec(Section):
    """`[tracking]`: where MLflow records; an embedded store under SUREFOOT_HOME by default."""

    uri: Annotated[str, AfterValidator(_printable)] | None = None


class StorageSpec(Section):
    """`[storage]`: where the study is; a journal file beside the job by default."""

    url: Annotated[str, AfterValidator(_printable)] | None = None

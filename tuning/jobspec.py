"""The job file: all that decides the answer, with a sensible default for all but the problem."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from trainers import InvalidInput, Optimizer, Problem, Thresholds, get_optimizer, get_problem
from trainers.randomness import starts
from tuning.complaints import one_line
from tuning.jobfile import read_table

__all__ = ["JobSpec", "folder_of", "read_spec"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ProblemSpec(BaseModel):
    """`[problem]`: a name, and the problem's own parameters beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

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


class LearningRates(_Table):
    """The range that is searched, on a logarithmic scale."""

    low: float = Field(default=1e-4, gt=0)
    high: float = Field(default=10.0, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(
                f"low = {self.low:g} must be below high = {self.high:g}: the range is empty"
            )
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
        get_optimizer(name, **table)
    except (InvalidInput, OverflowError) as error:
        raise ValueError(str(error)) from error
    return {"name": name, **table}


class SearchSpec(_Table):
    """`[search]`: which settings are tried."""

    optimizers: list[Annotated[dict[str, Any], BeforeValidator(_known_optimizer)]] = Field(
        default=[{"name": "gd"}], min_length=1
    )
    learning_rate: LearningRates = LearningRates()
    settings: int = Field(default=48, ge=1, le=100_000)
    sampler: Literal["tpe", "gp", "random", "grid", "qmc"] = "tpe"
    try_first: list[Annotated[float, Field(gt=0)]] | None = None
    in_flight: int = Field(default=8, ge=1, le=10_000)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        rules = [str(get_optimizer(**entry)) for entry in self.optimizers]
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
        return self

    @property
    def rules(self) -> list[Optimizer]:
        """The optimizers, in order."""
        return [get_optimizer(**entry) for entry in self.optimizers]

    @property
    def first_rates(self) -> list[float]:
        """Rates tried before the sampler proposes: `try_first`, or 0.001, 0.01, 0.1 if in range."""
        if self.try_first is not None:
            return list(self.try_first)
        typical = (0.001, 0.01, 0.1)
        return [r for r in typical if self.learning_rate.low <= r <= self.learning_rate.high]


class TrainingSpec(_Table):
    """`[training]`: how each setting is trained."""

    restarts: int = Field(default=64, ge=1, le=1_000_000)
    steps: int = Field(default=2000, ge=1, le=10_000_000)
    batch_size: int | None = Field(default=None, ge=1)


class StabilitySpec(_Table):
    """`[stability]`: which rate may be recommended."""

    max_unstable: float = Field(default=0.05, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    margin: float = Field(default=2.0, ge=1, le=1000)
    target_loss: float | None = Field(default=None)
    choose_by: Literal["cost", "validation"] = "cost"


class OutcomesSpec(_Table):
    """`[outcomes]`: thresholds of the decisions about each restart; see `trainers.Thresholds`."""

    settled: float = Field(default=Thresholds.settled, gt=0, lt=1)
    material: float = Field(default=Thresholds.material, ge=0, lt=1)
    saddle: float = Field(default=Thresholds.saddle, gt=0, lt=1)
    strict: float = Field(default=Thresholds.strict, gt=0, lt=1)
    opposed: float = Field(default=Thresholds.opposed, gt=-1, lt=0)
    confined: float = Field(default=Thresholds.confined, gt=0, lt=1)
    polish_budget: float = Field(default=Thresholds.polish_budget, gt=0)
    flow_tolerance: float = Field(default=Thresholds.flow_tolerance, gt=0, lt=1)
    dense_limit: int = Field(default=Thresholds.dense_limit, ge=0, le=5000)

    @property
    def thresholds(self) -> Thresholds:
        """As `trainers` takes them."""
        return Thresholds(**self.model_dump())


class TrackingSpec(_Table):
    """`[tracking]`: where MLflow records; an embedded store under SUREFOOT_HOME by default."""

    uri: str | None = None


class StorageSpec(_Table):
    """`[storage]`: where the study is; a journal file beside the job by default."""

    url: str | None = None


def _is_plain(name: str) -> bool:
    allowed = name.isprintable() and not set(name) & set("/\\:")
    return allowed and 1 <= len(name) <= 80 and name[0] not in ".-"


def _plain_name(name: str) -> str:
    if not _is_plain(name):
        raise ValueError(
            f"{name!r} is not valid: 1 to 80 printable characters, no / \\ : and no . or - first"
        )
    return name


class JobSpec(_Table):
    """One job. The report is a function of this alone, `tracking` and `storage` apart."""

    name: Annotated[str, AfterValidator(_plain_name)] = ""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    problem: ProblemSpec
    search: SearchSpec = SearchSpec()
    training: TrainingSpec = TrainingSpec()
    stability: StabilitySpec = StabilitySpec()
    outcomes: OutcomesSpec = OutcomesSpec()
    tracking: TrackingSpec = TrackingSpec()
    storage: StorageSpec = StorageSpec()

    @model_validator(mode="before")
    @classmethod
    def _named_after_problem(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "name" in data:
            return data
        problem = data.get("problem")
        table = problem if isinstance(problem, Mapping) else {"name": getattr(problem, "name", "")}
        last = str(table.get("name", "")).split(":")[-1]
        return {**data, "name": last if _is_plain(last) else "job"}

    @property
    def answer_key(self) -> dict[str, Any]:
        """All that decides the answer, with every default filled in; plain JSON."""
        return self.model_dump(mode="json", exclude={"tracking", "storage"})

    def make_problem(self, folder: Path | None = None) -> Problem:
        """The problem named here.

        Args:
            folder: a table in `problem.data` is first looked for from here, then from the working
                directory. The path itself stays as it was written: it is part of the report.

        Raises:
            InvalidInput: it does not exist, or cannot be made or trained as the job says.
        """
        parameters = self.problem.parameters
        data = parameters.get("data")
        if folder is not None and isinstance(data, str) and Path(data).suffix:
            beside = folder / data
            parameters["data"] = str(beside if beside.exists() else data)
        try:
            problem = get_problem(self.problem.name, **parameters)
        except TypeError as error:
            raise InvalidInput(f"problem {self.problem.name}: {error}") from error
        self.check_batches(problem)
        return problem

    def check_batches(self, problem: Problem) -> None:
        """Refuse in one line a batch_size or choice by validation that the problem cannot give."""
        if self.stability.choose_by == "validation":
            start = starts(problem, restarts=1, seed=self.seed)
            if problem.validation_loss(start) is None:
                raise InvalidInput(
                    f"stability.choose_by = 'validation': problem {self.problem.name} has no "
                    "examples held out; set problem.validation if it has that key, or drop this one"
                )
        size = self.training.batch_size
        if size is None:
            return
        where = f"training.batch_size = {size}"
        if problem.examples is None:
            raise InvalidInput(
                f"{where}: problem {self.problem.name} has no examples; drop the key"
            )
        if size > problem.examples:
            raise InvalidInput(f"{where} is more than the {problem.examples} training examples")


def read_spec(source: str | Path | Mapping[str, Any] | JobSpec) -> JobSpec:
    """A JobSpec from a TOML file, or from a dict shaped like one.

    Raises:
        InvalidInput: one line naming file, key, value and what is valid.
    """
    if isinstance(source, JobSpec):
        return source
    if isinstance(source, Mapping):
        return _validated(dict(source), "job")
    if not isinstance(source, str | Path):
        raise InvalidInput(f"job: a {type(source).__name__} is no job file; give a path or a dict")
    return _validated(read_table(Path(source)), str(source))


def folder_of(source: object) -> Path:
    """Where the paths in a job are looked for first: beside its file, or the working directory."""
    return Path(source).absolute().parent if isinstance(source, str | Path) else Path.cwd()


def _validated(data: dict[str, Any], where: str) -> JobSpec:
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {one_line(error, JobSpec)}") from error

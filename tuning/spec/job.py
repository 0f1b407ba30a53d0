"""The job file: all that decides the answer, with a sensible default for all but the problem."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from trainers import InvalidInput, Problem, Thresholds, get_problem
from trainers.data.uri import is_address, masked
from trainers.randomness import starts
from trainers.training.trainer import Trainer
from tuning.spec.advice import Advice
from tuning.spec.cluster_section import ClusterSpec
from tuning.spec.own_modules import look_in
from tuning.spec.sections import (
    BudgetSpec,
    OutcomesSpec,
    ProblemSpec,
    SearchSpec,
    Section,
    StabilitySpec,
    StorageSpec,
    TrackingSpec,
    TrainingSpec,
)
from tuning.spec.toml_file import read_toml
from tuning.spec.unwritable import refuse_unwritable
from tuning.spec.validation_errors import one_line

__all__ = ["JobSpec", "folder_of", "read_spec"]

_RESTARTS_FOR_EACH = 384
# A tail of fewer than 8 losses, the first among them, says nothing.
_LEAST_STEPS = 7
_ASIDE = ("tracking", "storage", "cluster")  # tables that do not change the answer


def _is_plain(name: str) -> bool:
    allowed = name.isprintable() and not set(name) & set("/\\:")
    return allowed and 1 <= len(name) <= 80 and name[0] not in ".-"


def _plain_name(name: str) -> str:
    if not _is_plain(name):
        raise ValueError(
            f"{name!r} is not valid: 1 to 80 printable characters, no / \\ : and no . or - first"
        )
    return name


class JobSpec(Section):
    """One job. The report is a function of this alone; of `tracking`, `storage` and `cluster` it is
    none."""

    name: Annotated[str, AfterValidator(_plain_name)] = ""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    problem: ProblemSpec
    search: SearchSpec = SearchSpec()
    training: TrainingSpec = TrainingSpec()
    stability: StabilitySpec = StabilitySpec()
    budget: BudgetSpec = BudgetSpec()
    outcomes: OutcomesSpec = OutcomesSpec()
    tracking: TrackingSpec = TrackingSpec()
    storage: StorageSpec = StorageSpec()
    cluster: ClusterSpec = ClusterSpec()

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
    def thresholds(self) -> Thresholds:
        """Of the decisions about each restart."""
        return Thresholds(max_hover=self.stability.max_hover, **self.outcomes.model_dump())

    @property
    def task_memory(self) -> float:
        """Bytes that a task may take. By nothing of `[cluster]`: how a setting is cut changes what
        its restarts are judged beside."""
        return 1e9 * self.training.memory_per_task

    @property
    def seeks_cliff(self) -> bool:
        """Whether it searches for the cliff by each start's own threshold; otherwise, by whole
        settings."""
        return self.search.sampler == "cliff"

    @property
    def unused(self) -> str | None:
        """What the job file says that its search has no use for, in a sentence; None: nothing."""
        if not self.seeks_cliff:
            return None
        given = ["search.settings"] if "settings" in self.search.model_fields_set else []
        given += ["search.in_flight"] if "in_flight" in self.search.model_fields_set else []
        given += ["training.restarts"] if "restarts" in self.training.model_fields_set else []
        if not given:
            return None
        return (
            f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} for the other samplers, "
            "and not used: [budget] bounds a search for the cliff; or name another sampler, as tpe"
        )

    @property
    def budgeted_restarts(self) -> int | None:
        """All that may be trained, by `[budget]`; None where that does not say."""
        limits = [self.budget.restarts] if self.budget.restarts is not None else []
        if self.budget.steps is not None:
            limits.append(self.budget.steps // self.training.steps)
        return min(limits, default=None)

    @property
    def confirmation_restarts(self) -> int:
        """What confirming the winner takes at most."""
        return self._most_fresh * self.confirmed_rates

    @property
    def confirmed_rates(self) -> int:
        """That of the winner, and margin times it."""
        return 1 if self.stability.margin == 1 else 2

    @property
    def _most_fresh(self) -> int:
        fresh, confirm = self.budget.fresh, self.stability.confirm
        return confirm if fresh is None else min(fresh, confirm)

    @property
    def fresh_starts(self) -> int:
        """For the confirmation of the winner; 0 where the budget does not hold it beside the search
        that is the default: one that is much smaller finds no rate worth confirming."""
        budget = self.budgeted_restarts
        least = self.default_restarts + self.confirmation_restarts
        return self._most_fresh if budget is None or budget >= least else 0

    @property
    def default_restarts(self) -> int:
        """What a search for the cliff takes where nothing else is said: 384 for each optimizer."""
        return _RESTARTS_FOR_EACH * len(self.search.optimizers)

    @property
    def search_restarts(self) -> int | None:
        """What `[budget]` leaves the search; None where it does not say."""
        budget = self.budgeted_restarts
        if budget is None:
            return None
        return budget - self.confirmation_restarts if self.fresh_starts else budget

    @property
    def search_settings(self) -> int:
        """How many settings the general samplers try: at least one."""
        limits = [self.search.settings]
        if self.budget.settings is not None:
            limits.append(self.budget.settings)
        if (restarts := self.search_restarts) is not None:
            limits.append(restarts // self.training.restarts)
        return max(1, min(limits))

    @property
    def search_size(self) -> tuple[int, str]:
        """How large the search is at most, and in what: "settings" or "restarts"; of one that time
        ends, the default."""
        if not self.seeks_cliff:
            return self.search_settings, "settings"
        restarts = self.search_restarts
        return self.default_restarts if restarts is None else restarts, "restarts"

    @property
    def advice(self) -> Advice:
        """What to do about the answer, in keys of the job file."""
        size, _ = self.search_size
        enough = self.default_restarts + self.confirmation_restarts
        more = 2 * size + self.confirmation_restarts if self.fresh_starts else enough
        larger = f"set budget.restarts = {enough}"
        if self.budget.fresh is not None:
            larger = f"set budget.fresh = {self.stability.confirm}"
        elif (minutes := self.budget.minutes_alone) is not None:
            larger = f"set budget.minutes = {4 * minutes:g}"
        longer = f"training.steps = {4 * self.training.steps}"
        unseen = (
            f"{self.training.steps} steps leave too short a tail to see who swings: of instability "
            f"only divergence was looked for. Train for {_LEAST_STEPS} steps or more"
        )
        return Advice(
            down_to="set learning_rate.low = {:.3g}",
            up_to="set learning_rate.high = {:.3g}",
            steps=f"set {longer}",
            starts=f"set budget.restarts = {more}"
            if self.seeks_cliff
            else "set training.restarts = {}",
            judge=f"set {longer}, or outcomes.polish_budget = {4 * self.outcomes.polish_budget:g}",
            fresh="set stability.confirm = {}",
            confirm=f"{larger}, for the budget holds too few fresh starts",
            unseen=(unseen,) if self.training.steps < _LEAST_STEPS else (),
        )

    @property
    def answer_key(self) -> dict[str, Any]:
        """All that decides the answer, with every default filled in; plain JSON. Everybody may read
        it: a URI is without its credentials."""
        key = self.model_dump(mode="json", exclude=set(_ASIDE))
        for name, value in key["problem"].items():
            if isinstance(value, str) and is_address(value):
                key["problem"][name] = masked(value)
        return key

    def make_problem(self, folder: Path | None = None, data_file: Path | None = None) -> Problem:
        """The problem named here.

        Args:
            folder: a table in `problem.data` is first looked for from here, then from the working
                directory. The path itself stays as it was written: it is part of the report. A
                module of the user's own may be here, too.
            data_file: where that table is, if it has been moved.

        Raises:
            InvalidInput: it does not exist, or cannot be made or trained as the job says.
        """
        parameters = self.problem.parameters
        data = parameters.get("data")
        if data_file is not None:
            parameters["data"] = str(data_file)
        elif folder is not None and isinstance(data, str) and Path(data).suffix:
            beside = folder / data
            if not is_address(data) and os.path.exists(beside):
                parameters["data"] = str(beside)
        if folder is not None and ":" in self.problem.name:
            look_in(folder)
        try:
            problem = get_problem(self.problem.name, **parameters)
        except TypeError as error:
            raise InvalidInput(f"problem {self.problem.name}: {error}") from error
        self.check_batches(problem)
        return problem

    def trained_by(self, trainer: Trainer) -> Self:
        """With every optimizer one of the trainer's.

        Raises:
            InvalidInput: it has no such optimizer, or that takes no such hyperparameters.
        """
        return self.model_copy(update={"search": self.search.trained_by(trainer)})

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
    return _validated(read_toml(Path(source)), str(source))


def folder_of(source: object) -> Path:
    """Where the paths in a job are looked for first: beside its file, or the working directory."""
    return Path(source).absolute().parent if isinstance(source, str | Path) else Path.cwd()


def _validated(data: dict[str, Any], where: str) -> JobSpec:
    refuse_unwritable(data, where)
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {one_line(error, JobSpec)}") from error

"""Trainings that the judge is held to: real data, good rates, and what judging them comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.verdicts import Agreement, compare
from trainers import (
    Basin,
    Outcomes,
    Problem,
    Thresholds,
    Trajectories,
    classify,
    get_optimizer,
    get_problem,
    starts,
    train,
)

__all__ = ["FEW", "MATERIALS", "REAL", "Case", "Judged", "judge_trainings"]

MATERIALS = (1e-2, 1e-3)
#: A tolerance that decides nothing has it spend the budget, eight times the training.
LASTING = Thresholds(polish_budget=8.0, material=1e-5)
# Each optimizer learns well at these.
_GOOD = {"gd": 0.5, "momentum": 0.1, "adam": 0.01}
_SLOW = dict.fromkeys(_GOOD, 0.01)


@dataclass(frozen=True)
class Case:
    """One problem under some optimizers.

    Attributes:
        kind: full, batch, diabetes or few: whose target it is held to.
        rates: by optimizer. lasting: whether the judge with 8 times the budget is asked too.
    """

    name: str
    kind: str
    problem: Callable[[], Problem]
    restarts: int
    steps: int
    rates: dict[str, float]
    batch_size: int | None = None
    lasting: bool = False

    def trainings(self) -> Iterator[tuple[Problem, Trajectories, float]]:
        """The problem, what each optimizer made of it, and the CPU seconds."""
        problem = self.problem()
        w0 = starts(problem, restarts=self.restarts, seed=0)
        for name, rate in self.rates.items():
            begin = time.process_time()
            run = train(
                problem,
                get_optimizer(name),
                learning_rate=rate,
                starts=w0,
                steps=self.steps,
                batch_size=self.batch_size,
            )
            yield problem, run, time.process_time() - begin


def _mlp(data: str, hidden: int, decay: float) -> Callable[[], Problem]:
    return lambda: get_problem("mlp", data=data, hidden=[hidden], weight_decay=decay)


def _real() -> Iterator[Case]:
    for decay in (1e-3, 0.0):
        with_decay = f", decay {decay:g}"
        for data, hidden in (("wine", 8), ("breast-cancer", 8), ("breast-cancer", 16)):
            name = f"{data} {hidden}{with_decay}"
            made = _mlp(data, hidden, decay)
            yield Case(name, "full", made, 32, 1000, _GOOD, lasting=hidden == 8)
        wide = _mlp("digits", 32, decay)
        yield Case(f"digits 64-32-10{with_decay}", "full", wide, 10, 600, _GOOD)
        narrow = _mlp("digits", 16, decay)
        yield Case(f"digits 64-16-10, batch 64{with_decay}", "batch", narrow, 12, 1000, _GOOD, 64)
    # Gradient descent at 0.5 swings there.
    rates = {"gd": 0.2, "momentum": 0.1, "adam": 0.01}
    made = _mlp("diabetes", 16, 1e-3)
    yield Case("diabetes 16, decay 0.001", "diabetes", made, 32, 1500, rates, lasting=True)


REAL = tuple(_real())
#: Under 20 parameters; the first is examples/xor.toml.
FEW = tuple(
    Case(name, "few", made, 64, 2000, rates)
    for name, made, rates in (
        ("xor 2", lambda: get_problem("xor", hidden=[2]), _GOOD),
        ("xor 3", lambda: get_problem("xor", hidden=[3]), _GOOD),
        ("double-well", lambda: get_problem("double-well"), _SLOW),
        ("wells 3", lambda: get_problem("wells", dimensions=3), _SLOW),
    )
)


@dataclass(frozen=True)
class Judged:
    """What judging came to.

    Attributes:
        restarts: that did not diverge. open, trapped: of them, by material, those not judged and
            those in a local minimum.
        training, judging: CPU seconds; judging by the default thresholds.
        gradients: how many gradients on all examples take as long as judging.
        agreement: with the judge that has eight times the budget, and spends it.
    """

    restarts: int
    open: tuple[int, int]
    trapped: tuple[int, int]
    training: float
    judging: float
    gradients: float
    agreement: Agreement


def judge_trainings(case: Case) -> list[Judged]:
    """One for each optimizer."""
    found = []
    for problem, run, training in case.trainings():
        begin = time.process_time()
        classify(problem, run)
        judging = time.process_time() - begin
        outcomes = [classify(problem, run, Thresholds(material=m)) for m in MATERIALS]
        agreement = Agreement(0, 0, 0)
        if case.lasting:
            longer = classify(problem, run, LASTING)
            for material, ours in zip(MATERIALS, outcomes, strict=True):
                known = problem.known_minimum
                there = compare(ours, longer.basin_loss, longer.lower_bound, known, material)
                agreement = agreement.plus(there)
        found.append(
            Judged(
                restarts=int((~run.diverged).sum()),
                open=_count(outcomes, Basin.UNDETERMINED),
                trapped=_count(outcomes, Basin.LOCAL_MINIMUM),
                training=training,
                judging=judging,
                gradients=judging / _gradient_seconds(problem, run),
                agreement=agreement,
            )
        )
    return found


def _count(outcomes: list[Outcomes], basin: Basin) -> tuple[int, int]:
    coarse, fine = (int((found.basin == basin).sum()) for found in outcomes)
    return coarse, fine


def _gradient_seconds(problem: Problem, run: Trajectories) -> float:
    times = 10
    begin = time.process_time()
    for _ in range(times):
        problem.loss_and_gradient(run.weights)
    return (time.process_time() - begin) / times

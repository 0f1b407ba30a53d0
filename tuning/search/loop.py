"""The thin loop around the coordinator's core: it performs actions, and that is all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from trainers import InvalidInput, ProblemFailed
from tuning.analysis.build import next_confirmations
from tuning.errors import Unreachable
from tuning.execution.base import Done, Lost, Pool
from tuning.search.coordinator import Action, Coordinator, Fail, Finish, Plan, Submit, Tell
from tuning.search.proposer import Proposal, Proposer, Told
from tuning.spec.job import JobSpec
from tuning.study import StudyStore, TrialRecord
from tuning.trial.result import Role, Setting, SettingResult
from tuning.trial.task import label, split_into_tasks

__all__ = [
    "Announce",
    "LeaseRenewer",
    "Listener",
    "Listeners",
    "Progress",
    "make_plan",
    "make_proposer",
    "results_of",
    "run_loop",
]

_POLL_SECONDS = 0.25
_RENEWAL_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 16.0
# How long a coordinator waits for the study's database. Tasks that end meanwhile are not lost.
_PATIENCE_SECONDS = 600.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0


@dataclass(frozen=True)
class Progress:
    """How far a job is, for people."""

    told: Sequence[SettingResult]
    settings: int
    restarts_done: int  # in this run, also of settings not yet told
    running: int
    seconds: float
    lost: int
    finished: bool = False
    news: tuple[str, ...] = ()  # what has gone wrong, and been mended, since the last


Listener = Callable[[Progress], None]
Announce = Callable[[str], None]


@dataclass(frozen=True)
class Listeners:
    """Who is told what: progress, again and again; and a line when something has gone wrong.

    `heartbeat` is called every few seconds as long as somebody is at work, and may raise to end
    that.
    """

    progress: Listener
    announce: Announce
    heartbeat: Callable[[], None] = lambda: None


def make_proposer(spec: JobSpec) -> Proposer:
    """The proposer that `spec` asks for.

    Raises:
        InvalidInput: the sampler cannot be had here.
    """
    search = spec.search
    return Proposer(
        sampler=search.sampler,
        optimizers=len(search.rules),
        low=search.learning_rate.low,
        high=search.learning_rate.high,
        try_first=search.first_rates,
        settings=search.settings,
        in_flight=search.in_flight,
        seed=spec.seed,
    )


def make_plan(spec: JobSpec, flops: float, known_minimum: float | None) -> Plan:
    """The coordinator's decisions, as `spec` asks for them."""
    proposer = make_proposer(spec)
    restarts = spec.training.restarts

    def propose(number: int, told: Sequence[SettingResult], between: Sequence[Setting]) -> Setting:
        results = [Told(_proposal(r.setting), r.value, _violation(r, spec)) for r in told]
        made = proposer.propose(number, results, [_proposal(s) for s in between])
        return Setting(number, made.optimizer, made.learning_rate, Role.SEARCH, 0, restarts)

    return Plan(
        settings=spec.search.settings,
        in_flight=spec.search.in_flight,
        propose=propose,
        parts=lambda setting: split_into_tasks(setting, spec.training.steps, flops),
        confirm=lambda told: next_confirmations(spec, known_minimum, told),
    )


def _proposal(setting: Setting) -> Proposal:
    return Proposal(setting.number, setting.optimizer, setting.learning_rate)


def _violation(result: SettingResult, spec: JobSpec) -> float:
    return result.unstable_fraction - spec.stability.max_unstable


def _record(result: SettingResult, spec: JobSpec) -> TrialRecord:
    setting, names = result.setting, tuple(label(rule) for rule in spec.search.rules)
    low, high = spec.search.learning_rate.low, spec.search.learning_rate.high
    return TrialRecord(
        number=setting.number,
        params={"optimizer": names[setting.optimizer], "learning_rate": setting.learning_rate},
        low=low,
        high=max(
            high, setting.learning_rate
        ),  # a confirmation at margin times the rate may lie above
        choices=names,
        value=result.value,
        constraints=(_violation(result, spec),),
        attributes={
            "role": setting.role.value,
            "unstable": result.unstable_fraction,
            "result": result.to_json(),
        },
    )


def results_of(store: StudyStore) -> list[SettingResult]:
    """The study's prefix.

    Raises:
        InvalidInput: a line of the study is missing or was changed.
    """
    results = []
    for record in store.records():
        try:
            result = SettingResult.from_json(record.attributes["result"])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"the study is damaged: trial {record.number}: {error!r}") from error
        if result.setting.number != record.number:
            raise InvalidInput(
                f"the study is damaged: trial {record.number} holds setting "
                f"{result.setting.number}; restore study.log, or run the job anew"
            )
        results.append(result)
    return results


def run_loop(
    spec: JobSpec,
    plan: Plan,
    pool: Pool,
    store: StudyStore,
    on_told: Callable[[list[SettingResult]], None],
    listeners: Listeners,
) -> list[SettingResult]:
    """Carry the job through, from wherever its study stands; returns all results.

    Args:
        on_told: called with all results so far, each time one has been appended.

    Raises:
        ProblemFailed: the problem's own code raised, or a task was lost too often; what was told is
            kept.
        OSError: the study could not be written.
        Unreachable: its database was away for ten minutes.
        LeaseHeld: another coordinator has taken over.
    """
    coordinator = Coordinator(plan, results_of(store))
    renewer = LeaseRenewer(store)
    begin, restarts, lost, running = time.monotonic(), 0, 0, 0
    news: tuple[str, ...] = ()
    later: list[tuple[float, Submit]] = []  # when -> what the pool is given then
    actions: list[Action] = coordinator.start()
    while True:
        finished = False
        for action in actions:
            match action:
                case Submit(task_id=task_id):
                    later.append((time.monotonic() + _pause_before(task_id.attempt), action))
                    running += 1
                case Tell(result=result):
                    _append(store, _record(result, spec), listeners.announce)
                    on_told(coordinator.told[: result.setting.number + 1])
                case Fail(why=why):
                    raise ProblemFailed(why)
                case Finish():
                    finished = True
        seconds = time.monotonic() - begin
        listeners.progress(
            Progress(
                coordinator.told,
                spec.search.settings,
                restarts,
                running,
                seconds,
                lost,
                finished,
                news,
            )
        )
        listeners.heartbeat()
        if finished:
            return coordinator.told
        renewer.renew()
        due = [submit for when, submit in later if when <= time.monotonic()]
        later = [(when, submit) for when, submit in later if submit not in due]
        for submit in due:
            pool.submit(submit.task_id, submit.setting)
        if running == len(later):  # there is nothing in the pool to wait for
            time.sleep(_POLL_SECONDS)
        events = pool.wait(_POLL_SECONDS)
        running -= len(events)
        restarts += sum(
            event.result.setting.restarts for event in events if isinstance(event, Done)
        )
        lost_tasks = [event for event in events if isinstance(event, Lost)]
        lost += len(lost_tasks)
        news = tuple(f"setting {e.task_id.number}: a task was lost, {e.why}" for e in lost_tasks)
        actions = [action for event in events for action in coordinator.handle(event)]


def _pause_before(attempt: int) -> float:
    """Seconds: what failed a task a moment ago may need a while to pass."""
    return min(2.0 ** (attempt - 1), _LONGEST_RETRY_SECONDS) if attempt else 0.0


class LeaseRenewer:
    """A lease whose session was lost is taken again within seconds, not with the next result: who
    looks after the jobs would think that nobody is at work."""

    def __init__(self, store: StudyStore) -> None:
        self._store, self._next = store, 0.0

    def renew(self) -> None:
        """See to it, if it is time to.

        Raises:
            LeaseHeld: another coordinator has taken over.
        """
        if time.monotonic() < self._next:
            return
        with suppress(Unreachable):  # `append` waits for it, and says so
            self._store.hold()
            self._next = time.monotonic() + _RENEWAL_SECONDS


def _append(store: StudyStore, record: TrialRecord, announce: Announce) -> None:
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return store.append(record)
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise
            if pause == _FIRST_PAUSE_SECONDS:
                announce(f"{error}; waiting for it")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def best_so_far(results: Sequence[SettingResult], spec: JobSpec) -> SettingResult | None:
    """Among the settings that look stable, the one with the lowest mean loss: for progress only."""
    limit = spec.stability.max_unstable
    search = [r for r in results if r.setting.role is Role.SEARCH]
    return min((r for r in search if r.unstable_fraction <= limit), key=_value, default=None)


def _value(result: SettingResult) -> float:
    return result.value

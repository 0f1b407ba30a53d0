"""How far a job is, shown while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainers import Dynamics
from tuning.report.formatting import count, number
from tuning.runner.tally import Tally
from tuning.search.loop import Progress, UnderWay, Writing
from tuning.spec.job import JobSpec

__all__ = ["LineProgress", "LiveProgress", "describe", "shown"]

_LINE_SECONDS = 10.0
# As measured on the examples: the report, its pictures, the runs in MLflow.
_WRITING_STEPS, _WRITING_SECONDS = 3, 8.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass(frozen=True)
class Phase:
    """A part of the job: how far it is, and how long it will take still.

    Attributes:
        of: at most, where `at_most`. left: seconds; None where nothing is known of that.
    """

    name: str
    done: int
    of: int
    unit: str
    left: float | None = None
    at_most: bool = False

    @property
    def time_left(self) -> str:
        """In words, empty where it is not known."""
        if self.done >= self.of > 0:
            return "done"
        if self.left is None:
            return ""
        return f"{'at most ' * self.at_most}{_clock(self.left)} left"


@dataclass(frozen=True)
class _Description:
    """What there is to say, in short texts."""

    done: int
    size: int
    unit: str
    phase: str
    rate: str
    outcomes: str
    best: str
    training: str
    left: str
    phases: tuple[Phase, ...]


def describe(progress: Progress, spec: JobSpec, tally: Tally) -> _Description:
    """Put `progress` into words; what it has told is counted in `tally`."""
    tally.take(progress.told)
    search, counts, best, already = tally.search, tally.counts, tally.best, tally.already or 0
    found = "" if progress.finished else "none yet"  # when done, the report tells
    if best is not None and not progress.finished:
        rule = spec.search.rules[best.setting.optimizer]
        found = f"{rule.label} {best.setting.learning_rate:.3g} (unconfirmed)"
    trained = search + _under_way(progress, spec, in_search=True)
    now = trained - already
    size, unit = spec.search_size
    size = max(size, search)
    searching = search < size and not tally.confirming
    left = progress.seconds / now * (size - trained) if now > 0 else None
    if (minutes := spec.budget.minutes_alone) is not None:
        searching = not tally.confirming  # for as long as there is time
        left = max(0.0, 60 * minutes - progress.seconds)
    phase = "searching" if searching else "confirming on fresh starts"
    if progress.finished:
        phase = "done" if progress.writing is None else f"writing {progress.writing.what}"
    rest = left if searching else 0.0
    lost = f", {progress.lost} lost and retried" if progress.lost else ""
    return _Description(
        done=search,
        size=size,
        unit=unit,
        phase=phase,
        rate=f"{progress.restarts_done / progress.seconds:.0f} restarts/s{lost}"
        if progress.seconds > 0 and progress.writing is None
        else "",
        outcomes="  ".join(f"{counts[d.value]} {d.value}" for d in Dynamics),
        best=found,
        training=_training(progress.under_way, spec),
        left="" if left is None or not searching else f"{_clock(left)} left",
        phases=_phases(progress, spec, tally, (search, trained, size, unit), rest),
    )


def _phases(
    progress: Progress,
    spec: JobSpec,
    tally: Tally,
    searched: tuple[int, float, int, str],
    left: float | None,
) -> tuple[Phase, ...]:
    """Training and judging go on side by side, so what is left of them is shared as their times so
    far have been; before anything has been judged nothing is known of that."""
    search, trained, size, unit = searched
    if tally.confirming or progress.finished:
        size = search  # it may have ended early
    spent = sum(tally.seconds)
    parts = [seconds / spent for seconds in tally.seconds] if spent else [1.0, None]
    each = [None if left is None or part is None else part * left for part in parts]
    fresh = tally.fresh + int(_under_way(progress, spec, in_search=False))
    most = spec.confirmation_restarts if spec.fresh_starts else 0
    if progress.finished:
        most = fresh
    by_restart = progress.seconds / progress.restarts_done if progress.restarts_done else None
    to_confirm = None if by_restart is None else by_restart * max(0, most - fresh)
    writing = progress.writing or Writing("", 0, _WRITING_STEPS)
    to_write = _WRITING_SECONDS * (1 - writing.done / writing.of)
    return (
        Phase("training", int(trained), size, unit, each[0]),
        Phase("judging", search, size, unit, each[1]),
        Phase("confirming", fresh, max(most, fresh), "restarts", to_confirm, at_most=True),
        Phase("writing", writing.done, writing.of, "steps", to_write),
    )


def _under_way(progress: Progress, spec: JobSpec, *, in_search: bool) -> float:
    """How much the trainings amount to that have not ended yet: of the search in its unit, of
    confirmations in restarts."""
    by_restarts = spec.search_size[1] == "restarts" or not in_search
    return sum(
        u.losses.restarts
        / (1 if by_restarts else len(u.setting.starts))
        * (u.losses.steps[-1] / spec.training.steps)
        for u in progress.under_way
        if u.setting.role.is_search == in_search
    )


def _training(under_way: Sequence[UnderWay], spec: JobSpec) -> str:
    """Of the tasks that take long to train, the one that is furthest."""
    if not under_way:
        return ""
    first = max(under_way, key=lambda u: u.losses.steps[-1])
    rule, losses = spec.search.rules[first.setting.optimizer], first.losses
    step, steps = count(losses.steps[-1]), count(spec.training.steps)
    more = f"; {len(under_way) - 1} more" if len(under_way) > 1 else ""
    return (
        f"{rule.label} {first.setting.learning_rate:.3g}: step {step} of {steps}, "
        f"median loss {number(losses.quantiles[1][-1])}{more}"
    )


@dataclass
class LiveProgress:
    """A few lines that are drawn again and again; a context manager."""

    console: Console
    spec: JobSpec

    def __post_init__(self) -> None:
        self._tally = Tally(self.spec)
        self._live = Live(
            Text("starting the workers ..."),
            console=self.console,
            refresh_per_second=8,
            transient=True,
        )

    def __enter__(self) -> LiveProgress:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def __call__(self, progress: Progress) -> None:
        self._live.update(self.picture(progress))

    def picture(self, progress: Progress) -> Group:
        """What is drawn of `progress`."""
        d = describe(progress, self.spec, self._tally)
        detail = d.rate if progress.writing is None else progress.writing.detail
        return Group(
            Text(f"{d.phase}  {detail}  {_clock(progress.seconds)} spent"),
            _bars(d.phases, self.console.width),
            Text(d.outcomes),
            Text(f"best stable rate so far: {d.best}" if d.best else ""),
            Text(f"in training: {d.training}" if d.training else ""),
        )


def _bars(phases: Sequence[Phase], width: int) -> Table:
    """A line for each phase: its name, a bar, how much of how much, and the time left."""
    table = Table.grid(padding=(0, 1))
    for phase in phases:
        bar = ProgressBar(total=max(phase.of, 1), completed=phase.done, width=width // 3)
        most = " at most" * (phase.at_most and phase.done < phase.of)
        table.add_row(
            phase.name, bar, f"{phase.done}/{phase.of} {phase.unit}{most}", phase.time_left
        )
    return table


@dataclass
class LineProgress:
    """A plain line now and then, for logs; a context manager."""

    console: Console
    spec: JobSpec
    _next: float = field(default=0.0, init=False)
    _last: tuple[int, str, str] = field(default=(-1, "", ""), init=False)

    def __post_init__(self) -> None:
        self._tally = Tally(self.spec)

    def __enter__(self) -> LineProgress:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to tidy."""

    def __call__(self, progress: Progress) -> None:
        for line in progress.news:
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)
        d = describe(progress, self.spec, self._tally)
        news = (d.done, d.phase, d.training)
        if news == self._last or (progress.seconds < self._next and d.phase == self._last[1]):
            return
        self._next, self._last = progress.seconds + _LINE_SECONDS, news
        if progress.writing is not None:
            self.console.print(d.phase, soft_wrap=True, highlight=False)
            return
        parts = [
            f"{d.phase}: {d.done}/{d.size} {d.unit}",
            d.rate,
            d.outcomes,
            f"best stable so far: {d.best}" if d.best else "",
            f"in training: {d.training}" if d.training else "",
            d.left,
        ]
        self.console.print("; ".join(p for p in parts if p), soft_wrap=True, highlight=False)


def shown(console: Console, spec: JobSpec) -> LiveProgress | LineProgress:
    """Progress as the console can show it."""
    return LiveProgress(console, spec) if console.is_terminal else LineProgress(console, spec)

"""How far a job is, shown while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainers import Dynamics
from tuning.search.loop import Progress
from tuning.spec.job import JobSpec
from tuning.spec.search_space import label
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Role

__all__ = ["LineProgress", "LiveProgress", "describe"]

_LINE_SECONDS = 10.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@dataclass(frozen=True)
class _Description:
    """What there is to say, in short texts."""

    done: int
    settings: int
    phase: str
    rate: str
    outcomes: str
    best: str
    left: str


def best_so_far(results: Sequence[SettingResult], spec: JobSpec) -> SettingResult | None:
    """Among the settings that look stable, the one with the lowest mean loss: for progress only."""
    limit = spec.stability.max_unstable
    stable = [r for r in of_role(results, Role.SEARCH) if r.unstable_fraction <= limit]
    return min(stable, key=lambda r: r.value, default=None)


def describe(progress: Progress, spec: JobSpec, already: int) -> _Description:
    """Put `progress` into words. `already` settings had been done before this run."""
    told = progress.told
    search = len(of_role(told, Role.SEARCH))
    counts: Counter[str] = Counter()
    for result in told:
        counts.update(result.restarts.dynamics.tolist())
    best = best_so_far(told, spec)
    found = "" if progress.finished else "none yet"  # when done, the report tells
    if best is not None and not progress.finished:
        rule = spec.search.rules[best.setting.optimizer]
        found = f"{label(rule)} {best.setting.learning_rate:.3g} (unconfirmed)"
    now = search - already
    left = progress.seconds / now * (progress.settings - search) if now > 0 else None
    phase = "searching" if search < progress.settings else "confirming on fresh starts"
    lost = f", {progress.lost} lost and retried" if progress.lost else ""
    return _Description(
        done=search,
        settings=progress.settings,
        phase="done" if progress.finished else phase,
        rate=f"{progress.restarts_done / progress.seconds:.0f} restarts/s{lost}"
        if progress.seconds > 0
        else "",
        outcomes="  ".join(f"{counts[d.value]} {d.value}" for d in Dynamics),
        best=found,
        left="" if left is None or search >= progress.settings else f"{_clock(left)} left",
    )


@dataclass
class LiveProgress:
    """A few lines that are drawn again and again; a context manager."""

    console: Console
    spec: JobSpec
    _already: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
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
        if self._already is None:
            self._already = len(of_role(progress.told, Role.SEARCH))
        d = describe(progress, self.spec, self._already)
        head = Text(
            f"{d.phase}  {d.done}/{d.settings} settings  {d.rate}  "
            f"{_clock(progress.seconds)} spent  {d.left}"
        )
        self._live.update(
            Group(
                head,
                _bar(d.done, d.settings, min(60, self.console.width - 2)),
                Text(d.outcomes),
                Text(f"best stable rate so far: {d.best}"),
            )
        )


def _bar(done: int, of: int, width: int) -> Table:
    """A progress bar on a line of its own, which the bar by itself does not end."""
    line = Table.grid()
    line.add_row(ProgressBar(total=of, completed=done, width=width))
    return line


@dataclass
class LineProgress:
    """A plain line now and then, for logs; a context manager."""

    console: Console
    spec: JobSpec
    _next: float = field(default=0.0, init=False)
    _last: tuple[int, str] = field(default=(-1, ""), init=False)
    _already: int | None = field(default=None, init=False)

    def __enter__(self) -> LineProgress:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to tidy."""

    def __call__(self, progress: Progress) -> None:
        if self._already is None:
            self._already = len(of_role(progress.told, Role.SEARCH))
        for line in progress.news:
            self.console.print(line, soft_wrap=True, highlight=False, markup=False)
        d = describe(progress, self.spec, self._already)
        news = (d.done, d.phase)
        if news == self._last or (progress.seconds < self._next and d.phase == self._last[1]):
            return
        self._next, self._last = progress.seconds + _LINE_SECONDS, news
        parts = [
            f"{d.phase}: {d.done}/{d.settings} settings",
            d.rate,
            d.outcomes,
            f"best stable so far: {d.best}" if d.best else "",
            d.left,
        ]
        self.console.print("; ".join(p for p in parts if p), soft_wrap=True, highlight=False)

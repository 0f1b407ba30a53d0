"""The job's answer, as data. How it is worked out is in `analysis`; how it looks, beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuning.report.comparison import RivalComparison
from tuning.report.paste import Recipe, recipes
from tuning.report.plot_data import LossProfile, Paths, QuantileCurves, SharpnessCurves
from tuning.report.rows import BestStable, SettingRow
from tuning.report.status import Status
from tuning.statistics.cliff import Cliff
from tuning.statistics.intervals import Rate, UnseenMass

if TYPE_CHECKING:
    import pandas
    import plotly

__all__ = [
    "BestStable",
    "LossProfile",
    "Minimum",
    "OwnBest",
    "Paths",
    "QuantileCurves",
    "Report",
    "RunFacts",
    "SettingRow",
    "SharpnessCurves",
    "Status",
    "Target",
]

FloatArray = NDArray[np.float64]

_UNREAD = 1e-12  # of the descent: less is rounding


@dataclass(frozen=True)
class Minimum:
    """A distinct minimum, told apart by loss and largest curvature: symmetric copies count as one.
    A flat one is told apart by its loss alone, for its curvatures change along the bottom.

    Attributes:
        loss: J at the bottom. above_best: (J - J*) / (J0 - J*), or None when the descent is 0.
        count: restarts that ended in its basin, over all settings. is_global: within the tolerance
            of J*.
        smallest_curvature, largest_curvature: eigenvalues of the Hessian there, the medians over
            the restarts; NaN where none was measured.
        gd_limit: 2 / largest_curvature: above this rate gradient descent cannot stay in it.
        found_by: setting number -> restarts. flat: in some directions it does not curve. by_level:
            not proven: all that came to this level, within the tolerance, however many minima.
    """

    loss: float
    above_best: float | None
    count: int
    is_global: bool
    smallest_curvature: float
    largest_curvature: float
    gd_limit: float | None
    found_by: Mapping[int, int]
    flat: bool = False
    by_level: bool = False


@dataclass(frozen=True)
class OwnBest:
    """The lowest bottom that one optimizer found, and how many of its restarts came to it, within
    the job's tolerance."""

    loss: float
    reached: Rate


@dataclass(frozen=True)
class Target:
    """The loss that a restart must reach to count as a success, and whence that number comes."""

    loss: float
    origin: str


@dataclass(frozen=True)
class RunFacts:
    """Times and host facts: true of one run, no part of the answer."""

    job_id: str
    created: str
    seconds: float
    training_seconds: float
    classifying_seconds: float
    restart_steps: int
    host: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """The job's answer. `to_dict` and JSON are a function of the job file alone, `run` apart.

    Attributes:
        job: the job file with every default filled in.
        problem: facts about it: name, parameters, examples, task and whether that was guessed.
        settings: one row a setting, in the order tried. confirmations: likewise, on fresh starts.
        probes: likewise, of a search for the cliff: rates at which a few starts were trained that
            were chosen for how they did elsewhere; their counts stand for no others.
        rivals: likewise, each other optimizer's best on the winner's fresh starts.
        best_stable: the recommended setting, or None; `explanation` says why in a sentence or two.
        advice: what to do for a better answer, without capital and full stop; empty where the
            answer wants nothing. unfinished: what is still to be done, empty where nothing is.
        cliffs: by optimizer. stopped: likewise, why a search for its cliff ended.
        minima: distinct, the lowest first. unseen: what may be missing.
        best_loss: J*. best_loss_is_known: whether the problem knows it; else it is the best found.
        best_loss_found_by: the optimizer that found the lowest one. own_best: by optimizer.
        label_drift: the share of judged restarts whose label would change if J* fell by the
            tolerance; None where J* is known.
        tolerance: how far above J* still counts as the global minimum. start_loss: median J0.
        target: what counts as success. sensitivity: Wortsman et al. 2023, by optimizer.
        comparisons: by each other optimizer, who reached the target: the best setting or its best.
        warnings: what a careful reader should know.
        sharpness: setting number -> its quantiles along the way, where the job asked for it.
        curves: setting number -> loss quantiles. landscape: for problems with one weight.
        run: times and host facts.
    """

    job: Mapping[str, Any]
    problem: Mapping[str, Any]
    settings: tuple[SettingRow, ...]
    probes: tuple[SettingRow, ...]
    confirmations: tuple[SettingRow, ...]
    rivals: tuple[SettingRow, ...]
    best_stable: BestStable | None
    explanation: str
    advice: str
    unfinished: str
    cliffs: Mapping[str, Cliff]
    stopped: Mapping[str, str]
    minima: tuple[Minimum, ...]
    unseen: UnseenMass | None
    best_loss: float | None
    best_loss_is_known: bool
    best_loss_found_by: str | None
    own_best: Mapping[str, OwnBest]
    label_drift: float | None
    tolerance: float
    start_loss: float
    target: Target
    sensitivity: Mapping[str, float]
    comparisons: Mapping[str, RivalComparison]
    warnings: tuple[str, ...]
    sharpness: Mapping[int, SharpnessCurves]
    curves: Mapping[int, QuantileCurves] = field(repr=False)
    landscape: LossProfile | None = field(repr=False)
    run: RunFacts

    @property
    def rows(self) -> tuple[SettingRow, ...]:
        """All settings, by number."""
        every = (*self.settings, *self.probes, *self.confirmations, *self.rivals)
        return tuple(sorted(every, key=lambda row: row.number))

    @property
    def to_paste(self) -> Mapping[str, Recipe]:
        """By library (pytorch, keras, optax, scikit-learn): what makes it train as `best_stable`
        did. `print(report.to_paste["pytorch"])` is all of it, `.line` the optimizer alone, None
        where the library has none like it. Empty without a best setting, and for a rule that is in
        no library."""
        return recipes(self.best_stable, self.job, self.problem)

    def at_minimum(self, loss: float) -> bool:
        """Whether `loss` is J* as far as anybody would read."""
        if self.best_loss is None:
            return False
        scale = abs(self.start_loss - self.best_loss)
        return abs(loss - self.best_loss) <= _UNREAD * scale

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON without the curves and pictures.

        `["run"]` alone differs between two runs of one job.
        """
        kept = (f.name for f in fields(self) if f.name not in ("curves", "landscape"))
        return {name: _plain(getattr(self, name)) for name in (*kept, "to_paste")}

    def to_json(self) -> str:
        """`to_dict` as text, keys in a fixed order."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"

    def to_dataframe(self) -> pandas.DataFrame:
        """A row a setting; its columns are those of `tuning.report.dataframe`, with their units."""
        from tuning.report.dataframe import dataframe

        return dataframe(self.rows)

    def plot(
        self, kind: str = "loss", *, setting: int | None = None
    ) -> plotly.graph_objects.Figure:
        """A Plotly figure, which a notebook shows and `.write_html(path)` keeps.

        Args:
            kind: `loss` (reached against the rate, as a learning-rate finder shows it), `cliff`
                (P(unstable)), `outcomes`, `costs`, `curves`, `minima`, or `path` (on J(w), for
                problems with one weight).
            setting: of `curves` alone: this setting's, by its number, with their band.

        Raises:
            InvalidInput: there is no such kind, or no such setting.
        """
        from tuning.report.figures.kinds import figure

        return figure(self, kind, setting)

    def to_html(self) -> str:
        """One self-contained page."""
        from tuning.report.html import page

        return page(self)

    def save_html(self, path: str | Path) -> Path:
        """Write `to_html` to `path`; returns it."""
        Path(path).write_text(self.to_html(), encoding="utf-8")
        return Path(path)

    def _repr_html_(self) -> str:
        from tuning.report.notebook import fragment

        return fragment(self)

    def __repr__(self) -> str:
        from tuning.report.notebook import summary

        return summary(self)

    def __str__(self) -> str:
        from tuning.report.terminal import text

        return text(self)


def _plain(value: Any) -> Any:
    """JSON of dataclasses, mappings, sequences and numbers; a number that is not finite is None."""
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

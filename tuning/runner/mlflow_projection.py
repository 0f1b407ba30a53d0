"""A setting's result, and the report, as MLflow shall show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers import Basin, Dynamics
from trainers.optimizers.base import UpdateRule
from tuning.analysis.judgements import share, unstable_share
from tuning.report.labels import PALETTE
from tuning.report.model import Report, Status
from tuning.report.text import headline
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.tracking import Run
from tuning.trial.result import Restarts, SettingResult
from tuning.trial.setting import Role, Setting
from tuning.trial.task import sharpness_limit

__all__ = [
    "curves_of",
    "median_loss",
    "name_of",
    "optimizer_colour",
    "params_of",
    "report_run",
    "setting_run",
]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_MOST_TAG_CHARACTERS = 4000
# Of each curve. A point costs MLflow 0.1 ms, three curves of all 105 checkpoints what training
# a small network does; the report draws all of them.
_MOST_POINTS = 36
# Of the hover, whose last digits move with every rounding of J*: a run whose metrics have changed
# is written anew when the job ends.
_DIGITS = 3


def setting_run(
    job_id: str, result: SettingResult, basins: NDArray[Any], status: Status, spec: JobSpec
) -> Run:
    """One flat run for one setting.

    Args:
        basins: its labels (R,). They are relative to the best minimum known when this is made;
            when the job ends they are renewed, and `status` with them.
    """
    setting, table = result.setting, result.restarts
    rule = spec.search.rules[setting.optimizer]
    doing, where = (
        Counter(table.dynamics.tolist()),
        Counter(str(b) for b in basins if b is not None),
    )
    # Of several that as many did, what comes last in Dynamics, which is the worst.
    outcome = max(reversed(Dynamics), key=lambda d: doing[d.value])
    starts = setting.starts
    gone = [f"{starts[i]} at {table.diverged_at[i]}" for i in np.flatnonzero(table.diverged)]
    metrics: dict[str, float] = {
        LEARNING_RATE: setting.learning_rate,  # as a parameter it would be sorted as text
        "log10_lr": float(np.log10(setting.learning_rate)),
        "mean_loss": result.value,
        **{f"count/{d.value}": float(doing[d]) for d in Dynamics},
        **{f"count/{b.value}": float(where[b]) for b in Basin},
    }
    rates = {
        "unstable": unstable_share(table),
        "trapped": share(basins, Basin.LOCAL_MINIMUM),
        "global_minimum": share(basins, Basin.GLOBAL_MINIMUM),
    }
    # What is not known, since few are judged, is absent and not 0.
    metrics |= {name: of.estimate for name, of in rates.items() if of.estimate is not None}
    hovers = table.hover[np.isfinite(table.hover)]
    if hovers.size:
        metrics |= {
            "hover": _rounded(float(np.median(hovers))),
            "worst_hover": _rounded(float(hovers.max())),
        }
    if (loss := median_loss(table)) is not None:
        metrics["loss"] = loss
        if loss > 0:
            metrics["log10_loss"] = float(np.log10(loss))  # the UI's scatters have no log axis
    shown = result.curves.thinned(_MOST_POINTS)
    curves = curves_of("loss", shown.steps, shown.quantiles())
    if result.sharpness is not None:
        metrics["sharpness_limit"] = sharpness_limit(setting, spec)
        steps, quantiles = result.sharpness.quantiles(_MOST_POINTS)
        curves |= curves_of("sharpness", steps, quantiles)
    return Run(
        key=f"{job_id}/{setting.number}",
        name=name_of(setting, rule),
        params=params_of(setting, spec),
        tags={
            "optimizer": rule.label,
            "outcome": outcome.value,
            "status": status.value,
            "recommended": "false",
            "role": setting.role.value,
            "setting": str(setting.number),
            "diverged_starts": _cut(", ".join(gone) or "none"),
        },
        metrics=metrics,
        curves=curves,
        seconds=(
            result.finished_at - result.training_seconds - result.classifying_seconds,
            result.finished_at,
        ),
        colour=optimizer_colour(setting.optimizer),
    )


def name_of(setting: Setting, rule: UpdateRule) -> str:
    """Of its run, as the UI shows it."""
    role = "" if setting.role is Role.SEARCH else f" ({setting.role})"
    return f"{rule.label} lr={setting.learning_rate:.4g}{role}"


def params_of(setting: Setting, spec: JobSpec) -> dict[str, str | float | int]:
    """Of its run."""
    rule = spec.search.rules[setting.optimizer]
    return {
        "optimizer": rule.name,
        **setting.hyperparameters,
        **rule.hyperparameters,
        "restarts": len(setting.starts),
        "first_restart": setting.starts[0],
        "steps": spec.training.steps,
        "batch_size": spec.training.batch_size or "full",
        "problem": spec.problem.name,
        "seed": spec.seed,
    }


def median_loss(table: Restarts) -> float | None:
    """Where the median restart ended, as the report has it; None where half of them diverged."""
    ends = np.where(table.diverged, np.inf, table.loss)
    middle = float(np.quantile(ends, 0.5, method="inverted_cdf"))
    return middle if np.isfinite(middle) else None


def optimizer_colour(number: int) -> str:
    """Of all runs of the job's `number`-th optimizer, the recommended one apart: MLflow has one
    colour for a run, and it is the loss curves that it must tell apart. Their status is a word."""
    return PALETTE[number % len(PALETTE)]


def curves_of(
    what: str, steps: Sequence[int] | IntArray, quantiles: Sequence[Sequence[float]] | FloatArray
) -> dict[str, list[tuple[int, float]]]:
    """The three `quantiles` (3, K) of `what` at `steps` (K,), without what is not finite."""
    return {
        f"{what}/{name}": [
            (int(s), float(v)) for s, v in zip(steps, values, strict=True) if np.isfinite(v)
        ]
        for name, values in zip(("p10", "p50", "p90"), quantiles, strict=True)
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TAG_CHARACTERS else text[: _MOST_TAG_CHARACTERS - 4] + " ..."


#: Facts of a problem that are parameters of the report's run, where there are such.
_MODEL = ("library", "model", "parameters", "dtype", "code_sha256")


def report_run(
    report: Report, files: Mapping[str, bytes | str], seconds: tuple[float, float]
) -> Run:
    """The run called `report`, which holds the report's files and pictures. It has no name of a
    setting's numbers, so that filters find settings alone."""
    best = report.best_stable
    metrics = (
        {}
        if best is None
        else {
            "best_learning_rate": best.learning_rate,
            **{
                f"best_{name}": of.estimate
                for name, of in (("unstable", best.unstable), ("trapped", best.trapped))
                if of.estimate is not None
            },
        }
    )
    return Run(
        key=f"{report.run.job_id}/report",
        name="report",
        params={
            "problem": str(report.problem["name"]),
            **{key: str(report.problem[key]) for key in _MODEL if key in report.problem},
            **(
                {}
                if best is None
                else {"best_optimizer": best.optimizer, "best_learning_rate": best.learning_rate}
            ),
        },
        tags={
            "role": "report",
            **({} if best is None else {"best_status": best.status.value}),
        },
        metrics=metrics,
        curves={},
        seconds=seconds,
        note="\n\n".join(
            [
                f"**{headline(report)}**",
                report.explanation,
                *(found.explanation for found in report.comparisons.values()),
            ]
        ),
        files=files,
    )

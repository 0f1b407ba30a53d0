"""A setting's result, and the report, as MLflow shall show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers import Basin, Dynamics
from tuning.analysis.judgements import share
from tuning.report.labels import MIXED, STABLE, UNSTABLE
from tuning.report.model import Report, Status
from tuning.spec.job import JobSpec
from tuning.tracking import Run
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role
from tuning.trial.task import sharpness_limit

__all__ = ["report_run", "setting_run"]

_COLOURS = {"stable": STABLE, "mixed": MIXED, "unstable": UNSTABLE}
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
    rule, total = spec.search.rules[setting.optimizer], len(result.restarts)
    doing, where = (
        Counter(table.dynamics.tolist()),
        Counter(str(b) for b in basins if b is not None),
    )
    unstable = result.unstable_fraction
    outcome = (
        "stable"
        if unstable <= spec.stability.max_unstable
        else "unstable"
        if unstable > 0.5
        else "mixed"
    )
    starts = setting.starts
    gone = [f"{starts[i]} at {table.diverged_at[i]}" for i in np.flatnonzero(table.diverged)]
    finite = table.loss[~table.diverged]
    metrics: dict[str, float] = {
        "log10_lr": float(np.log10(setting.learning_rate)),
        "unstable": unstable,
        "mean_loss": result.value,
        **{f"count/{d.value}": float(doing[d]) for d in Dynamics},
        **{f"count/{b.value}": float(where[b]) for b in Basin},
    }
    for name, basin in (("trapped", Basin.LOCAL_MINIMUM), ("global_minimum", Basin.GLOBAL_MINIMUM)):
        if (estimate := share(basins, basin).estimate) is not None:  # not where few are judged
            metrics[name] = estimate
    hovers = table.hover[np.isfinite(table.hover)]
    if hovers.size:
        metrics |= {
            "hover": _rounded(float(np.median(hovers))),
            "worst_hover": _rounded(float(hovers.max())),
        }
    if finite.size:
        metrics["loss"] = float(np.median(finite))
        if metrics["loss"] > 0:
            metrics["log10_loss"] = float(
                np.log10(metrics["loss"])
            )  # the UI's scatters have no log axis
    shown = result.curves.thinned(_MOST_POINTS)
    curves = _curves("loss", shown.steps, shown.quantiles())
    if result.sharpness is not None:
        metrics["sharpness_limit"] = sharpness_limit(setting, spec)
        steps, quantiles = result.sharpness.quantiles(_MOST_POINTS)
        curves |= _curves("sharpness", steps, quantiles)
    return Run(
        key=f"{job_id}/{setting.number}",
        name=f"{rule.label} lr={setting.learning_rate:.4g}"
        + ("" if setting.role is Role.SEARCH else f" ({setting.role})"),
        params={
            "optimizer": rule.name,
            **setting.hyperparameters,
            **rule.hyperparameters,
            "restarts": total,
            "first_restart": starts[0],
            "steps": spec.training.steps,
            "batch_size": spec.training.batch_size or "full",
            "problem": spec.problem.name,
            "seed": spec.seed,
        },
        tags={
            "optimizer": rule.label,
            "outcome": outcome,
            "status": status.value,
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
        colour=_COLOURS[outcome],
    )


def _curves(
    what: str, steps: NDArray[np.int64], quantiles: NDArray[np.float64]
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
    """The run called `report`, which holds the report's files and pictures."""
    best = report.best_stable
    metrics = (
        {}
        if best is None
        else {
            "best_learning_rate": best.learning_rate,
            "unstable": best.unstable.count / best.unstable.total,
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
                else {"optimizer": best.optimizer, "learning_rate": best.learning_rate}
            ),
        },
        tags={
            "role": "report",
            "outcome": "report",
            **({} if best is None else {"status": best.status.value}),
        },
        metrics=metrics,
        curves={},
        seconds=seconds,
        note="\n\n".join(
            [report.explanation, *(found.explanation for found in report.comparisons.values())]
        ),
        files=files,
    )

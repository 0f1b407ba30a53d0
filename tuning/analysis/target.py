"""What counts as success: the loss that a restart must reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuning.analysis.basin_labels import Labels
from tuning.analysis.cost import expected_running_time
from tuning.report.model import Target
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult

__all__ = ["find_target"]


def find_target(candidates: Sequence[SettingResult], labels: Labels, spec: JobSpec) -> Target:
    """The user's `target_loss`; else the global minimum's tolerance, if any candidate reaches it;
    else a quantile of what the candidates reached."""
    if spec.stability.target_loss is not None:
        return Target(spec.stability.target_loss, "target_loss of the job")
    loss = labels.best + labels.tolerance
    if np.isfinite(loss) and (
        not candidates
        or (labels.tolerance > 0 and any(expected_running_time(r, loss)[1] for r in candidates))
    ):
        # By the search alone: fresh starts may move J0, and with it the report's tolerance, but not
        # what the candidates are judged by.
        if labels.known:
            return Target(loss, "the known global minimum, and the search's tolerance")
        return Target(loss, "the lowest minimum that the search found, and its tolerance")
    ends = (
        np.concatenate([r.restarts.loss[~r.restarts.diverged] for r in candidates])
        if candidates
        else np.zeros(0)
    )
    if not ends.size:
        return Target(float("nan"), "none: no setting was stable")
    level = float(np.quantile(ends, 0.1, method="higher"))
    why = "none came to the global minimum in time"
    if not labels.tolerance > 0:
        why = "how far the losses fell is not known, for those at the start are not"
    return Target(level, f"the best tenth of the losses of stable settings: {why}")

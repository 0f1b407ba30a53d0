"""One restart, trained again, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trainers import Basin, Dynamics, Point
from tuning.report.formatting import number

if TYPE_CHECKING:
    from tuning.runner.replay import Replay

__all__ = ["replay_dict", "replay_lines"]

_SHOWN = 12


def replay_lines(again: Replay) -> list[str]:
    """For people: what became of it, and its losses at a few steps."""
    o = again.outcome
    lines = [
        f"setting {again.setting}: {again.optimizer} at learning rate {again.learning_rate!r}, "
        f"restart {again.restart}",
        f"dynamics  {o.dynamics}",
        f"basin     {_basin(again)}",
        f"reason    {o.reason}",
        f"loss      {o.start_loss:.6g} at the start, {_end(again)}",
    ]
    if np.isfinite(o.largest_curvature):
        lines.append(
            f"curvature {o.smallest_curvature:.4g} to {o.largest_curvature:.4g} at the bottom"
            + (
                f"; gradient descent stays there below the rate {2.0 / o.largest_curvature:.4g}"
                if o.largest_curvature > 0 and o.point == Point.MINIMUM
                else ""
            )
        )
    if np.isfinite(o.lr_sharpness):
        side = "below" if o.lr_sharpness < again.stability_limit else "not below"
        limit = f", {side} the limit of {again.optimizer}, {again.stability_limit:.4g}"
        lines.append(
            f"sharpness learning rate x lambda_max(P^-1 H) = {o.lr_sharpness:.4g} where it ended"
            + (limit if np.isfinite(again.stability_limit) else "")
        )
    if again.made_by is not None:
        lines.append(f"start     {again.made_by}")
    rows = np.unique(np.geomspace(1, len(again.recorded), _SHOWN).round().astype(int)) - 1
    lines.append("step      loss")
    lines += [
        f"{again.recorded[i]:<9} {again.losses[i]:.8g}"
        for i in rows
        if np.isfinite(again.losses[i])
    ]
    lines += _sharpness_lines(again)
    lines.append(
        f"differs from the study in: {', '.join(again.differences)} "
        "(another kind of processor, or another version?)"
        if again.differences
        else "the same as in the study, bit for bit"
    )
    return lines


def replay_dict(again: Replay) -> dict[str, Any]:
    """Plain JSON; losses end where it diverged."""
    o, keep = again.outcome, np.isfinite(again.losses)
    numbers = (
        "start_loss",
        "loss",
        "basin_loss",
        "smallest_curvature",
        "largest_curvature",
        "lr_sharpness",
    )
    return {
        "setting": again.setting,
        "optimizer": again.optimizer,
        "learning_rate": again.learning_rate,
        "restart": again.restart,
        "dynamics": str(o.dynamics),
        "basin": None if o.basin is None else str(o.basin),
        "point": str(o.point),
        "reason": o.reason,
        "diverged_at": None if o.diverged_at < 0 else int(o.diverged_at),
        **{name: float(v) if np.isfinite(v := getattr(o, name)) else None for name in numbers},
        "stability_limit": again.stability_limit if np.isfinite(again.stability_limit) else None,
        "made_by": again.made_by,
        "best_loss": again.best_loss if np.isfinite(again.best_loss) else None,
        "best_loss_is_known": again.best_loss_is_known,
        "steps": again.recorded[keep].tolist(),
        "losses": again.losses[keep].tolist(),
        "weights": again.weights.tolist(),
        **_sharpness_dict(again),
        "differences": list(again.differences),
    }


def _basin(again: Replay) -> str:
    """Its label, and what that is relative to."""
    o = again.outcome
    if o.basin is None:
        return "none"
    named = str(o.basin) + (" (flat)" if o.point == Point.FLAT else "")
    if o.basin not in (Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM):
        return named
    origin = "known" if again.best_loss_is_known else "the best that the job found"
    return f"{named}; the lowest loss is {number(again.best_loss, 4)}, {origin}"


def _end(again: Replay) -> str:
    o = again.outcome
    if o.dynamics == Dynamics.DIVERGED:
        return f"{o.loss:.6g} the last before it diverged at step {o.diverged_at}"
    below = f", {o.basin_loss:.6g} at the bottom below" if np.isfinite(o.basin_loss) else ""
    return f"{o.loss:.6g} where it ended{below}"


def _sharpness_lines(again: Replay) -> list[str]:
    if again.sharpness is None or again.sharpness_steps is None:
        return []
    rate, count = again.learning_rate, len(again.sharpness)
    lines = [
        f"step      learning rate x sharpness; the limit is {rate * again.sharpness_limit:.4g}"
    ]
    rows = np.unique(np.linspace(0, count - 1, min(_SHOWN, count)).round().astype(int))
    return lines + [
        f"{again.sharpness_steps[i]:<9} {rate * again.sharpness[i]:.4g}"
        for i in rows
        if np.isfinite(again.sharpness[i])
    ]


def _sharpness_dict(again: Replay) -> dict[str, Any]:
    if again.sharpness is None or again.sharpness_steps is None:
        return {}
    keep = np.isfinite(again.sharpness)
    return {
        "sharpness_limit": again.sharpness_limit,
        "sharpness_steps": again.sharpness_steps[keep].tolist(),
        "sharpness": again.sharpness[keep].tolist(),
    }

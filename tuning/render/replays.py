"""One restart, trained again, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tuning.replaying import Replay

__all__ = ["replay_dict", "replay_lines"]

_SHOWN = 12


def replay_lines(again: Replay) -> list[str]:
    """For people: what became of it, and its losses at a few steps."""
    o = again.outcome
    lines = [
        f"setting {again.setting}: {again.optimizer} at learning rate {again.learning_rate!r}, "
        f"restart {again.restart}",
        f"dynamics  {o.dynamics}",
        f"bottom    {o.point}",
        f"reason    {o.reason}",
        f"loss      {o.start_loss:.6g} at the start, {o.loss:.6g} where it ended"
        + (f", {o.basin_loss:.6g} at the bottom below" if np.isfinite(o.basin_loss) else ""),
    ]
    if np.isfinite(o.largest_curvature):
        sharpness = again.learning_rate * o.largest_curvature
        lines.append(
            f"curvature {o.smallest_curvature:.4g} to {o.largest_curvature:.4g} at the bottom; "
            f"learning rate x largest = {sharpness:.4g}"
        )
    rows = np.unique(np.geomspace(1, len(again.recorded), _SHOWN).round().astype(int)) - 1
    lines.append("step      loss")
    lines += [
        f"{again.recorded[i]:<9} {again.losses[i]:.8g}"
        for i in rows
        if np.isfinite(again.losses[i])
    ]
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
    numbers = ("start_loss", "loss", "basin_loss", "smallest_curvature", "largest_curvature")
    return {
        "setting": again.setting,
        "optimizer": again.optimizer,
        "learning_rate": again.learning_rate,
        "restart": again.restart,
        "dynamics": str(o.dynamics),
        "point": str(o.point),
        "reason": o.reason,
        "diverged_at": None if o.diverged_at < 0 else int(o.diverged_at),
        **{name: float(v) if np.isfinite(v := getattr(o, name)) else None for name in numbers},
        "steps": again.recorded[keep].tolist(),
        "losses": again.losses[keep].tolist(),
        "weights": again.weights.tolist(),
        "differences": list(again.differences),
    }

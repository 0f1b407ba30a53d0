"""What a few walks over one weight do, in words."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers import Dynamics
from tuning.report.model import LossProfile, Paths

__all__ = ["FAR", "story", "walked_part"]

FloatArray = NDArray[np.float64]
FAR = 0.02  # of the drawn width: shorter steps are not drawn as arrows, and less is no overshoot


def story(path: Paths, land: LossProfile) -> str:
    """What the walks of `path` do, in a few words: "settles", "overshoots and diverges", "2
    settle, 1 is trapped"."""
    width = float(np.ptp(land.w))
    told = Counter(
        _told(w, outcome, land, width) for w, outcome in zip(path.w.T, path.outcomes, strict=True)
    )
    if len(told) == 1:
        return next(iter(told)).singular
    return ", ".join(
        f"{n} {one.singular if n == 1 else one.plural}" for one, n in told.most_common()
    )


class _Told(NamedTuple):
    singular: str
    plural: str


def _told(w: FloatArray, outcome: str, land: LossProfile, width: float) -> _Told:
    walked = walked_part(w, land)
    minima = np.concatenate([land.global_minima, land.local_minima])
    # How far beyond each minimum, seen from the start, the walk ever was.
    beyond = np.sign(walked[:1, None] - minima) * (minima - walked[:, None])
    over = bool((beyond > FAR * width).any())
    trapped = (
        land.local_minima.size > 0
        and walked.size > 0
        and (
            np.abs(land.local_minima - walked[-1]).min()
            < np.abs(land.global_minima - walked[-1]).min(initial=np.inf)
        )
    )
    match Dynamics(outcome):
        case Dynamics.DIVERGED:
            return (
                _Told("overshoots and diverges", "overshoot and diverge")
                if over
                else _Told("diverges", "diverge")
            )
        case Dynamics.OSCILLATING:
            return _Told("oscillates", "oscillate")
        case Dynamics.HOVERING:
            return _Told("hovers", "hover")
        case Dynamics.DESCENDING:
            return _Told("is still descending", "are still descending")
        case Dynamics.SETTLED if trapped:
            return _Told("is trapped", "are trapped")
        case Dynamics.SETTLED:
            return (
                _Told("overshoots and settles", "overshoot and settle")
                if over
                else _Told("settles", "settle")
            )


def walked_part(w: FloatArray, land: LossProfile) -> FloatArray:
    """The walk as far as it is finite; on its way to infinity it is held where nothing overflows
    yet."""
    room = 50.0 * float(np.ptp(land.w))
    return np.asarray(np.clip(w[np.isfinite(w)], land.w[0] - room, land.w[-1] + room))

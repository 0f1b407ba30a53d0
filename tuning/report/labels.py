"""What a restart can have become: the order, colours and short words, for every table and picture.

Colours are those of Okabe & Ito (2008), told apart with any colour vision, and in grey.
"""

from __future__ import annotations

from collections.abc import Mapping

from trainers import Basin, Dynamics

__all__ = ["MIXED", "PALETTE", "SHORT", "STABLE", "STACKS", "UNSTABLE", "stack"]

BLUE, SKY, ORANGE, GREEN, VERMILION, PURPLE = (
    "#0072b2",
    "#8cc6ec",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
)
#: For things that are told apart by their colour alone, in this order.
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
#: Of a setting: most of its restarts are stable, some are not, most are not.
STABLE, MIXED, UNSTABLE = BLUE, ORANGE, VERMILION

#: Headings of narrow columns, broken where they may be.
SHORT = {
    Dynamics.SETTLED: "settled",
    Dynamics.DESCENDING: "descend-\ning",
    Dynamics.OSCILLATING: "oscil-\nlating",
    Dynamics.DIVERGED: "diverged",
}

#: What a restart can have become, from the bottom of a bar up, and its colour.
STACKS: dict[str, str] = {
    "settled in the global minimum": BLUE,
    "descending to the global minimum": SKY,
    "trapped: settled in a local minimum": ORANGE,
    "trapped: descending to a local minimum": "#f7dca0",
    "on a plateau or at a saddle": GREEN,
    "undetermined": "#c4c9cf",
    "oscillating": PURPLE,
    "diverged": "#43203a",
}


def stack(joint: Mapping[str, int]) -> dict[str, int]:
    """Restarts in each of `STACKS`, from counts by `dynamics/basin`; each restart is in one."""
    counts = dict.fromkeys(STACKS, 0)
    for labels, found in joint.items():
        dynamics, _, basin = labels.partition("/")
        counts[_stack_of(dynamics, basin)] += found
    return counts


def _stack_of(dynamics: str, basin: str) -> str:
    match dynamics, basin:
        case ((Dynamics.DIVERGED | Dynamics.OSCILLATING), _):
            return str(dynamics)
        case Dynamics.SETTLED, Basin.GLOBAL_MINIMUM:
            return "settled in the global minimum"
        case _, Basin.GLOBAL_MINIMUM:
            return "descending to the global minimum"
        case Dynamics.SETTLED, Basin.LOCAL_MINIMUM:
            return "trapped: settled in a local minimum"
        case _, Basin.LOCAL_MINIMUM:
            return "trapped: descending to a local minimum"
        case _, (Basin.PLATEAU | Basin.SADDLE):
            return "on a plateau or at a saddle"
    return "undetermined"

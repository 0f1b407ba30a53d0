"""What a restart can have become: the order, colours and words, for every table and picture.

Colours are those of Okabe & Ito (2008), told apart with any colour vision, and in grey.
"""

from __future__ import annotations

from collections.abc import Mapping

from trainers import Basin, Dynamics, Fall
from tuning.report.status import Status

__all__ = [
    "FALLS",
    "GLOSSARY",
    "MARKS",
    "PALETTE",
    "SHORT",
    "STACKS",
    "STATUS_COLOURS",
    "UNSTABLE",
    "stack",
    "still_descending",
]

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
#: Of what is beyond a limit.
UNSTABLE = VERMILION

#: Of a setting: how far it came.
STATUS_COLOURS: dict[Status, str] = {
    Status.RECOMMENDED: GREEN,
    Status.CONFIRMED: BLUE,
    Status.LOOKS_STABLE: SKY,
    Status.UNDECIDED: ORANGE,
    Status.UNSTABLE: VERMILION,
}
#: The same where there is room for one character.
MARKS: dict[Status, str] = {
    Status.RECOMMENDED: "★",
    Status.CONFIRMED: "☆",
    Status.LOOKS_STABLE: "✓",
    Status.UNDECIDED: "·",
    Status.UNSTABLE: "✗",
}

#: Headings of narrow columns, broken where they may be.
SHORT = {
    Dynamics.SETTLED: "set-\ntled",
    Dynamics.DESCENDING: "de-\nscend-\ning",
    Dynamics.HOVERING: "hover-\ning",
    Dynamics.OSCILLATING: "oscil-\nlating",
    Dynamics.DIVERGED: "di-\nverged",
}

#: Why restarts are unstable, in a few words.
FALLS: dict[str, str] = {
    Fall.DIVERGED: "diverged",
    Fall.SWINGS: "swing",
    Fall.ABOVE_START: "end above their start",
    "not-known": "hover high: swings or noise, not known",
}

#: Word -> what it means.
GLOSSARY: dict[str, str] = {
    "setting": "an optimizer with all its hyperparameters, the learning rate first",
    "restart": "one random start trained under one setting; restart i starts from the same "
    "weights everywhere",
    "settled": "through the tail, nothing is left to gain that anybody would read",
    "descending": "the loss was still falling when the steps ended",
    "hovering": "no progress, held off the bottom by the noise of the mini-batches",
    "oscillating": "no progress, while the steps bounce to and fro",
    "diverged": "the loss or the weights grew without bound",
    "descent": "from the median loss of the starts down to J*",
    "hover": "how high the tail is over the bottom below it, in parts of the descent: its 90th "
    "percentile",
    "unstable": "fallen: it diverged, swings or hovers too high without progress, or ends above "
    "its start; of a setting: the lower Clopper-Pearson bound on P(unstable) is above the limit",
    "not judged": "the bottom below is known too little to tell trapped from not",
    "recommended": "the first, by cost, of the settings that look stable, or the second if it "
    "failed, and confirmed; the confidence is that of the whole procedure",
    "confirmed": "on fresh starts a group-sequential test accepted that P(unstable) is within the "
    "limit, at the learning rate and at the safety factor times it",
    "looks-stable": "the upper Clopper-Pearson bound on P(unstable) is within the limit at this "
    "learning rate or, with too few restarts for any bound, none was unstable",
    "undecided": "neither shown to be within the limit nor above it; or it looked stable, and "
    "fresh starts refused it or a lower rate of its optimizer",
    "global minimum": "within the tolerance of J*, the lowest loss that is known",
    "local minimum": "the bottom below is above that tolerance",
    "trapped": "in a local minimum: the descent from where the restart ended leads to no lower",
    "saddle": "at rest where some direction curves down",
    "plateau": "no minimum is there: the loss is flat all around, a small push finds a way down, "
    "or the loss falls for ever as the weights grow (a minimum at infinity)",
    "undetermined": "not judged; such restarts widen the intervals",
    "cliff": "the learning rate at which an optimizer stops being stable",
    "cost": "steps spent by all restarts for each one that reached the target loss",
    "sharpness": "the largest curvature λ; gradient descent cannot stay where the rate is above "
    "2/λ. Along the way that of P⁻¹H, P what the optimizer divides the gradient by",
    "edge of stability": "the sharpness has risen to the optimizer's limit and hovers there, while "
    "the loss still falls (Cohen et al. 2021, 2022)",
}

#: What a restart can have become, from the bottom of a bar up, and its colour.
STACKS: dict[str, str] = {
    "settled in the global minimum": BLUE,
    "bound for the global minimum": SKY,
    "trapped: settled in a local minimum": ORANGE,
    "trapped: bound for a local minimum": "#f7dca0",
    "on a plateau or at a saddle": GREEN,
    "not judged": "#c4c9cf",
    "unstable: swings or hovers": PURPLE,
    "diverged": "#43203a",
}


def stack(joint: Mapping[str, int]) -> dict[str, int]:
    """Restarts in each of `STACKS`, from counts by `dynamics/basin`; each restart is in one."""
    counts = dict.fromkeys(STACKS, 0)
    for labels, found in joint.items():
        dynamics, _, basin = labels.partition("/")
        counts[_stack_of(dynamics, basin)] += found
    return counts


def still_descending(joint: Mapping[str, int]) -> int:
    """How many restarts are not judged because they were still descending."""
    return joint.get(f"{Dynamics.DESCENDING}/{Basin.UNDETERMINED}", 0)


def _stack_of(dynamics: str, basin: str) -> str:
    match dynamics, basin:
        case Dynamics.DIVERGED, _:
            return "diverged"
        case "unstable", _:
            return "unstable: swings or hovers"
        case Dynamics.SETTLED, Basin.GLOBAL_MINIMUM:
            return "settled in the global minimum"
        case _, Basin.GLOBAL_MINIMUM:
            return "bound for the global minimum"
        case Dynamics.SETTLED, Basin.LOCAL_MINIMUM:
            return "trapped: settled in a local minimum"
        case _, Basin.LOCAL_MINIMUM:
            return "trapped: bound for a local minimum"
        case _, (Basin.PLATEAU | Basin.SADDLE):
            return "on a plateau or at a saddle"
    return "not judged"

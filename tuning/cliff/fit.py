"""The cliff of one optimizer, as the report has it, from what became of its starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tuning.cliff.audit import audit_of
from tuning.cliff.estimate import interval
from tuning.cliff.model import Model, telling_trainings
from tuning.cliff.observations import Brackets, Trained, brackets
from tuning.cliff.rates import RateRange
from tuning.statistics.cliff import Basis, Cliff, CurvePoint
from tuning.statistics.intervals import clopper_pearson_lower, clopper_pearson_upper

__all__ = ["fit_thresholds"]


def fit_thresholds(
    optimizer: str,
    blocks: Sequence[Trained],
    within: RateRange,
    max_unstable: float,
    confidence: float,
) -> Cliff:
    """The `max_unstable` quantile of the starts' thresholds, with its interval.

    Where the audit finds that starts have no thresholds of their own, or P(unstable) is not
    monotone, the quantile of a logistic curve's posterior takes its place: `Basis.MODEL`.

    Args:
        blocks: at least one, in the order of their rounds.
    """
    known, error = brackets(blocks), 1 - confidence
    low, estimate, high = interval(known, max_unstable, error)
    basis, tried = Basis.THRESHOLDS, sorted({block.rate for block in blocks})
    curve = _curve(blocks, known, tried, error)
    if audit_of(blocks).alarm:
        basis = Basis.MODEL
        model = Model.of(telling_trainings(blocks), within, max_unstable)
        low, estimate, high = model.quantiles([error / 2, 0.5, 1 - error / 2])
        curve = _model_curve(model, blocks, tried, error)
    trained: Counter[float] = Counter()
    fallen: Counter[float] = Counter()
    for block in blocks:
        if block.fresh:
            trained[block.rate] += len(block.starts)
            fallen[block.rate] += int(block.fell.sum())
    # By themselves they are few: one of six falls at rates that are safe.
    failing = sorted(
        rate
        for rate, count in trained.items()
        if clopper_pearson_lower(fallen[rate], count, confidence) > max_unstable
    )
    below = [r for r in sorted(trained) if not failing or r < failing[0]]
    return Cliff(
        optimizer=optimizer,
        estimate=estimate,
        low=low,
        high=high,
        lowest_failing=failing[0] if failing else None,
        stable_up_to=below[-1] if below else None,
        highest_tried=tried[-1],
        lowest_tried=tried[0],
        curve=curve,
        ring=None,
        basis=basis,
        starts=len(known),
    )


def _curve(
    blocks: Sequence[Trained], known: Brackets, rates: Sequence[float], error: float
) -> tuple[CurvePoint, ...]:
    """P(unstable) at each tried rate: the part of all starts that fall there, as far as that is
    known."""
    points = []
    for rate, restarts in zip(rates, _restarts(blocks, rates), strict=True):
        count, unknown = known.fallen(rate)
        decided = len(known) - unknown
        low = clopper_pearson_lower(count, len(known), 1 - error / 2)
        high = clopper_pearson_upper(count + unknown, len(known), 1 - error / 2)
        points.append(CurvePoint(rate, count / decided if decided else 0.0, low, high, restarts))
    return tuple(points)


def _model_curve(
    model: Model, blocks: Sequence[Trained], rates: Sequence[float], error: float
) -> tuple[CurvePoint, ...]:
    restarts = _restarts(blocks, rates)
    return tuple(
        CurvePoint(rate, *model.at(rate, error), count)
        for rate, count in zip(rates, restarts, strict=True)
    )


def _restarts(blocks: Sequence[Trained], rates: Sequence[float]) -> list[int]:
    trained: Counter[float] = Counter()
    for block in blocks:
        trained[block.rate] += len(block.starts)
    return [trained[rate] for rate in rates]

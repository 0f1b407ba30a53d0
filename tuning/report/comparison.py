"""The recommended setting beside another optimizer's best, as data and in words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from tuning.report.formatting import count, number

__all__ = ["RivalComparison"]


@dataclass(frozen=True)
class RivalComparison:
    """Who reached the target, the recommended setting (first) or the rival (second), on shared
    fresh starts.

    Attributes:
        optimizer: the rival's. learning_rate: the best of its rates that look stable, or None.
        number: the setting that holds its restarts; None, as all below, until it is trained.
        starts: how many are shared.
        first_only, second_only: on how many of them one of the two alone reached the target.
        p_value: of McNemar's exact test, two-sided.
        first_cost, second_cost: expected steps to the target on these starts; None where no restart
            reached it.
    """

    optimizer: str
    learning_rate: float | None = None
    number: int | None = None
    starts: int | None = None
    first_only: int | None = None
    second_only: int | None = None
    p_value: float | None = None
    first_cost: float | None = None
    second_cost: float | None = None

    @property
    def explanation(self) -> str:
        """A sentence or two."""
        if self.learning_rate is None:
            return f"{self.optimizer}: no stable rate to compare with."
        here = f"{self.optimizer} at {number(self.learning_rate)}"
        if self.starts is None or self.first_only is None or self.second_only is None:
            return f"{here}, the best of its rates that look stable: not compared yet."
        return (
            f"{here}, the best of its rates that look stable. Of the same {count(self.starts)} "
            f"fresh starts, reached the target under the recommended setting only: "
            f"{count(self.first_only)}; under {self.optimizer} only: {count(self.second_only)} "
            f"(McNemar: p = {number(self.p_value)}). Expected cost: {_steps(self.first_cost)} "
            f"against {_steps(self.second_cost)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field and the explanation, ready for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "explanation": self.explanation
        }


def _steps(cost: float | None) -> str:
    return "unknown (none reached it)" if cost is None else f"{number(cost)} steps"

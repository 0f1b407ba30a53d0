"""What a budget of minutes buys for a module of PyTorch, from the call to the report."""

from __future__ import annotations

import tempfile
import time

from torch import nn

import tuning
from benchmarks.torch_models import CNN, MLP, digits
from tuning.search.loop import Progress

__all__ = ["minutes"]

_MINUTES = 5.0


def minutes() -> list[str]:
    """A row for each module, as Markdown."""
    return [
        f"`find_learning_rate(..., optimizers=['sgd', 'adamw'], batch_size=32, steps=300, "
        f"minutes={_MINUTES:g})` on 512 digits, two workers. A rate is shown when one first looks "
        "stable.",
        "",
        "| module | a rate is shown after | the report after | search | fresh starts | P(unstable) "
        "at most | rate |",
        "|---|---|---|---|---|---|---|",
        *(_row(model) for model in (MLP, CNN)),
    ]


def _row(model: type[nn.Module]) -> str:
    begin = time.monotonic()
    shown: list[float] = []

    def listen(progress: Progress) -> None:
        if not shown and any(r.unstable_fraction <= 0.05 for r in progress.told):
            shown.append(time.monotonic() - begin)

    with tempfile.TemporaryDirectory() as home:
        report = tuning.find_learning_rate(
            model=model,
            loss=nn.functional.cross_entropy,
            data=digits(),
            optimizers=["sgd", "adamw"],
            batch_size=32,
            steps=300,
            minutes=_MINUTES,
            workers=2,
            home=home,
            progress=listen,
        )
    spent = time.monotonic() - begin
    restarts = sum(s.restarts for s in (*report.settings, *report.probes))
    best = report.best_stable
    answer = "– | – | none |"
    if best is not None:
        answer = (
            f"{best.fresh_starts} | {best.unstable_upper:.3f} | {best.learning_rate:.3g} "
            f"with {best.optimizer} |"
        )
    return f"| {model.__name__} | {shown[0]:.0f} s | {spent:.0f} s | {restarts} | {answer}"

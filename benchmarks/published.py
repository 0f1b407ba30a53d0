"""How often gradient descent ends in a spurious minimum: ours against two published counts.

`python -m benchmarks.published [UNITS ...]` prints a table; by default for 6 to 12 units, about ten
minutes on one core.

The experiment: k ReLU units learn k orthonormal ReLU units over all Gaussian inputs (the problem
`relu-teacher`), by plain gradient descent from weights N(0, 1 / k). It was counted twice:

- Safran & Shamir 2018, "Spurious Local Minima are Common in Two-Layer ReLU Neural Networks", ICML,
  arXiv 1712.08968: 1000 starts, rate 0.1, until 2 pi |dJ/dw_i| <= 1e-9 for every unit; spurious
  where J >= 1e-3. Counts: the sums of `magnitude` in Results/newExp-k-k.mat of the authors'
  repository, github.com/ItaySafran/OneLayerGDconvergence.
- Safran, Yehudai & Shamir 2021, "The Effects of Mild Over-parameterization on the Optimization
  Landscape of Shallow ReLU Neural Networks", COLT, arXiv 2006.01005: 500 starts, rate 5 / k, until
  |dJ/dw| <= 1e-12. Counts and curvatures: `multiplicity` and `min_eig` in "Processed minima.zip" of
  github.com/ItaySafran/Overparameterization.

Ours: starts from the same distribution, the same rates, and the steps listed in `REPLICAS`; a
restart counts when `classify` calls it a local minimum. Both counts are binomial, so they are
compared by Fisher's exact test, two-sided.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact
from threadpoolctl import threadpool_limits

from trainers import Basin, Outcomes, classify, get_optimizer, get_problem, starts, train

__all__ = ["COUNTS_2018", "COUNTS_2021", "LEVELS", "SIGNIFICANT", "chance", "replicate"]

#: Units -> starts of 1000 that ended in a spurious minimum at rate 0.1.
COUNTS_2018 = {
    6: 3, 7: 55, 8: 126, 9: 218, 10: 346, 11: 455, 12: 585, 13: 730,
    14: 736, 15: 803, 16: 851, 17: 897, 18: 900, 19: 934, 20: 949,
}  # fmt: skip

#: Units -> starts of 500 that ended in a spurious minimum at rate 5 / units.
COUNTS_2021 = {
    6: 0, 7: 27, 8: 57, 9: 111, 10: 160, 11: 237, 12: 269, 13: 335,
    14: 352, 15: 390, 16: 436, 17: 451, 18: 448, 19: 472, 20: 471,
}  # fmt: skip

#: Units -> the spurious minima met most: J, worked out at the points stored in 2018 (WbadNew), and
#: the smallest curvature published in 2021, where it was met often enough to have one.
LEVELS: dict[int, list[tuple[float, float | None]]] = {
    6: [(0.02508, None)],
    7: [(0.02320, 0.014059)],
    8: [(0.02151, 0.021347)],
    9: [(0.02001, 0.027182), (0.03749, None)],
    10: [(0.01870, 0.031964), (0.03533, 0.015992)],
    11: [(0.01755, 0.035958), (0.03335, 0.020989)],
    12: [(0.01652, 0.039347), (0.03155, 0.025306), (0.04546, 0.014344)],
}

#: Two counts that differ more than chance does once in a thousand times are called different.
SIGNIFICANT = 1e-3


@dataclass(frozen=True)
class Replica:
    """One published experiment and how we repeat it."""

    name: str
    counts: dict[int, int]
    total: int
    steps: int

    def rate(self, units: int) -> float:
        """The learning rate for so many units."""
        return 0.1 if self is REPLICAS[0] else 5.0 / units


# The flattest minimum that is met often has curvature 0.014: at rate 0.1 the distance to it shrinks
# by exp(-28) in these steps.
REPLICAS = (
    Replica("2018, rate 0.1", COUNTS_2018, 1000, 20_000),
    Replica("2021, rate 5/k", COUNTS_2021, 500, 4_000),
)


def replicate(
    units: int, *, restarts: int, rate: float, steps: int, seed: int = 0
) -> tuple[Outcomes, float]:
    """Outcomes of gradient descent on `units` ReLU units that learn as many; the largest gradient
    norm with which training ended."""
    problem = get_problem("relu-teacher", units=units)
    w0 = starts(problem, restarts=restarts, seed=seed)
    run = train(problem, get_optimizer("gd"), learning_rate=rate, starts=w0, steps=steps)
    gradient = problem.loss_and_gradient(run.weights)[1]
    return classify(problem, run), float(np.linalg.norm(gradient, axis=1).max())


def chance(count: int, total: int, published: int, published_total: int) -> float:
    """The chance of counts at least as different as these, if both have the same probability."""
    table = np.array([[count, total - count], [published, published_total - published]])
    return float(fisher_exact(table).pvalue)


def compare(units: list[int]) -> list[str]:
    """A table in Markdown. `chance` is that of a difference at least as large if both have the same
    probability; `J >= 1e-3` counts, of ours, what 2018 called spurious."""
    lines = [
        "| units | experiment | published | ours | chance | agree | undetermined | J >= 1e-3 "
        "| largest gradient at the end | s |",
        "| --- " * 10 + "|",
    ]
    for replica in REPLICAS:
        for k in units:
            begin = time.perf_counter()
            with threadpool_limits(1):
                outcomes, gradient = replicate(
                    k, restarts=replica.total, rate=replica.rate(k), steps=replica.steps
                )
            trapped = int((outcomes.basin == Basin.LOCAL_MINIMUM).sum())
            undecided = replica.total - trapped
            undecided -= int((outcomes.basin == Basin.GLOBAL_MINIMUM).sum())
            p = chance(trapped, replica.total, replica.counts[k], replica.total)
            cells = [
                str(k),
                replica.name,
                f"{replica.counts[k]}/{replica.total} = {replica.counts[k] / replica.total:.1%}",
                f"{trapped}/{replica.total} = {trapped / replica.total:.1%}",
                f"{p:.3f}",
                "yes" if p >= SIGNIFICANT else "NO",
                str(undecided),
                str(int((outcomes.loss >= 1e-3).sum())),
                f"{gradient:.0e}",
                f"{time.perf_counter() - begin:.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


if __name__ == "__main__":
    print("\n".join(compare([int(k) for k in sys.argv[1:]] or list(range(6, 13)))))

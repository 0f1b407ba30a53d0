"""The cliff of your own training loop, in your own Optuna study, with `tuning.CliffSampler`.

Each seed is a bowl, J(w) = curvature |w|^2 / 2, whose curvature is random. Gradient descent
multiplies w by 1 - rate x curvature at each step, so it falls at rates above 2 / curvature, and the
rate at which 5 % of all seeds fall is known: 2 over the 95 % quantile of the curvature.

Run it where you like: `python examples/cliff_sampler.py`. It takes a few seconds.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import optuna

import tuning

SPREAD = 0.5  # of the curvature's logarithm, which is normal


def objective(trial):
    rate = trial.suggest_float("learning_rate", 1e-4, 10, log=True)
    rng = np.random.default_rng(trial.suggest_int("seed", 0, 2**31 - 1))
    curvature = rng.lognormal(sigma=SPREAD)
    w = first = rng.normal(size=3)
    for _ in range(50):
        w = w - rate * curvature * w
    fell = np.linalg.norm(w) > np.linalg.norm(first)
    return math.inf if fell else curvature * (w @ w) / 2


optuna.logging.set_verbosity(optuna.logging.WARNING)
sampler = tuning.CliffSampler(max_unstable=0.05)
study = optuna.create_study(sampler=sampler)
study.optimize(objective)  # until the sampler ends it

cliff = sampler.cliff(study)
truth = 2 / math.exp(SPREAD * NormalDist().inv_cdf(0.95))
print(f"after {len(study.trials)} trials: {cliff.explanation}")
print(f"estimate {cliff.estimate:.3g} [{cliff.low:.3g}, {cliff.high:.3g}], truth {truth:.3g}")
print(f"recommended: {sampler.recommended(study):.3g}")

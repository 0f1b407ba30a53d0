"""Three problems of a few lines, each with a bottom that is no ordinary minimum."""

from __future__ import annotations

import numpy as np

from trainers import Problem

__all__ = ["DeadUnit", "Median", "Separable"]


class DeadUnit(Problem):
    """One ReLU unit, three examples of y = x. Where it answers to none, nothing can move it."""

    known_minimum, parameters = 0.0, 2
    x = np.array([0.2, 0.6, 1.0])

    def initial(self, rng):
        return rng.uniform(-1.5, 1.5, 2)

    def loss_and_gradient(self, w):
        a = w[:, :1] * self.x + w[:, 1:]
        miss = np.maximum(a, 0.0) - self.x
        slope = np.where(a > 0, miss, 0.0) / 3
        return (miss**2).mean(axis=1) / 2, np.stack([slope @ self.x, slope.sum(axis=1)], axis=1)


class Separable(Problem):
    """Cross-entropy of one example that can be told: log(1 + exp(-w)) has no minimum."""

    parameters = 1

    def initial(self, rng):
        return rng.normal(size=1)

    def loss_and_gradient(self, w):
        return np.logaddexp(0.0, -w[:, 0]), (np.tanh(w / 2) - 1) / 2


class Median(Problem):
    """The mean distance to 0, 1 and 3: smallest at their median, where its slope jumps."""

    known_minimum, parameters = 1.0, 1
    x = np.array([0.0, 1.0, 3.0])

    def initial(self, rng):
        return rng.normal(size=1)

    def loss_and_gradient(self, w):
        return np.abs(w - self.x).mean(axis=1), np.sign(w - self.x).mean(axis=1, keepdims=True)

"""scikit-learn: the whole network, for that is what its optimizers come with."""

from __future__ import annotations

import math
from typing import Any

from trainers.optimizers import Adam, GradientDescent, Momentum, Nesterov
from tuning.report.paste.recipe import Recipe, Training, absent, call

__all__ = ["recipe"]

_ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "logistic", "linear": "identity"}
_ESTIMATORS = {"cross-entropy": "MLPClassifier", "squared-error": "MLPRegressor"}


def recipe(training: Training) -> Recipe | None:
    """None for a rule that is not written in any module here."""
    if training.optimizer is None:
        return None
    solver = _solver(training)
    if solver is None:
        return absent("scikit-learn's networks train by gradient descent and Adam alone")
    if training.loss is None:
        return absent("scikit-learn trains its own networks alone, on examples")
    if training.activation not in _ACTIVATIONS or not training.biases:
        return absent("scikit-learn's networks have biases, and neither erf nor other functions")
    if training.loss == "cross-entropy" and training.layers[-1] == 2:
        return absent(
            "for two classes scikit-learn trains one logistic output; here it is two of a softmax, "
            "whose steps are others"
        )
    return _network(training, solver)


def _network(training: Training, solver: dict[str, Any]) -> Recipe:
    assert training.loss is not None
    batch = training.batch_size or training.examples
    epochs = math.ceil(training.steps / math.ceil(training.examples / batch))
    estimator = _ESTIMATORS[training.loss]
    line = call(
        estimator,
        hidden_layer_sizes=training.layers[1:-1],
        activation=_ACTIVATIONS[training.activation],
        **solver,
        # It divides alpha by the number of examples in a batch.
        alpha=training.weight_decay * batch,
        batch_size=batch,
        max_iter=epochs,
        n_iter_no_change=epochs,  # else it may stop before
    )
    differs = []
    if isinstance(training.optimizer, Adam):
        differs.append("epsilon is added to the root before its correction")
    if training.weight_decay:
        differs.append("biases do not decay")
    if training.examples % batch:
        differs.append("the incomplete last batch of an epoch is not left out")
    remarks = [training.conditions, "Its own starts are others: their biases are random too."]
    if differs:
        remarks.append(f"Nearly so, for in scikit-learn {'; '.join(differs)}.")
    code = f"from sklearn.neural_network import {estimator}\n\nmodel = {line}"
    return Recipe(line, code, not differs, tuple(remarks))


def _solver(training: Training) -> dict[str, Any] | None:
    """The rule, and its hyperparameters; None where there is no such rule."""
    rate = {"learning_rate_init": training.learning_rate}
    match training.optimizer:
        case GradientDescent():
            return {"solver": "sgd", **rate, "momentum": 0.0}
        case Momentum(beta):
            return {"solver": "sgd", **rate, "momentum": beta, "nesterovs_momentum": False}
        case Nesterov(beta):
            return {"solver": "sgd", **rate, "momentum": beta, "nesterovs_momentum": True}
        case Adam(beta1, beta2, epsilon):
            betas = {"beta_1": beta1, "beta_2": beta2, "epsilon": epsilon}
            return {"solver": "adam", **rate, **betas}
    return None

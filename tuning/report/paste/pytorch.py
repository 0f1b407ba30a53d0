"""PyTorch: the names, defaults and rules of `trainers.optimizers` are its own."""

from __future__ import annotations

from trainers.optimizers import Adam, GradientDescent, Momentum, Nesterov, RMSProp
from tuning.report.paste.recipe import Recipe, Training, call

__all__ = ["recipe"]

_ADAM = {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
_RMSPROP = {"alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0}
_SGD = {"momentum": 0.0, "weight_decay": 0.0}

#: Its optimizers that a job may name as they are, with hyperparameters by PyTorch's names.
_BY_NAME = {
    "adadelta": "Adadelta",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "asgd": "ASGD",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "sgd": "SGD",
}

_LOSSES = {
    "cross-entropy": "loss = torch.nn.CrossEntropyLoss()  # of logits; the mean over the examples",
    "squared-error": """\
def loss(output, target):  # half the squared error, the mean over the examples
    return torch.nn.functional.mse_loss(output, target, reduction="sum") / (2 * len(target))
""",
}


def recipe(training: Training) -> Recipe | None:
    """None for a rule that PyTorch does not have."""
    line = _line(training)
    if line is None:
        return None
    parts = ["import torch\n"]
    if training.loss is not None:
        parts.append(_LOSSES[training.loss])
    parts.append(f"optimizer = {line}")
    remarks = [training.conditions]
    if training.weight_decay and training.optimizer is not None:
        remarks.append("The optimizer adds the decay to the gradient: leave it out of the loss.")
    return Recipe(line, "\n".join(parts), True, tuple(remarks))


def _line(training: Training) -> str | None:
    rate, decay = training.learning_rate, training.weight_decay
    of = "model.parameters()"
    match training.optimizer:
        case GradientDescent():
            return call("torch.optim.SGD", of, lr=rate, weight_decay=decay, omit=_SGD)
        case Momentum(beta):
            return call(
                "torch.optim.SGD", of, lr=rate, momentum=beta, weight_decay=decay, omit=_SGD
            )
        case Nesterov(beta):
            return call(
                "torch.optim.SGD",
                of,
                lr=rate,
                momentum=beta,
                nesterov=True,
                weight_decay=decay,
                omit=_SGD,
            )
        case RMSProp(alpha, epsilon):
            return call(
                "torch.optim.RMSprop",
                of,
                lr=rate,
                alpha=alpha,
                eps=epsilon,
                weight_decay=decay,
                omit=_RMSPROP,
            )
        case Adam(beta1, beta2, epsilon):
            return call(
                "torch.optim.Adam",
                of,
                lr=rate,
                betas=(beta1, beta2),
                eps=epsilon,
                weight_decay=decay,
                omit=_ADAM,
            )
    if training.loss is None and training.name in _BY_NAME:
        own = f"torch.optim.{_BY_NAME[training.name]}"
        return call(own, of, lr=rate, **training.hyperparameters)
    return None

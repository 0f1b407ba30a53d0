"""optax: every rule is one of its own, under other names."""

from __future__ import annotations

from trainers.optimizers import Adam, GradientDescent, Momentum, Nesterov, RMSProp
from tuning.report.paste.recipe import Recipe, Training, call

__all__ = ["recipe"]

_LOSSES = {
    "cross-entropy": """\
def loss(output, target):  # of logits and whole numbers; the mean over the examples
    return optax.softmax_cross_entropy_with_integer_labels(output, target).mean()
""",
    "squared-error": """\
def loss(output, target):  # half the squared error, the mean over the examples
    return optax.l2_loss(output, target).sum() / len(target)
""",
}


def recipe(training: Training) -> Recipe | None:
    """None for a rule that is not written here."""
    line = _line(training)
    if line is None:
        return None
    remarks = [training.conditions]
    if training.weight_decay:
        decay = call("optax.add_decayed_weights", repr(training.weight_decay))
        line = f"optax.chain({decay}, {line})"
        remarks.append("The optimizer adds the decay to the gradient: leave it out of the loss.")
    parts = ["import optax\n"]
    if training.loss is not None:
        parts.append(_LOSSES[training.loss])
    parts.append(f"optimizer = {line}")
    return Recipe(line, "\n".join(parts), True, tuple(remarks))


def _line(training: Training) -> str | None:
    rate = training.learning_rate
    match training.optimizer:
        case GradientDescent():
            return call("optax.sgd", learning_rate=rate)
        case Momentum(beta):
            return call("optax.sgd", learning_rate=rate, momentum=beta)
        case Nesterov(beta):
            return call("optax.sgd", learning_rate=rate, momentum=beta, nesterov=True)
        case RMSProp(alpha, epsilon):
            # By default it adds epsilon under the root.
            return call(
                "optax.rmsprop",
                learning_rate=rate,
                decay=alpha,
                eps=epsilon,
                eps_in_sqrt=False,
                omit={"eps": 1e-8},
            )
        case Adam(beta1, beta2, epsilon):
            return call(
                "optax.adam",
                learning_rate=rate,
                b1=beta1,
                b2=beta2,
                eps=epsilon,
                omit={"b1": 0.9, "b2": 0.999, "eps": 1e-8},
            )
    return None

"""Keras 3. Its epsilons are elsewhere: RMSprop's under the root, Adam's beside the uncorrected one.

No epsilon makes up for either, so both rules are written out in their place, as classes.
"""

from __future__ import annotations

from trainers.optimizers import Adam, GradientDescent, Momentum, Nesterov, RMSProp
from tuning.report.paste.recipe import Recipe, Training, call

__all__ = ["recipe"]

_RMSPROP = """\
class TextbookRMSprop(keras.optimizers.RMSprop):  # Keras adds epsilon under the root
    def update_step(self, gradient, variable, learning_rate):
        learning_rate = keras.ops.cast(learning_rate, variable.dtype)
        gradient = keras.ops.cast(gradient, variable.dtype)
        square = self._velocities[self._get_variable_index(variable)]
        self.assign(square, self.rho * square + (1 - self.rho) * keras.ops.square(gradient))
        root = keras.ops.sqrt(square)
        self.assign_sub(variable, learning_rate * gradient / (root + self.epsilon))
"""

_ADAM = """\
class TextbookAdam(keras.optimizers.Adam):  # Keras adds epsilon to the root before its correction
    def update_step(self, gradient, variable, learning_rate):
        epsilon, steps = self.epsilon, keras.ops.cast(self.iterations + 1, variable.dtype)
        beta_2 = keras.ops.cast(self.beta_2, variable.dtype)
        self.epsilon = epsilon * keras.ops.sqrt(1 - keras.ops.power(beta_2, steps))
        super().update_step(gradient, variable, learning_rate)
        self.epsilon = epsilon
"""

_LOSSES = {
    "cross-entropy": """\
# Of logits and whole numbers; Keras takes the mean over the examples.
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
""",
    "squared-error": """\
def loss(target, output):  # half the squared error; Keras takes the mean over the examples
    return keras.ops.sum(keras.ops.square(output - target), axis=-1) / 2
""",
}


def recipe(training: Training) -> Recipe | None:
    """None for a rule that is not written here."""
    line, needed = _line(training)
    if line is None:
        return None
    parts, remarks = ["import keras\n"], [training.conditions]
    if training.loss is not None:
        parts.append(_LOSSES[training.loss])
    if training.weight_decay:
        # Its optimizers' weight_decay is decoupled; this is a part of the loss, as J has it.
        half = call("keras.regularizers.L2", repr(0.5 * training.weight_decay))
        parts.append(f"decay = {half}\n")
        remarks.append(
            "Every layer takes kernel_regularizer=decay and bias_regularizer=decay: the "
            "optimizers' own weight_decay is another rule, decoupled from the gradient."
        )
    parts += [*([needed] if needed else []), f"optimizer = {line}"]
    return Recipe(line, "\n".join(parts), True, tuple(remarks))


def _line(training: Training) -> tuple[str | None, str]:
    """The line, and what must be defined before it."""
    rate = training.learning_rate
    match training.optimizer:
        case GradientDescent():
            return call("keras.optimizers.SGD", learning_rate=rate), ""
        case Momentum(beta):
            return call("keras.optimizers.SGD", learning_rate=rate, momentum=beta), ""
        case Nesterov(beta):
            line = call("keras.optimizers.SGD", learning_rate=rate, momentum=beta, nesterov=True)
            return line, ""
        case RMSProp(alpha, epsilon):
            return call("TextbookRMSprop", learning_rate=rate, rho=alpha, epsilon=epsilon), _RMSPROP
        case Adam(beta1, beta2, epsilon):
            line = call(
                "TextbookAdam",
                learning_rate=rate,
                beta_1=beta1,
                beta_2=beta2,
                epsilon=epsilon,
                omit={"beta_1": 0.9, "beta_2": 0.999},
            )
            return line, _ADAM
    return None, ""

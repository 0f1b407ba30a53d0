"""Problems that learn from examples: the exclusive or, and a network on a data set or table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from trainers.data.dataset import Dataset, load
from trainers.data.sources import Source
from trainers.problems.network import Network

__all__ = ["MLP", "XOR"]

LISTED_AT = 3


class XOR(Network):
    """The exclusive or of two inputs of -1 or 1, by least squares: four examples, outputs -1 and 1.

    The oldest problem on which gradient descent is seen to get stuck (Rumelhart, Hinton & Williams
    1986). With a linear output and at least two hidden units the four examples are fitted exactly
    at finite weights, so the global minimum is 0, unless weights decay. A network of linear units
    cannot do better than output 0, so its minimum is 1/2.

    Args:
        hidden: units of each hidden layer.
        activation, initializer, weight_decay: see `Network`.
    """

    name = "xor"

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (3,),
        activation: str = "tanh",
        initializer: str = "glorot",
        weight_decay: float = 0.0,
    ) -> None:
        known: float | None = None
        if weight_decay == 0 and min(self._widths(hidden), default=1) >= 2:
            known = 0.5 if activation == "linear" else 0.0
        corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
        super().__init__(
            corners,
            -corners.prod(axis=1, keepdims=True),
            hidden=hidden,
            activation=activation,
            initializer=initializer,
            weight_decay=weight_decay,
            loss="squared-error",
            known_minimum=known,
        )


class MLP(Network):
    """A multilayer perceptron on a data set: softmax cross-entropy, or squared error for
    regression.

    Args:
        data: breast-cancer, digits, wine or diabetes as scikit-learn ships them, the path or URI of
            a .csv, .parquet or .npz file, or a DataFrame.
        target: the column to predict, for tables.
        task: classification or regression; guessed from the target when absent.
        missing, drop, keep, categorical: which of a table's columns become features, and how: see
            `trainers.data.load`.
        validation: share of the examples held out from training.
        split_seed: seeds the split.
        hidden, activation, initializer, weight_decay: see `Network`.
    """

    name = "mlp"
    example: ClassVar = {"data": "wine"}
    loaded_data: Dataset

    def __init__(
        self,
        *,
        data: Source,
        target: str | None = None,
        task: str | None = None,
        missing: str | Sequence[str | float] | Mapping[str, Any] = "error",
        drop: Sequence[str] = (),
        keep: Sequence[str] = (),
        categorical: Sequence[str] = (),
        validation: float = 0.2,
        split_seed: int = 0,
        hidden: Sequence[int] = (16,),
        activation: str = "tanh",
        initializer: str = "glorot",
        weight_decay: float = 0.0,
    ) -> None:
        self.loaded_data = load(
            data,
            target=target,
            task=task,
            missing=missing,
            drop=drop,
            keep=keep,
            categorical=categorical,
            validation=validation,
            split_seed=split_seed,
        )
        super().__init__(
            self.loaded_data.train_inputs,
            self.loaded_data.train_targets,
            hidden=hidden,
            activation=activation,
            initializer=initializer,
            weight_decay=weight_decay,
            loss="cross-entropy" if self.loaded_data.task == "classification" else "squared-error",
            held_out=(self.loaded_data.validation_inputs, self.loaded_data.validation_targets),
        )

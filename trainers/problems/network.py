"""Fully connected networks on given data, as a problem.

Restarts are passed through the layers in tiles of so many that what they need fits the second-level
cache.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.problem import FloatArray, IntArray, Problem
from trainers.problems.activations import ACTIVATIONS
from trainers.problems.backpropagation import Examples, Layers, Workspace
from trainers.problems.r_operator import ROperator

__all__ = ["ACTIVATIONS", "INITIALIZERS", "LOSSES", "Network"]

LOSSES = ("cross-entropy", "squared-error")

# name -> (fan used, numerator of the variance, uniform?)
INITIALIZERS = {
    "glorot": ("average", 1.0, True),  # Glorot & Bengio 2010, eq. 16
    "glorot-normal": ("average", 1.0, False),
    "he": ("in", 2.0, False),  # He et al. 2015, eq. 10
    "he-uniform": ("in", 2.0, True),
    "lecun": ("in", 1.0, False),  # LeCun et al. 1998, section 4.6
    "lecun-uniform": ("in", 1.0, True),
}

_TILE_BYTES = (
    2_400_000  # a few second-level caches: less costs calls, more memory traffic (benchmarks/)
)


class Network(Problem):
    """A multilayer perceptron on given data.

    J(w) = mean over examples of the loss + weight_decay / 2 * |w|^2, with the loss either softmax
    cross-entropy or half the squared error summed over the outputs. All parameters decay, biases
    too, as PyTorch's optimizers do. Parameters are stored layer by layer as (units, inputs + 1),
    bias last, or (units, inputs) without biases.

    Args:
        inputs: (N, D).
        targets: (N, K); one-hot (or any distribution) for cross-entropy.
        hidden: units of each hidden layer; any number of layers, none for a linear model.
        activation: tanh, relu, sigmoid, erf (of z / sqrt 2, as in Saad & Solla 1995) or linear.
        initializer: glorot, he or lecun, `-normal` or `-uniform` where they differ; biases are 0.
        weight_decay: at least 0.
        loss: cross-entropy or squared-error.
        biases: whether the units have biases.
        held_out: inputs and targets of the validation split, or None.
        known_minimum: J at the global minimum, where it is known.

    Raises:
        InvalidInput: a name that is not known or a size that is not valid.
    """

    def __init__(
        self,
        inputs: FloatArray,
        targets: FloatArray,
        *,
        hidden: Sequence[int] = (16,),
        activation: str = "tanh",
        initializer: str = "glorot",
        weight_decay: float = 0.0,
        loss: str = "cross-entropy",
        biases: bool = True,
        held_out: tuple[FloatArray, FloatArray] | None = None,
        known_minimum: float | None = None,
    ) -> None:
        names: tuple[tuple[str, object, Collection[str]], ...] = (
            ("activation", activation, ACTIVATIONS),
            ("initializer", initializer, INITIALIZERS),
            ("loss", loss, LOSSES),
        )
        for key, value, valid in names:
            if not isinstance(value, str) or value not in valid:
                raise InvalidInput(f"unknown {key} {value!r}{nearest(str(value), valid)}")
        widths = self._widths(hidden)
        if isinstance(weight_decay, bool) or not isinstance(weight_decay, int | float):
            raise InvalidInput(f"weight_decay = {weight_decay!r} is not a number")
        if not 0.0 <= weight_decay < np.inf:
            raise InvalidInput(
                f"weight_decay = {weight_decay!r} is not valid; it must be at least 0"
            )
        if not isinstance(biases, bool):
            raise InvalidInput(f"biases = {biases!r} is not valid; give true or false")
        self.biases = biases
        self.sizes: tuple[int, ...] = (inputs.shape[1], *widths, targets.shape[1])
        self.activation, self.initializer, self.loss = activation, initializer, loss
        self.weight_decay = float(weight_decay)
        self.known_minimum = known_minimum
        self.examples = len(inputs)
        self._data = Examples.of(inputs, targets, biases=biases)
        self._held_out = None
        if held_out is not None and len(held_out[0]):
            self._held_out = Examples.of(*held_out, biases=biases)
        self._layers = Layers(self.sizes, activation, loss, biases=biases)
        self.parameters = self._layers.parameters
        self._spaces: dict[tuple[int, int, float], Workspace] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_spaces": {}}

    @staticmethod
    def _widths(hidden: Sequence[int]) -> list[int]:
        widths: list[Any] = list(hidden) if isinstance(hidden, list | tuple) else [hidden]
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in widths):
            raise InvalidInput(
                f"hidden = {hidden!r} is not valid; a list of whole numbers from 1 up"
            )
        return widths

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Weights by the initializer, biases 0; shape (P,)."""
        fan, gain, uniform = INITIALIZERS[self.initializer]
        blocks = []
        for into, out in self._layers.pairs():
            deviation = np.sqrt(gain / (into if fan == "in" else (into + out) / 2))
            block = np.zeros((out, into + self._layers.extra))
            if uniform:
                bound = deviation * np.sqrt(3.0)
                block[:, :into] = rng.uniform(-bound, bound, (out, into))
            else:
                block[:, :into] = deviation * rng.standard_normal((out, into))
            blocks.append(block.ravel())
        return np.concatenate(blocks)

    def flops(self) -> float:
        """Multiply-adds count two; an activation or its derivative counts ten."""
        products = [into * out for into, out in self._layers.pairs()]
        units = sum(self.sizes[1:])
        return float(len(self._data[0]) * (4 * products[0] + 6 * sum(products[1:]) + 15 * units))

    def loss_and_gradient(
        self, w: FloatArray, /, batch: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P), on the examples `batch` (B,) or on all."""
        examples = self._data if batch is None else self._data.some(batch)
        restarts, count = len(w), len(examples.rows)
        gradient = np.empty_like(w)
        loss = np.empty(restarts)
        tile = self._tile(count)
        for a in range(0, restarts, tile):
            part = slice(a, min(a + tile, restarts))
            space = self._space(part.stop - a, count)
            loss[part] = self._layers.forward(w[part], examples, space)
            self._layers.backward(w[part], gradient[part], examples, space)
        if self.weight_decay:
            loss += 0.5 * self.weight_decay * np.einsum("rp,rp->r", w, w)
            gradient += self.weight_decay * w
        return loss, gradient

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray:
        """H v (R, P) of the Hessians at `w` (R, P) with `v` (R, P), on all examples: exact, by the
        R-operator (Pearlmutter 1994). Where the slope of ReLU jumps, that of one of the pieces."""
        product = np.empty_like(w)
        count = len(self._data.rows)
        tile = max(1, self._tile(count) // 2)  # of two workspaces
        for a in range(0, len(w), tile):
            part = slice(a, min(a + tile, len(w)))
            spaces = [self._space(part.stop - a, count, constant) for constant in (1.0, 0.0)]
            operator = ROperator(self._layers, self._data, w[part], v[part], *spaces)
            product[part] = operator.hessian_product()
        if self.weight_decay:
            product += self.weight_decay * v
        return product

    def validation_loss(self, w: FloatArray) -> FloatArray | None:
        """Loss (R,) on the held-out examples, without the weight decay."""
        if self._held_out is None:
            return None
        loss = np.empty(len(w))
        space = self._space(1, len(self._held_out.rows))
        for r in range(len(w)):
            loss[r] = self._layers.forward(w[r : r + 1], self._held_out, space)[0]
        return loss

    def _tile(self, examples: int) -> int:
        each = 8 * examples * (3 * sum(self.sizes[1:]) + len(self.sizes))
        return max(1, _TILE_BYTES // each)

    def _space(self, rows: int, examples: int, constant: float = 1.0) -> Workspace:
        key = (rows, examples, constant)
        if key not in self._spaces:
            if len(self._spaces) >= 12:  # shrinking batches leave odd sizes behind
                self._spaces.clear()
            self._spaces[key] = self._layers.workspace(*key)
        return self._spaces[key]

"""Fully connected networks: back-propagation for R restarts at once.

Layout. Activations are (R, units + 1, N), examples innermost, and the last row of each holds ones,
so that a bias is one more weight; without biases there is no such row. The inputs are the same for
all restarts, so one matrix product serves them all in the first layer, forward and backward.
Everything larger than the weights lives in tiles of restarts that fit the second-level cache and is
written with `out=`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.problem import FloatArray, IntArray, Problem
from trainers.problems.activations import ACTIVATIONS, activate, slope_of_erf, times_slope

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


class _Workspace:
    """Buffers for one tile of `rows` restarts over `examples` examples; `extra` is 1 with biases,
    else 0."""

    def __init__(self, rows: int, examples: int, sizes: Sequence[int], extra: int) -> None:
        self.activations = [np.ones((rows, size + extra, examples)) for size in sizes[1:-1]]
        self.signals = [np.empty((rows, size, examples)) for size in sizes[1:]]
        self.spare = [np.empty((rows, size, examples)) for size in sizes[1:]]
        self.line = np.empty((rows, 1, examples))
        self.first = np.empty((rows * sizes[1], sizes[0] + extra))


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
        self.biases, self._extra = biases, int(biases)
        self.sizes: tuple[int, ...] = (inputs.shape[1], *widths, targets.shape[1])
        self.activation, self.initializer, self.loss = activation, initializer, loss
        self.weight_decay = float(weight_decay)
        self.known_minimum = known_minimum
        self.examples = len(inputs)
        self._data = _columns(inputs, targets, self._extra)
        self._held_out = None
        if held_out is not None and len(held_out[0]):
            self._held_out = _columns(*held_out, self._extra)
        ends = np.cumsum([out * (into + self._extra) for into, out in self._layers()])
        self._blocks = [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        self.parameters = int(ends[-1])
        self._spaces: dict[tuple[int, int], _Workspace] = {}

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

    def _layers(self) -> list[tuple[int, int]]:
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Weights by the initializer, biases 0; shape (P,)."""
        fan, gain, uniform = INITIALIZERS[self.initializer]
        blocks = []
        for into, out in self._layers():
            deviation = np.sqrt(gain / (into if fan == "in" else (into + out) / 2))
            block = np.zeros((out, into + self._extra))
            if uniform:
                bound = deviation * np.sqrt(3.0)
                block[:, :into] = rng.uniform(-bound, bound, (out, into))
            else:
                block[:, :into] = deviation * rng.standard_normal((out, into))
            blocks.append(block.ravel())
        return np.concatenate(blocks)

    def flops(self) -> float:
        """Multiply-adds count two; an activation or its derivative counts ten."""
        products = [into * out for into, out in self._layers()]
        units = sum(self.sizes[1:])
        return float(len(self._data[0]) * (4 * products[0] + 6 * sum(products[1:]) + 15 * units))

    def loss_and_gradient(
        self, w: FloatArray, /, batch: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P), on the examples `batch` (B,) or on all."""
        rows, columns, targets = self._data
        if batch is not None:
            rows = rows[batch]
            columns, targets = np.ascontiguousarray(rows.T), targets[:, batch]
        restarts, examples = len(w), len(rows)
        gradient = np.empty_like(w)
        loss = np.empty(restarts)
        tile = self._tile(examples)
        for a in range(0, restarts, tile):
            part = slice(a, min(a + tile, restarts))
            space = self._space(part.stop - a, examples)
            loss[part] = self._forward(w[part], columns, targets, space)
            self._backward(w[part], gradient[part], rows, columns, space)
        if self.weight_decay:
            loss += 0.5 * self.weight_decay * np.einsum("rp,rp->r", w, w)
            gradient += self.weight_decay * w
        return loss, gradient

    def validation_loss(self, w: FloatArray) -> FloatArray | None:
        """Loss (R,) on the held-out examples, without the weight decay."""
        if self._held_out is None:
            return None
        rows, columns, targets = self._held_out
        loss = np.empty(len(w))
        for r in range(len(w)):
            loss[r] = self._forward(w[r : r + 1], columns, targets, self._space(1, len(rows)))[0]
        return loss

    def _tile(self, examples: int) -> int:
        each = 8 * examples * (3 * sum(self.sizes[1:]) + len(self.sizes))
        return max(1, _TILE_BYTES // each)

    def _space(self, rows: int, examples: int) -> _Workspace:
        key = (rows, examples)
        if key not in self._spaces:
            if len(self._spaces) >= 8:  # shrinking batches leave odd sizes behind
                self._spaces.clear()
            self._spaces[key] = _Workspace(rows, examples, self.sizes, self._extra)
        return self._spaces[key]

    def _weights(self, w: FloatArray, layer: int) -> FloatArray:
        into, out = self.sizes[layer], self.sizes[layer + 1]
        return w[:, self._blocks[layer]].reshape(len(w), out, into + self._extra)

    def _forward(
        self, w: FloatArray, columns: FloatArray, targets: FloatArray, space: _Workspace
    ) -> FloatArray:
        """Losses (r,); leaves dJ/d(output) in the last signal and all activations in `space`."""
        last = len(self.sizes) - 2
        restarts, examples = len(w), columns.shape[1]
        for layer in range(last + 1):
            signal = space.signals[layer]
            if layer == 0:
                np.copyto(space.first.reshape(restarts, -1), w[:, self._blocks[0]])
                np.matmul(space.first, columns, out=signal.reshape(-1, examples))
            else:
                np.matmul(self._weights(w, layer), space.activations[layer - 1], out=signal)
            if layer < last:
                units = self.sizes[layer + 1]
                activate(self.activation, signal, space.activations[layer][:, :units])
                if self.activation == "erf":  # its slope is written in z, which `signal` still is
                    slope_of_erf(signal, space.spare[layer])
        signal, spare, line = space.signals[last], space.spare[last], space.line
        if self.loss == "squared-error":
            signal -= targets
            losses = 0.5 * np.einsum("rkn,rkn->r", signal, signal)
        else:
            np.max(signal, axis=1, keepdims=True, out=line)
            signal -= line
            losses = -(signal.reshape(restarts, -1) @ targets.ravel())
            np.exp(signal, out=spare)
            np.sum(spare, axis=1, keepdims=True, out=line)
            np.divide(spare, line, out=signal)
            signal -= targets
            np.log(line, out=line)
            losses += line.sum(axis=(1, 2))
        signal /= examples
        return np.asarray(losses / examples)

    def _backward(
        self,
        w: FloatArray,
        gradient: FloatArray,
        rows: FloatArray,
        columns: FloatArray,
        space: _Workspace,
    ) -> None:
        """Fills `gradient` (r, P) from what `_forward` left in `space`."""
        for layer in range(len(self.sizes) - 2, 0, -1):
            signal, active = space.signals[layer], space.activations[layer - 1]
            units = self.sizes[layer]
            np.matmul(signal, active.transpose(0, 2, 1), out=self._weights(gradient, layer))
            weights = self._weights(w, layer)[:, :, :units].transpose(0, 2, 1)
            below = space.signals[layer - 1]
            if signal.shape[1] == 1:  # an outer product: BLAS is slower than one multiplication
                np.multiply(weights, signal, out=below)
            else:
                np.matmul(weights, signal, out=below)
            times_slope(self.activation, below, active[:, :units], space.spare[layer - 1])
        first = np.matmul(space.signals[0].reshape(-1, len(rows)), rows, out=space.first)
        gradient[:, self._blocks[0]] = first.reshape(len(w), -1)


def _columns(
    inputs: FloatArray, targets: FloatArray, extra: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Inputs with `extra` columns of ones (N, D + extra), the same transposed, targets (K, N)."""
    rows = np.column_stack([inputs, np.ones((len(inputs), extra))])
    return rows, np.ascontiguousarray(rows.T), np.ascontiguousarray(targets.T)

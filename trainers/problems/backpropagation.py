"""Forward and back through fully connected layers, for R restarts at once.

Layout. Activations are (R, units + 1, N), examples innermost, and the last row of each holds ones,
so that a bias is one more weight; without biases there is no such row. The inputs are the same for
all restarts, so one matrix product serves them all in the first layer, forward and backward.
Everything larger than the weights is written with `out=` into a workspace that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trainers.problem import FloatArray, IntArray
from trainers.problems.activations import activate, slope_of_erf, times_slope

__all__ = ["Examples", "Layers", "Workspace", "down"]


class Examples(NamedTuple):
    """Inputs with ones for the biases, `rows` (N, D + 1), the same transposed, `columns`, and
    targets (K, N); without biases `rows` is (N, D)."""

    rows: FloatArray
    columns: FloatArray
    targets: FloatArray

    @classmethod
    def of(cls, inputs: FloatArray, targets: FloatArray, *, biases: bool) -> Examples:
        """From inputs (N, D) and targets (N, K)."""
        rows = np.column_stack([inputs, np.ones((len(inputs), int(biases)))])
        return cls(rows, np.ascontiguousarray(rows.T), np.ascontiguousarray(targets.T))

    def some(self, batch: IntArray) -> Examples:
        """Those with the indices `batch` (B,)."""
        rows = self.rows[batch]
        return Examples(rows, np.ascontiguousarray(rows.T), self.targets[:, batch])


class Workspace:
    """Buffers for one tile of `rows` restarts over `examples` examples.

    Attributes, those of layer l at place l of their lists:
        activations (rows, units + extra, examples): of hidden layers; the extra row is `constant`.
        signals (rows, units, examples): forward what comes in, backward the derivative by it.
        spare (rows, units, examples). line (rows, 1, examples).
        first (rows * units, inputs + extra): weights of the first layer, or their derivatives.
    """

    def __init__(
        self, rows: int, examples: int, sizes: Sequence[int], extra: int, constant: float
    ) -> None:
        self.activations = [
            np.full((rows, size + extra, examples), constant) for size in sizes[1:-1]
        ]
        self.signals = [np.empty((rows, size, examples)) for size in sizes[1:]]
        self.spare = [np.empty((rows, size, examples)) for size in sizes[1:]]
        self.line = np.empty((rows, 1, examples))
        self.first = np.empty((rows * sizes[1], sizes[0] + extra))


class Layers:
    """What happens between a network's inputs and its loss.

    Args:
        sizes: inputs, units of each hidden layer, outputs.
        activation, loss, biases: see `Network`.

    Attributes:
        last: the number of the output layer, from 0.
        extra: 1 with biases, else 0.
        parameters: P.
    """

    def __init__(self, sizes: Sequence[int], activation: str, loss: str, *, biases: bool) -> None:
        self.sizes, self.activation, self.loss = tuple(sizes), activation, loss
        self.last, self.extra = len(sizes) - 2, int(biases)
        ends = np.cumsum([out * (into + self.extra) for into, out in self.pairs()])
        self._blocks = [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        self.parameters = int(ends[-1])

    def pairs(self) -> list[tuple[int, int]]:
        """Units into and out of each layer."""
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))

    def workspace(self, rows: int, examples: int, constant: float = 1.0) -> Workspace:
        """A new one; see `Workspace`."""
        return Workspace(rows, examples, self.sizes, self.extra, constant)

    def weights(self, w: FloatArray, layer: int) -> FloatArray:
        """Those of a layer, (R, units, inputs + extra): a view of `w` (R, P)."""
        into, out = self.sizes[layer], self.sizes[layer + 1]
        return w[:, self._blocks[layer]].reshape(len(w), out, into + self.extra)

    def first_signal(self, w: FloatArray, columns: FloatArray, space: Workspace) -> None:
        """What comes into the first layer, into its signal."""
        np.copyto(space.first.reshape(len(w), -1), w[:, self._blocks[0]])
        np.matmul(space.first, columns, out=space.signals[0].reshape(-1, columns.shape[1]))

    def first_gradient(self, gradient: FloatArray, rows: FloatArray, space: Workspace) -> None:
        """That of the first layer's weights, from its signal."""
        first = np.matmul(space.signals[0].reshape(-1, len(rows)), rows, out=space.first)
        gradient[:, self._blocks[0]] = first.reshape(len(gradient), -1)

    def forward(self, w: FloatArray, examples: Examples, space: Workspace) -> FloatArray:
        """Losses (r,) at `w` (r, P). Leaves in `space` dJ/d(output) as the last signal, all
        activations, and the hidden layers' signals as they came in."""
        _, columns, targets = examples
        count, last = columns.shape[1], self.last
        for layer in range(last + 1):
            signal = space.signals[layer]
            if layer == 0:
                self.first_signal(w, columns, space)
            else:
                np.matmul(self.weights(w, layer), space.activations[layer - 1], out=signal)
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
            losses = -(signal.reshape(len(w), -1) @ targets.ravel())
            np.exp(signal, out=spare)
            np.sum(spare, axis=1, keepdims=True, out=line)
            np.divide(spare, line, out=signal)
            signal -= targets
            np.log(line, out=line)
            losses += line.sum(axis=(1, 2))
        signal /= count
        return np.asarray(losses / count)

    def backward(
        self, w: FloatArray, gradient: FloatArray, examples: Examples, space: Workspace
    ) -> None:
        """Fills `gradient` (r, P) from what `forward` left in `space`."""
        for layer in range(self.last, 0, -1):
            signal, active = space.signals[layer], space.activations[layer - 1]
            units = self.sizes[layer]
            np.matmul(signal, active.transpose(0, 2, 1), out=self.weights(gradient, layer))
            below = space.signals[layer - 1]
            down(self.weights(w, layer)[:, :, :units], signal, below)
            times_slope(self.activation, below, active[:, :units], space.spare[layer - 1])
        self.first_gradient(gradient, examples.rows, space)


def down(weights: FloatArray, signal: FloatArray, out: FloatArray) -> None:
    """Derivatives by a layer's outputs (r, units, N) from those by the next one's inputs."""
    if signal.shape[1] == 1:  # an outer product: BLAS is slower than one multiplication
        np.multiply(weights.transpose(0, 2, 1), signal, out=out)
    else:
        np.matmul(weights.transpose(0, 2, 1), signal, out=out)

"""Products of a network's Hessian with vectors, exact: Pearlmutter's R-operator.

"Fast Exact Multiplication by the Hessian", Neural Computation 6 (1994). R{f(w)} is the derivative
of f(w + t v) by t at t = 0, so that R{w} = v and R{gradient} = H v. It obeys the rules of
differentiation, so each line of the forward and backward pass gives one of a second pass, with s
the activation, z what comes into a layer, a what leaves it, d the derivative of J by z:

    z = W a_below               R{z} = V a_below + W R{a_below}
    a = s(z)                    R{a} = s'(z) R{z}
    e = W_above' d_above        R{e} = V_above' d_above + W_above' R{d_above}
    d = s'(z) e                 R{d} = s'(z) R{e} + R{s'} e,   R{s'} = s''(z) R{z}
    gradient = d a_below'       H v = R{d} a_below' + d R{a_below}'

Inputs and biases' ones have R = 0. Where s' jumps (ReLU) the product is that of the piece on which
w lies, as if there were no other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainers.problem import FloatArray
from trainers.problems.activations import CURVED, bend, times_slope
from trainers.problems.backpropagation import Examples, Layers, Workspace, down

__all__ = ["ROperator"]


@dataclass(frozen=True)
class ROperator:
    """Both passes through some layers and their derivatives along v, for r restarts.

    Attributes:
        examples: on which the loss is taken.
        w, v (r, P): where, and along what.
        space, tangents: workspaces for r restarts, of constant 1 and 0. The second holds R{what the
            first holds}: of s', which ends up in `spare`, too.
    """

    layers: Layers
    examples: Examples
    w: FloatArray
    v: FloatArray
    space: Workspace
    tangents: Workspace

    def hessian_product(self) -> FloatArray:
        """H v (r, P) of the loss alone, without what decays."""
        self.layers.forward(self.w, self.examples, self.space)
        self._forward()
        return self._backward()

    def _forward(self) -> None:
        """Fills `tangents`, from what the layers' own pass left in `space`, and s' there."""
        layers, space, tangents = self.layers, self.space, self.tangents
        last, name = layers.last, layers.activation
        for layer in range(last + 1):
            signal, spare = tangents.signals[layer], tangents.spare[layer]
            if layer == 0:
                layers.first_signal(self.v, self.examples.columns, tangents)
            else:
                below, moved_below = (s.activations[layer - 1] for s in (space, tangents))
                np.matmul(layers.weights(self.v, layer), below, out=signal)
                np.matmul(layers.weights(self.w, layer), moved_below, out=spare)
                signal += spare
            if layer < last:
                units = layers.sizes[layer + 1]
                active = space.activations[layer][:, :units]
                times_slope(name, signal, active, space.spare[layer])
                tangents.activations[layer][:, :units] = signal
                if name in CURVED:
                    bend(name, space.signals[layer], active, signal, spare)
        signal, spare, line = tangents.signals[last], tangents.spare[last], tangents.line
        if layers.loss == "cross-entropy":
            # R{p} = p (R{z} - p . R{z}) of p = softmax(z), whose exponentials were left in `spare`.
            p = space.spare[last]
            np.sum(p, axis=1, keepdims=True, out=line)
            p /= line
            np.multiply(p, signal, out=spare)
            np.sum(spare, axis=1, keepdims=True, out=line)
            signal -= line
            signal *= p
        signal /= len(self.examples.rows)

    def _backward(self) -> FloatArray:
        """H v (r, P), from what the passes forward left in `space` and `tangents`."""
        layers, space, tangents = self.layers, self.space, self.tangents
        product = np.empty_like(self.v)
        for layer in range(layers.last, 0, -1):
            units = layers.sizes[layer]
            signal, moved = space.signals[layer], tangents.signals[layer]
            active, moved_active = (s.activations[layer - 1] for s in (space, tangents))
            out = layers.weights(product, layer)
            np.matmul(moved, active.transpose(0, 2, 1), out=out)
            out += signal @ moved_active.transpose(0, 2, 1)
            weights, direction = (layers.weights(x, layer)[:, :, :units] for x in (self.w, self.v))
            below, moved_below = space.signals[layer - 1], tangents.signals[layer - 1]
            down(weights, signal, below)
            down(weights, moved, moved_below)
            spare = active[:, :units]  # has done its work
            down(direction, signal, spare)
            moved_below += spare
            slope, moved_slope = space.spare[layer - 1], tangents.spare[layer - 1]
            if layers.activation != "linear":
                moved_below *= slope
            if layers.activation in CURVED:
                moved_slope *= below
                moved_below += moved_slope
            if layers.activation != "linear" and layer > 1:  # nobody asks for the first layer's
                below *= slope
        layers.first_gradient(product, self.examples.rows, tangents)
        return product

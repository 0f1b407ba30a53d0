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

import numpy as np

from trainers.problem import FloatArray
from trainers.problems.activations import CURVED, bend, times_slope
from trainers.problems.backpropagation import Examples, Layers, Workspace, down

__all__ = ["hessian_products"]


def hessian_products(
    layers: Layers,
    w: FloatArray,
    v: FloatArray,
    examples: Examples,
    space: Workspace,
    tangents: Workspace,
) -> FloatArray:
    """H v (r, P) at `w` (r, P), of the loss alone, without what decays.

    Args:
        space, tangents: for r restarts, of constant 1 and 0; the second holds R{what the first
            holds}, in its `spare` R{s'}.
    """
    layers.forward(w, examples, space)
    _forward(layers, w, v, examples, space, tangents)
    product = np.empty_like(v)
    _backward(layers, w, v, product, examples, space, tangents)
    return product


def _forward(
    layers: Layers,
    w: FloatArray,
    v: FloatArray,
    examples: Examples,
    space: Workspace,
    tangents: Workspace,
) -> None:
    """Fills `tangents`, from what the layers' own pass left in `space`; leaves there s' in
    `spare`."""
    last, name = layers.last, layers.activation
    for layer in range(last + 1):
        signal, spare = tangents.signals[layer], tangents.spare[layer]
        if layer == 0:
            layers.first_signal(v, examples.columns, tangents)
        else:
            np.matmul(layers.weights(v, layer), space.activations[layer - 1], out=signal)
            np.matmul(layers.weights(w, layer), tangents.activations[layer - 1], out=spare)
            signal += spare
        if layer < last:
            units = layers.sizes[layer + 1]
            active, moved = space.activations[layer][:, :units], tangents.activations[layer]
            times_slope(name, signal, active, space.spare[layer])
            moved[:, :units] = signal
            if name in CURVED:
                bend(name, space.signals[layer], active, signal, spare)
    signal, line = tangents.signals[last], tangents.line
    if layers.loss == "cross-entropy":
        # R{p} = p (R{z} - p . R{z}) of p = softmax(z), whose exponentials are in `spare`.
        p, each = space.spare[last], tangents.spare[last]
        np.sum(p, axis=1, keepdims=True, out=line)
        p /= line
        np.multiply(p, signal, out=each)
        np.sum(each, axis=1, keepdims=True, out=line)
        signal -= line
        signal *= p
    signal /= len(examples.rows)


def _backward(
    layers: Layers,
    w: FloatArray,
    v: FloatArray,
    product: FloatArray,
    examples: Examples,
    space: Workspace,
    tangents: Workspace,
) -> None:
    """Fills `product` (r, P) from what the passes forward left in `space` and `tangents`."""
    name = layers.activation
    for layer in range(layers.last, 0, -1):
        signal, moved = space.signals[layer], tangents.signals[layer]
        active, moved_active = space.activations[layer - 1], tangents.activations[layer - 1]
        out = layers.weights(product, layer)
        np.matmul(moved, active.transpose(0, 2, 1), out=out)
        out += signal @ moved_active.transpose(0, 2, 1)
        units = layers.sizes[layer]
        weights, direction = (layers.weights(x, layer)[:, :, :units] for x in (w, v))
        below, moved_below = space.signals[layer - 1], tangents.signals[layer - 1]
        down(weights, signal, below)
        down(weights, moved, moved_below)
        spare = active[:, :units]  # has done its work
        down(direction, signal, spare)
        moved_below += spare
        slope, moved_slope = space.spare[layer - 1], tangents.spare[layer - 1]
        if name != "linear":
            moved_below *= slope
        if name in CURVED:
            moved_slope *= below
            moved_below += moved_slope
        if name != "linear" and layer > 1:  # nobody asks for the first layer's
            below *= slope
    layers.first_gradient(product, examples.rows, tangents)

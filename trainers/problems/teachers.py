"""Networks that learn from a network: what the global minimum is, is known.

Two-layer networks on sampled data, two-layer ReLU networks on all Gaussian inputs at once, and deep
linear networks. They are what theory speaks of, so theory can judge the labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainers.errors import InvalidInput
from trainers.problem import FloatArray, Problem
from trainers.problems.activations import activate
from trainers.problems.landscape_base import real, whole
from trainers.problems.network import Network

__all__ = ["DeepLinear", "ReLUTeacher", "TeacherStudent"]

LISTED_AT = 4

_TILE_BYTES = 100_000  # a tile's cosines: all made from them fits the second-level cache


class ReLUTeacher(Problem):
    """ReLU units that learn orthonormal ReLU units, on all Gaussian inputs: gradient descent often
    ends in a spurious minimum, and how often was counted.

    J(W) = 1/2 E (sum_i max(0, w_i . x) - sum_j max(0, v_j . x))^2 over x ~ N(0, I), where the
    teacher's v_j are the first `teacher_units` unit vectors (Safran & Shamir 2018, "Spurious Local
    Minima are Common in Two-Layer ReLU Neural Networks", arXiv 1712.08968). In closed form, with t
    the angle between w and v (the arc-cosine kernel of Cho & Saul 2009, "Kernel Methods for Deep
    Learning"; for the gradient Brutzkus & Globerson 2017, arXiv 1702.07966),

        E max(0, w . x) max(0, v . x) = |w| |v| (sin t + (pi - t) cos t) / (2 pi)
        d/dw of it                    = (|v| sin t w / |w| + (pi - t) v) / (2 pi).

    The gradient jumps at w_i = 0 alone; there it is that of an angle pi / 2, the mean over all
    directions.

    Minimum: J = 0 where the student is the teacher, if it has as many units. With as many units as
    the teacher, 6 to 20, there are others, proved by computer, of J near 0.02 and more;
    `benchmarks/published.py` counts them. Starts are the paper's: each weight N(0, 1 / inputs). w
    is W (units, inputs), row by row.

    Args:
        units: units of the student.
        teacher_units: units of the teacher; `units` when absent.
        inputs: dimension of the inputs, at least `teacher_units`; equal to it when absent.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "relu-teacher"

    def __init__(
        self, *, units: int = 10, teacher_units: int | None = None, inputs: int | None = None
    ) -> None:
        self.units = whole("units", units, least=1)
        teachers = self.units if teacher_units is None else teacher_units
        self.teacher_units = whole("teacher_units", teachers, least=1)
        dimension = self.teacher_units if inputs is None else inputs
        self.inputs = whole("inputs", dimension, least=self.teacher_units)
        self.parameters = self.units * self.inputs
        self.known_minimum = 0.0 if self.units >= self.teacher_units else None

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Each weight N(0, 1 / inputs); shape (P,)."""
        return rng.standard_normal(self.parameters) / float(np.sqrt(self.inputs))

    def flops(self) -> float:
        """Multiply-adds count two; an angle with its sine counts eighty."""
        pairs = self.units * (self.units + self.teacher_units)
        return float(4 * self.units * self.parameters + 80 * pairs + 20 * self.parameters)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P)."""
        loss, gradient = np.empty(len(w)), np.empty_like(w)
        pairs = self.units * (self.units + self.teacher_units)
        tile = max(1, _TILE_BYTES // (8 * pairs))
        for a in range(0, len(w), tile):
            part = slice(a, a + tile)
            self._tile(w[part], loss[part], gradient[part])
        return loss, gradient

    def _tile(self, w: FloatArray, loss: FloatArray, gradient: FloatArray) -> None:
        """Fill `loss` (r,) and `gradient` (r, P) at `w` (r, P)."""
        n, k = self.units, self.teacher_units
        W = w.reshape(len(w), n, self.inputs)
        norm = np.sqrt(np.einsum("rij,rij->ri", W, W))
        direction = W / np.where(norm > 0.0, norm, 1.0)[:, :, None]
        # Cosines of each unit (rows) with all units, then all teachers (columns).
        cosine = np.empty((len(w), n, n + k))
        np.matmul(direction, direction.transpose(0, 2, 1), out=cosine[:, :, :n])
        cosine[:, :, n:] = direction[:, :, :k]
        np.clip(cosine, -1.0, 1.0, out=cosine)  # NaN stays
        # An error e of a cosine near 1 makes one of e / sin t in the angle, but what is computed
        # from both changes by sin t times that. So the sine must follow from the same cosine.
        dip = 1.0 - cosine
        dip *= 1.0 + cosine
        np.sqrt(dip, out=dip)
        dip -= 1.0  # sin t - 1
        tilt = np.arcsin(cosine)  # pi / 2 - t
        bend = np.multiply(cosine, tilt, out=cosine)
        bend += dip
        # sin t + (pi - t) cos t = 1 + pi / 2 cos t + bend. Summed over all pairs, with a minus for
        # a unit and a teacher, the first two give squares: so n^2 terms need not cancel.
        excess = norm.sum(axis=1) - k
        mean = W.sum(axis=1)
        mean[:, :k] -= 1.0
        bend *= norm[:, :, None]
        loss[:] = np.einsum("rij,rj->r", bend[:, :, :n], norm)
        loss -= 2.0 * bend[:, :, n:].sum(axis=(1, 2))
        loss += k * (np.pi / 2.0 - 1.0)  # the bend of each teacher with itself; 0 with another
        loss += excess**2
        loss += np.pi / 2.0 * np.einsum("rj,rj->r", mean, mean)
        loss /= 4.0 * np.pi
        np.maximum(loss, 0.0, out=loss)  # rounding: it is an expectation of squares
        slope = gradient.reshape(W.shape)
        np.matmul(tilt[:, :, :n], W, out=slope)
        slope[:, :, :k] -= tilt[:, :, n:]
        slope += np.pi / 2.0 * mean[:, None, :]
        turn = np.einsum("rij,rj->ri", dip[:, :, :n], norm) - dip[:, :, n:].sum(axis=2)
        turn += excess[:, None]
        slope += turn[:, :, None] * direction
        slope /= 2.0 * np.pi


class TeacherStudent(Network):
    """A two-layer network that learns from another on sampled inputs: the global minimum is 0.

    J(w) = 1/2 mean (f(x) - teacher(x))^2 with f(x) = sum_j a_j s(w_j . x), both layers trained, on
    inputs x ~ N(0, I). The teacher is fixed, has the same form, and is drawn with the data: its
    first-layer weights (and biases) are N(0, 1 / inputs), its output weights 1 or -1. With erf and
    fixed output weights these are the soft committee machines of Saad & Solla 1995 ("On-line
    Learning in Soft Committee Machines"); both layers are trained in Goldt et al. 2019, arXiv
    1906.08632.

    Minimum: J = 0 where the student is the teacher, its other units silent, if it has at least as
    many units; else unknown.

    Args:
        hidden: units of the student.
        teacher_hidden: units of the teacher.
        inputs: dimension of the inputs.
        examples: number of inputs drawn.
        activation: tanh, relu, erf (of z / sqrt 2), sigmoid or linear.
        biases: whether the units of both, and the outputs, have biases.
        initializer: see `Network`.
        data_seed: seeds the inputs and the teacher.

    Attributes:
        teacher: the weights of the teacher, as a student of as many units holds them.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "teacher-student"

    def __init__(
        self,
        *,
        hidden: int = 4,
        teacher_hidden: int = 4,
        inputs: int = 5,
        examples: int = 200,
        activation: str = "tanh",
        biases: bool = False,
        initializer: str = "glorot",
        data_seed: int = 0,
    ) -> None:
        width = whole("hidden", hidden, least=1)
        units = whole("teacher_hidden", teacher_hidden, least=1)
        dimension = whole("inputs", inputs, least=1)
        count = whole("examples", examples, least=1)
        rng = np.random.default_rng(whole("data_seed", data_seed, least=0))
        x = rng.standard_normal((count, dimension))
        first = rng.standard_normal((units, dimension + 1)) / np.sqrt(dimension)
        signs = rng.choice([-1.0, 1.0], units)
        if not biases:
            first[:, -1] = 0.0
        z = first[:, :-1] @ x.T + first[:, -1:]
        super().__init__(
            x,
            np.zeros((count, 1)),
            hidden=[width],
            activation=activation,
            initializer=initializer,
            loss="squared-error",
            biases=biases,
            known_minimum=0.0 if width >= units else None,
        )
        active = np.empty_like(z)
        activate(activation, z, active)
        self._data = self._data._replace(targets=(signs @ active)[None])
        parts = [first, np.append(signs, 0.0)] if biases else [first[:, :-1], signs]
        self.teacher = np.concatenate([part.ravel() for part in parts])


class DeepLinear(Network):
    """A deep linear network: not convex, yet nothing in it traps.

    J(w) = 1/2 mean |W_L ... W_1 x - y|^2 over the examples, without biases. Every local minimum is
    global and every other critical point is a saddle (Baldi & Hornik 1989, "Neural Networks and
    Principal Component Analysis: Learning from Examples Without Local Minima", for two layers;
    Kawaguchi 2016, arXiv 1605.07110, for any depth and widths). From three layers on the saddle at
    the origin has no negative curvature. Minima are never strict: W_2 G and G^-1 W_1 compute what
    W_2 and W_1 do.

    Minimum: what least squares leaves, and what its best approximation of the rank that the
    narrowest layer allows leaves of that (reduced-rank regression; Eckart & Young 1936).

    Args:
        inputs: dimension of the inputs x ~ N(0, I).
        outputs: dimension of the targets y = M x + noise, with M drawn from N(0, 1 / inputs).
        hidden: units of each hidden layer, any number of layers.
        examples: number of inputs drawn.
        noise: standard deviation of the noise in each target.
        whitened: whether the inputs are made to have second moments I exactly.
        initializer: see `Network`.
        data_seed: seeds the data.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "deep-linear"

    def __init__(
        self,
        *,
        inputs: int = 5,
        outputs: int = 3,
        hidden: Sequence[int] = (4, 2),
        examples: int = 100,
        noise: float = 0.1,
        whitened: bool = True,
        initializer: str = "glorot",
        data_seed: int = 0,
    ) -> None:
        dimension = whole("inputs", inputs, least=1)
        targets = whole("outputs", outputs, least=1)
        if not isinstance(whitened, bool):
            raise InvalidInput(f"whitened = {whitened!r} is not valid; give true or false")
        # Fewer inputs than dimensions have no second moments I.
        count = whole("examples", examples, least=dimension if whitened else 1)
        deviation = real("noise", noise, least=0.0)
        rng = np.random.default_rng(whole("data_seed", data_seed, least=0))
        x = rng.standard_normal((count, dimension))
        basis, sizes, _ = np.linalg.svd(x, full_matrices=False)
        if whitened:
            x = basis * np.sqrt(count)
        M = rng.standard_normal((targets, dimension)) / np.sqrt(dimension)
        y = x @ M.T + deviation * rng.standard_normal((count, targets))
        # The outputs a linear map can give are the columns' span. Within it, a map of rank r keeps
        # the r largest singular values of what there is to learn.
        explained = basis[:, sizes > 1e-12 * sizes[0]].T @ y
        rank = min([dimension, targets, *self._widths(hidden)])
        lost = np.linalg.svd(explained, compute_uv=False)[rank:]
        residual = y - basis[:, sizes > 1e-12 * sizes[0]] @ explained
        super().__init__(
            x,
            y,
            hidden=hidden,
            activation="linear",
            initializer=initializer,
            loss="squared-error",
            biases=False,
            known_minimum=float(((residual**2).sum() + (lost**2).sum()) / (2 * count)),
        )

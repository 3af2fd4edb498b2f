"""A function of real blocks and its derivatives, each again such a function: one level an order."""

from collections.abc import Callable

import numpy as np

from zkynet.backends.errors import GradientCheckError
from zkynet.framework import cg, op

from .problem import Block, Problem, entry_of, flat, host

WORDS = {"fwd": "forward", "rev": "reverse"}


class Level:
    """A differentiable function of real blocks, how to evaluate it at a vector, and what its blocks are called."""

    def __init__(self, problem: Problem, function: Callable, value_at, outputs, order=1, eps=2.0**-52, trail=""):
        self.problem, self.function, self.value_at = problem, function, value_at
        self.inputs, self.outputs, self.order, self.eps = problem.inputs, outputs, order, eps
        self.trail = trail  # the modes that led to this derivative, the last first

    @property
    def shape(self) -> tuple[int, int]:
        return sum(b.size for b in self.outputs), sum(b.size for b in self.inputs)

    def way(self, mode) -> str:
        """How a derivative in ``mode`` is computed, in words."""
        return f"{WORDS[mode]} mode" + (f" over {self.trail}" if self.trail else "")

    def entry(self, k, j) -> str:
        return f"{entry_of(self.outputs, k)}; {entry_of(self.inputs, j)}"

    def part(self, places, mode) -> "Level":
        """The level with some of its outputs (reverse mode) or inputs (forward mode), for messages alone."""
        new = Level(self.problem, self.function, None, self.outputs, self.order, self.eps, self.trail)
        names = [Block(entry_of(self.outputs if mode == "rev" else self.inputs, k), (), "") for k in places]
        if mode == "rev":
            new.outputs = names
        else:
            new.inputs = names
        return new

    def jacobian(self, point, mode) -> np.ndarray:
        """The full Jacobian at a vector, by one batched sweep."""
        reals = self.problem.reals(point)
        return matrix(cg.jacobian(listed(self.function), tuple(range(len(reals))), mode=mode)(*reals), self)

    def above(self, mode, weights, direction) -> "Level":
        """The next order: the gradient of a projection on ``weights``, or the derivative along ``direction``."""
        return self._gradient(weights) if mode == "rev" else self._derivative(direction)

    def _gradient(self, weights):
        parts = np.split(weights, np.cumsum([b.size for b in self.outputs])[:-1])
        shaped = [w.item() if b.shape == () else w.reshape(b.shape) for w, b in zip(parts, self.outputs, strict=True)]

        def projected(*reals):
            terms = [op.sum(op.multiply(y, w)) for y, w in zip(self.function(*reals), shaped, strict=True)]
            total = terms[0]
            for term in terms[1:]:
                total = op.add(total, term)
            return total

        gradient = cg.grad(projected, tuple(range(len(self.inputs))))
        outputs = [b._replace(label=f"gradient of a projection in {b.label}") for b in self.inputs]
        return self._derived(lambda *reals: list(gradient(*reals)), outputs, "rev")

    def _derivative(self, direction):
        tangents, function = self.problem.reals(direction), listed(self.function)
        outputs = [b._replace(label=f"derivative along a direction of {b.label}") for b in self.outputs]
        return self._derived(lambda *reals: cg.jvp(function, reals, tangents)[1], outputs, "fwd")

    def _derived(self, function, outputs, mode):
        size = sum(block.size for block in outputs)

        def value_at(vector):
            try:
                parts = [flat(y) for y in function(*self.problem.reals(vector))]
            except np.linalg.LinAlgError:
                return np.full(size, np.nan)
            return np.concatenate(parts) if parts else np.zeros(0)

        trail = WORDS[mode] + (f" over {self.trail}" if self.trail else "")
        return Level(self.problem, function, value_at, outputs, self.order + 1, np.max(self.eps, initial=0.0), trail)

    def jacobian_twice(self, point, inner, outer) -> np.ndarray:
        """The full Jacobian of the full Jacobian, (outputs, inputs, inputs): rules run on Tensors with leading axes."""
        full = cg.jacobian(listed(self.function), tuple(range(len(self.inputs))), mode=inner)
        blocks = [Block("", y.shape + x.shape, "") for y in self.outputs for x in self.inputs]
        flat_level = Level(self.problem, lambda *reals: [b for row in full(*reals) for b in row], None, blocks)
        rest, rows = flat_level.jacobian(point, outer), []
        n = point.size
        for y in self.outputs:
            row = []
            for x in self.inputs:
                row.append(rest[: y.size * x.size].reshape(y.size, x.size, n))
                rest = rest[y.size * x.size :]
            rows.append(np.concatenate(row, axis=1))
        return np.concatenate(rows, axis=0) if rows else np.zeros((0, n, n))


def first_level(problem: Problem) -> Level:
    """The function itself."""
    return Level(problem, problem.call_reals, problem.value_at, problem.outputs, 1, problem.eps)


def matrix(rows, level) -> np.ndarray:
    """The blocks of a Jacobian as one matrix."""
    found = [
        np.concatenate([host(b).reshape(y.size, x.size) for b, x in zip(row, level.inputs, strict=True)], axis=1)
        for row, y in zip(rows, level.outputs, strict=True)
    ]
    return np.concatenate(found, axis=0) if found else np.zeros(level.shape)


def listed(function):
    """The function with its outputs in a list."""

    def f(*xs):
        return list(function(*xs))

    f.__name__ = getattr(function, "__name__", "f")
    return f


def complex_derivative(problem: Problem, whole, name) -> np.ndarray:
    """f'(z) as a complex matrix, from the Jacobian of real and imaginary parts; refuses what is not holomorphic."""
    if not all(leaf.is_complex for leaf in problem.leaves) or not all(block.part for block in problem.outputs):
        raise GradientCheckError(f"{name}: holomorphic=True needs complex arguments and complex outputs")
    rows = np.concatenate([[b.part == "imaginary part"] * b.size for b in problem.outputs])
    columns = np.concatenate([[b.part == "imaginary part"] * b.size for b in problem.inputs])
    rr, ri = whole[~rows][:, ~columns], whole[~rows][:, columns]
    ir, ii = whole[rows][:, ~columns], whole[rows][:, columns]
    limit = 1e-7 * np.max(np.abs(whole), initial=0.0)
    if np.any(np.abs(rr - ii) > limit) or np.any(np.abs(ri + ir) > limit):
        raise GradientCheckError(
            f"{name}: the function is not holomorphic here.\n"
            f"  d Re / d Re and d Im / d Im differ by up to {np.max(np.abs(rr - ii)):.3g}, "
            f"d Re / d Im and -d Im / d Re by up to {np.max(np.abs(ri + ir)):.3g}\n"
            "Leave holomorphic=True out: gradients are dL/dRe + i dL/dIm then."
        )
    return rr + 1j * ir

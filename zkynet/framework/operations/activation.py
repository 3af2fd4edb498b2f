"""Activations: relu, sigmoid, softmax and their kin."""

from ..axes import normalize_axes
from ..operator import Elementwise, Operator
from ..quick import unary
from ..record import Tensor, apply, shape_of


class Relu(Elementwise):
    """max(x, 0), with derivative 0 at 0; NaN stays NaN with derivative 0."""

    def forward(self, xp, x):
        return xp.relu(x)

    def vjp_x(self, xp, g, y):
        return xp.select(y > 0, g)


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x)), exact far out on both sides."""

    promotion = "inexact"

    def forward(self, xp, x):
        return xp.sigmoid(x)

    def vjp_x(self, xp, g, x, y):
        return g * (y * xp.sigmoid(-x))  # not 1 - y, which is 0 from x = 37 on


class Softmax(Operator):
    """exp(x) / sum(exp(x)) over ``axis``, a tuple of negative ints."""

    promotion = "floating"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, xp, x):
        return xp.softmax(x, axis=self.axis)

    def vjp_x(self, xp, g, y):
        return y * (g - xp.sum(g * y, axis=self.axis, keepdims=True))

    def jvp_x(self, xp, t, y):
        return y * (t - xp.sum(t * y, axis=self.axis, keepdims=True))


class Weights(Softmax):
    """Softmax as the gradient of logsumexp: infinities that tie for the largest share evenly, where Softmax is NaN."""

    def forward(self, xp, x):
        return xp.weights(x, axis=self.axis)


class LogSoftmax(Operator):
    """x - logsumexp(x) over ``axis``, a tuple of negative ints."""

    promotion = "floating"

    def __init__(self, axis):
        self.axis = axis

    def forward(self, xp, x):
        if xp.is_empty(x, self.axis):
            return x
        z = xp.below_top(x, self.axis)
        return z - xp.log(xp.sum(xp.exp(z), axis=self.axis, keepdims=True))

    def vjp_x(self, xp, g, y):
        return g - xp.exp(y) * xp.sum(g, axis=self.axis, keepdims=True)

    def jvp_x(self, xp, t, y):
        return t - xp.sum(xp.exp(y) * t, axis=self.axis, keepdims=True)


class Shifted(Elementwise):
    """a - b, but 0 where both are the same infinity."""

    def forward(self, xp, a, b):
        return xp.shifted(a, b)

    def vjp_a(self, xp, g):
        return g

    def vjp_b(self, xp, g):
        return -g


_relu, _sigmoid, _shifted = Relu(), Sigmoid(), Shifted()


relu = unary(_relu, "max(x, 0); derivative 0 at 0.")


sigmoid = unary(_sigmoid, "1 / (1 + exp(-x)), exact far out on both sides.")


def softmax(x, axis=-1) -> Tensor:
    """exp(x) / sum(exp(x)) over ``axis``, without overflow."""
    return apply(Softmax(normalize_axes(axis, len(shape_of(x)), "softmax")), x)


def weights(x, axis=-1) -> Tensor:
    """softmax, but infinities that tie for the largest share evenly: the gradient of logsumexp."""
    return apply(Weights(normalize_axes(axis, len(shape_of(x)), "weights")), x)


def log_softmax(x, axis=-1) -> Tensor:
    """x - logsumexp(x) over ``axis``."""
    return apply(LogSoftmax(normalize_axes(axis, len(shape_of(x)), "log_softmax")), x)


def shifted(a, b) -> Tensor:
    """a - b, but 0 where both are the same infinity."""
    return apply(_shifted, a, b)

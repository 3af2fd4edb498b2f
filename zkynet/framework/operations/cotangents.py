"""What leaves values as they are and changes the cotangents that flow back through them."""

from zkynet.backends.errors import ShapeError

from ..operator import Operator
from ..record import Tensor, apply, shape_of


class GradientReversal(Operator):
    """x; its derivative is defined to be -scale, backward and forward."""

    promotion = "inexact"

    def __init__(self, scale):
        self.scale = scale

    def forward(self, xp, x):
        return xp.own(x)

    def vjp_x(self, xp, g):
        return g * -self.scale

    def jvp_x(self, xp, t):
        return t * -self.scale


class GradientClip(Operator):
    """x; cotangents are held between -bound and bound, entry by entry. Tangents pass as they are."""

    promotion = "inexact"

    def __init__(self, bound):
        self.bound = bound

    def forward(self, xp, x):
        return xp.own(x)

    def vjp_x(self, xp, g):
        return xp.clip(g, -self.bound, self.bound)

    def jvp_x(self, xp, t):
        return t


class GradientNormClip(Operator):
    """x; cotangents longer than ``bound`` are shortened to it, seen as one vector. Tangents pass as they are."""

    promotion = "inexact"

    def __init__(self, bound):
        self.bound = bound

    def forward(self, xp, x):
        return xp.own(x)

    def vjp_x(self, xp, g, x_spec):
        axes = tuple(range(-len(x_spec.shape), 0))
        length = xp.sqrt(xp.sum(xp.real(g * xp.conj(g)), axis=axes, keepdims=True))
        return g * xp.where(length > self.bound, self.bound / xp.where(length == 0, 1.0, length), 1.0)

    def jvp_x(self, xp, t):
        return t


class StraightThrough(Operator):
    """The first input, with the derivative of the second."""

    nondifferentiable = ("value",)
    promotion = None

    def forward(self, xp, value, x):
        return xp.astype(value, x.dtype, copy=True)

    def vjp_x(self, xp, g):
        return g

    def jvp_x(self, xp, t):
        return t


def gradient_reversal(x, scale=1.0) -> Tensor:
    """x, whose gradient comes back times -``scale``: the layer of domain-adversarial training. Ganin et al. 2016."""
    return apply(GradientReversal(scale), x)


def gradient_clip(x, bound, *, by_norm=False) -> Tensor:
    """x, whose cotangent is held between -``bound`` and ``bound``, or its 2-norm below ``bound`` where ``by_norm``.

    ValueError for a bound below 0. The derivative in forward mode is 1.
    """
    if not bound >= 0:
        raise ValueError(f"gradient_clip: the bound must be at least 0, got {bound!r}")
    return apply((GradientNormClip if by_norm else GradientClip)(bound), x)


def straight_through(value, x) -> Tensor:
    """``value`` with the derivative of ``x``: a gradient estimator for rounding, signs and choices.

    As in ``straight_through(op.round(x), x)``: the value is rounded, and the gradient passes as if it were not.
    Bengio, Leonard, Courville 2013. ShapeError where the shapes differ.
    """
    if shape_of(value) != shape_of(x):
        raise ShapeError(f"straight_through: shapes differ: value {shape_of(value)}, x {shape_of(x)}")
    return apply(StraightThrough(), value, x)

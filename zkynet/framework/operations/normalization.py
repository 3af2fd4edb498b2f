"""Normalisation by the statistics of a batch, a layer, a group, an instance or a root mean square.

x is (N, C, *S) where channels are spoken of. Means and variances are taken in two passes, so an offset of a million
costs no digits; ``eps`` is added to the variance, and the variance is the biased one, divided by n.
"""

from zkynet.backends.errors import ShapeError

from ..axes import kept_shape, normalize_axes, normalize_axis, size_of
from ..operator import Operator
from ..record import Tensor, apply, kind_of, shape_of
from .arithmetic import rsqrt
from .control import stop_gradient
from .elementwise import add, clip, divide, maximum, multiply, pow, sqrt, square, subtract
from .linalg import matmul
from .norms import vector_norm
from .shape import pad, reshape
from .windows import pool_sum


class Standardize(Operator):
    """(x - mean) / sqrt(variance + eps) over ``axis``, a tuple of negative ints; and the mean and the variance.

    With r = 1 / sqrt(variance + eps) the derivative is t -> r (t - mean(t) - y mean(t y)), its own transpose.
    """

    outputs = 3
    promotion = "floating"

    def __init__(self, axis, eps):
        self.axis, self.eps = axis, eps

    def forward(self, xp, x):
        middle = xp.mean(x, axis=self.axis, keepdims=True)
        apart = x - middle
        spread = xp.mean(apart * apart, axis=self.axis, keepdims=True)
        apart *= 1 / xp.sqrt(spread + self.eps)
        return apart, middle, spread

    def vjp_x(self, xp, g, x_spec, y):
        (gy, gm, gv), (y, _, spread) = g, y
        share = 1 / (size_of(tuple(x_spec.shape[i] for i in self.axis)) or 1)
        root = xp.sqrt(spread + self.eps)
        level = self.mean(xp, gy) - share * (gm * root)
        slope = self.mean(xp, gy * y) - (2 * share) * (gv * (spread + self.eps))
        moved = gy - level
        moved -= y * slope
        moved *= 1 / root
        return moved

    def jvp_x(self, xp, t, y):
        y, _, spread = y
        root = xp.sqrt(spread + self.eps)
        level, slope = self.mean(xp, t), self.mean(xp, t * y)
        return (t - level - y * slope) / root, level, 2 * slope * root

    def mean(self, xp, x):
        return xp.mean(x, axis=self.axis, keepdims=True)


class ScaleToUnit(Operator):
    """x / sqrt(mean(x * x) + eps) over ``axis``, a tuple of negative ints; and the mean square."""

    outputs = 2
    promotion = "floating"

    def __init__(self, axis, eps):
        self.axis, self.eps = axis, eps

    def forward(self, xp, x):
        power = xp.mean(x * x, axis=self.axis, keepdims=True)
        return x * (1 / xp.sqrt(power + self.eps)), power

    def vjp_x(self, xp, g, x_spec, y):
        (gy, gp), (y, power) = g, y
        share = 1 / (size_of(tuple(x_spec.shape[i] for i in self.axis)) or 1)
        slope = xp.mean(gy * y, axis=self.axis, keepdims=True) - (2 * share) * (gp * (power + self.eps))
        return (gy - y * slope) / xp.sqrt(power + self.eps)

    def jvp_x(self, xp, t, y):
        y, power = y
        root = xp.sqrt(power + self.eps)
        slope = xp.mean(t * y, axis=self.axis, keepdims=True)
        return (t - y * slope) / root, 2 * slope * root


def standardize(x, axis=-1, eps=1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over ``axis``."""
    return standardized("standardize", x, axis, eps)[0]


def standardized(who, x, axis, eps):
    """The standardised x, the mean and the biased variance, with axes of size 1."""
    if kind_of(x) == "complex":
        raise TypeError(f"{who}: complex arrays are not supported; use real and imaginary parts")
    return apply(Standardize(normalize_axes(axis, len(shape_of(x)), who), eps), x)


def scaled_and_shifted(y, weight, bias, shape):
    """y * weight + bias, either of them None, both seen in ``shape``."""
    if weight is not None:
        y = multiply(y, reshape(weight, shape))
    return y if bias is None else add(y, reshape(bias, shape))


def check_parameters(who, wanted, **given):
    """ShapeError where one of the given arrays is not of the shape ``wanted``."""
    for name, x in given.items():
        if x is not None and shape_of(x) != wanted:
            raise ShapeError(f"{who}: {name} has shape {shape_of(x)}, expected {wanted}")


def channels(who, x):
    """The number of channels of x (N, C, *S), and the shape in which an array of C numbers meets x."""
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(f"{who}: needs x (N, C, *S), got shape {shape}")
    return shape[1], (shape[1],) + (1,) * (len(shape) - 2)


def batch_norm(x, weight=None, bias=None, *, eps=1e-5, return_statistics=False):
    """x (N, C, *S) standardised over all axes but the channels, times ``weight`` (C,), plus ``bias`` (C,).

    With ``return_statistics`` a triple: the result, the mean (C,) and the biased variance (C,) of this batch, both
    differentiable; running averages are kept by whoever calls. ValueError where a channel has one value: it would
    become 0 whatever it is. ``batch_norm_eval`` takes given statistics. Ioffe and Szegedy 2015.
    """
    count, seen = channels("batch_norm", x)
    check_parameters("batch_norm", (count,), weight=weight, bias=bias)
    shape = shape_of(x)
    if size_of((shape[0], *shape[2:])) == 1:
        raise ValueError(
            f"batch_norm: x of shape {shape} has one value per channel, so all of them would become 0.\n"
            "  expected: at least 2 values for each channel\n"
            "Use a larger batch, or batch_norm_eval with the statistics of earlier ones."
        )
    axes = tuple(i for i in range(len(shape)) if i != 1)
    y, middle, spread = standardized("batch_norm", x, axes, eps)
    y = scaled_and_shifted(y, weight, bias, seen)
    return (y, reshape(middle, (count,)), reshape(spread, (count,))) if return_statistics else y


def batch_norm_eval(x, mean, variance, weight=None, bias=None, *, eps=1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias for x (N, C, *S) and given statistics (C,)."""
    count, seen = channels("batch_norm_eval", x)
    check_parameters("batch_norm_eval", (count,), mean=mean, variance=variance, weight=weight, bias=bias)
    slope = rsqrt(add(variance, eps))
    if weight is not None:
        slope = multiply(slope, weight)
    return scaled_and_shifted(subtract(x, reshape(mean, seen)), slope, bias, seen)


def batch_renorm(x, running_mean, running_variance, weight=None, bias=None, *, rmax=3.0, dmax=5.0, eps=1e-5) -> Tensor:
    """``batch_norm`` corrected towards running statistics (C,), within bounds: y * r + d.

    r = sigma / running sigma in [1 / rmax, rmax] and d = (mean - running mean) / running sigma in [-dmax, dmax] are
    constants for the gradient. S. Ioffe, Batch renormalization, 2017.
    """
    count, seen = channels("batch_renorm", x)
    check_parameters("batch_renorm", (count,), running_mean=running_mean, running_variance=running_variance)
    y, middle, spread = batch_norm(x, eps=eps, return_statistics=True)
    root = sqrt(add(running_variance, eps))
    r = clip(stop_gradient(divide(sqrt(add(spread, eps)), root)), 1 / rmax, rmax)
    d = clip(stop_gradient(divide(subtract(middle, running_mean), root)), -dmax, dmax)
    return scaled_and_shifted(scaled_and_shifted(y, r, d, seen), weight, bias, seen)


def layer_norm(x, weight=None, bias=None, *, axis=-1, eps=1e-5) -> Tensor:
    """x standardised over ``axis``, an int or a tuple, times ``weight``, plus ``bias``.

    Both have the sizes of these axes. Of one element the result is 0 with gradient 0. Ba, Kiros, Hinton 2016.
    """
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape), "layer_norm")
    wanted = tuple(shape[i] for i in axes)
    check_parameters("layer_norm", wanted, weight=weight, bias=bias)
    seen = tuple(shape[i] if i in axes else 1 for i in range(axes[0], 0)) if axes else ()
    return scaled_and_shifted(standardized("layer_norm", x, axes, eps)[0], weight, bias, seen)


def group_norm(x, groups, weight=None, bias=None, *, eps=1e-5) -> Tensor:
    """x (N, C, *S) standardised over each of ``groups`` groups of channels, times ``weight`` (C,), plus ``bias`` (C,).

    ShapeError where the channels are no multiple of the groups. Wu and He 2018.
    """
    count, seen = channels("group_norm", x)
    if groups < 1 or count % groups:
        raise ShapeError(f"group_norm: x of shape {shape_of(x)} has {count} channels, no multiple of {groups} groups")
    check_parameters("group_norm", (count,), weight=weight, bias=bias)
    shape = shape_of(x)
    parts = reshape(x, (shape[0], groups, count // groups * size_of(shape[2:])))
    y = reshape(standardized("group_norm", parts, -1, eps)[0], shape)
    return scaled_and_shifted(y, weight, bias, seen)


def instance_norm(x, weight=None, bias=None, *, eps=1e-5) -> Tensor:
    """x (N, C, *S) standardised over the spatial axes, times ``weight`` (C,), plus ``bias`` (C,).

    ValueError where a channel has one value. Ulyanov, Vedaldi, Lempitsky 2016.
    """
    count, seen = channels("instance_norm", x)
    check_parameters("instance_norm", (count,), weight=weight, bias=bias)
    if size_of(shape_of(x)[2:]) == 1:
        raise ValueError(f"instance_norm: x of shape {shape_of(x)} has one value per channel, so all would become 0")
    y = standardized("instance_norm", x, tuple(range(2, len(shape_of(x)))), eps)[0]
    return scaled_and_shifted(y, weight, bias, seen)


def rms_norm(x, weight=None, *, axis=-1, eps=1e-5) -> Tensor:
    """x / sqrt(mean(x * x) + eps) over ``axis``, times ``weight``, of the sizes of these axes. Zhang, Sennrich 2019."""
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape), "rms_norm")
    check_parameters("rms_norm", tuple(shape[i] for i in axes), weight=weight)
    if kind_of(x) == "complex":
        raise TypeError("rms_norm: complex arrays are not supported; use real and imaginary parts")
    seen = tuple(shape[i] if i in axes else 1 for i in range(axes[0], 0)) if axes else ()
    return scaled_and_shifted(apply(ScaleToUnit(axes, eps), x)[0], weight, None, seen)


def local_response_norm(x, size=5, alpha=1e-4, beta=0.75, k=2.0) -> Tensor:
    """x / (k + alpha * mean of x * x over ``size`` neighbouring channels) ** beta, for x (N, C, *S).

    Beyond the first and the last channel there are zeros. Krizhevsky, Sutskever, Hinton 2012; torch divides by
    ``size`` as here, Chainer does not.
    """
    channels("local_response_norm", x)
    rest = len(shape_of(x)) - 2
    wide = pad(square(x), ((size // 2, (size - 1) // 2),) + ((0, 0),) * rest)
    ones = (1,) * rest
    near = multiply(pool_sum(wide, (size, *ones), (1, *ones), (1, *ones)), alpha / size)
    return divide(x, pow(add(near, k), beta))


def normalize(x, ord=2, axis=-1, eps=1e-12) -> Tensor:
    """x divided by its ``ord``-norm over ``axis``, or by ``eps`` where that is larger; zeros stay 0."""
    return divide(x, maximum(vector_norm(x, axis=axis, keepdims=True, ord=ord), eps))


def weight_norm(v, g, axis=0) -> Tensor:
    """g * v / ||v||, the 2-norm over all axes but ``axis``; g has a number for each entry along it.

    Salimans and Kingma 2016.
    """
    shape = shape_of(v)
    kept = normalize_axis(axis, len(shape), "weight_norm")
    check_parameters("weight_norm", (shape[kept],), g=g)
    others = tuple(i for i in range(-len(shape), 0) if i != kept)
    slope = divide(reshape(g, kept_shape(shape, others)), vector_norm(v, axis=others, keepdims=True))
    return multiply(v, slope)


def weight_standardization(w, eps=1e-5) -> Tensor:
    """The weights w (O, ...) of each output standardised. Qiao et al. 2019."""
    return standardized("weight_standardization", w, tuple(range(1, len(shape_of(w)))), eps)[0]


def spectral_norm(w, u, steps=1, eps=1e-12):
    """w (O, ...) divided by an estimate of its largest singular value, and the next ``u`` (O,), a constant.

    ``steps`` power iterations start from ``u``; the singular vectors are constants for the gradient.
    Miyato et al. 2018.
    """
    shape = shape_of(w)
    check_parameters("spectral_norm", shape[:1], u=u)
    matrix = reshape(w, (shape[0], size_of(shape[1:])))
    fixed, left = stop_gradient(matrix), stop_gradient(u)
    right = normalize(matmul(left, fixed), eps=eps)
    for _ in range(steps):
        left = normalize(matmul(fixed, right), eps=eps)
        right = normalize(matmul(left, fixed), eps=eps)
    sigma = matmul(left, matmul(matrix, right))
    return divide(w, sigma), left

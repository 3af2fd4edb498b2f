"""Fourier transforms: ``op.fft``, the extension of the array API standard and what NumPy has beside it.

Three operators carry all of them: the complex transform over any axes, and the real one and its inverse over one axis.
A DFT matrix is symmetric, so the complex transform is its own transpose; those of the real ones, which know half of
a Hermitian spectrum, differ by the weight of the entries that stand for two. ``norm`` is "backward", "ortho" or
"forward": whether the inverse, both (by a square root) or the forward transform divides by the number of points.
"""

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import normalize_axes, normalize_axis
from ..operator import Operator
from ..record import HOST, PYTHON_NUMBERS, Tensor, apply, kind_of, operand, shape_of
from .arrangement import roll
from .complex import conj
from .dtypes import on_device
from .elementwise import divide, multiply
from .shape import getitem
from .shape import pad as pad_constant

OPPOSITE = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
_MOST_AXES = 3  # XLA transforms at most three axes at once


class Fourier(Operator):
    """The complex transform over the negative ``axes``; ``inverse`` has the other sign in the exponent."""

    linear = True
    promotion = "floating"

    def __init__(self, axes, inverse, norm):
        self.axes, self.inverse, self.norm = axes, inverse, norm

    def forward(self, xp, x):
        if not xp.is_complex(x.dtype):
            x = xp.astype(x, xp.result_type(x, 1j))
        return transformed(xp, x, self)

    def vjp_x(self, xp, g):
        return transformed(xp, g, self)


def transformed(xp, x, operator):
    """The transform of complex ``x`` that ``operator`` stands for, a few axes at a time."""
    transform = xp.fft.ifftn if operator.inverse else xp.fft.fftn
    for start in range(0, len(operator.axes), _MOST_AXES):
        x = transform(x, axes=operator.axes[start : start + _MOST_AXES], norm=operator.norm)
    return x


class RealFourier(Operator):
    """The transform of real x along one negative ``axis``: entries 0 .. n // 2, the rest follows from symmetry."""

    linear = True
    promotion = "floating"

    def __init__(self, axis, norm):
        self.axis, self.norm = axis, norm

    def forward(self, xp, x):
        return xp.fft.rfft(x, axis=self.axis, norm=self.norm)

    def vjp_x(self, xp, g, x_spec):
        n = x_spec.shape[self.axis]
        half = doubled(xp, xp.conj(g), self.axis, n, 0.5)
        return xp.fft.irfft(half, n=n, axis=self.axis, norm=OPPOSITE[self.norm])


class InverseRealFourier(Operator):
    """The ``n`` real numbers along one negative ``axis`` whose transform has x as entries 0 .. n // 2.

    The imaginary parts of entry 0, and of entry n / 2 where n is even, are not read.
    """

    linear = True
    promotion = "floating"

    def __init__(self, n, axis, norm):
        self.n, self.axis, self.norm = n, axis, norm

    def forward(self, xp, x):
        if not xp.is_complex(x.dtype):
            x = xp.astype(x, xp.result_type(x, 1j))
        return xp.fft.irfft(x, n=self.n, axis=self.axis, norm=self.norm)

    def vjp_x(self, xp, g):
        half = xp.conj(xp.fft.rfft(g, axis=self.axis, norm=OPPOSITE[self.norm]))
        return doubled(xp, half, self.axis, self.n, 2.0)


def doubled(xp, half, axis, n, factor):
    """Half a spectrum of ``n`` points along ``axis``, times ``factor`` where an entry stands for two."""
    tail = (slice(None),) * (-axis - 1)
    stop = (n + 1) // 2
    first, pairs, last = (half[(..., part, *tail)] for part in (slice(0, 1), slice(1, stop), slice(stop, None)))
    return xp.concat([first, pairs * factor, last], axis=axis)


# ---- what is checked, and brought to one form ----


def checked_norm(norm, who):
    """``norm`` as one of the three names; None means "backward"."""
    norm = "backward" if norm is None else norm
    if norm not in OPPOSITE:
        raise ValueError(f'{who}: norm must be "backward", "ortho" or "forward", got {norm!r}')
    return norm


def checked_size(n, who):
    """A number of points: an int of at least 1."""
    n = n.__index__()
    if n < 1:
        raise ValueError(f"{who}: a transform needs at least 1 point, got {n}")
    return n


def sizes_and_axes(x, s, axes, who):
    """The numbers of points and the negative axes of a transform over several axes."""
    shape = shape_of(x)
    if axes is None:
        axes = range(-len(shape) if s is None else -len(s), 0)
    found = tuple(normalize_axis(a, len(shape), who) for a in axes)
    normalize_axes(found, len(shape), who)  # raises where one stands twice
    if s is None:
        s = [shape[a] for a in found]
    if len(s) != len(found):
        raise ShapeError(f"{who}: s has {len(s)} entries for {len(found)} axes; one for each is expected")
    sizes = tuple(checked_size(shape[a] if n is None or n == -1 else n, who) for n, a in zip(s, found, strict=True))
    return sizes, found


def sized(x, n, axis):
    """x cut, or filled up with zeros, to ``n`` entries along the negative ``axis``."""
    have = shape_of(x)[axis]
    rest = -axis - 1
    if n < have:
        return getitem(x, (Ellipsis, slice(0, n), *(slice(None),) * rest))
    return pad_constant(x, ((0, n - have), *((0, 0),) * rest)) if n > have else x


def truncate_pad(x, shape) -> Tensor:
    """x with each axis cut, or filled up with zeros at its end, to the size that ``shape`` says."""
    if len(shape) != len(shape_of(x)):
        raise ShapeError(f"truncate_pad: an array of shape {shape_of(x)} has not as many axes as {tuple(shape)}")
    for axis, n in zip(range(-len(shape), 0), shape, strict=True):
        x = sized(x, n, axis)
    return x if isinstance(x, Tensor) else getitem(x, ...)


def _complex_transform(x, s, axes, inverse, norm, who):
    norm = checked_norm(norm, who)
    sizes, found = sizes_and_axes(x, s, axes, who)
    for n, axis in zip(sizes, found, strict=True):
        x = sized(x, n, axis)
    return apply(Fourier(tuple(sorted(found)), inverse, norm), x)


def _real_transform(x, n, axis, norm, who):
    norm = checked_norm(norm, who)
    if kind_of(x) == "complex":
        raise TypeError(f"{who}: x must be real, got a complex array.\nUse {who.replace('rfft', 'fft')} for complex x.")
    (n,), (axis,) = sizes_and_axes(x, (n,), (axis,), who)
    return apply(RealFourier(axis, norm), sized(x, n, axis))


def _inverse_real_transform(x, n, axis, norm, who):
    norm = checked_norm(norm, who)
    axis = normalize_axis(axis, len(shape_of(x)), who)
    n = checked_size(2 * (shape_of(x)[axis] - 1) if n is None or n == -1 else n, who)
    return apply(InverseRealFourier(n, axis, norm), sized(x, n // 2 + 1, axis))


# ---- one axis ----


def fft(x, n=None, axis=-1, norm="backward") -> Tensor:
    """The discrete Fourier transform along ``axis``, sum_j x_j exp(-2 pi i j k / n); complex, for real x too.

    ``n`` points: x is cut, or filled up with zeros at its end. ValueError for no points at all.
    """
    return _complex_transform(x, (n,), (axis,), False, norm, "fft")


def ifft(x, n=None, axis=-1, norm="backward") -> Tensor:
    """The inverse of ``fft``: sum_k x_k exp(2 pi i j k / n) / n."""
    return _complex_transform(x, (n,), (axis,), True, norm, "ifft")


def rfft(x, n=None, axis=-1, norm="backward") -> Tensor:
    """The transform of real x: its first n // 2 + 1 entries, the others being their conjugates. n may be odd."""
    return _real_transform(x, n, axis, norm, "rfft")


def irfft(x, n=None, axis=-1, norm="backward") -> Tensor:
    """The inverse of ``rfft``: ``n`` real numbers, by default 2 (m - 1) of m entries; give n where it is odd.

    No imaginary part of entry 0, and of entry n / 2 for even n, is read, and its gradient is 0.
    """
    return _inverse_real_transform(x, n, axis, norm, "irfft")


def hfft(x, n=None, axis=-1, norm="backward") -> Tensor:
    """The real transform of a signal with Hermitian symmetry, of which x is the first half: ``n`` numbers."""
    return _inverse_real_transform(conj(x), n, axis, OPPOSITE[checked_norm(norm, "hfft")], "hfft")


def ihfft(x, n=None, axis=-1, norm="backward") -> Tensor:
    """The inverse of ``hfft``: n // 2 + 1 entries of real x."""
    return conj(_real_transform(x, n, axis, OPPOSITE[checked_norm(norm, "ihfft")], "ihfft"))


# ---- several axes ----


def fftn(x, s=None, axes=None, norm="backward") -> Tensor:
    """The transform over ``axes`` (None: all, or the last ``len(s)``), with ``s`` points along each of them."""
    return _complex_transform(x, s, axes, False, norm, "fftn")


def ifftn(x, s=None, axes=None, norm="backward") -> Tensor:
    """The inverse of ``fftn``."""
    return _complex_transform(x, s, axes, True, norm, "ifftn")


def rfftn(x, s=None, axes=None, norm="backward") -> Tensor:
    """The transform of real x over ``axes``, of which the last holds the first half of its entries alone."""
    sizes, found = sizes_and_axes(x, s, axes, "rfftn")
    _check_some(found, "rfftn")
    y = _real_transform(x, sizes[-1], found[-1], norm, "rfftn")
    return _complex_transform(y, sizes[:-1], found[:-1], False, norm, "rfftn") if found[1:] else y


def irfftn(x, s=None, axes=None, norm="backward") -> Tensor:
    """The inverse of ``rfftn``; along the last of ``axes`` there are 2 (m - 1) numbers unless ``s`` says otherwise."""
    last = s[-1] if s is not None and len(s) else None
    sizes, found = sizes_and_axes(x, s, axes, "irfftn")
    _check_some(found, "irfftn")
    y = _complex_transform(x, sizes[:-1], found[:-1], True, norm, "irfftn") if found[1:] else x
    return _inverse_real_transform(y, last, found[-1], norm, "irfftn")


def _check_some(axes, who):
    if not axes:
        raise ValueError(f"{who}: needs at least one axis")


def fft2(x, s=None, axes=(-2, -1), norm="backward") -> Tensor:
    """``fftn`` over the last two axes."""
    return fftn(x, s, axes, norm)


def ifft2(x, s=None, axes=(-2, -1), norm="backward") -> Tensor:
    """``ifftn`` over the last two axes."""
    return ifftn(x, s, axes, norm)


def rfft2(x, s=None, axes=(-2, -1), norm="backward") -> Tensor:
    """``rfftn`` over the last two axes."""
    return rfftn(x, s, axes, norm)


def irfft2(x, s=None, axes=(-2, -1), norm="backward") -> Tensor:
    """``irfftn`` over the last two axes."""
    return irfftn(x, s, axes, norm)


# ---- frequencies ----


def fftfreq(n, *, d=1.0, dtype=None, device=None) -> Tensor:
    """The frequencies of the entries of ``fft``: 0, 1, ..., -2, -1 divided by n ``d``, d being the sample spacing."""
    n = checked_size(n, "fftfreq")
    y = _frequencies([*range((n + 1) // 2), *range(-(n // 2), 0)], n, d, dtype, "fftfreq")
    return on_device(y, device, "fftfreq")


def rfftfreq(n, *, d=1.0, dtype=None, device=None) -> Tensor:
    """The frequencies of the entries of ``rfft``: 0, 1, ..., n // 2 divided by n ``d``."""
    n = checked_size(n, "rfftfreq")
    return on_device(_frequencies([*range(n // 2 + 1)], n, d, dtype, "rfftfreq"), device, "rfftfreq")


def _frequencies(counts, n, d, dtype, who):
    spacing = operand(d)[0]
    if shape_of(spacing):
        raise ShapeError(f"{who}: the spacing must be a number, got shape {shape_of(spacing)}")
    xp = backends.default_backend() if type(spacing) in PYTHON_NUMBERS else backends.backend_of(spacing)
    kind = xp.dtype(dtype) if dtype is not None else xp.dtype("float64")
    if dtype is None and type(spacing) not in PYTHON_NUMBERS and xp.is_inexact(spacing.dtype):
        kind = spacing.dtype
    return divide(xp.asarray(HOST.asarray(counts), dtype=kind), multiply(d, float(n)))


def fftshift(x, axes=None) -> Tensor:
    """x with the entry of frequency 0 moved to the middle of ``axes`` (None: all)."""
    return _shifted(x, axes, 1, "fftshift")


def ifftshift(x, axes=None) -> Tensor:
    """The inverse of ``fftshift``; the two differ for odd sizes."""
    return _shifted(x, axes, -1, "ifftshift")


def _shifted(x, axes, sign, who):
    shape = shape_of(x)
    found = normalize_axes(axes, len(shape), who)
    return roll(x, tuple(sign * (shape[a] // 2) for a in found), found)

"""Signals, by ``conv`` and ``fft``: convolution, correlation, cosine transforms, short-time Fourier transforms."""

import math

from zkynet import backends
from zkynet.backends.errors import ShapeError

from ..axes import broadcast_shapes, kept_shape, normalize_axes, normalize_axis
from ..record import HOST, PYTHON_NUMBERS, Tensor, kind_of, operand, shape_of
from .arrangement import atleast_1d, pad
from .complex import conj, real
from .conv import conv
from .elementwise import divide, multiply, square
from .fft import OPPOSITE, checked_norm, fft, fftn, ifft, ifftn, irfft, irfftn, rfft, rfftn, sized
from .indexing import scatter_sum, take
from .shape import broadcast_to, concat, flip, getitem, matrix_transpose, reshape

MODES = ("full", "same", "valid")


def constant(numbers, like):
    """Host numbers in the precision of ``like``: single beside single precision, else double."""
    value = operand(like)[0]
    numbers = HOST.asarray(numbers)
    if type(value) in PYTHON_NUMBERS:
        return numbers
    narrow = backends.backend_of(value).name_of(value.dtype) in ("float32", "complex64", "float16", "bfloat16")
    if not narrow:
        return numbers
    return HOST.astype(numbers, HOST.complex64 if HOST.is_complex(numbers.dtype) else HOST.float32)


# ---- convolution ----


def convolve(a, v, mode="full") -> Tensor:
    """NumPy's convolution of two sequences, sum_m a[m] v[n - m].

    ``mode``: "full" gives all N + M - 1 places where they overlap, "same" the middle max(N, M) of them, "valid" the
    max(N, M) - min(N, M) + 1 where the shorter one lies within the longer.
    """
    a, v = _sequences(a, v, "convolve")
    if shape_of(v)[0] > shape_of(a)[0]:
        a, v = v, a
    return _cut(_full(a, v), mode, shape_of(a)[0], shape_of(v)[0], "convolve")


def correlate(a, v, mode="valid") -> Tensor:
    """NumPy's correlation of two sequences, sum_n a[n + k] conj(v[n]); the modes are those of ``convolve``."""
    a, v = _sequences(a, v, "correlate")
    if shape_of(v)[0] > shape_of(a)[0]:
        return conj(flip(correlate(v, a, mode)))
    v = conj(flip(v))
    return _cut(_full(a, v), mode, shape_of(a)[0], shape_of(v)[0], "correlate")


def _sequences(a, v, who):
    a, v = atleast_1d(a), atleast_1d(v)
    if len(shape_of(a)) > 1 or len(shape_of(v)) > 1 or 0 in shape_of(a) + shape_of(v):
        raise ShapeError(
            f"{who}: expected two sequences that are not empty; got shapes {shape_of(a)} and {shape_of(v)}.\n"
            f"For more axes use op.signal.{who}."
        )
    return a, v


def _cut(y, mode, n, k, who):
    """The part of the full convolution of ``n`` with ``k <= n`` entries that NumPy's ``mode`` means."""
    _check_mode(mode, who)
    start, size = {"full": (0, n + k - 1), "same": ((k - 1) // 2, n), "valid": (k - 1, n - k + 1)}[mode]
    return getitem(y, slice(start, start + size))


def _check_mode(mode, who):
    if mode not in MODES:
        raise ValueError(f"{who}: mode must be one of {', '.join(MODES)}, got {mode!r}")


def _full(a, v):
    """The full convolution over all axes, by the sum that it is."""
    sa, sv = shape_of(a), shape_of(v)
    padding = tuple((k - 1, k - 1) for k in sv)
    y = conv(reshape(a, (1, 1, *sa)), reshape(flip(v), (1, 1, *sv)), padding=padding)
    return reshape(y, tuple(n + k - 1 for n, k in zip(sa, sv, strict=True)))


def convolve_nd(a, v, mode="full", method="direct") -> Tensor:
    """SciPy's convolution over all axes of two arrays of one rank: ``op.signal.convolve``.

    ``mode``: "full"; "same", the middle of it in the shape of a; "valid", where one lies within the other. ``method``:
    "direct" sums products, "fft" multiplies transforms, which is faster for large ones and rounds relative to the
    largest entry.
    """
    if method == "fft":
        return fftconvolve(a, v, mode)
    if method != "direct":
        raise ValueError(f'convolve: method must be "direct" or "fft", got {method!r}')
    sa, sv = _of_one_rank(a, v, "convolve")
    _check_mode(mode, "convolve")
    return _middle(_full(a, v), mode, sa, sv, tuple(range(-len(sa), 0)), "convolve")


def correlate_nd(a, v, mode="full", method="direct") -> Tensor:
    """SciPy's correlation, sum_n a[n + k] conj(v[n]) over all axes: ``op.signal.correlate``; see ``convolve_nd``."""
    _of_one_rank(a, v, "correlate")
    return convolve_nd(a, conj(flip(v)), mode, method)


def fftconvolve(a, v, mode="full", axes=None) -> Tensor:
    """The convolution of a and v over ``axes`` (None: all), by Fourier transforms; other axes broadcast.

    ``mode`` as in SciPy: "full"; "same", the middle of it in the size of a; "valid".
    """
    sa, sv = _of_one_rank(a, v, "fftconvolve")
    _check_mode(mode, "fftconvolve")
    axes = normalize_axes(axes, len(sa), "fftconvolve")
    broadcast_shapes(kept_shape(sa, axes), kept_shape(sv, axes))
    sizes = tuple(sa[i] + sv[i] - 1 for i in axes)
    if "complex" in (kind_of(a), kind_of(v)):
        y = ifftn(multiply(fftn(a, sizes, axes), fftn(v, sizes, axes)), sizes, axes)
    else:
        y = irfftn(multiply(rfftn(a, sizes, axes), rfftn(v, sizes, axes)), sizes, axes)
    return _middle(y, mode, sa, sv, axes, "fftconvolve")


def _of_one_rank(a, v, who):
    sa, sv = shape_of(a), shape_of(v)
    if len(sa) != len(sv) or not sa or 0 in sa + sv:
        raise ShapeError(f"{who}: expected two arrays of one rank, not empty; got shapes {sa} and {sv}")
    return sa, sv


def _middle(y, mode, sa, sv, axes, who):
    """The part of a full convolution over ``axes`` that SciPy's ``mode`` means."""
    if mode == "full":
        return y
    larger = [sa[i] >= sv[i] for i in axes]
    if mode == "valid" and not all(larger) and any(sa[i] > sv[i] for i in axes):
        raise ShapeError(f'{who}: for mode "valid" one array must lie within the other; got shapes {sa} and {sv}')
    index: list = [slice(None)] * len(shape_of(y))
    for i in axes:
        size = sa[i] if mode == "same" else abs(sa[i] - sv[i]) + 1
        start = (sa[i] + sv[i] - 1 - size) // 2
        index[i] = slice(start, start + size)
    return getitem(y, tuple(index))


# ---- cosine transforms ----


def dct(x, type=2, n=None, axis=-1, norm="backward") -> Tensor:
    """The discrete cosine transform of real x, of ``type`` 1 to 4, as SciPy defines and scales it.

    Type 2: 2 sum_j x_j cos(pi k (2 j + 1) / 2 n). ``n`` cuts x or fills it up with zeros.
    """
    return _cosine(x, type, n, axis, checked_norm(norm, "dct"), "dct")


def idct(x, type=2, n=None, axis=-1, norm="backward") -> Tensor:
    """The inverse of ``dct`` with the same ``type`` and ``norm``."""
    return _cosine(x, {2: 3, 3: 2}.get(type, type), n, axis, OPPOSITE[checked_norm(norm, "idct")], "idct")


def _cosine(x, type, n, axis, norm, who):
    if type not in (1, 2, 3, 4):
        raise ValueError(f"{who}: type must be 1, 2, 3 or 4, got {type!r}")
    if kind_of(x) == "complex":
        raise TypeError(f"{who}: x must be real, got a complex array; transform real and imaginary parts")
    axis = normalize_axis(axis, len(shape_of(x)), who)
    n = shape_of(x)[axis] if n is None else n
    if n < 1 + (type == 1):
        raise ValueError(f"{who}: type {type} needs at least {1 + (type == 1)} points, got {n}")
    x = sized(x, n, axis)
    period = 2 * n - 2 if type == 1 else 2 * n
    if norm == "ortho":
        x = _weighted(x, n, axis, {1: (2**0.5, 2**0.5), 3: (2**0.5, 1.0)}.get(type))
    y = (_cosine_1, _cosine_2, _cosine_3, _cosine_4)[type - 1](x, n, axis)
    if norm == "ortho":
        y = _weighted(y, n, axis, {1: (0.5**0.5, 0.5**0.5), 2: (0.5**0.5, 1.0)}.get(type))
    return y if norm == "backward" else divide(y, math.sqrt(period) if norm == "ortho" else float(period))


def _weighted(x, n, axis, ends):
    """x with its first and its last entry along ``axis`` multiplied by the two numbers ``ends``."""
    if ends is None:
        return x
    weights = [ends[0], *[1.0] * (n - 2), ends[1]][:n]
    return multiply(x, _along(weights, axis, x))


def _along(numbers, axis, like):
    """A constant that runs along the negative ``axis``."""
    numbers = constant(numbers, like)
    return HOST.reshape(numbers, (numbers.shape[0], *(1,) * (-axis - 1)))


def _turned(n, axis, angle, like):
    """exp(-i pi k / n * angle) for k = 0 .. n - 1 along ``axis``."""
    return _along(HOST.exp(HOST.arange(n) * (-1j * math.pi * angle / n)), axis, like)


def _first(x, axis, stop, start=0):
    return getitem(x, (Ellipsis, slice(start, stop), *(slice(None),) * (-axis - 1)))


def _cosine_1(x, n, axis):
    return real(rfft(concat([x, flip(_first(x, axis, n - 1, 1), axis=axis)], axis=axis), axis=axis))


def _cosine_2(x, n, axis):
    half = rfft(concat([x, flip(x, axis=axis)], axis=axis), axis=axis)
    return real(multiply(_first(half, axis, n), _turned(n, axis, 0.5, x)))


def _cosine_3(x, n, axis):
    half = multiply(x, HOST.conj(_turned(n, axis, 0.5, x)))
    return _first(irfft(half, n=2 * n, axis=axis, norm="forward"), axis, n)


def _cosine_4(x, n, axis):
    y = _first(fft(multiply(x, _turned(n, axis, 0.5, x)), n=2 * n, axis=axis), axis, n)
    half_steps = HOST.exp((HOST.arange(n) + 0.5) * (-0.5j * math.pi / n))
    return multiply(2.0, real(multiply(y, _along(half_steps, axis, x))))


# ---- short-time Fourier transforms ----


def stft(x, n_fft, hop_length=None, *, window=None, center=True, pad_mode="reflect", onesided=None) -> Tensor:
    """The transforms of windows of ``n_fft`` entries, every ``hop_length`` (a quarter of it) of the last axis of x.

    Shape (..., frequencies, frames), as in torch. ``window``: ``n_fft`` factors, ones by default. ``center`` pads both
    ends by n_fft // 2, so that frame t is about entry t * hop_length. ``onesided``: n_fft // 2 + 1 frequencies; the
    default for real x.
    """
    hop = _checked_frames("stft", n_fft, hop_length, window)
    if center:
        x = pad(x, ((n_fft // 2, n_fft // 2),), mode=pad_mode)
    size = shape_of(x)[-1] if shape_of(x) else 0
    if size < n_fft:
        raise ShapeError(f"stft: an array of shape {shape_of(x)} is shorter than one window of {n_fft}")
    frames = take(x, _places(1 + (size - n_fft) // hop, hop, n_fft), axis=-1)
    frames = frames if window is None else multiply(frames, window)
    onesided = kind_of(x) != "complex" if onesided is None else onesided
    return matrix_transpose(rfft(frames) if onesided else fft(frames))


def istft(z, n_fft, hop_length=None, *, window=None, center=True, length=None, onesided=True) -> Tensor:
    """The signal whose ``stft`` with the same settings comes closest to z (..., frequencies, frames).

    The windows are added up and divided by the sum of their squares; ValueError where that is 0. ``length`` entries,
    by default what the frames cover.
    """
    hop = _checked_frames("istft", n_fft, hop_length, window)
    frames = irfft(matrix_transpose(z), n=n_fft) if onesided else ifft(matrix_transpose(z), n=n_fft)
    window = constant([1.0] * n_fft, z) if window is None else window
    places = _places(shape_of(z)[-1], hop, n_fft)
    size = (shape_of(z)[-1] - 1) * hop + n_fft
    total = scatter_sum(multiply(frames, window), places, size)
    envelope = scatter_sum(broadcast_to(square(window), places.shape), places, size)
    start = n_fft // 2 if center else 0
    stop = size - start if length is None else min(size, start + length)
    total, envelope = getitem(total, (Ellipsis, slice(start, stop))), getitem(envelope, slice(start, stop))
    _check_covered(envelope)
    y = divide(total, envelope)
    missing = 0 if length is None else length - (stop - start)
    return pad(y, ((0, missing),)) if missing > 0 else y


def _checked_frames(who, n_fft, hop_length, window):
    hop = n_fft // 4 if hop_length is None else hop_length
    if n_fft < 1 or hop < 1:
        raise ValueError(f"{who}: n_fft and hop_length must be at least 1, got {n_fft} and {hop}")
    if window is not None and shape_of(window) != (n_fft,):
        raise ShapeError(f"{who}: the window must have shape ({n_fft},), got {shape_of(window)}")
    return hop


def _places(frames, hop, n_fft):
    """The positions that each frame covers: a host array (frames, n_fft)."""
    return HOST.reshape(HOST.arange(frames) * hop, (frames, 1)) + HOST.arange(n_fft)


def _check_covered(envelope):
    value = operand(envelope)[0]
    xp = backends.backend_of(value)
    if 0 in value.shape or xp.is_traced(value):
        return
    if float(xp.min(xp.abs(value))) < 1e-11:
        raise ValueError("istft: some entries are covered by no window; take a smaller hop_length or another window")

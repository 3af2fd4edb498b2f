"""``numpy.fft`` under its own signatures: ``n`` (``s``) points, ``norm`` "backward", "ortho" or "forward"."""

from typing import Any

from .. import op
from .arguments import array, refuse


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The discrete Fourier transform."""
    refuse("fft", out=out)
    return op.fft.fft(array(a), n, axis, norm)


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of ``fft``."""
    refuse("ifft", out=out)
    return op.fft.ifft(array(a), n, axis, norm)


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The half of ``fft`` that real numbers have."""
    refuse("rfft", out=out)
    return op.fft.rfft(array(a), n, axis, norm)


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of ``rfft``."""
    refuse("irfft", out=out)
    return op.fft.irfft(array(a), n, axis, norm)


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The transform of a signal of which one half is given, the other its conjugate."""
    refuse("hfft", out=out)
    return op.fft.hfft(array(a), n, axis, norm)


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of ``hfft``."""
    refuse("ihfft", out=out)
    return op.fft.ihfft(array(a), n, axis, norm)


def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """``fftn`` over two axes."""
    refuse("fft2", out=out)
    return op.fft.fft2(array(a), s, axes, norm)


def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """The inverse of ``fft2``."""
    refuse("ifft2", out=out)
    return op.fft.ifft2(array(a), s, axes, norm)


def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """``rfftn`` over two axes."""
    refuse("rfft2", out=out)
    return op.fft.rfft2(array(a), s, axes, norm)


def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """The inverse of ``rfft2``."""
    refuse("irfft2", out=out)
    return op.fft.irfft2(array(a), s, axes, norm)


def fftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """The transform over several axes."""
    refuse("fftn", out=out)
    return op.fft.fftn(array(a), s, axes, norm)


def ifftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of ``fftn``."""
    refuse("ifftn", out=out)
    return op.fft.ifftn(array(a), s, axes, norm)


def rfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """``rfft`` over the last of several axes, ``fft`` over the others."""
    refuse("rfftn", out=out)
    return op.fft.rfftn(array(a), s, axes, norm)


def irfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: Any = None) -> Any:
    """The inverse of ``rfftn``."""
    refuse("irfftn", out=out)
    return op.fft.irfftn(array(a), s, axes, norm)


def fftshift(x: Any, axes: Any = None) -> Any:
    """The frequency 0 moved to the middle."""
    return op.fft.fftshift(array(x), axes)


def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of ``fftshift``."""
    return op.fft.ifftshift(array(x), axes)


def fftfreq(n: int, d: float = 1.0, device: Any = None) -> Any:
    """The frequencies of ``fft`` for samples at distance ``d``."""
    refuse("fftfreq", device=device)
    return op.fft.fftfreq(n, d=d)


def rfftfreq(n: int, d: float = 1.0, device: Any = None) -> Any:
    """The frequencies of ``rfft`` for samples at distance ``d``."""
    refuse("rfftfreq", device=device)
    return op.fft.rfftfreq(n, d=d)

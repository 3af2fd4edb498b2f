"""``op.signal``: convolution, correlation and short-time Fourier transforms, in any number of axes."""

from ..operations.signal import convolve_nd as convolve
from ..operations.signal import correlate_nd as correlate
from ..operations.signal import fftconvolve, istft, stft

__all__ = ["convolve", "correlate", "fftconvolve", "istft", "stft"]

"""``op.fft``: Fourier and cosine transforms, the explicit list."""

from ..operations.fft import (
    fft,
    fft2,
    fftfreq,
    fftn,
    fftshift,
    hfft,
    ifft,
    ifft2,
    ifftn,
    ifftshift,
    ihfft,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftfreq,
    rfftn,
    truncate_pad,
)
from ..operations.signal import dct, idct

# fmt: off
__all__ = [
    "dct", "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "idct", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn", "truncate_pad",
]
# fmt: on

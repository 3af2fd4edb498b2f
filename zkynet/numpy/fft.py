"""``numpy.fft`` under its own signatures."""

# ruff: noqa: F401  (the explicit list of this module's names)

from zkynet.framework.numpy_functions.fft import (
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
)

"""Sample calls of ``op.special``, ``op.fft`` and ``op.signal``."""

from collections.abc import Callable
from typing import Any

from zkynet.framework import op

from .samples_draw import M, S, Sample, V, above_one, apart, call, positive, share


def special(*names: str, first: tuple = (), shapes: tuple = (M,), numbers: Any = positive) -> tuple[Sample, ...]:
    """One call of each of these functions of ``op.special``, with ``first`` and arrays of these shapes."""
    return tuple(_special(name, first, shapes, numbers) for name in names)


def _special(name: str, first: tuple, shapes: tuple, numbers: Any) -> Sample:
    """``first``, orders and parameters in which a function may have no derivative, is no operand."""
    function: Callable = getattr(op.special, name)
    return call(f"special.{name}", *shapes, numbers=numbers, run=lambda *given: function(*first, *given))


PAIR = (M, V)

FUNCTIONS = (
    *special("erf", "erfc", "erfcx", "erfinv", "ndtr", "log_ndtr", "dawsn", "expit", "sinpi", numbers=apart),
    *special("j0", "j1", "i0", "i1", "i0e", "i1e", "fresnel", "exprel", "gammasgn", numbers=apart),
    *special("erfcinv", "ndtri", "logit", numbers=share),
    *special("gamma", "gammaln", "lgamma", "rgamma", "digamma", "psi", "factorial"),
    *special("y0", "y1", "exp1", "expi", "sici", "spence", "entr", "lambertw"),
    *special("beta", "betaln", "poch", "gammainc", "gammaincc", "rel_entr", "kl_div", "owens_t", shapes=PAIR),
    *special("gammaincinv", "gammainccinv", shapes=PAIR, numbers=(above_one, share)),
    *special("comb", shapes=PAIR, numbers=(above_one, share)),
    *special("zeta", shapes=PAIR, numbers=above_one),
    *special("stdtr", "stdtr_df", "kv", "kve", shapes=PAIR, numbers=(positive, positive)),
    *special("boxcox", "boxcox1p", shapes=PAIR, numbers=(positive, apart)),
    *special("betainc", "betaincinv", shapes=(V, V, V), numbers=share),
    *special("polygamma", first=(1,)),
    *special("kve_order", first=(1,), shapes=PAIR),
    *special("jn", "yn", "expn", first=(2,)),
    *special("iv", "ive", first=(1.5,)),
    *special("hyp1f1", first=(0.7, 1.5), numbers=apart),
    *special("hyp2f1", first=(0.7, 1.5, 2.2), numbers=apart),
    *special("zeta_derivative", first=(1,), shapes=PAIR, numbers=above_one),
    *special("gammainc_moment", first=(1,), shapes=PAIR),
    *special("betainc_moment", first=(1, 0), shapes=(V, V, V), numbers=share),
    call("special.multigammaln", M, numbers=above_one, d=2),
)

FOURIER = (
    *(call(f"fft.{name}", (4,)) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "dct", "idct")),
    *(call(f"fft.{name}", M) for name in ("fftn", "ifftn", "rfftn", "irfftn", "fft2", "ifft2", "rfft2", "irfft2")),
    *(call(f"fft.{name}", M) for name in ("fftshift", "ifftshift")),
    call("fft.fftfreq", S, numbers=positive, run=lambda d: op.fft.fftfreq(4, d=d)),
    call("fft.rfftfreq", S, numbers=positive, run=lambda d: op.fft.rfftfreq(4, d=d)),
    call("fft.truncate_pad", M, shape=(3, 2)),
)

SIGNALS = (
    *(call(f"signal.{name}", (3, 4), (2, 2)) for name in ("convolve", "correlate", "fftconvolve")),
    call("signal.stft", (8,), n_fft=4),
    call("signal.istft", (3, 4), n_fft=4),
)

SPECIAL = (*FUNCTIONS, *FOURIER, *SIGNALS)

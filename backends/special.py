"""``xp.special``: the special functions, under SciPy's names, of one backend.

What is here is portable: own implementations on the array API standard where rules or models need a function often, and
SciPy on the host for the rest (the arrays are copied there and back). A backend overrides what its library has.
Arguments are inexact arrays of one dtype that broadcast, which the result keeps; computed in double precision where the
backend has it. Arguments called ``n`` and ``m`` are Python ints.
"""

from functools import cache

import numpy as np

from . import special_error, special_gamma, special_moments, special_student
from .errors import BackendNotAvailable, PrecisionError

# What SciPy computes on the host where a library lacks it, by its names, and how many results it gives.
ON_HOST = {
    **dict.fromkeys(("i0", "i0e", "i1", "i1e", "j0", "j1", "y0", "y1", "iv", "ive", "jn", "yn"), 1),
    **dict.fromkeys(("exp1", "expi", "expn", "dawsn", "spence", "owens_t", "poch"), 1),
    **dict.fromkeys(("hyp1f1", "hyp2f1", "gammaincinv", "gammainccinv", "betaincinv"), 1),
    **dict.fromkeys(("fresnel", "sici"), 2),
}


@cache
def scipy_special():
    """The module ``scipy.special``, or None where SciPy is not installed."""
    try:
        import scipy.special
    except ImportError:
        return None
    return scipy.special


def scipy_function(name):
    """SciPy's function; BackendNotAvailable, which is an ImportError, where SciPy is not installed."""
    library = scipy_special()
    if library is None:
        raise BackendNotAvailable(
            f"special.{name} is computed by SciPy, which is not installed here.\n  pip install scipy\n"
            "With NumPy alone there are erf, erfc, erfcx, erfinv, erfcinv, ndtr, ndtri, log_ndtr, gamma, gammaln, "
            "digamma, polygamma, zeta, beta, betaln, gammainc, gammaincc, betainc, kv and kve."
        )
    return getattr(library, name)


class Special:
    """The special functions of one backend; their formulas and domains stand in ``op.special``, by the same names."""

    def __init__(self, xp):
        self.xp = xp

    def __reduce__(self):
        return getattr, (self.xp, "special")

    def in_double(self, f, *arguments):
        """``f(xp, *arguments)`` with arrays in double precision where there is one, and a result in their own dtype."""
        arrays = [x for x in arguments if hasattr(x, "dtype")]
        dtype = arrays[0].dtype
        try:
            wide = self.xp.dtype_of_name("float64")
        except PrecisionError:
            wide = dtype
        with self.xp.errstate():
            if wide == dtype:
                return self.run(f, *arguments)
            y = self.run(f, *[self.xp.astype(x, wide) if hasattr(x, "dtype") else x for x in arguments])
            return self.xp.astype(y, dtype)

    def run(self, f, *arguments):
        """``f(xp, *arguments)``; a backend that compiles may do so here."""
        return f(self.xp, *arguments)

    def on_host(self, name, *arguments):
        """SciPy's function ``name``, or a function of NumPy arrays, computed on the host."""
        xp, f = self.xp, name if callable(name) else scipy_function(name)
        dtype = next(x.dtype for x in arguments if hasattr(x, "dtype"))
        found = f(*[xp.to_numpy(x) if hasattr(x, "dtype") else x for x in arguments])
        if isinstance(found, tuple):
            return tuple(xp.asarray(y, dtype=dtype) for y in found)
        return xp.asarray(found, dtype=dtype)

    # ---- errors and the normal distribution ----

    def erf(self, x):
        return self.in_double(special_error.erf, x)

    def erfc(self, x):
        return self.in_double(special_error.erfc, x)

    def erfcx(self, x):
        return self.in_double(special_error.erfcx, x)

    def erfinv(self, x):
        return self.in_double(special_error.erfinv, x)

    def erfcinv(self, x):
        return self.in_double(special_error.erfcinv, x)

    def ndtr(self, x):
        return self.in_double(special_error.ndtr, x)

    def ndtri(self, x):
        return self.in_double(special_error.ndtri, x)

    def log_ndtr(self, x):
        return self.in_double(special_error.log_ndtr, x)

    # ---- gamma, beta, zeta ----

    def gamma(self, x):
        return self.in_double(special_gamma.gamma, x)

    def gammaln(self, x):
        return self.in_double(special_gamma.gammaln, x)

    def gammasgn(self, x):
        return self.in_double(special_gamma.gammasgn, x)

    def digamma(self, x):
        return self.in_double(special_gamma.digamma, x)

    def polygamma(self, n, x):
        """The ``n``-th derivative of digamma."""
        return self.in_double(special_gamma.polygamma, n, x)

    def sinpi(self, x, phase=0):
        """sin(pi x + phase pi / 2)."""
        return self.in_double(special_gamma.sinpi, x, phase)

    def zeta(self, s, q):
        return self.in_double(special_gamma.zeta, s, q)

    def zeta_derivative(self, n, s, q):
        """The ``n``-th derivative of Hurwitz' zeta function in s."""
        return self.in_double(special_gamma.zeta_derivative, n, s, q)

    def beta(self, a, b):
        return self.in_double(special_gamma.beta, a, b)

    def betaln(self, a, b):
        return self.in_double(special_gamma.betaln, a, b)

    # ---- incomplete functions and their moments ----

    def gammainc(self, a, x):
        return self.gammainc_moment(0, a, x)

    def gammaincc(self, a, x):
        return self.gammainc_moment(0, a, x, upper=True)

    def betainc(self, a, b, x):
        return self.betainc_moment(0, 0, a, b, x)

    def gammainc_moment(self, n, a, x, upper=False):
        """The integral of (log t - E[log t]) ** n over the gamma density from 0 to x, or from x on."""
        return self.in_double(special_moments.gamma_moment, n, a, x, upper)

    def betainc_moment(self, m, n, a, b, x, upper=False):
        """The same for the beta density: (log t - E) ** m (log(1 - t) - E) ** n."""
        return self.in_double(special_moments.beta_moment, m, n, a, b, x, upper)

    def stdtr(self, df, t):
        return self.in_double(special_student.stdtr, df, t)

    def stdtr_df(self, df, t):
        """The derivative of ``stdtr`` in df."""
        return self.in_double(special_student.stdtr_df, df, t)

    # ---- the rest ----

    def kve(self, v, x):
        return self.kve_order(0, v, x)

    def kve_order(self, n, v, x):
        """The ``n``-th derivative of exp(x) kv(v, x) in the order v."""
        return self.in_double(special_moments.kv_order, n, v, x)

    def lambertw(self, x, k):
        """The real branch ``k``, 0 or -1, of Lambert's W; NaN where it is not real."""
        return self.on_host(lambertw, x, k)


def lambertw(x, k):
    """SciPy's function, real: NaN where it is not."""
    w = np.asarray(scipy_function("lambertw")(x, k))
    return np.where(w.imag == 0, w.real, np.nan)[()]


def _from_scipy(name):
    def function(self, *arguments):
        return self.on_host(name, *arguments)

    function.__name__ = function.__qualname__ = name
    return function


for _name in ON_HOST:
    setattr(Special, _name, _from_scipy(_name))

"""SciPy's special functions on NumPy arrays; with NumPy alone, the portable ones."""

import numpy as np

from .special import Special, scipy_function, scipy_special

# What is portable too; SciPy is faster.
FROM_SCIPY = (
    *("erf", "erfc", "erfcx", "erfinv", "erfcinv", "ndtr", "ndtri", "log_ndtr", "gamma", "gammaln", "gammasgn"),
    *("digamma", "zeta", "beta", "betaln", "gammainc", "gammaincc", "betainc", "kve", "stdtr"),
)


class NumpySpecial(Special):
    """SciPy, loaded when a function is first called."""

    def in_double(self, f, *arguments):
        return np.asarray(super().in_double(f, *arguments))[()]  # 0-d arrays become scalars, as with ufuncs

    def on_host(self, name, *arguments):
        dtype = next(x.dtype for x in arguments if hasattr(x, "dtype"))
        found = (name if callable(name) else scipy_function(name))(*arguments)
        if isinstance(found, tuple):
            return tuple(y.astype(dtype, copy=False) for y in found)
        return found.astype(dtype, copy=False)

    def polygamma(self, n, x):
        if scipy_special() is None:
            return super().polygamma(n, x)
        return scipy_function("polygamma")(n, x).astype(x.dtype, copy=False)[()]


def _preferred(name):
    portable = getattr(Special, name)

    def function(self, *arguments):
        return portable(self, *arguments) if scipy_special() is None else self.on_host(name, *arguments)

    function.__name__ = function.__qualname__ = name
    return function


for _name in FROM_SCIPY:
    setattr(NumpySpecial, _name, _preferred(_name))

"""cupyx.scipy.special; where it has no such function, the portable one, or SciPy on the host."""

from .special import ON_HOST, Special

_PORTABLE = (
    *("erf", "erfc", "erfcx", "erfinv", "erfcinv", "ndtr", "ndtri", "log_ndtr", "gamma", "gammaln", "digamma"),
    *("polygamma", "zeta", "beta", "betaln", "gammainc", "gammaincc", "betainc"),
)


class CupySpecial(Special):
    """What the installed CuPy has, looked up when a function is called: releases differ."""


def _preferred(name):
    otherwise = getattr(Special, name)

    def function(self, *arguments):
        import cupyx.scipy.special as library

        f = getattr(library, name, None)
        if f is None:
            return otherwise(self, *arguments)
        dtype = next(x.dtype for x in arguments if hasattr(x, "dtype"))
        found = f(*arguments)
        parts = found if isinstance(found, tuple) else (found,)
        kept = tuple(y.astype(dtype, copy=False) for y in parts)
        return kept if isinstance(found, tuple) else kept[0]

    function.__name__ = function.__qualname__ = name
    return function


for _name in (*_PORTABLE, *ON_HOST):
    setattr(CupySpecial, _name, _preferred(_name))

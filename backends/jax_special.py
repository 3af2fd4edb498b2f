"""JAX's special functions, the portable ones compiled, and SciPy on the host by callbacks for the rest."""

from functools import partial

import jax
import jax.scipy.special as library
import numpy as np

from .special import Special, scipy_function

# What JAX computes to about 1e-13. (Its betaln, and beta with it, is off by 1e-7; log_ndtr and polygamma have gaps.)
FROM_JAX = (
    *("erf", "erfc", "erfcx", "erfinv", "ndtr", "ndtri", "gamma", "gammaln", "gammasgn", "digamma", "zeta"),
    *("gammainc", "gammaincc", "betainc", "i0", "i0e", "i1", "i1e", "exp1", "expi", "dawsn", "spence", "owens_t"),
    *("poch", "hyp1f1", "sici", "fresnel"),
)


class JaxSpecial(Special):
    """Every function works inside compiled functions too."""

    def __init__(self, xp):
        super().__init__(xp)
        self._compiled: dict = {}

    def run(self, f, *arguments):
        static = tuple(i for i, x in enumerate(arguments) if not hasattr(x, "dtype"))
        compiled = self._compiled.get((f, static))
        if compiled is None:
            compiled = self._compiled[f, static] = jax.jit(partial(f, self.xp), static_argnums=static)
        return compiled(*arguments)

    def on_host(self, name, *arguments):
        """SciPy's function on the host, in compiled functions as a callback."""
        if not any(self.xp.is_traced(x) for x in arguments):
            return super().on_host(name, *arguments)
        f = name if callable(name) else scipy_function(name)
        arrays = [x for x in arguments if hasattr(x, "dtype")]
        shape, dtype = np.broadcast_shapes(*[x.shape for x in arrays]), arrays[0].dtype

        def host(*values):
            rest = iter(values)
            return np.asarray(f(*[np.asarray(next(rest)) if hasattr(x, "dtype") else x for x in arguments]), dtype)

        return jax.pure_callback(host, jax.ShapeDtypeStruct(shape, dtype), *arrays, vmap_method="broadcast_all")


def _own(name):
    f = getattr(library, name)

    def function(self, *arguments):
        found = f(*arguments)
        dtype = next(x.dtype for x in arguments if hasattr(x, "dtype"))
        return found if isinstance(found, tuple) else found.astype(dtype)  # owens_t, for one, widens

    function.__name__ = function.__qualname__ = name
    return function


for _name in FROM_JAX:
    setattr(JaxSpecial, _name, _own(_name))

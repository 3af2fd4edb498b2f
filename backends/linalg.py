"""``xp.linalg``: the standard's linear algebra, with LinAlgError on every backend where the values allow no answer."""

import numpy as np

from . import standard
from .errors import LinAlgError
from .linalg_extras import Extras

_CHECKED = {
    "solve": "the matrix is singular",
    "inv": "the matrix is singular",
    "cholesky": "the matrix is not positive definite",
    "eigh": "the iteration did not converge",
    "eigvalsh": "the iteration did not converge",
    "eig": "the iteration did not converge",
    "eigvals": "the iteration did not converge",
    "svd": "the iteration did not converge",
    "svdvals": "the iteration did not converge",
    "pinv": "the iteration did not converge",
    "solve_triangular": "the matrix is singular",
    "matrix_power": "the matrix is singular",
}


class LinAlg(Extras):
    """The linear algebra of one backend; matrices are the last two axes, all others are leading axes.

    ``solve(a, b)`` takes a matrix ``b``; ``cholesky`` gives the lower factor and, like ``eigh``, reads the lower
    triangle alone. What the standard lacks stands in ``Extras``; ``xp.linalg_overrides`` does some of it better.
    """

    def __init__(self, xp):
        self.xp = xp
        namespace = getattr(xp.namespace, "linalg", None)
        for name in standard.LINALG:
            if not hasattr(namespace, name):
                continue
            f = xp.linalg_function(getattr(namespace, name), name)
            if name in _CHECKED:
                f = translated(f, name) if xp.linalg_raises else checked(xp, f, name)
            setattr(self, name, f)
        for name, f in xp.linalg_overrides().items():
            setattr(self, name, checked(xp, f, name) if name in _CHECKED else f)


def failure(name, arrays) -> LinAlgError:
    """The error of one function, naming the shapes it was given."""
    shapes = ", ".join(str(tuple(a.shape)) for a in arrays if hasattr(a, "shape"))
    return LinAlgError(f"linalg.{name}: {_CHECKED[name]}.\n  input shape: {shapes}")


def translated(f, name):
    """``f``, whose library raises NumPy's LinAlgError, raising ours."""

    def wrapped(*args, **kwargs):
        try:
            return f(*args, **kwargs)
        except np.linalg.LinAlgError as error:
            if "quare" in str(error) or "dimensional" in str(error):
                raise LinAlgError(f"linalg.{name}: {error}") from error
            raise failure(name, args) from error

    wrapped.__name__ = wrapped.__qualname__ = name
    return wrapped


def checked(xp, f, name):
    """``f``, whose library gives infinities or NaN instead of raising: finite input has to give finite output.

    Nothing is checked inside a compiled function.
    """

    def finite(x):
        return not xp.is_inexact(x.dtype) or bool(xp.all(xp.isfinite(x)))

    def wrapped(*args, **kwargs):
        result = f(*args, **kwargs)
        parts = result if isinstance(result, tuple) else (result,)
        if any(xp.is_traced(x) for x in parts) or all(finite(x) for x in parts):
            return result
        if all(finite(x) for x in args if hasattr(x, "dtype")):
            raise failure(name, args)
        return result

    wrapped.__name__ = wrapped.__qualname__ = name
    return translated(wrapped, name)

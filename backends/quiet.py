"""A block in which NumPy ignores floating-point errors: ``np.errstate(all="ignore")``, entered in a tenth of the time.

Every gradient is such a block, and ``np.errstate`` takes an eighth of one of three steps.
"""

import contextvars
from functools import wraps

import numpy as np


def _found():
    """NumPy's own context variable, with the value by which everything is ignored; None where it keeps it elsewhere."""
    before = contextvars.copy_context()
    with np.errstate(all="ignore"):
        inside = contextvars.copy_context()
    changed = [(variable, value) for variable, value in inside.items() if before.get(variable) is not value]
    if len(changed) != 1:
        return None
    variable, value = changed[0]
    token = variable.set(value)
    works = set(np.geterr().values()) == {"ignore"}
    variable.reset(token)
    return (variable, value) if works else None


class _Quiet:
    __slots__ = ("_token",)

    def __enter__(self):
        self._token = _variable.set(_value)

    def __exit__(self, *error):
        _variable.reset(self._token)


def _with_errstate():
    return np.errstate(all="ignore")


_variable, _value = _found() or (None, None)
quiet = _with_errstate if _variable is None else _Quiet


def quietly(f):
    """``f``, run in such a block; sooner entered than one of ``with``."""

    def in_errstate(*args, **kwargs):
        with np.errstate(all="ignore"):
            return f(*args, **kwargs)

    def in_block(*args, **kwargs):
        token = _variable.set(_value)
        try:
            return f(*args, **kwargs)
        finally:
            _variable.reset(token)

    return wraps(f)(in_errstate if _variable is None else in_block)

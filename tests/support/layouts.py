"""The same numbers, laid out in memory in other ways."""

from __future__ import annotations

import numpy as np


def contiguous(x):
    """One row behind the other."""
    return x.copy()


def columns_first(x):
    """The same numbers in Fortran's order."""
    return x.copy(order="F")


def with_gaps(x):
    """The same numbers, every other entry of a larger array."""
    wide = np.full([2 * n for n in x.shape], np.nan, x.dtype)
    view = wide[(..., *[slice(None, None, 2)] * x.ndim)]
    view[...] = x
    return view


def backwards(x):
    """The same numbers, with negative strides."""
    turned = (..., *[slice(None, None, -1)] * x.ndim)
    return x[turned].copy()[turned]


LAYOUTS = (contiguous, columns_first, with_gaps, backwards)

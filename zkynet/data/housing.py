"""The Boston housing table, in the forms in which it goes around."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from zkynet.backends.errors import FileFormatError
from zkynet.data.digits import _floating
from zkynet.data.tables import read_table

BOSTON_FEATURES = ("CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B", "LSTAT")
BOSTON_TARGET = "MEDV"
_SPELLINGS = {"BLACK": "B"}  # as R's MASS has it, and Kaggle's competition


def load_boston_housing(
    path: str | os.PathLike,
    columns: Sequence[str] | None = None,
    dtype: Any = "float32",
    missing: Sequence[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Read the Boston housing data (Harrison and Rubinfeld 1978) from a CSV file.

    Returns ``(features, prices)``: shapes (n, columns) and (n, 1), dtype ``dtype``. ``columns``: which features, by
    their names in ``BOSTON_FEATURES``; all that the file has, in its order, if None. Prices are in the unit of the
    file: dollars in Kaggle's file of 489 rows and the features RM, LSTAT and PTRATIO, thousands of dollars in those of
    506 rows and 13 features. Names are understood in capitals or not; a column ``ID`` is no feature and is left out.
    ``missing``: cells that become NaN, like ("NA",), which are errors without it.

    The feature B is made of the share of Black residents, on an assumption about segregation that its authors did not
    test: think before you use it.

    FileFormatError, with the line number, where the file is something else.
    """
    floating = _floating(dtype)
    table = read_table(path, missing=missing)
    spelled = {_standard(name): name for name in table.names}
    found = [name for name in spelled if name in BOSTON_FEATURES]
    unknown = [spelled[name] for name in spelled if name not in (*BOSTON_FEATURES, BOSTON_TARGET, "ID")]
    if BOSTON_TARGET not in spelled or unknown or not found:
        raise FileFormatError(
            f"{path} is no table of Boston housing\n  got:      {', '.join(table.names)}\n"
            f"  expected: MEDV, and of {', '.join(BOSTON_FEATURES)} some or all"
        )
    chosen = found if columns is None else [_standard(name) for name in columns]
    absent = [name for name in chosen if name not in found]
    if absent or not chosen:
        raise ValueError(f"{path} has no feature {', '.join(absent)}\n  expected: some of {', '.join(found)}")
    features = table.matrix([spelled[name] for name in chosen], floating)
    prices = table.matrix([spelled[BOSTON_TARGET]], floating)
    features.flags.writeable = prices.flags.writeable = False
    return features, prices


def _standard(name: str) -> str:
    return _SPELLINGS.get(name.upper(), name.upper())

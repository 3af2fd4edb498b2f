"""The data sets that come with scikit-learn, which is imported when one is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from zkynet.data.digits import _floating

# Name: whether its targets are classes (int64, shape (n,)) or numbers (floating, shape (n, targets)).
SKLEARN_SETS = {
    "digits": True,
    "iris": True,
    "breast_cancer": True,
    "wine": True,
    "diabetes": False,
    "linnerud": False,
}


def load_sklearn(name: str, dtype: Any = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Return ``(features, targets)`` of a data set that is bundled with scikit-learn, read-only.

    ``name``: "digits", "iris", "breast_cancer", "wine": targets are classes, int64 of shape (n,); "diabetes",
    "linnerud": targets are numbers of dtype ``dtype`` and shape (n, 1) and (n, 3). ``features`` has shape (n, features)
    and dtype ``dtype``, in the units that scikit-learn documents (digits 0 to 16, unlike ``load_digits`` here); see
    ``Standardizer``. ImportError without scikit-learn; ValueError for another name.
    """
    floating = _floating(dtype)
    if name not in SKLEARN_SETS:
        raise ValueError(
            f"load_sklearn: there is no such set.\n  got:      {name!r}\n  expected: one of {', '.join(SKLEARN_SETS)}"
        )
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            "this data set comes with scikit-learn.\n  to install it: pip install scikit-learn"
        ) from error

    features, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    features = np.array(features, dtype=floating)
    if SKLEARN_SETS[name]:
        targets = np.array(targets, dtype=np.int64)
    else:
        targets = np.array(targets.reshape(len(features), -1), dtype=floating)
    features.flags.writeable = targets.flags.writeable = False
    return features, targets

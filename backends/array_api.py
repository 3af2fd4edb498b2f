"""Any other library of the array API standard, by the portable implementation alone."""

import numpy as np

from .base import Backend


def load_strict() -> "ArrayAPIBackend":
    """The backend of array_api_strict, which refuses what the standard does not promise."""
    import array_api_strict

    return ArrayAPIBackend(array_api_strict)


class ArrayAPIBackend(Backend):
    """The arrays of ``namespace`` on one device: ``device``, or the one that the library chooses.

    One such object a device; ``zkynet.use_backend(backend)``, ``backends.get(backend)`` or ``backends.register`` make
    its arrays known. Arrays of the standard can be written to, and do not say who else sees their memory: what is kept
    of the caller's is copied.
    """

    is_mutable = True

    def __init__(self, namespace, device=None, name=None):
        sample = namespace.zeros((), device=device) if device is not None else namespace.zeros(())
        named = namespace.__name__ if device is None else f"{namespace.__name__}:{device}"
        super().__init__(name or named, namespace, sample.device)
        self._array_type = type(sample)

    def owns(self, x):
        return isinstance(x, self._array_type) and x.device == self.device

    def owns_type(self, kind):
        return False

    def name_of(self, dtype):
        return np.dtype(dtype).name if isinstance(dtype, (str, type, np.dtype)) else super().name_of(dtype)

    def result_type(self, *items):
        # A host array's dtype as the library's own: comparing the two kinds warns.
        dtypes = [getattr(x, "dtype", x) for x in items]
        return super().result_type(*[self.own_dtype(d) if isinstance(d, np.dtype) else d for d in dtypes])

    def is_writable(self, x):
        return True

    def borrow(self, x):
        return self.own(x), None

    def read_only(self, x):
        return self.own(x)

    def hand_over(self, items):
        items[:] = [self.own(x) if self.owns(x) else x for x in items]  # who else holds them cannot be seen

    def errstate(self):
        return np.errstate(all="ignore")  # the library may compute with NumPy inside

    def sum(self, x, axis=None, dtype=None, keepdims=False):
        x = self.astype(x, self.int64) if x.dtype == self.bool else x  # the standard adds no booleans
        return self.namespace.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)

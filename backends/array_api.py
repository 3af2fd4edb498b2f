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
    its arrays known.
    """

    def __init__(self, namespace, device=None, name=None):
        sample = namespace.zeros((), device=device) if device is not None else namespace.zeros(())
        named = namespace.__name__ if device is None else f"{namespace.__name__}:{device}"
        super().__init__(name or named, namespace, sample.device)
        self._array_type = type(sample)

    def owns(self, x):
        return isinstance(x, self._array_type) and x.device == self.device

    def owns_type(self, kind):
        return False

    def from_numpy(self, x):
        return self.namespace.asarray(x, device=self.device, copy=True)

    def to_numpy(self, x):
        try:
            return np.array(np.from_dlpack(x))
        except (BufferError, RuntimeError, TypeError, ValueError):  # a device that NumPy cannot read
            return np.array(np.from_dlpack(x, device="cpu", copy=True))

"""More of the protocol's extras, portable: parts of complex arrays, shifts and softmax, placing, ownership."""

import numpy as np

from .attention import Attention
from .entrywise import Entrywise
from .pooling import Pooling
from .recurrent import Recurrent


class Portable(Entrywise, Pooling, Attention, Recurrent):
    """What Backend inherits: each method on the standard alone."""

    def dtype(self, dtype):
        """``dtype`` in any form (own, NumPy's, a name, a Python number type) as an own dtype."""
        return self.own_dtype(dtype)

    def number(self, value, dtype):
        """The Python number ``value`` as a 0-d array of the own ``dtype``."""
        return self.asarray(value, dtype=dtype)

    def own(self, x):
        """A copy of ``x`` that shares no memory with anything; ``x`` itself where arrays cannot be written to."""
        return self.asarray(x, copy=True)

    def hand_over(self, items: list) -> None:
        """Replace, in a list, arrays that somebody else could see or that cannot be written to by copies."""

    def update_in_blocks(self, rule, groups, scalars) -> list:
        """Apply an optimizer's ``rule(xp, p, g, *slots, *scalars)`` to each group ``[p, g, *slots]``.

        The rule is entrywise, changes ``p`` and the slots by augmented assignment and returns ``(p, *slots)``; the
        result is a list of these tuples, in the dtypes they had. Each ``p`` and slot stands in its group and with its
        owner; a backend may write into it where nobody else holds it. Here the rule gets copies.
        """
        return [_updated(self, rule, group, scalars) for group in groups]

    def is_host_scalar(self, x) -> bool:
        """Whether ``x`` is a scalar of the host's library, not an array."""
        return isinstance(x, np.generic)

    def real(self, x):
        """The real part; a real ``x`` as it is."""
        return self.namespace.real(x) if self.is_complex(x.dtype) else x

    def imag(self, x):
        """The imaginary part; zeros for a real ``x``."""
        return self.namespace.imag(x) if self.is_complex(x.dtype) else self.zeros_like(x)

    def conj(self, x):
        """The complex conjugate; a real ``x`` as it is."""
        return self.namespace.conj(x) if self.is_complex(x.dtype) else x

    def silence(self, gate, c):
        """``c``, but 0 where ``gate`` is exactly 0 and ``c`` is not finite; ``gate`` broadcasts."""
        return self.where((gate == 0) & ~self.isfinite(c), self.zeros_like(c), c)

    def relu(self, x):
        """max(x, 0); NaN stays."""
        return self.maximum(x, self.zeros_like(x))

    def shifted(self, a, b):
        """a - b, but 0 where both are the same infinity; they broadcast. Under ``errstate``."""
        difference = a - b
        return self.where((a == b) & ~self.isfinite(b), self.zeros_like(difference), difference)

    def weights(self, x, axis):
        """exp(x) / sum(exp(x)) over ``axis``, negative or a tuple of such; equal infinities share evenly."""
        if self.is_empty(x, axis):
            return x
        e = self.exp(self.shifted(x, self.max(x, axis=axis, keepdims=True)))
        return e / self.sum(e, axis=axis, keepdims=True)

    def is_empty(self, x, axis) -> bool:
        """Whether ``x`` has no entries along one of ``axis``."""
        return 0 in [x.shape[i] for i in (axis if isinstance(axis, tuple) else (axis,))]

    def diagonal_rows(self, entries, start, stop):
        """Rows ``start`` to ``stop`` of the matrix with the 1-D ``entries`` on its diagonal and zeros around it."""
        ones = self.eye(stop - start, entries.shape[0], k=start, dtype=entries.dtype)
        return self.select(ones != 0, self.broadcast_to(entries, ones.shape))

    def place(self, x, index, shape):
        """Zeros of ``lead + shape`` with ``x``, of shape ``lead + zeros(shape)[index].shape``, at the basic ``index``.

        ``index`` begins with Ellipsis and has an entry for each axis of ``shape``: ints, slices, and None between them.
        """
        size = int(np.prod(shape, dtype=int))
        spots = np.arange(size).reshape(shape)[index]
        lead = tuple(x.shape[: len(x.shape) - spots.ndim])
        flat = self.reshape(x, (*lead, spots.size))
        total = self.scatter_sum(flat, self.asarray(spots.reshape(-1)), size, axis=-1)
        return self.reshape(total, lead + tuple(shape))


def _updated(xp, rule, group, scalars):
    p, g, *slots = group
    real = xp.real(p).dtype
    numbers = [
        x if type(x) in (int, float) else xp.astype(x, real) for x in scalars
    ]  # those of a traced step are arrays
    new = rule(xp, xp.own(p), g, *[xp.own(slot) for slot in slots], *numbers)
    return tuple(xp.asarray(y, dtype=x.dtype) for x, y in zip((p, *slots), new, strict=True))

"""What NumPy and CuPy share: libraries whose arrays can be written to."""


class Mutable:
    """A mixin before Backend: zeros first, then what belongs into them."""

    is_mutable = True

    def pad(self, x, widths, value=0):
        first = x.ndim - len(widths)
        inner = [before + n + after for n, (before, after) in zip(x.shape[first:], widths, strict=True)]
        full = self.full((*x.shape[:first], *inner), value, dtype=x.dtype)
        full[(Ellipsis, *(slice(b, b + n) for n, (b, _) in zip(x.shape[first:], widths, strict=True)))] = x
        return full

    def diagonal_rows(self, entries, start, stop):
        n = entries.shape[0]
        rows = self.zeros((stop - start, n), dtype=entries.dtype)
        self.reshape(rows, (-1,))[start :: n + 1] = entries[start:stop]
        return rows

    def place(self, x, index, shape):
        lead = x.ndim
        for item in index:
            if item is None or type(item) is slice:
                lead -= 1
        whole = self.zeros(x.shape[:lead] + tuple(shape), dtype=x.dtype)
        whole[index] = x
        return whole

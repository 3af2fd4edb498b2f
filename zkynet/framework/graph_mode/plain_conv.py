"""Convolution in a few lines of NumPy: what exported programs have in place of the backend's, which is faster.

``x`` is (N, C, *S), ``w`` (O, C / groups, *K) and ``g`` (N, O, *T), without leading axes; the settings are those of
``Backend.conv``. One offset in the kernel after the other: a matrix of it times all entries that it meets.
"""

from ..record import HOST

np = HOST.namespace


def pieces(kernel, out, stride, dilation):
    """For each offset in the kernel: itself, and the entries of the padded pictures that it meets."""
    for offset in np.ndindex(*kernel):
        setting = zip(offset, dilation, stride, out)
        yield offset, (..., *(slice(o * d, o * d + s * (t - 1) + 1, s) for o, d, s, t in setting))


def grouped(x, groups):
    """(N, C, *T) as (N, groups, C / groups, T)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, int(np.prod(x.shape[2:])))


def conv(x, w, stride, padding, dilation, groups):
    """Cross-correlation of pictures ``x`` with the kernels ``w``: (N, O, *T)."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    sizes = zip(x.shape[2:], w.shape[2:], stride, dilation)
    out = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in sizes)
    w = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    y = np.zeros((x.shape[0], *w.shape[:2], int(np.prod(out))), x.dtype)
    for offset, spots in pieces(w.shape[3:], out, stride, dilation):
        y += w[(..., *offset)] @ grouped(x[spots], groups)
    return y.reshape(x.shape[0], -1, *out)


def conv_input(g, w, input_shape, stride, padding, dilation, groups):
    """The gradient by ``x``, of the shape ``input_shape``, where ``g`` is that by the result."""
    n, c, *sizes = input_shape
    total = np.zeros((n, c, *(s + before + after for s, (before, after) in zip(sizes, padding))), g.dtype)
    w = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    for offset, spots in pieces(w.shape[3:], g.shape[2:], stride, dilation):
        part = w[(..., *offset)].mT @ grouped(g, groups)
        total[spots] += part.reshape(n, c, *g.shape[2:])
    return total[(..., *(slice(before, before + s) for s, (before, _) in zip(sizes, padding)))]


def conv_filter(x, g, kernel_shape, stride, padding, dilation, groups):
    """The gradient by ``w``, of the shape ``kernel_shape``, where ``g`` is that by the result."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    total = np.empty((groups, kernel_shape[0] // groups, *kernel_shape[1:]), g.dtype)
    for offset, spots in pieces(kernel_shape[2:], g.shape[2:], stride, dilation):
        total[(..., *offset)] = np.sum(grouped(g, groups) @ grouped(x[spots], groups).mT, axis=0)
    return total.reshape(kernel_shape)

"""Windows as columns (im2col), columns added up again (col2im), and a convolution made of them."""

from zkynet.backends.errors import ShapeError

from ..axes import size_of
from ..record import Tensor, shape_of
from .conv import each, pairs
from .linalg import einsum
from .pool import padded
from .shape import getitem, reshape
from .windows import fitting, inside, pool_settings, sum_of, window_sum, windows


def unfold(x, kernel, stride=1, padding=0, dilation=1) -> Tensor:
    """The windows of x (N, C, *S) as columns, (N, C * kernel, T): im2col.

    ShapeError where no window fits.
    """
    kernel, stride, padding, dilation = pool_settings("unfold", x, kernel, stride, padding, dilation)
    shape = shape_of(x)
    y = windows(padded(x, padding), kernel, stride, dilation)
    out = shape_of(y)[2 + len(kernel) :]
    return reshape(y, (shape[0], shape[1] * size_of(kernel), size_of(out)))


def fold(x, size, kernel, stride=1, padding=0, dilation=1) -> Tensor:
    """Columns (N, C * kernel, T) added up into (N, C, *size): col2im, the transpose of ``unfold``."""
    n = len(size)
    kernel, stride = each(kernel, n, "kernel", 1, "fold"), each(stride, n, "stride", 1, "fold")
    dilation, padding = each(dilation, n, "dilation", 1, "fold"), pairs(padding, n, "fold")
    full = tuple(s + sum_of(p) for s, p in zip(size, padding, strict=True))
    out = fitting(full, kernel, stride, dilation)
    shape = shape_of(x)
    if len(shape) != 3 or shape[1] % size_of(kernel) or shape[2] != size_of(out):
        raise ShapeError(
            f"fold: columns of shape {shape} do not fit.\n"
            f"  expected: (N, C * {size_of(kernel)}, {size_of(out)}), kernel entries and windows {out}"
        )
    columns = reshape(x, (shape[0], shape[1] // size_of(kernel), *kernel, *out))
    return getitem(window_sum(columns, full, kernel, stride, dilation), (Ellipsis, *inside(size, padding)))


def local_conv(x, w, stride=1) -> Tensor:
    """A convolution whose kernel differs from place to place: x (N, C, *S) with w (O, *T, C, *K), to (N, O, *T).

    ShapeError where w does not fit the windows of x.
    """
    sx, sw = shape_of(x), shape_of(w)
    n = len(sx) - 2
    if n < 1 or len(sw) != 2 * n + 2 or sw[n + 1] != sx[1]:
        raise ShapeError(f"local_conv: needs x (N, C, *S) and w (O, *T, C, *K), got shapes {sx} and {sw}")
    kernel, stride, _, ones = pool_settings("local_conv", x, sw[n + 2 :], stride, 0, 1)
    seen = windows(x, kernel, stride, ones)
    out = shape_of(seen)[2 + n :]
    if out != sw[1 : n + 1]:
        raise ShapeError(f"local_conv: x has {out} windows, w {sw} has kernels for {sw[1 : n + 1]}")
    inner, places = sx[1] * size_of(kernel), size_of(out)
    y = einsum("nit,oti->not", reshape(seen, (sx[0], inner, places)), reshape(w, (sw[0], places, inner)))
    return reshape(y, (sx[0], sw[0], *out))

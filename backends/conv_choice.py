"""How NumPy does a convolution: the one place that chooses, and that says what it chose.

Three ways: windows copied side by side (im2col), in ``numpy_conv``, for every convolution; row by row of the kernel, in
``row_conv``, where few channels meet in pictures that stay as wide; and Winograd's, in ``winograd``, for 3 x 3 kernels
at stride 1 in float32 and float64, where it is faster. ``ZKYNET_WINOGRAD=0`` in the environment, which is read at every
call, leaves the first two alone. Entries that are not finite, or near overflow, send a call there as well.

The numbers below were measured on an AMD Zen 5 (NumPy 2.4, OpenBLAS 0.3.31, float32), each way against windows or rows,
on one thread and on two. At 32 to 512 channels, pictures of 5 to 112 and batches of 1 to 64 Winograd's way took 0.4 to
0.9 of the time within them, at their edges 0.8 to 1.2 (on two threads, beside windows whose BLAS has two, up to 1.4),
just outside 0.9 to 1.5, far outside several times as long. At 1 to 128 channels, pictures of 7 to 128 and kernels of 3
to 7 row by row took 0.5 to 0.95 within them, just outside 0.8 to 1.6, far outside 3.
"""

import os

import numpy as np

from .convolution import out_shape

WINOGRAD = "ZKYNET_WINOGRAD"
_LEAST_CHANNELS = {4: 32, 2: 48}  # by the side of a tile; fewer: the transforms cost more than the products save
_LEAST_TILES = {4: 48, 2: 128}  # fewer: transforming the kernel is not paid back
_MOST_WASTE = {4: 1.35, 2: 1.5}  # what whole tiles may cover, per entry of the result
_MOST_LINES = 1 << 18  # entries of a picture's lines: larger ones leave the cache
_MOST_PRODUCTS = 1 << 11  # inputs times outputs: where there are more, products take longer than copying
_DTYPES = (np.dtype("float32"), np.dtype("float64"))  # never halves: their errors would be of the size of the result


def tile(images, inputs, outputs, out, kernel, stride, dilation, groups, dtype):
    """4 or 2 where Winograd's way is faster than windows, with tiles of that many entries a side; otherwise 0.

    ``out`` is the spatial shape of the result, or of the cotangent for the gradient of the filter.
    """
    few = min(inputs, outputs)
    if few < _LEAST_CHANNELS[4] or kernel != (3, 3) or groups != 1:
        return 0
    if dtype not in _DTYPES or set(stride) | set(dilation) != {1} or 0 in out:
        return 0
    tiles = {m: -(-out[0] // m) * -(-out[1] // m) for m in (4, 2)}
    fits = [
        m
        for m in (4, 2)
        if few >= _LEAST_CHANNELS[m]
        and images * tiles[m] >= _LEAST_TILES[m]
        and tiles[m] * m * m <= _MOST_WASTE[m] * out[0] * out[1]
    ]
    if not fits or os.environ.get(WINOGRAD, "1") == "0":
        return 0
    if len(fits) == 2 and 4 * images * tiles[4] < few:  # the larger transformed kernel takes longer than its products
        return 2
    return fits[0]


def conv_by_rows(shape, outputs, kernel, stride, padding, dilation, groups):
    """Whether pictures of ``shape`` (N, C, H, W) are convolved row by row of the kernel: it is asked first.

    What is copied for it grows with the channels that come in, what is added up with those that go out.
    """
    return outputs <= shape[1] and _rows_fit(shape, outputs, kernel, stride, padding, dilation, groups)


def filter_by_rows(shape, outputs, kernel, stride, padding, dilation, groups):
    """The same for the gradient of the filter."""
    few = outputs <= shape[1] * kernel[-1]
    return few and _rows_fit(shape, outputs, kernel, stride, padding, dilation, groups)


def _rows_fit(shape, outputs, kernel, stride, padding, dilation, groups):
    """Whether it is something that ``row_conv`` can do, and neither pictures nor products are large."""
    if len(kernel) != 2 or kernel[0] == 1 or groups != 1 or set(stride) != {1}:
        return False
    (n, c, high, wide), reach = shape, [d * (k - 1) for d, k in zip(dilation, kernel)]
    high += sum(padding[0])
    if high <= reach[0] or sum(padding[1]) != reach[1]:  # no result, or one that is not as wide
        return False
    return n > 0 < c * kernel[1] * high * wide <= _MOST_LINES and c * outputs <= _MOST_PRODUCTS


def backwards(out, kernel, stride, padding, dilation):
    """The padding with which the gradient by the input is a convolution with the flipped kernel; None where it is none.

    That is so at stride 1, where no entry of the padded input is cut off.
    """
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    rest = [(r - before, r - after) for r, (before, after) in zip(reach, padding)]
    return rest if set(stride) == {1} and 0 not in out and min(map(min, rest)) >= 0 else None


def chosen(operation, x_shape, w_shape, dtype, stride, padding, dilation, groups):
    """How ``operation`` is done between finite arrays: "windows", "rows", "winograd 4x4" or "winograd 2x2".

    ``operation`` is "conv", "conv_input" or "conv_filter"; the shapes are those of ``conv``'s x (N, C, *S) and
    w (O, C / groups, *K), without leading axes; the settings are tuples, padding one of pairs.
    """
    (n, c), o, kernel = x_shape[:2], w_shape[0], tuple(w_shape[2:])
    out, dtype = out_shape(x_shape[2:], kernel, stride, padding, dilation), np.dtype(dtype)
    pictures, outputs, rows = tuple(x_shape), o, conv_by_rows
    if operation == "conv_input":
        padding = backwards(out, kernel, stride, padding, dilation)
        if padding is None:
            return "windows"
        pictures, outputs, out = (n, o, *out), c, tuple(x_shape[2:])
    elif operation == "conv_filter":
        rows = filter_by_rows
    elif operation != "conv":
        raise ValueError(f'operation must be "conv", "conv_input" or "conv_filter", got {operation!r}')
    if rows(pictures, outputs, kernel, stride, padding, dilation, groups):
        return "rows"
    m = tile(n, pictures[1], outputs, out, kernel, stride, dilation, groups, dtype)
    return f"winograd {m}x{m}" if m else "windows"

"""Sample calls of functions that arrange, join, select and make arrays, and of numerical calculus."""

import numpy as np

from zkynet.framework import op

from .samples_draw import A, M, S, V, apart, call, positive, rising, share

SEGMENTS = A([0, 2, 0, 1])

ARRANGEMENT = (
    call("swapaxes", M, axis1=0, axis2=-1),
    call("rollaxis", M, axis=1),
    call("broadcast_arrays", M, V),
    call("ravel", M),
    *(call(name, S) for name in ("atleast_1d", "atleast_2d", "atleast_3d")),
    *(call(name, M) for name in ("flipud", "fliplr", "rot90")),
    call("roll", M, shift=1),
    call("tile", M, repetitions=2),
    call("repeat", M, repeats=2),
    call("diag_embed", V),
    call("diag", V, k=1),
    call("block_diag", M, (1, 2)),
    call("sliding_window_view", (5,), window_shape=3),
    call("as_strided", (5,), shape=(3, 2), strides=(1, 2)),
)

JOINING = (
    *(
        call(name, M, M, run=lambda a, b, name=name: getattr(op, name)([a, b]))
        for name in ("hstack", "vstack", "row_stack", "dstack", "column_stack")
    ),
    call("block", M, M, run=lambda a, b: op.block([[a, b], [b, a]])),
    call("append", M, V),
    *(call(name, (4, 2), 2) for name in ("split", "vsplit", "hsplit")),
    call("array_split", (5,), 2),
    call("dsplit", (1, 2, 4), 2),
    call("unstack", M),
    call("meshgrid", V, (2,)),
    call("insert", M, (2,), run=lambda x, v: op.insert(x, 1, v, axis=1)),
    call("delete", M, run=lambda x: op.delete(x, 1, axis=1)),
)

SELECTION = (
    call("put_along_axis", M, (2, 1), run=lambda x, v: op.put_along_axis(x, A([[0], [2]]), v, axis=1)),
    call("gather_nd", M, A([[0, 1], [1, -1]])),
    call("select_item", M, A([2, 0])),
    call("permutate", M, A([1, 0])),
    call("masked_fill", M, A([True, False, True]), 7.5),
    call("compress", M, run=lambda x: op.compress([True, False, True], x, axis=1)),
    call("dynamic_slice", M, starts=(1, 0), sizes=(1, 2)),
    call("dynamic_update_slice", M, (1, 2), starts=(1, 1)),
    call("one_hot", A([2, 0]), 3),
    *(call(name, (4, 2), SEGMENTS) for name in ("segment_sum", "segment_mean", "segment_max", "segment_min")),
    call("segment_prod", (4, 2), SEGMENTS),
)

MADE = (
    call("empty", run=lambda: op.empty((2, 3)).shape),  # its numbers are whatever lay in memory
    call("empty_like", M, run=lambda x: op.empty_like(x).shape),
    call("full_like", S, run=lambda v: op.full_like(np.zeros(M), v)),
    call("logspace", S, S, num=4),
    call("geomspace", S, S, numbers=positive, num=3),
)

CALCULUS = (
    *(call(name, (5,), (3,)) for name in ("convolve", "correlate")),
    call("gradient", M),
    *(call(name, (4,), dx=0.5) for name in ("trapezoid", "cumulative_trapezoid")),
    call("interp", V, (4,), (4,), numbers=(share, rising, apart)),
    call("map_coordinates", M, V, V, numbers=(apart, share, share), run=lambda x, i, j: op.map_coordinates(x, [i, j])),
    call("polyval", V, M),
    call("vander", V),
    call("polyfit", (5,), (5,), numbers=(rising, apart), deg=2),
)

LOOPS = (
    call("cond", M, run=lambda x: op.cond(True, op.sin, op.cos, x)),
    call("while_loop", S, run=lambda x: op.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * x), (0, x))[1]),
    call("scan", V, M, run=lambda c, x: op.scan(lambda c, x: (c * x, c + op.sin(x)), c, x)),
    call("map", M, run=lambda x: op.map(lambda row: row * op.sin(row), x)),
)

ARRAYS = (*ARRANGEMENT, *JOINING, *SELECTION, *MADE, *CALCULUS, *LOOPS)

"""Case table: arranging, joining, splitting, gathering, scattering, and creation that is differentiable."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError, ShapeError

from .rows import Bad, Row, Sample, draw, nonzero
from .rows import positive as above_zero

A = np.array
EMPTY = (0, 2)


def calls(name, *shapes_and_settings, run=None, **keywords):
    """A row of one array a sample: pairs of a shape and the settings."""
    samples = tuple(draw(name, shape, **settings) for shape, settings in shapes_and_settings)
    return Row(name, samples, run=run, **{"complex": True, "weak": False, **keywords})


def each(name):
    """All arrays that ``op.<name>`` gives, joined to one line."""

    def run(xp, *a, **s):
        parts = [xp.reshape(y, (-1,)) for y in getattr(xp, name)(*a, **s)]
        return xp.concat(parts, axis=0) if parts else a[0]

    return run


def listed(name, **settings):
    """``op.<name>`` of all operands in a list."""
    return lambda xp, *arrays, **s: getattr(xp, name)(list(arrays), **settings, **s)


ARRANGED = (
    calls("swapaxes", ((2, 3, 2), {"axis1": 0, "axis2": -1}), (EMPTY, {"axis1": 0, "axis2": 1})),
    calls(
        "rollaxis",
        ((2, 3, 2), {"axis": 2}),
        ((2, 3, 2), {"axis": 0, "start": 3}),
        ((2, 3, 2), {"axis": 1, "start": 1}),
        (EMPTY, {"axis": 1}),
    ),
    Row(
        "broadcast_arrays",
        (draw("broadcast_arrays", (2, 1), (3,)), draw("broadcast_arrays", (), (0, 2))),
        run=each("broadcast_arrays"),
        complex=True,
        weak=False,
    ),
    calls("ravel", ((2, 3), {}), ((), {}), (EMPTY, {})),
    *[calls(f"atleast_{n}d", ((), {}), ((2,), {}), ((2, 3), {}), ((2, 1, 3), {}), (EMPTY, {})) for n in (1, 2, 3)],
    calls("flipud", ((2, 3), {}), (EMPTY, {})),
    calls("fliplr", ((2, 3), {}), (EMPTY, {}), errors=(Bad((np.ones(3),), AxisError, "axis 1"),)),
    calls(
        "rot90",
        *[((2, 3), {"k": k}) for k in (0, 1, 2, 3, -1)],
        ((2, 3, 2), {"axes": (2, 0)}),
        (EMPTY, {}),
        errors=(Bad((np.ones((2, 2)),), ShapeError, "two different", {"axes": (0, 0)}),),
    ),
    calls(
        "roll",
        ((2, 3), {"shift": 1}),
        ((2, 3), {"shift": -2, "axis": 1}),
        ((2, 3), {"shift": (1, 2), "axis": (0, 1)}),
        ((3,), {"shift": 7, "axis": 0}),
        (EMPTY, {"shift": 1, "axis": 0}),
        errors=(Bad((np.ones((2, 3)),), AxisError, "axis 5", {"shift": 1, "axis": 5}),),
    ),
    calls(
        "tile",
        *[((2, 3), {"repetitions": r}) for r in (2, (2, 1), (2, 1, 2), (0, 1))],
        ((), {"repetitions": (2, 2)}),
        (EMPTY, {"repetitions": 2}),
        run=lambda xp, x, repetitions: xp.tile(x, repetitions),
    ),
    calls(
        "repeat",
        ((2, 3), {"repeats": 2}),
        ((2, 3), {"repeats": [1, 0, 2], "axis": 1}),
        ((2, 3), {"repeats": A([2, 1]), "axis": 0}),
        (EMPTY, {"repeats": 3, "axis": 1}),
        run=lambda xp, x, repeats, **s: xp.repeat(x, repeats, **s),
        errors=(Bad((np.ones(3),), ValueError, "counts", {"repeats": [1, 2], "axis": 0}),),
    ),
    calls(
        "pad",
        *[((2, 3), {"widths": ((1, 0), (2, 1)), "mode": m}) for m in ("edge", "reflect", "symmetric", "wrap")],
        ((2, 3), {"widths": ((1, 4),), "mode": "reflect"}),
        ((1, 3), {"widths": ((2, 2), (0, 0)), "mode": "reflect"}),
        ((2, 3), {"widths": ((0, 2),)}),
        ((2, 3), {"widths": ((1, 0), (2, 1))}),
        ((), {"widths": ()}),
        ((2, 3), {"widths": ((1, 2), (0, 1)), "value": 2.5}),
        (EMPTY, {"widths": ((1, 1), (0, 0))}),
        integers=False,
        errors=(
            Bad((np.ones(3),), ValueError, "mode", {"widths": ((1, 1),), "mode": "mirror"}),
            Bad((np.ones(3),), ShapeError, "do not fit", {"widths": ((1, 1), (1, 1))}),
            Bad((np.ones(3),), ShapeError, "do not fit", {"widths": ((-1, 1),), "mode": "edge"}),
        ),
    ),
    calls("diag_embed", ((3,), {}), ((2, 2), {"offset": 1}), ((2,), {"offset": -2}), ((0,), {})),
    calls(
        "diag",
        *[((3,), {"k": k}) for k in (0, 1, -2)],
        *[((2, 3), {"k": k}) for k in (0, 1, -1, 5)],
        (EMPTY, {}),
        errors=(Bad((np.ones((2, 2, 2)),), ShapeError, "diag_embed"),),
    ),
    Row(
        "block_diag",
        (draw("block_diag", (2, 1), (1, 3)), draw("block_diag", (2,), ()), draw("block_diag", (0, 2), (1, 1))),
        complex=True,
        weak=False,
    ),
    calls(
        "sliding_window_view",
        ((5,), {"window_shape": 3}),
        ((3, 4), {"window_shape": (2, 3)}),
        ((3, 4), {"window_shape": 2, "axis": 0}),
        ((0, 3), {"window_shape": 2, "axis": 1}),
        errors=(Bad((np.ones(3),), ShapeError, "does not fit", {"window_shape": 4}),),
    ),
    calls(
        "as_strided",
        ((5,), {"shape": (3, 2), "strides": (1, 2)}),
        ((2, 3), {"shape": (2, 2), "strides": (0, 3), "offset": 1}),
        ((0,), {"shape": (0,), "strides": (1,)}),
        errors=(Bad((np.ones(3),), IndexError, "leave x", {"shape": (4,), "strides": (1,)}),),
    ),
)

PAIR = (draw("joined", (2, 3), (2, 3)), draw("joined", (0, 3), (2, 3)))
JOINED = (
    Row(
        "hstack",
        (draw("hstack", (2, 1), (2, 3)), draw("hstack", (2,), (0,))),
        run=listed("hstack"),
        complex=True,
        weak=False,
    ),
    *[Row(n, (*PAIR, draw(n, (3,), (2, 3))), run=listed(n), complex=True, weak=False) for n in ("vstack", "row_stack")],
    Row(
        "dstack",
        (draw("dstack", (2, 3), (2, 3)), draw("dstack", (0,), (0,))),
        run=listed("dstack"),
        complex=True,
        weak=False,
    ),
    Row(
        "column_stack",
        (draw("column_stack", (2,), (2, 3)), draw("column_stack", (0,), (0, 2))),
        run=listed("column_stack"),
        complex=True,
        weak=False,
    ),
    Row(
        "block",
        (draw("block", (2, 2), (2, 1)), draw("block", (0, 1), (0, 2))),
        run=lambda xp, a, b: xp.block([[a, b], [b, a]]),
        complex=True,
        weak=False,
    ),
    Row(
        "append",
        (draw("append", (2, 3), (2,)), draw("append", (2, 3), (1, 3), axis=0), draw("append", (0,), (2,), axis=0)),
        complex=True,
        weak=False,
    ),
    calls(
        "split",
        ((4, 2), {"sections": 2}),
        ((2, 5), {"sections": [1, 3], "axis": 1}),
        (EMPTY, {"sections": 2, "axis": 1}),
        run=each("split"),
        errors=(Bad((np.ones(5),), ShapeError, "equal parts", {"sections": 2}),),
    ),
    calls(
        "array_split",
        ((5, 2), {"sections": 3}),
        ((2, 5), {"sections": 3, "axis": 1}),
        ((4, 3), {"sections": 2}),
        (EMPTY, {"sections": 2}),
        run=each("array_split"),
    ),
    calls("hsplit", ((2, 4), {"sections": 2}), ((4,), {"sections": 2}), (EMPTY, {"sections": 2}), run=each("hsplit")),
    calls("vsplit", ((4, 2), {"sections": 2}), (EMPTY, {"sections": 1}), run=each("vsplit")),
    calls("dsplit", ((1, 2, 4), {"sections": 2}), ((0, 2, 2), {"sections": 2}), run=each("dsplit")),
    calls("unstack", ((3, 2), {}), ((2, 3), {"axis": 1}), ((0, 2), {"axis": 1}), run=each("unstack")),
    Row(
        "meshgrid",
        (
            draw("meshgrid", (2,), (3,)),
            draw("meshgrid", (2,), (3,), (2,), indexing="ij"),
            draw("meshgrid", (2,), (0,)),
            draw("meshgrid", (3,)),
        ),
        run=each("meshgrid"),
        complex=True,
        weak=False,
        errors=(
            Bad((np.ones((2, 2)),), ShapeError, "vectors"),
            Bad((np.ones(2),), ValueError, "indexing", {"indexing": "ab"}),
        ),
    ),
    Row(
        "insert",
        (
            draw("insert", (2, 3), (2,), index=1, axis=1),
            draw("insert", (3,), (2,), index=[0, 3], axis=0),
            draw("insert", (3,), (2,), index=[2, 0], axis=0),
            draw("insert", (2, 3), (2,), index=-1, axis=1),
            draw("insert", (0,), (1,), index=[0], axis=0),
            draw("insert", (2, 2), (), index=3),
        ),
        run=lambda xp, x, v, index, axis=None: xp.insert(x, index, v, axis),
        complex=True,
        weak=False,
        integers=False,
        errors=(Bad((np.ones(3), np.ones(())), IndexError, "out of bounds", {"index": 4, "axis": 0}),),
    ),
    calls(
        "delete",
        ((2, 3), {"index": 1, "axis": 1}),
        ((4,), {"index": [0, -1], "axis": 0}),
        ((5,), {"index": slice(0, None, 2), "axis": 0}),
        ((2, 3), {"index": A([True, False, True]), "axis": 1}),
        (EMPTY, {"index": 0, "axis": 1}),
        run=lambda xp, x, index, axis=None: xp.delete(x, index, axis),
        errors=(Bad((np.ones(3),), IndexError, "out of bounds", {"index": 3, "axis": 0}),),
    ),
)

SEGMENTS = A([0, 2, 0, 1])
SELECTED = (
    Row(
        "put_along_axis",
        (
            draw("put_along_axis", (2, 3), (2, 1), indices=A([[0], [2]]), axis=1),
            draw("put_along_axis", (3, 2), (), indices=A([[1, 0]]), axis=0),
            draw("put_along_axis", (0, 2), (0, 1), indices=np.zeros((0, 1), int), axis=1),
        ),
        run=lambda xp, x, v, indices, axis: xp.put_along_axis(x, indices, v, axis),
        complex=True,
        weak=False,
    ),
    calls(
        "gather_nd",
        ((2, 3), {"indices": A([[0, 1], [1, -1]])}),
        ((2, 3), {"indices": A([[1], [0], [1]])}),
        ((2, 0), {"indices": A([[1]])}),
        errors=(Bad((np.ones(3),), ShapeError, "positions", {"indices": A([[0, 1]])}),),
    ),
    Row(
        "select_item",
        (Sample((*draw("select_item", (2, 3)).operands, A([2, 0]))), Sample((np.zeros((0, 3)), np.zeros(0, int)))),
        complex=True,
        weak=False,
        errors=(Bad((np.ones((2, 3)), A([0, 3])), IndexError, "3"),),
    ),
    calls(
        "permutate",
        ((3, 2), {"indices": [2, 0, 1]}),
        ((3, 2), {"indices": [2, 0, 1], "inverse": True}),
        ((2, 0), {"indices": [1, 0]}),
        errors=(Bad((np.ones(3),), ValueError, "permutation", {"indices": [0, 0, 1]}),),
    ),
    Row(
        "masked_fill",
        (draw("masked_fill", (2, 3), value=7.5), draw("masked_fill", (0,), value=7.5)),
        run=lambda xp, x, value: xp.masked_fill(x, A([True, False, True][: x.shape[-1]], bool), value),
        complex=True,
        weak=False,
        integers=False,
    ),
    calls(
        "compress",
        ((2, 3), {"condition": [True, False, True], "axis": 1}),
        ((2, 2), {"condition": [False, True]}),
        ((0, 2), {"condition": [True, True], "axis": 1}),
        run=lambda xp, x, condition, axis=None: xp.compress(condition, x, axis),
    ),
    calls(
        "dynamic_slice",
        ((3, 4), {"starts": (1, 0), "sizes": (2, 3)}),
        ((0, 2), {"starts": (0, 1), "sizes": (0, 1)}),
        errors=(
            Bad((np.ones(3),), IndexError, "out of bounds", {"starts": (2,), "sizes": (2,)}),
            Bad((np.ones(3),), ShapeError, "starts", {"starts": (0, 0), "sizes": (2,)}),
        ),
    ),
    Row(
        "dynamic_update_slice",
        (
            draw("dynamic_update_slice", (3, 4), (2, 1), starts=(1, 3)),
            draw("dynamic_update_slice", (2,), (0,), starts=(0,)),
        ),
        complex=True,
        weak=False,
    ),
    Row(
        "one_hot",
        (Sample((A([2, 0]),), {"classes": 3}), Sample((A([[1], [0]]),), {"classes": 2})),
        differentiable=False,
        weak=False,
        errors=(
            Bad((A([3]),), IndexError, "3", {"classes": 3}),
            Bad((A([-1]),), IndexError, "negative", {"classes": 3}),
            Bad((A([0.5]),), TypeError, "integers", {"classes": 3}),
        ),
    ),
    *[
        Row(
            name,
            (
                draw(name, (4, 2), segments=SEGMENTS, numbers=nonzero),
                draw(name, (4,), segments=SEGMENTS, count=3, numbers=nonzero),
                draw(name, (2, 0), segments=A([1, 0])),
            ),
            weak=False,
            integers=name == "segment_sum",
            errors=(Bad((np.ones(3),), ShapeError, "one for each entry", {"segments": A([0, 1])}),),
        )
        for name in ("segment_sum", "segment_mean", "segment_max", "segment_min", "segment_prod")
    ],
)

ENDS = (draw("ends", (), (), num=4), draw("ends", (2,), (), num=3), draw("ends", (0,), (0,), num=3))
CREATED = (
    Row("empty", (Sample((), {"shape": (2, 3)}), Sample((), {"shape": 2, "dtype": "float32"})), differentiable=False),
    Row("empty_like", (Sample((np.full((2, 0), 2.5),)), Sample((A([1, 2]),))), differentiable=False),
    Row(
        "full",
        (draw("full", (), shape=(2, 3)), draw("full", (3,), shape=(2, 3)), draw("full", (0,), shape=(2, 0))),
        run=lambda xp, v, shape: xp.full(shape, v),
        complex=True,
        weak=False,
    ),
    Row(
        "full_like",
        (draw("full_like", (), like=(2, 3)), draw("full_like", (0,), like=(2, 0))),
        run=lambda xp, v, like: xp.full_like(np.zeros(like, str(v.dtype).rpartition(".")[2]), v),
        weak=False,
        integers=False,
    ),
    Row(
        "linspace",
        (*ENDS, draw("linspace", (2,), (2,), num=3, axis=1), draw("linspace", (), (), num=3, endpoint=False)),
        run=lambda xp, a, b, **s: xp.linspace(a, b, **s),
        weak=False,
        integers=False,
    ),
    Row(
        "logspace",
        (*ENDS, draw("logspace", (), (), num=3, base=2.0)),
        run=lambda xp, a, b, **s: xp.logspace(a, b, **s),
        weak=False,
        integers=False,
        tolerance=100.0,
    ),
    Row(
        "geomspace",
        tuple(draw("geomspace", *s, num=3, numbers=above_zero) for s in (((), ()), ((2,), ()), ((0,), (0,)))),
        run=lambda xp, a, b, **s: xp.geomspace(a, b, **s),
        weak=False,
        integers=False,
    ),
)

ROWS = (*ARRANGED, *JOINED, *SELECTED, *CREATED)

"""Case table: Fourier transforms, signals, numerical calculus."""

from __future__ import annotations

import numpy as np

from zkynet.backends.errors import AxisError, ShapeError

from .rows import Bad, Row, Sample, Special, apart, draw, positive

A = np.array
inf, nan = np.inf, np.nan


def named(name, *samples, **keywords) -> Row:
    """A row for ``op.fft.name`` or ``op.signal.name``; a second operand of a short-time transform is its window."""
    space, _, function = name.partition(".")

    def run(xp, *operands, **settings):
        if function in ("stft", "istft") and len(operands) == 2:
            settings = {**settings, "window": operands[1]}
            operands = operands[:1]
        return getattr(getattr(xp, space), function)(*operands, **settings)

    return Row(name, samples, run=run, weak=False, **keywords)


NO_POINTS = Bad((np.ones((2, 0)),), ValueError, "at least 1 point")
OFF_AXIS = Bad((np.ones(3),), AxisError, "axis 5", {"axis": 5})
NORM = Bad((np.ones(3),), ValueError, "norm must be", {"norm": "both"})
REAL = Bad((np.ones(3) * 1j,), TypeError, "must be real")


def lines(name, first=4, **keywords):
    """Samples of a transform along one axis: even and odd lengths, cut and filled up, every norm."""
    shapes = (
        *(((3,), {}), ((first,), {"norm": "ortho"}), ((2, 5), {"n": 3, "norm": "forward"})),
        *(((2, 3), {"n": 6, "axis": -1}), ((3, 2), {"axis": 0, "n": 4, "norm": "ortho"}), ((0, 4), {})),
    )
    return named(
        f"fft.{name}",
        *(draw(name, shape, **settings) for shape, settings in shapes),
        errors=(NO_POINTS, OFF_AXIS, NORM, *((REAL,) if name in ("rfft", "ihfft") else ())),
        **keywords,
    )


def planes(name, **keywords):
    """Samples of a transform over several axes."""
    shapes = (
        *(((3, 2), {}), ((2, 3), {"s": (4, 2), "axes": (-2, -1), "norm": "ortho"})),
        *(((2, 2, 3), {"axes": (2, 0), "norm": "forward"}), ((0, 2, 3), {"axes": (1, 2)})),
    )
    twice = Bad((np.ones((2, 2)),), ShapeError, "duplicate", {"axes": (0, -2)})
    return named(
        f"fft.{name}",
        *(draw(name, shape, **settings) for shape, settings in shapes),
        errors=(Bad((np.ones((2, 2)),), ShapeError, "entries", {"s": (3,), "axes": (0, 1)}), twice),
        **keywords,
    )


def shifts(name):
    return named(
        f"fft.{name}",
        *(draw(name, shape, **s) for shape, s in (((5,), {}), ((4, 3), {"axes": (1,)}), ((2, 3), {}), ((0, 3), {}))),
        complex=True,
        errors=(Bad((np.ones(3),), AxisError, "axis 5", {"axes": 5}),),
    )


def frequencies(name):
    """Differentiable in the sample spacing, an array of no axes."""

    def run(xp, d, n):
        return getattr(xp.fft, name)(n, d=d)

    return Row(
        f"fft.{name}",
        (draw(name, (), numbers=positive, n=4), draw(name, (), numbers=positive, n=5), draw(name, 0.7, n=3)),
        run=run,
        integers=False,
        errors=(
            Bad((1.0,), ValueError, "at least 1 point", {"n": 0}),
            Bad((np.ones(0),), ShapeError, "the spacing must be a number", {"n": 2}),
        ),
    )


FOURIER = (
    lines("fft", complex=True),
    lines("ifft", complex=True),
    lines("rfft"),
    lines("irfft", complex=True),
    lines("hfft", complex=True),
    lines("ihfft"),
    *(planes(name, complex=True) for name in ("fftn", "ifftn", "irfftn", "fft2", "ifft2", "irfft2")),
    planes("rfftn"),
    planes("rfft2"),
    shifts("fftshift"),
    shifts("ifftshift"),
    frequencies("fftfreq"),
    frequencies("rfftfreq"),
    named(
        "fft.truncate_pad",
        draw("truncate", (3, 2), shape=(2, 4)),
        draw("truncate", (2,), shape=(2,)),
        draw("truncate", (0,), shape=(2,)),
        complex=True,
        errors=(Bad((np.ones(3),), ShapeError, "as many axes", {"shape": (2, 2)}),),
    ),
    *(
        named(
            f"fft.{name}",
            *(
                draw(name, shape, **settings)
                for shape, settings in (
                    *(((4,), {}), ((5,), {"norm": "ortho"}), ((3,), {"type": 1}), ((3,), {"type": 1, "norm": "ortho"})),
                    *(((2, 3), {"type": 3, "axis": 0, "n": 3}), ((4,), {"type": 3, "norm": "ortho"})),
                    *(((3,), {"type": 4, "norm": "ortho"}), ((5,), {"type": 4, "n": 3, "norm": "forward"})),
                    *(((0, 3), {}), ((1,), {"norm": "ortho"})),
                )
            ),
            errors=(
                Bad((np.ones(3),), ValueError, "type must be", {"type": 5}),
                Bad((np.ones(1),), ValueError, "at least 2 points", {"type": 1}),
                Bad((np.ones(3) * 1j,), TypeError, "must be real"),
            ),
        )
        for name in ("dct", "idct")
    ),
)

PLACES = (
    *(((5,), (3,), "full"), ((5,), (3,), "same"), ((5,), (3,), "valid"), ((2,), (5,), "full"), ((2,), (5,), "same")),
    *(((2,), (5,), "valid"), ((4,), (4,), "same"), ((6,), (2,), "same")),
)


def sequences(name):
    return Row(
        name,
        tuple(draw(name, a, v, mode=mode) for a, v, mode in PLACES),
        complex=True,
        weak=False,
        specials=(Special((A([1.0, 2.0]), A([3.0])), A([1.0, 1.0]), (A([3.0, 3.0]), A([3.0])), {"mode": "full"}),),
        errors=(
            Bad((np.ones(0), np.ones(2)), ShapeError, "not empty"),
            Bad((np.ones((2, 2)), np.ones(2)), ShapeError, f"op.signal.{name}"),
            Bad((np.ones(3), np.ones(2)), ValueError, "mode must be", {"mode": "half"}),
        ),
    )


def images(name, **more):
    modes = ("full", "same", "valid")
    return named(
        f"signal.{name}",
        *(draw(name, (3, 4), (2, 2), mode=mode) for mode in modes),
        draw(name, (2, 2), (3, 3), mode="same"),
        draw(name, (2,), (5,), mode="valid"),
        draw(name, (2, 2), (1, 2)),
        *(draw(name, *shapes, **settings) for shapes, settings in more.get("samples", ())),
        complex=True,
        errors=(
            Bad((np.ones(3), np.ones((2, 2))), ShapeError, "one rank"),
            Bad((np.ones((0, 2)), np.ones((2, 2))), ShapeError, "not empty"),
            Bad((np.ones((3, 2)), np.ones((2, 3))), ShapeError, "within the other", {"mode": "valid"}),
            Bad((np.ones(3), np.ones(2)), ValueError, "mode must be", {"mode": "half"}),
        ),
    )


SIGNALS = (
    sequences("convolve"),
    sequences("correlate"),
    images("convolve", samples=((((3, 3), (2, 2)), {"method": "fft"}),)),
    images("correlate"),
    images("fftconvolve", samples=((((2, 3), (1, 2)), {"axes": -1}),)),
    named(
        "signal.stft",
        draw("stft", (8,), n_fft=4),
        draw("stft", (2, 7), (4,), numbers=(apart, positive), n_fft=4, hop_length=2),
        draw("stft", (7,), n_fft=3, hop_length=2, center=False, onesided=False),
        draw("stft", (6,), n_fft=4, hop_length=3, pad_mode="constant"),
        draw("stft", (0, 5), n_fft=4, center=False),
        complex=True,
        errors=(
            Bad((np.ones(3),), ShapeError, "shorter than one window", {"n_fft": 8, "center": False}),
            Bad((np.ones(8),), ShapeError, "the window must have shape (4,)", {"n_fft": 4, "window": np.ones(3)}),
            Bad((np.ones(8),), ValueError, "at least 1", {"n_fft": 4, "hop_length": 0}),
        ),
    ),
    named(
        "signal.istft",
        draw("istft", (3, 4), n_fft=4),
        draw("istft", (2, 3, 3), (4,), numbers=(apart, positive), n_fft=4, hop_length=2),
        draw("istft", (3, 2), n_fft=3, hop_length=2, center=False, onesided=False),
        draw("istft", (3, 3), n_fft=4, length=1),
        draw("istft", (3, 3), n_fft=4, length=3),
        draw("istft", (0, 3, 2), n_fft=4),
        complex=True,
        errors=(Bad((np.ones((3, 2)),), ValueError, "covered by no window", {"n_fft": 4, "hop_length": 8}),),
    ),
)


def rising(rng, shape, k=0):
    """Increasing numbers, 0.5 to 1.5 apart."""
    return np.cumsum(rng.uniform(0.5, 1.5, shape)) - 1


def between(rng, shape, k=0):
    """Numbers from -1 to 4, none within 0.05 of another."""
    return (rng.permutation(int(np.prod(shape))) * (5.0 / max(np.prod(shape), 1)) - 0.93).reshape(shape)


def inside(rng, shape, k=0):
    """Places inside an array, off its entries."""
    return rng.integers(0, 2, shape) + rng.uniform(0.2, 0.8, shape)


SLOPES = Row(
    "gradient",
    (
        draw("gradient", (4,)),
        draw("gradient", (3, 4), axis=0, edge_order=2),
        draw("gradient", (3, 2)),
        draw("gradient", (3, 4), 0.7, axis=(1, 0)),
        draw("gradient", (5,), (), numbers=(apart, positive), edge_order=2),
        draw("gradient", (4, 2), (4,), numbers=(apart, rising), axis=0),
        draw("gradient", (5,), (5,), numbers=(apart, rising), edge_order=2),
        draw("gradient", (3, 3), 0.4, (3,), numbers=(apart, rising, rising)),
        draw("gradient", (0, 3), axis=1),
    ),
    weak=False,
    integers=False,
    complex=False,
    errors=(
        Bad((np.ones(1),), ShapeError, "needs 2 samples"),
        Bad((np.ones(2),), ShapeError, "needs 3 samples", {"edge_order": 2}),
        Bad((np.ones(4), np.ones(3)), ShapeError, "places have shape (3,)"),
        Bad((np.ones((2, 3)), 1.0, 1.0, 1.0), TypeError, "3 spacings for 2 axes"),
        Bad((np.ones(4),), ValueError, "edge_order", {"edge_order": 3}),
        Bad((np.ones(4),), AxisError, "axis 5", {"axis": 5}),
    ),
)


def areas(name, *more):
    def run(xp, y, *x, **settings):
        return getattr(xp, name)(y, *x, **settings)

    return Row(
        name,
        (
            draw(name, (4,)),
            draw(name, (3, 2), axis=0, dx=0.5),
            draw(name, (2, 4), (4,), numbers=(apart, rising)),
            draw(name, (3, 2), (3, 2), axis=0),
            draw(name, (0, 3)),
            *more,
        ),
        run=run,
        complex=True,
        weak=False,
        integers=False,
        errors=(
            Bad((np.ones(4), np.ones(3)), ShapeError, "places must have shape"),
            Bad((np.ones(4),), AxisError, "axis 5", {"axis": 5}),
        ),
    )


CALCULUS = (
    SLOPES,
    areas("trapezoid"),
    areas("cumulative_trapezoid", draw("cumulative_trapezoid", (2, 3), axis=0, initial=1.5)),
    Row(
        "interp",
        (
            draw("interp", (7,), (4,), (4,), numbers=(between, rising, apart)),
            draw("interp", (2, 3), (3,), (3,), numbers=(between, rising, apart), left=-1.0, right=2.5),
            Sample((A([-1.3, 0.2, 1.1, 5.9]), A([1.7, 0.4, 3.1]), A([1.0, 3.0, -2.0])), {"period": 2.5}),
            draw("interp", (), (3,), (3,), numbers=(between, rising, apart)),
            draw("interp", (3,), (1,), (1,), numbers=(between, rising, apart)),
            draw("interp", (0,), (3,), (3,), numbers=(between, rising, apart)),
        ),
        weak=False,
        integers=False,
        specials=(
            Special(
                (A([0.0, 1.0, 2.0]), A([0.0, 1.0, 2.0]), A([0.0, 3.0, 5.0])),
                A([1.0, 1.0, 1.0]),
                (A([3.0, 2.0, 2.0]), None, A([1.0, 1.0, 1.0])),
                value=A([0.0, 3.0, 5.0]),
                why="at a point the slope is that on its right, at the last one that on its left",
            ),
            Special(
                (A([-1.0, 9.0]), A([0.0, 1.0]), A([2.0, 3.0])),
                A([1.0, 10.0]),
                (A([0.0, 0.0]), A([0.0, 0.0]), A([1.0, 10.0])),
                value=A([2.0, 3.0]),
            ),
        ),
        errors=(
            Bad((np.ones(2), A([1.0, 1.0]), np.ones(2)), ValueError, "must increase"),
            Bad((np.ones(2), A([1.0, 2.0]), np.ones(3)), ShapeError, "one length"),
            Bad((np.ones(2), np.ones(0), np.ones(0)), ShapeError, "not empty"),
            Bad((np.ones(2), A([1.0, 2.0]), np.ones(2)), ValueError, "period", {"period": 0}),
        ),
    ),
    Row(
        "map_coordinates",
        (
            draw("map", (3, 3), (4,), (4,), numbers=(apart, inside, inside)),
            draw("map", (4,), (2, 3), numbers=(apart, between), mode="nearest"),
            draw("map", (4,), (5,), numbers=(apart, between), cval=0.5),
            Sample((A([1.0, 2.0, 4.0]), A([0.2, 1.7])), {"order": 0}),
            draw("map", (3,), (0,), numbers=(apart, between)),
        ),
        run=lambda xp, x, *places, **settings: xp.map_coordinates(x, list(places), **settings),
        weak=False,
        integers=False,
        errors=(
            Bad((np.ones((2, 2)), np.ones(1)), ShapeError, "1 coordinates"),
            Bad((np.ones(2), np.ones(1)), ValueError, "order is 0 or 1", {"order": 3}),
        ),
    ),
    Row(
        "polyval",
        (
            draw("polyval", (4,), (2, 3)),
            draw("polyval", (1,), (3,)),
            draw("polyval", (3,), ()),
            draw("polyval", (2,), (0,)),
            draw("polyval", (0,), (3,)),
        ),
        complex=True,
        weak=False,
        errors=(Bad((np.ones((2, 2)), np.ones(2)), ShapeError, "one axis"),),
    ),
    Row(
        "vander",
        (draw("vander", (3,)), draw("vander", (2,), N=4, increasing=True), draw("vander", (2,), N=0), draw("v", (0,))),
        complex=True,
        weak=False,
        specials=(Special((A([0.0, 2.0]),), np.ones((2, 3)), (A([1.0, 5.0]),), {"N": 3}, why="powers of 0"),),
        errors=(Bad((np.ones((2, 2)),), ShapeError, "sequence"),),
    ),
    Row(
        "polyfit",
        (
            draw("polyfit", (5,), (5,), numbers=(rising, apart), deg=2),
            draw("polyfit", (4,), (4, 2), numbers=(rising, apart), deg=1),
            draw("polyfit", (4,), (4,), (4,), numbers=(rising, apart, rising), deg=1),
            draw("polyfit", (3,), (3, 0), numbers=(rising, apart), deg=1),
        ),
        run=lambda xp, x, y, *w, deg: xp.polyfit(x, y, deg, w=w[0] if w else None),
        weak=False,
        tolerance=10,
        integers=False,
        errors=(
            Bad((np.ones(2), np.ones(2)), ShapeError, "do not determine", {"deg": 2}),
            Bad((np.ones(2), np.ones(3)), ShapeError, "(3,)", {"deg": 1}),
        ),
    ),
)

ROWS = (*FOURIER, *SIGNALS, *CALCULUS)

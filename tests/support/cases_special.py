"""Case table: special functions."""

from __future__ import annotations

import math

import numpy as np

from zkynet.backends.errors import ShapeError

from .rows import Bad, Row, Sample, Special, apart, draw, nonzero, positive

inf, nan = np.inf, np.nan
A = np.array
EULER = 0.5772156649015329
SHAPES = ((3, 2), (), (0, 2), 0.7)
PAIRS = (((2, 1), (2,)), ((), ()), ((0, 3), (3,)), ((2,), (2,)), ((2,), 0.7), (0.7, (2,)), (0.7, 1.3))
TEXT, MISFIT = Bad(("text",), TypeError, "'text'"), Bad((np.ones(3), np.ones(4)), ShapeError, "(3,), (4,)")

TURNED = Bad((np.ones(3), np.ones(4)), ShapeError, "(4,), (3,)")


def within(low, high):
    """Numbers of an interval."""

    def numbers(rng, shape, k=0):
        return rng.uniform(low, high, shape)

    numbers.__doc__ = f"from {low} to {high}"
    return numbers


UNIT = within(0.3, 0.7)


def run_of(name):
    return lambda xp, *operands, **settings: getattr(xp.special, name)(*operands, **settings)


def unary(name, numbers=apart, shapes=SHAPES, **keywords):
    keywords.setdefault("errors", (TEXT,))
    keywords.setdefault("domain", numbers.__doc__)
    samples = tuple(draw(name, s, numbers=numbers) for s in shapes)
    return Row("special." + name, samples, run_of(name), **keywords)


def binary(name, numbers=positive, pairs=PAIRS, **keywords):
    keywords.setdefault("errors", (MISFIT,))
    samples = tuple(draw(name, *s, numbers=numbers) for s in pairs)
    return Row("special." + name, samples, run_of(name), **keywords)


def numbered(name, orders, numbers=positive, bad=(), **keywords):
    """A function whose first operand is a Python int; each order with one of the shapes."""
    shapes = ((3,), (2, 2), (), (0,), 0.7)
    samples = tuple(
        Sample((n, *draw(name, s, numbers=numbers).operands)) for n, s in zip(orders * 5, shapes, strict=False)
    )
    errors = (Bad((1.5, A([1.0])), TypeError, "Python int"), *bad)
    return Row("special." + name, samples, run_of(name), errors=errors, **keywords)


def settled(name, settings, numbers=positive, shapes=((3, 2), (), (0,), 0.7), **keywords):
    """A function with leading parameters that have no derivative, given by keyword here."""
    names = list(settings[0])

    def run(xp, x, **given):
        return getattr(xp.special, name)(*[given[n] for n in names], x)

    samples = tuple(draw(name, s, numbers=numbers, **settings[i % len(settings)]) for i, s in enumerate(shapes))
    return Row("special." + name, samples, run, **keywords)


ERRORS = (
    unary(
        "erf",
        specials=(
            Special(
                (A([inf, -inf, 0.0]),), A([1.0, 1, 1]), (A([0.0, 0, 2 / math.sqrt(math.pi)]),), value=A([1.0, -1, 0])
            ),
        ),
    ),
    unary("erfc", specials=(Special((A([10.0, inf]),), A([1.0, 1]), (None,), value=A([2.088487583762545e-45, 0])),)),
    unary(
        "erfcx",
        specials=(Special((A([1e3, 1e10]),), A([1.0, 1.0]), (A([-5.641887372654967e-07, -5.641895835477563e-21]),)),),
    ),
    unary(
        "erfinv",
        within(-0.8, 0.8),
        integers=False,
        specials=(Special((A([-1.0, 1.0, 0.0]),), A([0.0, 1, 1]), (A([0, inf, math.sqrt(math.pi) / 2]),)),),
    ),
    unary(
        "erfcinv",
        within(0.2, 1.8),
        integers=False,
        specials=(Special((A([0.0, 2.0]),), A([0.0, 1.0]), (A([0, -inf]),), value=A([inf, -inf])),),
    ),
    unary("ndtr", specials=(Special((A([-inf, inf]),), A([1.0, 1.0]), (A([0.0, 0]),), value=A([0.0, 1])),)),
    unary("ndtri", UNIT, integers=False, specials=(Special((A([0.0, 1.0]),), A([0.0, 1.0]), (A([0, inf]),)),)),
    unary(
        "log_ndtr",
        specials=(
            Special((A([-1e4, 30.0]),), A([1.0, 1.0]), (A([10000.000099999998, 1.473646134909123e-196]),)),
            Special((A([-1e10]),), A([1.0]), (A([1e10]),), second=A([-1.0])),
        ),
    ),
    unary("dawsn", specials=(Special((A([1e3, -1e8]),), A([1.0, 1]), (A([-5.000007500018750e-07, -5e-17]),)),)),
    unary(
        "logit",
        UNIT,
        integers=False,
        specials=(Special((A([0.0, 1.0, 1.0]),), A([0.0, 0.0, 1.0]), (A([0, 0, inf]),), value=A([-inf, inf, inf])),),
    ),
    unary("expit", specials=(Special((A([40.0, -40.0]),), A([1.0, 1.0]), (A([4.248354255291589e-18] * 2),)),)),
    binary("owens_t"),
)

GAMMA = (
    unary("gamma", positive, specials=(Special((A([-1.0, 0.0]),), A([0.0, 0.0]), (A([0.0, 0]),)),)),
    unary(
        "gammaln",
        positive,
        specials=(
            Special((A([1.0, 2.0]),), A([1.0, 1.0]), (A([-EULER, 1 - EULER]),), value=A([0.0, 0])),
            Special((A([0.0, -2.0]),), A([0.0, 0.0]), (A([0.0, 0]),), value=A([inf, inf])),
        ),
    ),
    unary("lgamma", positive),
    unary("digamma", within(0.5, 2.5), specials=(Special((A([-1.0, 1.0]),), A([0.0, 1]), (A([0, math.pi**2 / 6]),)),)),
    unary("psi", positive),
    numbered("polygamma", (1, 2, 3, 0, 1), within(1, 3), (Bad((-1, A([1.0])), ValueError, "at least 0"),)),
    Row(
        "special.gammasgn",
        (Sample((A([0.5, -0.5, -1.5, -2.5, 3.0]),)), Sample((2.5,)), Sample((A([], "float64"),))),
        run_of("gammasgn"),
        differentiable=False,
    ),
    unary("sinpi", specials=(Special((A([1.0, 2.5, 1e15]),), A([1.0, 1, 1]), (A([-math.pi, 0, math.pi]),)),)),
    unary(
        "rgamma",
        nonzero,
        integers=False,
        specials=(
            Special((A([0.0]),), A([1.0]), (A([1.0]),), value=A([0.0]), second=A([2 * EULER]), why="a zero"),
            Special((A([-1.0]),), A([1.0]), (A([-1.0]),), value=A([0.0]), second=A([2 - 2 * EULER])),
        ),
    ),
    binary("beta", specials=(Special((A([0.0]), A([1.0])), A([0.0]), (A([0.0]), A([0.0]))),)),
    binary("betaln", specials=(Special((A([1e-3]), A([1e12])), A([1.0]), (None, None), value=A([6.879547864267926])),)),
    binary("zeta", within(1.5, 4), pairs=(*PAIRS[:4], (1.7, (2,)), (1.7, 1.3))),
    Row(
        "special.zeta_derivative",
        tuple(
            Sample((n, *draw("zeta'", *s, numbers=within(1.5, 3)).operands))
            for n, s in ((1, ((2,), (2,))), (1, ((), ())), (2, ((0,), (1,))), (1, (1.7, 1.3)))
        ),
        run_of("zeta_derivative"),
        integers=False,
        errors=(Bad((0, A([2.0])), ValueError, "at least 1"),),
    ),
    Row(
        "special.multigammaln",
        tuple(draw("multi", s, numbers=within(2, 4), d=3) for s in ((3, 2), (), (0,), 2.7)),
        run_of("multigammaln"),
        errors=(Bad((A([3.0]),), TypeError, "Python int", {"d": 1.5}),),
    ),
    binary("poch"),
    unary("factorial", positive),
    binary("comb", (within(2, 5), within(0.5, 1.5)), integers=False),
)


def moment(name, heads, *draws):
    """Rows of the moments: Python ints, then arrays, then whether above. Few and small: the reference is slow."""
    shapes = ((2,), (), (0,)) if len(draws) == 2 else ((1,), (), (0,))
    samples = [
        Sample((*head, *draw(name, *[shape] * len(draws), numbers=draws).operands, upper))
        for head, shape, upper in zip(heads, shapes, (False, True, True), strict=False)
    ]
    samples.append(Sample((*heads[-1], *(0.7, 1.3, 0.4)[-len(draws) :], False)))
    return Row(
        "special." + name,
        tuple(samples),
        run_of(name),
        integers=False,
        errors=(Bad((1.5, *[A([0.5])] * (len(heads[0]) + len(draws) - 1)), TypeError, "Python int"),),
    )


TRIPLES = (
    ((2,), (2, 1), ()),
    ((), (), ()),
    ((0, 3), (3,), (1,)),
    ((1,), (1,), (1,)),
    ((2,), 0.7, 0.3),
    (0.7, 1.3, 0.4),
)
STUDENT = Special((A([3.0]), A([0.0])), A([1.0]), (A([0.0]), A([0.36755259694786135])), value=A([0.5]))
INCOMPLETE = (
    binary(
        "gammainc",
        specials=(
            Special(
                (A([0.5, 1.0, 2.0]), A([0.0] * 3)), A([1.0] * 3), (A([0.0] * 3), A([inf, 1, 0])), value=A([0.0] * 3)
            ),
            Special((A([0.5]), A([0.0])), A([0.0]), (A([0.0]), A([0.0]))),
            Special((A([2.0]), A([inf])), A([1.0]), (A([0.0]), None), value=A([1.0])),
        ),
    ),
    binary("gammaincc", specials=(Special((A([3.0]), A([0.0])), A([1.0]), (A([0.0]), A([0.0])), value=A([1.0])),)),
    moment("gammainc_moment", ((1,), (2,), (1,), (0,)), positive, positive),
    Row(
        "special.betainc",
        tuple(draw("betainc", *s, numbers=(positive, positive, UNIT)) for s in TRIPLES),
        run_of("betainc"),
        integers=False,
        specials=(
            Special(
                (A([0.5, 1.0, 2.0]), A([2.0, 2.0, 2.0]), A([0.0, 0.0, 1.0])),
                A([1.0] * 3),
                (A([0.0] * 3), A([0.0] * 3), A([inf, 2, 0])),
                value=A([0.0, 0, 1]),
            ),
        ),
        errors=(Bad((np.ones(3), np.ones(4), 0.5), ShapeError, "(3,), (4,)"),),
    ),
    moment("betainc_moment", ((1, 0), (0, 1), (1, 1), (0, 2)), positive, positive, UNIT),
    binary("stdtr", (positive, apart), specials=(STUDENT,)),
    binary("stdtr_df", (positive, apart), integers=False),
    binary("gammaincinv", (positive, UNIT), pairs=(*PAIRS[:4], (0.7, (2,)), (0.7, 0.3)), integers=False),
    binary("gammainccinv", (positive, UNIT), pairs=(*PAIRS[:4], (0.7, (2,)), (0.7, 0.3)), integers=False),
    Row(
        "special.betaincinv",
        tuple(draw("betaincinv", *s, numbers=(positive, positive, UNIT)) for s in TRIPLES),
        run_of("betaincinv"),
        integers=False,
    ),
)


def at_zero(slope):
    return Special((A([0.0]),), A([1.0]), (A([slope]),))


BESSEL = (
    *[
        unary(name, apart, specials=(Special((A([0.0]),), A([1.0]), (A([s]),)),))
        for name, s in (("j0", 0), ("j1", 0.5))
    ],
    numbered("jn", (2, 3, 1), apart),
    *[unary(name, positive) for name in ("y0", "y1")],
    numbered("yn", (2, 3, 1)),
    *[
        unary(name, apart, specials=(Special((A([0.0]),), A([1.0]), (A([s]),)),))
        for name, s in (("i0", 0), ("i1", 0.5))
    ],
    *[unary(name, nonzero) for name in ("i0e", "i1e")],
    settled("iv", ({"v": 1.5}, {"v": 2.0})),
    settled("ive", ({"v": 0.5}, {"v": 2.0})),
    binary("kv", (apart, positive), integers=False),
    binary("kve", (apart, positive), integers=False),
    Row(
        "special.kve_order",
        tuple(
            Sample((n, *draw("kve'", *s, numbers=(apart, positive)).operands))
            for n, s in ((1, ((2,), (2,))), (2, ((), ())), (2, ((0,), (1,))), (1, (1.7, 1.3)))
        ),
        run_of("kve_order"),
        integers=False,
        errors=(Bad((0, A([2.0]), A([1.0])), ValueError, "at least 1"),),
    ),
)

SPENCE = Special((A([1.0]),), A([1.0]), (A([-1.0]),), second=A([0.5]))
INTEGRALS = (
    unary("exp1", positive),
    unary("expi", positive),
    numbered("expn", (2, 1, 3, 0, 2), bad=(Bad((-1, A([1.0])), ValueError, "at least 0"),)),
    unary("sici", positive),
    unary("fresnel", apart),
    unary(
        "spence", positive, integers=False, specials=(Special((A([1.0]),), A([1.0]), (A([-1.0]),), second=A([0.5])),)
    ),
    settled("hyp1f1", ({"a": 0.7, "b": 1.5},), nonzero),
    settled("hyp2f1", ({"a": 0.7, "b": 1.5, "c": 2.2},), within(-0.8, 0.6), integers=False),
    unary(
        "entr",
        positive,
        specials=(
            Special((A([0.0, 0.0, 1.0]),), A([0.0, 1, 1]), (A([0, inf, -1]),), value=A([0.0, 0, 0])),
            Special((A([-1.0]),), A([0.0]), (A([0.0]),), value=A([-inf])),
        ),
    ),
    binary(
        "rel_entr",
        specials=(
            Special((A([0.0, 0.0]), A([1.0, 0.0])), A([0.0, 0.0]), (A([0.0, 0]), A([0.0, 0])), value=A([0.0, 0])),
            Special((A([1.0, -1.0]), A([0.0, 1.0])), A([0.0, 0.0]), (A([0.0, 0]), A([0.0, 0])), value=A([inf, inf])),
        ),
    ),
    binary("kl_div"),
    unary("exprel", specials=(Special((A([0.0, 1e-14]),), A([1.0, 1]), (A([0.5, 0.5]),), second=A([1 / 3, 1 / 3])),)),
    binary(
        "boxcox",
        (positive, apart),
        integers=False,
        errors=(TURNED,),
        specials=(
            Special((A([2.0]), A([0.0])), A([1.0]), (A([0.5]), A([math.log(2) ** 2 / 2])), value=A([math.log(2)])),
        ),
    ),
    binary("boxcox1p", (positive, apart), integers=False, errors=(TURNED,)),
    Row(
        "special.lambertw",
        (
            draw("lambertw", (3, 2), numbers=positive, k=0),
            draw("lambertw", (), numbers=positive, k=0),
            draw("lambertw", (0,), numbers=positive, k=0),
            draw("lambertw", 0.7, numbers=positive, k=0),
        ),
        run_of("lambertw"),
        integers=False,
        specials=(Special((A([0.0]),), A([1.0]), (A([1.0]),), second=A([-2.0])),),
        errors=(Bad((A([1.0]),), ValueError, "branch", {"k": 1}),),
    ),
)

ROWS = (*ERRORS, *GAMMA, *INCOMPLETE, *BESSEL, *INTEGRALS)

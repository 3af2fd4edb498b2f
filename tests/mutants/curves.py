"""Wrong rules of exponentials, angles, arithmetic beside NaN, log space and activations."""

import math

import numpy as np
from mutants.mutant import Mutant, complexes, grads, numbers, point

from zkynet.framework import op
from zkynet.framework.operations import arithmetic, exponential, gates, log_space, rectifiers, trigonometric
from zkynet.framework.operations.arithmetic import share
from zkynet.framework.record import value_of

X, Y = numbers(21, 2, 3), numbers(22, 2, 3)
P = numbers(23, 2, 3, low=0.5, high=2.0)
U = numbers(24, 2, 3, low=-0.8, high=0.8)
ABOVE = numbers(25, 2, 3, low=1.3, high=2.5)
Z = complexes(26, 3)
BROKEN = np.array([[1.3, -2.4, 3.7], [0.6, -1.2, 4.4]])
WHOLE = np.array([[2, -1, 3], [0, 1, -2]])
PARTS_OF = numbers(27, 2, 4)


def quotients(xp, g, a, b, square):
    return g * (b / square), g * (-a / square)


def kept_apart(xp, g, a, b, square):
    return quotients(xp, g, a, b, xp.where(square == 0, 1, square))


ex, tr, ar, ls, re, ga = exponential, trigonometric, arithmetic, log_space, rectifiers, gates


def sinc_slope(xp, t):
    return (xp.cos(t) - xp.sin(t) / t) / t


EXPONENTIALS = (
    Mutant("exp2: no log 2", ex.Exp2, "vjp_x", lambda self, xp, g, y: g * y, grads(op.exp2, X)),
    Mutant("log2: no log 2", ex.Log2, "vjp_x", lambda self, xp, g, x: g / x, grads(op.log2, P)),
    Mutant("log10: log 2", ex.Log10, "vjp_x", lambda self, xp, g, x: g / (ex.LOG2 * x), grads(op.log10, P)),
    Mutant(
        "log10: a constant at order 2",
        *(ex.Log10, "vjp_x", lambda self, xp, g, x: g / (ex.LOG10 * value_of(x))),
        grads(op.log10, P),
    ),
    Mutant(
        "xlogy: the logarithm of 0",
        *(ex.Xlogy, "vjp_a", lambda self, xp, g, b: xp.multiply_no_nan(g, xp.log(b))),
        point("xlogy: (0, 0)"),
    ),
    Mutant(
        "xlogy: nothing wherever a is 0",
        *(ex.Xlogy, "vjp_a", lambda self, xp, g, a, b: xp.select(a != 0, g) * xp.log(b)),
        point("xlogy: (0, 0)"),
    ),
    Mutant("xlogy: a for a / b", ex.Xlogy, "vjp_b", lambda self, xp, g, a: g * a, grads(op.xlogy, X, P)),
    Mutant("xlog1py: no 1", ex.Xlog1py, "vjp_b", lambda self, xp, g, a, b: g * a / b, grads(op.xlog1py, X, P)),
)

CURVES = (
    Mutant("tan: 1 - y y", tr.Tan, "vjp_x", lambda self, xp, g, y: g * (1 - y * y), grads(op.tan, U)),
    Mutant("asin: no root", tr.Asin, "vjp_x", lambda self, xp, g, x: g / (1 - x * x), grads(op.asin, U)),
    Mutant(
        "asin: multiplies where the slope is infinite",
        *(tr.Asin, "vjp_x", lambda self, xp, g, x: g / xp.sqrt(1 - x * x)),
        point("asin: on its end"),
    ),
    Mutant("acos: no sign", tr.Acos, "vjp_x", lambda self, xp, g, x: g / xp.sqrt(1 - x * x), grads(op.acos, U)),
    Mutant("atan: no 1", tr.Atan, "vjp_x", lambda self, xp, g, x: g / (x * x), grads(op.atan, X)),
    Mutant(
        "atan2: exchanged", tr.Atan2, "vjp_a", lambda self, xp, g, a, b: -g * a / (a * a + b * b), grads(op.atan2, X, P)
    ),
    Mutant(
        "atan2: no sign", tr.Atan2, "vjp_b", lambda self, xp, g, a, b: g * a / (a * a + b * b), grads(op.atan2, X, P)
    ),
    Mutant(
        "atan2: divides by 0",
        *(tr.Atan2, "together", lambda self, xp, g, wanted, a, b, y: quotients(xp, g, a, b, a * a + b * b)),
        point("atan2: the origin"),
    ),
    Mutant(
        "atan2: squares overflow",
        *(tr.Atan2, "together", lambda self, xp, g, wanted, a, b, y: kept_apart(xp, g, a, b, a * a + b * b)),
        point("atan2: far out"),
    ),
    Mutant(
        "atan2: both alike",
        *(tr.Atan2, "together", lambda self, xp, g, wanted, a, b, y: [g * b / (a * a + b * b)] * 2),
        grads(op.atan2, X, P),
    ),
    Mutant("sinh: sinh", tr.Sinh, "vjp_x", lambda self, xp, g, x: g * xp.sinh(x), grads(op.sinh, X)),
    Mutant("cosh: minus, as of cos", tr.Cosh, "vjp_x", lambda self, xp, g, x: -g * xp.sinh(x), grads(op.cosh, X)),
    Mutant("asinh: minus", tr.Asinh, "vjp_x", lambda self, xp, g, x: g / xp.sqrt(abs(x * x - 1)), grads(op.asinh, X)),
    Mutant(
        "asinh: the square overflows",
        *(tr.Asinh, "vjp_x", lambda self, xp, g, x: g / xp.sqrt(1 + x * x)),
        point("asinh: far out"),
    ),
    Mutant(
        "asinh: the real way for complex numbers",
        *(tr.Asinh, "vjp_x", lambda self, xp, g, x: g / xp.sqrt(1 + xp.abs(x) ** 2)),
        grads(op.asinh, Z),
    ),
    Mutant("acosh: plus", tr.Acosh, "vjp_x", lambda self, xp, g, x: g / xp.sqrt(x * x + 1), grads(op.acosh, ABOVE)),
    Mutant("atanh: a root", tr.Atanh, "vjp_x", lambda self, xp, g, x: g / xp.sqrt(1 - x * x), grads(op.atanh, U)),
    Mutant(
        "sinc: no pi",
        *(tr.Sinc, "vjp_x", lambda self, xp, g, x: g * sinc_slope(xp, math.pi * x)),
        grads(op.sinc, X),
    ),
    Mutant(
        "sinc: the formula that cancels",
        *(tr.Sinc, "vjp_x", lambda self, xp, g, x: g * (math.pi * sinc_slope(xp, math.pi * x))),
        point("sinc: near 0"),
    ),
    Mutant(
        "sinc: flat near 0",
        *(
            tr.Sinc,
            "vjp_x",
            lambda self, xp, g, x: xp.select(xp.abs(x) > 0.3, g * math.pi * sinc_slope(xp, math.pi * x)),
        ),
        grads(op.sinc, 0.1 * X),
    ),
)

ARITHMETIC = (
    Mutant(
        "remainder: no b",
        ar.Remainder,
        "vjp_b",
        lambda self, xp, g, a, b: 0 * g * a,
        grads(op.remainder, 3 * BROKEN, np.ones((2, 3))),
    ),
    Mutant(
        "remainder: truncated",
        *(ar.Remainder, "vjp_b", lambda self, xp, g, a, b: -g * xp.trunc(a / b)),
        grads(op.remainder, BROKEN, np.ones((2, 3))),
    ),
    Mutant(
        "fmod: floored",
        ar.Fmod,
        "vjp_b",
        lambda self, xp, g, a, b: -g * xp.floor(a / b),
        grads(op.fmod, BROKEN, np.ones((2, 3))),
    ),
    Mutant(
        "fmod: the rounded quotient",
        *(ar.Fmod, "vjp_b", lambda self, xp, g, a, b: -g * xp.trunc(a / b + 1e-12)),
        point("fmod: a quotient that rounds up"),
    ),
    Mutant("hypot: not divided", ar.Hypot, "vjp_a", lambda self, xp, g, a: g * a, grads(op.hypot, X, Y)),
    Mutant("hypot: divides by 0", ar.Hypot, "vjp_b", lambda self, xp, g, b, y: g * (b / y), point("hypot: the origin")),
    Mutant(
        "copysign: the sign of b", ar.Copysign, "vjp_a", lambda self, xp, g, y: g * xp.sign(y), grads(op.copysign, X, Y)
    ),
    Mutant(
        "copysign: not 0 at 0",
        ar.Copysign,
        "vjp_a",
        lambda self, xp, g, a, y: xp.where(a < 0, -g, g) * xp.where(y < 0, -1.0, 1.0),
        point("copysign: 0"),
    ),
    Mutant("rsqrt: y squared", ar.Rsqrt, "vjp_x", lambda self, xp, g, y: -0.5 * g * y * y, grads(op.rsqrt, P)),
    Mutant("cbrt: no 3", ar.Cbrt, "vjp_x", lambda self, xp, g, y: g / (y * y), grads(op.cbrt, X)),
    Mutant(
        "cbrt: multiplies at 0",
        ar.Cbrt,
        "vjp_x",
        lambda self, xp, g, y: g / (3 * y * y),
        point("cbrt: 0 beneath a cotangent of 0"),
    ),
    Mutant(
        "fmax: NaN takes it",
        ar.Fmax,
        "vjp_a",
        lambda self, xp, g, a, b: share(xp, g, (a > b) | xp.isnan(a), a == b),
        point("fmax: NaN"),
    ),
    Mutant(
        "fmax: both of two NaNs",
        ar.Fmax,
        "vjp_b",
        lambda self, xp, g, a, b: share(xp, g, (b > a) | xp.isnan(a), a == b),
        point("fmax: NaN"),
    ),
    Mutant(
        "fmin: the larger",
        ar.Fmin,
        "vjp_a",
        lambda self, xp, g, a, b: share(xp, g, a > b, a == b),
        grads(op.fmin, X, Y),
    ),
    Mutant(
        "fmin: all at a tie", ar.Fmin, "vjp_a", lambda self, xp, g, a, b: xp.select(a <= b, g), point("fmin: a tie")
    ),
    Mutant("ldexp: not scaled", ar.Ldexp, "vjp_x", lambda self, xp, g: g, grads(lambda x: op.ldexp(x, WHOLE), X)),
    Mutant(
        "ldexp: scaled back",
        ar.Ldexp,
        "vjp_x",
        lambda self, xp, g, n: xp.ldexp(g, -n),
        grads(lambda x: op.ldexp(x, WHOLE), X),
    ),
)

LOGSPACE = (
    Mutant(
        "logaddexp: the other share",
        ls.Logaddexp,
        "vjp_a",
        lambda self, xp, g, a, b: g * xp.sigmoid(b - a),
        grads(op.logaddexp, X, Y),
    ),
    Mutant(
        "logaddexp: infinities",
        ls.Logaddexp,
        "vjp_a",
        lambda self, xp, g, a, b: g * xp.sigmoid(a - b),
        point("logaddexp: two infinities"),
    ),
    Mutant(
        "logaddexp: 1 - share",
        ls.Logaddexp,
        "vjp_b",
        lambda self, xp, g, a, b: g * (1 - xp.sigmoid(a - b)),
        point("logaddexp: far out"),
    ),
    Mutant(
        "log1mexp: y for x", ls.Log1mexp, "vjp_x", lambda self, xp, g, x, y: g * xp.exp(y - x), grads(op.log1mexp, P)
    ),
    Mutant(
        "log1mexp: cancels",
        ls.Log1mexp,
        "vjp_x",
        lambda self, xp, g, y: g * (xp.exp(-y) - 1),
        point("log1mexp: far out"),
    ),
)

ACTIVATIONS = (
    Mutant(
        "relu6: open above",
        re.ClippedRelu,
        "vjp_x",
        lambda self, xp, g, y: xp.select(y > 0, g),
        point("relu6: on its bounds"),
    ),
    Mutant(
        "relu6: 1 on a bound",
        re.ClippedRelu,
        "vjp_x",
        lambda self, xp, g, y: xp.select((y >= 0) & (y < self.top), g),
        point("relu6: on its bounds"),
    ),
    Mutant(
        "leaky_relu: no leak",
        re.LeakyRelu,
        "vjp_x",
        lambda self, xp, g, x: xp.select(x > 0, g),
        grads(op.leaky_relu, X),
    ),
    Mutant(
        "leaky_relu: 1 at 0",
        re.LeakyRelu,
        "vjp_x",
        lambda self, xp, g, x: xp.where(x >= 0, g, self.slope * g),
        point("leaky_relu: 0"),
    ),
    Mutant(
        "elu: no rate",
        re.Elu,
        "vjp_x",
        lambda self, xp, g, x: xp.where(x > 0, g, g * self.alpha * xp.exp(self.rate * xp.where(x > 0, 0, x))),
        grads(lambda x: op.celu(x, 0.5), X),
    ),
    Mutant(
        "elu: from y",
        re.Elu,
        "vjp_x",
        lambda self, xp, g, y: xp.where(y > 0, g, g * self.rate * (y + self.alpha)),
        point("elu: far out"),
    ),
    Mutant("silu: no slope", ga.Silu, "slope", lambda self, xp, x: 0 * x, grads(op.silu, X)),
    Mutant(
        "silu: a product at infinities",
        ga.Silu,
        "vjp_x",
        lambda self, xp, g, x: g * (xp.sigmoid(x) + x * self.slope(xp, x)),
        point("silu: infinities"),
    ),
    Mutant("mish: no sigmoid", ga.Mish, "slope", lambda self, xp, x: 1 - self.gate(xp, x) ** 2, grads(op.mish, X)),
    Mutant("gelu: the density unscaled", ga.Gelu, "slope", lambda self, xp, x: xp.exp(-0.5 * x * x), grads(op.gelu, X)),
    Mutant("squareplus: y", ga.Squareplus, "vjp_x", lambda self, xp, g, y: g * y, grads(op.squareplus, X)),
    Mutant(
        "soft_sign: not squared",
        ga.SoftSign,
        "vjp_x",
        lambda self, xp, g, x: g / (1 + xp.abs(x)),
        grads(op.soft_sign, X),
    ),
    Mutant(
        "sparsemax: not centred",
        ga.Sparsemax,
        "vjp_x",
        lambda self, xp, g, y: xp.select(y > 0, g),
        grads(op.sparsemax, PARTS_OF),
    ),
    Mutant(
        "sparsemax: centred by all",
        ga.Sparsemax,
        "vjp_x",
        lambda self, xp, g, y: xp.select(y > 0, g - xp.sum(g, axis=self.axis, keepdims=True) / y.shape[self.axis]),
        grads(op.sparsemax, PARTS_OF),
    ),
    Mutant(
        "sparsemax: the mean of leading axes",
        ga.Sparsemax,
        "centred",
        lambda self, xp, g, y: xp.select(y > 0, g - xp.sum(xp.select(y > 0, g)) / xp.sum(xp.astype(y > 0, y.dtype))),
        grads(op.sparsemax, PARTS_OF),
    ),
)

MUTANTS = EXPONENTIALS + CURVES + ARITHMETIC + LOGSPACE + ACTIVATIONS

"""Wrong rules of special functions."""

import numpy as np
from mutants.mutant import Mutant, grads, numbers

from support.battery import Singular
from zkynet import backends
from zkynet.framework import op
from zkynet.framework.operations import special_bessel as bessel
from zkynet.framework.operations import special_error as error
from zkynet.framework.operations import special_gamma as gamma
from zkynet.framework.operations import special_incomplete as incomplete
from zkynet.framework.operations import special_integrals as integrals
from zkynet.framework.operations import special_student as student
from zkynet.framework.record import value_of

s = op.special
X, P = numbers(31, 2, 3), numbers(32, 2, 3, low=0.5, high=2.0)
Q, U = numbers(33, 2, 3, low=0.5, high=2.0), numbers(34, 2, 3, low=0.3, high=0.7)
ONE, TWO, HALF = P[0, :1], Q[0, :1], U[0, :1]
SPECIAL = type(backends.get("numpy").special)
SLOPE = error._SLOPE
A = np.array
POINTS = {
    "erfcx: far out": Singular(
        s.erfcx, (A([1e3, 1e10]),), A([1.0, 1.0]), (A([-5.641887372654967e-07, -5.641895835477563e-21]),)
    ),
    "erfinv: 1 beneath a cotangent of 0": Singular(s.erfinv, (A([1.0]),), A([0.0]), (A([0.0]),)),
    "log_ndtr: far out": Singular(s.log_ndtr, (A([-1e10]),), A([1.0]), (A([1e10]),)),
    "logit: 0 beneath a cotangent of 0": Singular(s.logit, (A([0.0]),), A([0.0]), (A([0.0]),)),
    "gammaln: a pole beneath a cotangent of 0": Singular(s.gammaln, (A([0.0]),), A([0.0]), (A([0.0]),)),
}


def gauss(xp, x):
    return SLOPE * xp.exp(-x * x)


ERRORS = (
    Mutant("erf: no 2", error.Erf, "vjp_x", lambda self, xp, g, x: g * (gauss(xp, x) / 2), grads(s.erf, X)),
    Mutant(
        "erf: a constant at order 2",
        error.Erf,
        "vjp_x",
        lambda self, xp, g, x: g * gauss(xp, value_of(x)),
        grads(s.erf, X),
    ),
    Mutant("erfc: no sign", error.Erfc, "vjp_x", lambda self, xp, g, x: g * gauss(xp, x), grads(s.erfc, X)),
    Mutant("erfcx: no constant", error.Erfcx, "vjp_x", lambda self, xp, g, x, y: g * (2 * x * y), grads(s.erfcx, X)),
    Mutant(
        "erfcx: cancels far out",
        *(error.Erfcx, "vjp_x", lambda self, xp, g, x, y: g * (2 * x * y - SLOPE)),
        POINTS["erfcx: far out"].check,
    ),
    Mutant(
        "erfinv: sign", error.Erfinv, "vjp_x", lambda self, xp, g, y: g * (xp.exp(-y * y) / SLOPE), grads(s.erfinv, U)
    ),
    Mutant(
        "erfinv: multiplies at 1",
        *(error.Erfinv, "vjp_x", lambda self, xp, g, y: g * (xp.exp(y * y) / SLOPE)),
        POINTS["erfinv: 1 beneath a cotangent of 0"].check,
    ),
    Mutant(
        "erfcinv: no sign",
        error.Erfcinv,
        "vjp_x",
        lambda self, xp, g, y: g * (xp.exp(y * y) / SLOPE),
        grads(s.erfcinv, U),
    ),
    Mutant("ndtr: erf's width", error.Ndtr, "vjp_x", lambda self, xp, g, x: g * (gauss(xp, x) / 2), grads(s.ndtr, X)),
    Mutant("ndtri: no half", error.Ndtri, "vjp_x", lambda self, xp, g, y: g * xp.exp(y * y), grads(s.ndtri, U)),
    Mutant(
        "log_ndtr: the exponent cancels",
        *(error.LogNdtr, "vjp_x", lambda self, xp, g, x, y: g * (xp.exp(-0.5 * x * x - y) * SLOPE / 8**0.5)),
        POINTS["log_ndtr: far out"].check,
    ),
    Mutant("dawsn: no 2", error.Dawsn, "vjp_x", lambda self, xp, g, x, y: g * (1 - x * y), grads(s.dawsn, X)),
    Mutant("logit: no 1 - x", error.Logit, "vjp_x", lambda self, xp, g, x: g / x, grads(s.logit, U)),
    Mutant(
        "logit: multiplies at 0",
        *(error.Logit, "vjp_x", lambda self, xp, g, x: g * (1 / (x * (1 - x)))),
        POINTS["logit: 0 beneath a cotangent of 0"].check,
    ),
    Mutant("owens_t: no h", error.OwensT, "vjp_a", lambda self, xp, g, a: g / (1 + a * a), grads(s.owens_t, P, Q)),
)

GAMMA = (
    Mutant(
        "gammaln: trigamma",
        gamma.GammaLn,
        "vjp_x",
        lambda self, xp, g, x: g * xp.special.polygamma(1, x),
        grads(s.gammaln, P),
    ),
    Mutant(
        "gammaln: multiplies at a pole",
        gamma.GammaLn,
        "vjp_x",
        lambda self, xp, g, x: g * xp.special.digamma(x),
        POINTS["gammaln: a pole beneath a cotangent of 0"].check,
    ),
    Mutant(
        "digamma: one order too high",
        gamma.Digamma,
        "vjp_x",
        lambda self, xp, g, x: g * xp.special.polygamma(2, x),
        grads(s.digamma, P),
    ),
    Mutant(
        "polygamma: n + 1 as a factor",
        *(gamma.Polygamma, "vjp_x", lambda self, xp, g, x: g * ((self.n + 1) * xp.special.polygamma(self.n + 1, x))),
        grads(lambda x: s.polygamma(1, x), P),
    ),
    Mutant("gamma: no y", gamma.Gamma, "vjp_x", lambda self, xp, g, x: g * xp.special.digamma(x), grads(s.gamma, P)),
    Mutant(
        "sinpi: no pi",
        gamma.SinPi,
        "vjp_x",
        lambda self, xp, g, x: g * xp.special.sinpi(x, self.phase + 1),
        grads(s.sinpi, X),
    ),
    Mutant(
        "sinpi: the phase not advanced",
        *(gamma.SinPi, "vjp_x", lambda self, xp, g, x: g * (np.pi * xp.special.sinpi(x, 1))),
        grads(s.sinpi, X),
    ),
    Mutant(
        "zeta: s not raised",
        gamma.Zeta,
        "vjp_q",
        lambda self, xp, g, s, q: g * (-s * xp.special.zeta(s, q)),
        grads(s.zeta, 1 + P, Q),
    ),
    Mutant(
        "zeta: sign of s",
        gamma.Zeta,
        "vjp_s",
        lambda self, xp, g, s, q: -g * xp.special.zeta_derivative(1, s, q),
        grads(s.zeta, 1 + P, Q),
    ),
    Mutant(
        "zeta's derivative: the product's second part missing",
        *(
            gamma.ZetaDerivative,
            "vjp_q",
            lambda self, xp, g, s, q: -g * (s * xp.special.zeta_derivative(self.n, s + 1, q)),
        ),
        grads(lambda a, q: s.zeta_derivative(1, a, q), 1 + ONE, TWO, order=1),
    ),
    Mutant(
        "betaln: no digamma of the sum",
        gamma.BetaLn,
        "vjp_a",
        lambda self, xp, g, a: g * xp.special.digamma(a),
        grads(s.betaln, P, Q),
    ),
    Mutant(
        "beta: a for b",
        gamma.Beta,
        "vjp_b",
        lambda self, xp, g, a, b, y: g * y * (xp.special.digamma(a) - xp.special.digamma(a + b)),
        grads(s.beta, P, Q),
    ),
    Mutant(
        "poch: digamma of m",
        gamma.Poch,
        "vjp_m",
        lambda self, xp, g, m, y: g * y * xp.special.digamma(m),
        grads(s.poch, P, Q),
    ),
)

INCOMPLETE = (
    Mutant(
        "gammainc: no derivative in the shape",
        incomplete.GammaInc,
        "vjp_a",
        lambda self, xp, g: 0 * g,
        grads(s.gammainc, P, Q),
    ),
    Mutant(
        "gammainc: Q's side",
        incomplete.GammaInc,
        "vjp_a",
        lambda self, xp, g, a, x: g * xp.special.gammainc_moment(1, a, x, True),
        grads(s.gammainc, P, Q),
    ),
    Mutant(
        "gammaincc: no sign",
        incomplete.GammaIncC,
        "vjp_x",
        lambda self, xp, g, a, x: g * incomplete.gamma_density(xp, a, x),
        grads(s.gammaincc, P, Q),
    ),
    Mutant(
        "gammainc_moment: the variance forgotten",
        *(
            incomplete.GammaIncMoment,
            "vjp_a",
            lambda self, xp, g, a, x: g * xp.special.gammainc_moment(self.n + 1, a, x, self.upper),
        ),
        grads(s.gammainc, ONE, TWO, order=2),
    ),
    Mutant(
        "gammainc_moment: no sign above",
        *(
            incomplete.GammaIncMoment,
            "vjp_x",
            lambda self, xp, g, a, x: (
                g * incomplete.gamma_density(xp, a, x) * (xp.log(x) - xp.special.digamma(a)) ** self.n
            ),
        ),
        grads(s.gammaincc, ONE, TWO, order=2),
    ),
    Mutant(
        "betainc: a for b",
        incomplete.BetaInc,
        "vjp_b",
        lambda self, xp, g, a, b, x: g * xp.special.betainc_moment(1, 0, a, b, x),
        grads(s.betainc, P, Q, U),
    ),
    Mutant(
        "betainc_moment: the covariance forgotten",
        *(
            incomplete.BetaIncMoment,
            "vjp_b",
            lambda self, xp, g, a, b, x: g * xp.special.betainc_moment(self.m, self.n + 1, a, b, x, self.upper),
        ),
        grads(s.betainc, ONE, TWO, HALF, order=2),
    ),
    Mutant(
        "betainc: the density's other end",
        incomplete.BetaInc,
        "vjp_x",
        lambda self, xp, g, a, b, x: g * incomplete.beta_density(xp, b, a, x),
        grads(s.betainc, P, Q, U),
    ),
    Mutant(
        "gammaincinv: no density",
        incomplete.GammaIncInv,
        "vjp_a",
        lambda self, xp, g, a, y: -g * xp.special.gammainc_moment(1, a, y),
        grads(s.gammaincinv, P, U),
    ),
    Mutant(
        "betaincinv: sign",
        incomplete.BetaIncInv,
        "vjp_p",
        lambda self, xp, g, a, b, y: -g / incomplete.beta_density(xp, a, b, y),
        grads(s.betaincinv, P, Q, U),
    ),
    Mutant("stdtr: no derivative in df", student.Stdtr, "vjp_df", lambda self, xp, g: 0 * g, grads(s.stdtr, P, X)),
    Mutant(
        "stdtr_df: half the bend",
        student.StdtrDf,
        "vjp_t",
        lambda self, xp, g, df, t: g * 0.5 * student.student_density(xp, df, t),
        grads(s.stdtr, ONE, TWO, order=2),
    ),
    Mutant(
        "the backend's moment is that of the other side",
        *(
            SPECIAL,
            "gammainc_moment",
            lambda self, n, a, x, upper=False: SPECIAL.__mro__[1].gammainc_moment(self, n, a, x, not upper),
        ),
        grads(s.gammainc, ONE, TWO, order=1),
    ),
)

MORE = (
    Mutant("j0: no sign", bessel.J0, "vjp_x", lambda self, xp, g, x: g * xp.special.j1(x), grads(s.j0, X)),
    Mutant("j1: one order too low", bessel.J1, "vjp_x", lambda self, xp, g, x: g * xp.special.j0(x), grads(s.j1, X)),
    Mutant(
        "jn: no half",
        bessel.Jn,
        "vjp_x",
        lambda self, xp, g, x: g * (xp.special.jn(self.n - 1, x) - xp.special.jn(self.n + 1, x)),
        grads(lambda x: s.jn(2, x), X),
    ),
    Mutant(
        "i1: a difference",
        bessel.I1,
        "vjp_x",
        lambda self, xp, g, x: g * (0.5 * (xp.special.i0(x) - xp.special.iv(2.0, x))),
        grads(s.i1, X),
    ),
    Mutant(
        "i0e: no sign of x", bessel.I0e, "vjp_x", lambda self, xp, g, x, y: g * (xp.special.i1e(x) - y), grads(s.i0e, X)
    ),
    Mutant(
        "kve: not scaled",
        bessel.Kve,
        "vjp_x",
        lambda self, xp, g, v, x: -0.5 * g * (xp.special.kve(v - 1, x) + xp.special.kve(v + 1, x)),
        grads(s.kve, X, P),
    ),
    Mutant("kve: no derivative in the order", bessel.Kve, "vjp_v", lambda self, xp, g: 0 * g, grads(s.kv, X, P)),
    Mutant("exp1: expi's", integrals.Exp1, "vjp_x", lambda self, xp, g, x: g * xp.exp(-x) / x, grads(s.exp1, P)),
    Mutant(
        "spence: the wrong branch of log",
        integrals.Spence,
        "vjp_x",
        lambda self, xp, g, x: g * xp.log(x) / (x - 1),
        grads(s.spence, P),
    ),
    Mutant("entr: no -1", integrals.Entr, "vjp_x", lambda self, xp, g, x: -g * xp.log(x), grads(s.entr, P)),
    Mutant(
        "lambertw: no exponential",
        integrals.LambertW,
        "vjp_x",
        lambda self, xp, g, y: g / (1 + y),
        grads(s.lambertw, P),
    ),
)

MUTANTS = ERRORS + GAMMA + INCOMPLETE + MORE

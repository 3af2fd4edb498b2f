"""Wrong rules of Fourier transforms, signals and calculus, and of functions that an equation defines."""

import sys

import numpy as np
from mutants.mutant import Mutant, complexes, grads, numbers

from zkynet.framework import op
from zkynet.framework.custom import no_grad
from zkynet.framework.operations import calculus
from zkynet.framework.record import tensor_of
from zkynet.implicit import fixed_point, linear_operator_solve, ode, odeint, quad, quadrature, root, theorem

# ``operations.fft`` and ``operations.signal`` are the public namespaces; these are the files behind them.
fft = sys.modules["zkynet.framework.operations.fft"]
signal = sys.modules["zkynet.framework.operations.signal"]
Fourier, RealFourier, InverseRealFourier = fft.Fourier, fft.RealFourier, fft.InverseRealFourier
Implicit = theorem.Implicit

X, Z = numbers(61, 3, 4), complexes(62, 3, 4)
ODD, EVEN = numbers(63, 2, 5), numbers(64, 2, 6)
HALF = complexes(65, 2, 4)
B = numbers(66, 2)
SYSTEM = np.array([[3.0, 1.0], [0.5, 2.0]])
DEFINITE = np.array([[2.0, 0.3], [0.3, 1.0]])


# ---- the complex transform ----


def plane(norm):
    return lambda x: op.fft.fftn(x, axes=(0, 1), norm=norm)


def inverted(self, xp, g):
    return fft.transformed(xp, g, Fourier(self.axes, not self.inverse, self.norm))


def conjugated(self, xp, g):
    return xp.conj(fft.transformed(xp, xp.conj(g), self))


def norm_turned(self, xp, g):
    return fft.transformed(xp, g, Fourier(self.axes, self.inverse, fft.OPPOSITE[self.norm]))


def one_axis(self, xp, g):
    return fft.transformed(xp, g, Fourier(self.axes[:1], self.inverse, self.norm))


def doubled_g(self, xp, g):
    return fft.transformed(xp, 2 * g, self)


def from_the_left(self, xp, g):
    axes = tuple(a + 2 for a in self.axes)
    return fft.transformed(xp, g, Fourier(axes, self.inverse, self.norm))


def not_transformed(self, xp, g):
    return g


# ---- the real transforms ----


def weighted(factor, turn=True, conj=True, axis=None, n=None):
    """The rule of rfft, with one thing changed."""

    def vjp_x(self, xp, g, x_spec):
        along = self.axis if axis is None else axis
        count = x_spec.shape[self.axis] if n is None else n(g.shape[self.axis])
        half = fft.doubled(xp, xp.conj(g) if conj else g, along, count, factor)
        norm = fft.OPPOSITE[self.norm] if turn else self.norm
        return xp.fft.irfft(half, n=count, axis=along, norm=norm)

    return vjp_x


def weighted_back(factor, turn=True, conj=True, axis=None):
    """The rule of irfft, with one thing changed."""

    def vjp_x(self, xp, g):
        along = self.axis if axis is None else axis
        half = xp.fft.rfft(g, axis=along, norm=fft.OPPOSITE[self.norm] if turn else self.norm)
        return fft.doubled(xp, xp.conj(half) if conj else half, along, self.n, factor)

    return vjp_x


def pairs(start, stop):
    """``doubled``, with the entries that stand for two from ``start`` to ``stop(n)``."""

    def wrong(xp, half, axis, n, factor):
        tail = (slice(None),) * (-axis - 1)
        cuts = (slice(0, start), slice(start, stop(n)), slice(stop(n), None))
        first, middle, last = (half[(..., cut, *tail)] for cut in cuts)
        return xp.concat([first, middle * factor, last], axis=axis)

    return wrong


RFFT = {norm: grads(lambda x, norm=norm: op.fft.rfft(x, norm=norm), ODD) for norm in ("backward", "ortho")}
RFFT_EVEN, RFFT_FIRST = grads(op.fft.rfft, EVEN), grads(lambda x: op.fft.rfft(x, axis=0), EVEN)
IRFFT = {norm: grads(lambda x, norm=norm: op.fft.irfft(x, norm=norm), HALF) for norm in ("backward", "forward")}
IRFFT_ODD = grads(lambda x: op.fft.irfft(x, n=7), HALF)
IRFFT_FIRST = grads(lambda x: op.fft.irfft(x, n=3, axis=0), HALF)


# ---- signals and calculus: wrong values, beside NumPy's ----


def convolves():
    a, v = EVEN[0], X[0]
    for mode in ("full", "same", "valid"):
        np.testing.assert_allclose(op.convolve(a, v, mode).value, np.convolve(a, v, mode), rtol=1e-12)


def cut_late(y, mode, n, k, who):
    return y[{"full": slice(0, n + k - 1), "same": slice(k // 2, k // 2 + n), "valid": slice(k - 1, n)}[mode]]


def full_unflipped(a, v):
    return signal_full(a, op.flip(v))


signal_full = signal._full
KNOTS, HEIGHTS = np.array([0.0, 1.0, 2.5]), np.array([1.0, -2.0, 0.5])
INTERP = grads(lambda x, xp, fp: op.interp(x, xp, fp), np.array([0.3, 1.7]), KNOTS, HEIGHTS)


def pieces_of_constant_places(x, xp, fp, n):
    return right_pieces(x, op.stop_gradient(xp), fp, n)


def pieces_of_constant_heights(x, xp, fp, n):
    return right_pieces(x, xp, op.stop_gradient(fp), n)


right_pieces = calculus._pieces


def slopes():
    np.testing.assert_allclose(op.gradient(ODD[0], edge_order=2).value, np.gradient(ODD[0], edge_order=2), rtol=1e-12)


# ---- functions that an equation defines ----


def solved(a, b):
    return root(lambda x: op.matmul(a, x) + 0.1 * x**3 - b, np.zeros(2))


def solved_without_a_matrix(a, b):
    return linear_operator_solve(lambda x: op.matmul(a, op.matmul(op.matrix_transpose(a), x)) + x, b)


def iterated(b):
    return fixed_point(lambda x: 0.2 * op.tanh(x) * x + b, np.zeros(2))


ROOT, OPERATOR, ITERATED = grads(solved, SYSTEM, B), grads(solved_without_a_matrix, DEFINITE, B), grads(iterated, B)


def not_negative(self, transposed, b, traced):
    return right_adjoint(self, transposed, op.negative(b), traced)


def not_solved(self, transposed, b, traced):
    return b


def constant_adjoint(self, transposed, b, traced):
    with no_grad():
        return right_adjoint(self, transposed, op.stop_gradient(b), False)


def not_transposed(transposed, b):
    n = b.shape[0]
    rows = transposed(tensor_of(np.eye(n)), (n,))
    return op.linalg.solve(rows, b)


def leaf_without_history(y):
    return right_leaf(op.stop_gradient(y))


right_adjoint, right_leaf = Implicit._adjoint, theorem.leaf


def driven(y, t):
    return t * t - y


def follows():
    """y' = t^2 - y from 0: y = t^2 - 2 t + 2 - 2 exp(-t)."""
    y = odeint(driven, np.zeros(1), np.array([0.0, 2.0]), rtol=1e-9, atol=1e-11, max_steps=300).value[-1, 0]
    np.testing.assert_allclose(y, 2 - 2 * np.exp(-2.0), rtol=1e-7)


def moves_its_ends(t):
    return odeint(driven, np.ones(1), t, rtol=1e-10, atol=1e-12)


def constant_times(t, y):
    return op.stop_gradient(right_times(t, y))


right_times, ENDS = ode._times, grads(moves_its_ends, np.array([0.0, 0.6]), order=1)
TURNED = (ode.STAGES[0], ode.STAGES[1], (*ode.STAGES[2][:2], -ode.STAGES[2][2]), *ode.STAGES[3:])


def integrates():
    np.testing.assert_allclose(quad(lambda x: op.abs(x - 0.3), 0.0, 1.0).value, 0.29, rtol=1e-9)


def constant_length(f, ends, places, weights, args):
    return right_total(
        f, (ends[0], op.add(op.stop_gradient(op.subtract(ends[1], ends[0])), ends[0])), places, weights, args
    )


right_total = quadrature._total
QUAD = grads(lambda a, b: quad(op.sin, a, b), 0.3, 1.7)

MUTANTS = (
    Mutant("fft: the inverse transform", Fourier, "vjp_x", inverted, grads(plane("backward"), Z)),
    Mutant("fft: conjugated", Fourier, "vjp_x", conjugated, grads(plane("ortho"), Z)),
    Mutant("fft: of real x, conjugated", Fourier, "vjp_x", conjugated, grads(plane("ortho"), X)),
    Mutant("fft: norm of the inverse", Fourier, "vjp_x", norm_turned, grads(plane("forward"), Z)),
    Mutant("fft: one axis only", Fourier, "vjp_x", one_axis, grads(plane("backward"), Z)),
    Mutant("fft: twice", Fourier, "vjp_x", doubled_g, grads(plane("backward"), Z)),
    Mutant("fft: axes from the left", Fourier, "vjp_x", from_the_left, grads(plane("backward"), Z)),
    Mutant("fft: not transformed", Fourier, "vjp_x", not_transformed, grads(op.fft.ifft, Z)),
    Mutant("rfft: pairs not halved", RealFourier, "vjp_x", weighted(1.0), RFFT["backward"]),
    Mutant("rfft: pairs doubled", RealFourier, "vjp_x", weighted(2.0), RFFT_EVEN),
    Mutant("rfft: not conjugated", RealFourier, "vjp_x", weighted(0.5, conj=False), RFFT["ortho"]),
    Mutant("rfft: norm not turned", RealFourier, "vjp_x", weighted(0.5, turn=False), RFFT["backward"]),
    Mutant("rfft: even lengths only", RealFourier, "vjp_x", weighted(0.5, n=lambda m: 2 * m - 2), RFFT["ortho"]),
    Mutant("rfft: always the last axis", RealFourier, "vjp_x", weighted(0.5, axis=-1), RFFT_FIRST),
    Mutant("rfft: entry 0 halved", fft, "doubled", pairs(0, lambda n: (n + 1) // 2), RFFT["backward"]),
    Mutant("rfft: entry n / 2 halved", fft, "doubled", pairs(1, lambda n: n // 2 + 1), RFFT_EVEN),
    Mutant("rfft: last pair of odd n forgotten", fft, "doubled", pairs(1, lambda n: n // 2), RFFT["backward"]),
    Mutant("irfft: pairs not doubled", InverseRealFourier, "vjp_x", weighted_back(1.0), IRFFT["backward"]),
    Mutant("irfft: pairs halved", InverseRealFourier, "vjp_x", weighted_back(0.5), IRFFT_ODD),
    Mutant("irfft: not conjugated", InverseRealFourier, "vjp_x", weighted_back(2.0, conj=False), IRFFT["forward"]),
    Mutant("irfft: norm not turned", InverseRealFourier, "vjp_x", weighted_back(2.0, turn=False), IRFFT["backward"]),
    Mutant("irfft: always the last axis", InverseRealFourier, "vjp_x", weighted_back(2.0, axis=-1), IRFFT_FIRST),
    Mutant("irfft: entry 0 doubled", fft, "doubled", pairs(0, lambda n: (n + 1) // 2), IRFFT["backward"]),
    Mutant("irfft: entry n / 2 doubled", fft, "doubled", pairs(1, lambda n: n // 2 + 1), IRFFT["backward"]),
    Mutant("irfft: last pair of odd n forgotten", fft, "doubled", pairs(1, lambda n: n // 2), IRFFT_ODD),
    Mutant("convolve: the middle one too late", signal, "_cut", cut_late, convolves),
    Mutant("convolve: a correlation", signal, "_full", full_unflipped, convolves),
    Mutant("interp: constant places", calculus, "_pieces", pieces_of_constant_places, INTERP),
    Mutant("interp: constant heights", calculus, "_pieces", pieces_of_constant_heights, INTERP),
    Mutant("gradient: the end is the half-way slope", calculus, "_extrapolated", lambda rise, inner: rise, slopes),
    Mutant("root: the wrong sign", Implicit, "_adjoint", not_negative, ROOT),
    Mutant("root: nothing solved", Implicit, "_adjoint", not_solved, ROOT),
    Mutant("fixed_point: nothing solved", Implicit, "_adjoint", not_solved, ITERATED),
    Mutant("root: not transposed", theorem, "_dense_solve", not_transposed, ROOT),
    Mutant("root: the solution a constant", theorem, "leaf", leaf_without_history, ROOT),
    Mutant("linear_operator_solve: a constant", Implicit, "_adjoint", constant_adjoint, OPERATOR),
    Mutant(
        "odeint: constant times", ode, "_times", constant_times, grads(moves_its_ends, np.array([0.0, 0.6]), order=1)
    ),
    Mutant("odeint: a time wrong", ode, "TIMES", (0.2, 0.3, 0.6, 8 / 9, 1.0, 1.0), follows),
    Mutant("odeint: a stage wrong", ode, "STAGES", TURNED, follows),
    Mutant("odeint: no error is seen", ode, "ERRORS", (0.0,) * 7, follows),
    Mutant("quad: no error is seen", quadrature, "GAUSS", quadrature.KRONROD, integrates),
    Mutant("quad: constant length", quadrature, "_total", constant_length, QUAD),
)

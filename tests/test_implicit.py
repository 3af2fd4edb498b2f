"""Roots, fixed points, minima, integrals and differential equations: values and derivatives against closed forms."""

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.points import host
from zkynet import op
from zkynet.errors import ConvergenceError, LinAlgError, MutationError, NotDifferentiableError, ShapeError
from zkynet.implicit import conjugate_gradient
from zkynet.testing import check_grads

A = np.array([[3.0, 1.0], [0.5, 2.0]])
B = np.array([1.0, -2.0])
SMALL = np.array([[0.2, -0.3], [0.1, 0.4]])


def close(got, expected, rtol=1e-9, atol=1e-12):
    np.testing.assert_allclose(host([got])[0], expected, rtol=rtol, atol=atol)


def cubic(x, a, b):
    return op.matmul(a, x) + 0.1 * x * x * x - b


# ---- roots ----


def test_square_root_to_third_order():
    def f(a):
        return zk.root(lambda x, a: x * x - a, 1.0, a)

    close(f(2.0), 2**0.5)
    first = zk.grad(f)
    close(first(2.0), 0.5 * 2**-0.5)
    close(zk.grad(first)(2.0), -0.25 * 2**-1.5)
    close(zk.grad(zk.grad(first))(2.0), 0.375 * 2**-2.5)
    close(zk.jvp(f, (2.0,), (3.0,))[1], 1.5 * 2**-0.5)


@pytest.mark.parametrize("linear_solve", [None, "least squares"])
def test_root_of_a_system(linear_solve):
    solve = None if linear_solve is None else least_squares

    def f(a, b):
        return zk.root(cubic, np.zeros(2), a, b, linear_solve=solve)

    x = f(A, B).value
    close(zk.jacobian(f, 1)(A, B), np.linalg.inv(A + np.diag(0.3 * x**2)))
    check_grads(f, (A, B))


def least_squares(matvec, b):
    """Any regular equation, by Newton's method on it: a solver of the caller's."""
    with zk.no_grad():
        n = b.size
        columns = [host([matvec(op.asarray(np.eye(n)[i]))])[0] for i in range(n)]
        return op.asarray(np.linalg.solve(np.stack(columns, -1), host([b])[0]))


def test_what_the_equation_reads_from_outside_has_its_gradient():
    def direct(b):
        return op.sum(zk.root(cubic, np.zeros(2), A, b) ** 2)

    def closure(b):
        twice = 2 * b
        return op.sum(zk.root(lambda x: cubic(x, A, twice / 2), np.zeros(2)) ** 2)

    close(zk.grad(closure)(B), zk.grad(direct)(B))
    close(zk.hessian(closure)(B), zk.hessian(direct)(B))


class Scaled(zk.Module):
    """The z nearest to x / scale, found as a minimum."""

    def __init__(self):
        super().__init__()
        self.scale = zk.Parameter("scale", np.array([2.0, 4.0]))

    def call(self, x):
        return zk.minimize(lambda z: op.sum((z * self.scale - x) ** 2), np.ones(2))


def test_parameters_of_a_module_have_gradients():
    m = Scaled()
    graph = m(np.array([1.0, 1.0]))
    graph.back()
    close(graph.value, [0.5, 0.25])
    close(graph.grad(m.scale), np.diag([-0.25, -0.0625]))
    close(zk.grad(lambda m, x: op.sum(m(x)))(m, np.ones(2))["scale"], [-0.25, -0.0625])


def test_a_solver_of_the_callers_and_no_gradient_for_the_start():
    def solver(f, x0):
        return np.linalg.solve(A, B)

    def f(b, x0):
        return op.sum(zk.root(lambda x: op.matmul(A, x) - b, x0, solver=solver))

    gradient, none = zk.grad(f, (0, 1))(B, np.zeros(2))
    close(gradient, np.linalg.inv(A).sum(0))
    np.testing.assert_array_equal(none, 0.0)
    with pytest.raises(ConvergenceError, match="the solver returned x"):
        zk.root(lambda x: op.matmul(A, x) - B, np.zeros(2), solver=lambda f, x0: x0)


def test_a_root_as_near_as_numbers_can_tell():
    """The next number gives 1e4 or more: rounding of 1e20."""
    x = zk.root(lambda x: 1e20 * (x * x * x - 2.0), 1.2, tol=1e-30)
    close(x, 2 ** (1 / 3), rtol=1e-15)


def test_where_there_is_no_root_there_is_an_error():
    with pytest.raises(ConvergenceError, match="smaller"):
        zk.root(lambda x: x * x + 1.0, 0.5)
    with pytest.raises(ConvergenceError, match="singular Jacobian"):
        zk.root(lambda x: x * x - 1.0, 0.0)
    with pytest.raises(ArithmeticError, match="1 iterations"):
        zk.root(lambda x: x * x - 2.0, 100.0, max_iterations=1)
    with pytest.raises(LinAlgError, match="no derivative here"):
        zk.grad(lambda a: zk.root(lambda x: x * x - a, 0.0))(0.0)
    with pytest.raises(TypeError, match="real"):
        zk.root(lambda x: x, np.array([1j]))
    with pytest.raises(ShapeError, match="as many values as unknowns"):
        zk.root(lambda x: op.sum(x), np.ones(2), solver=lambda f, x0: np.zeros(2))


def test_a_start_where_nothing_is_finite_is_no_solution():
    with np.errstate(all="ignore"):
        for f, start in ((op.log, -1.0), (lambda x: x / 0.0, 1.0)):
            with pytest.raises(ConvergenceError):
                zk.root(f, start)
        for f in (op.log, op.sqrt):
            with pytest.raises(ConvergenceError):
                zk.minimize(lambda x, f=f: op.sum(f(x)), np.zeros(2))


def test_a_changed_constant_is_noticed():
    a = A.copy()
    _, pull = zk.vjp(lambda b: zk.root(lambda x: op.matmul(a, x) - b, np.zeros(2)), B)
    a[0, 0] = 7.0
    with pytest.raises(MutationError, match="other numbers"):
        pull(np.ones(2))


def test_under_no_grad_nothing_is_recorded():
    def f(a):
        with zk.no_grad():
            return zk.root(lambda x: x * x - a, 1.0) + 0.0 * a

    assert zk.grad(lambda a: f(a) + a)(2.0) == 1.0


# ---- fixed points and minima ----


def test_fixed_point():
    def f(w, b):
        return zk.fixed_point(lambda x: op.tanh(op.matmul(w, x)) + b, np.zeros(2))

    x = f(SMALL, B).value
    close(x, np.tanh(SMALL @ x) + B)
    check_grads(f, (SMALL, B))
    line = zk.grad(lambda a, b: zk.fixed_point(lambda x: a * x + b, 0.0), (0, 1))(0.5, 3.0)
    close(line[0], 3.0 / 0.25)
    close(line[1], 2.0)


def test_fixed_point_of_many_unknowns_makes_no_matrix(monkeypatch):
    def f(b):
        return op.sum(zk.fixed_point(lambda x: 0.3 * op.sin(x) + b, np.zeros(300)) ** 2)

    b = np.linspace(-1, 1, 300)
    found, moved = zk.grad(f)(b), zk.hvp(f, (b,), (np.ones(300),))[0]
    monkeypatch.setattr("zkynet.implicit.roots._MANY", 1000)
    close(found, zk.grad(f)(b), rtol=1e-9)
    close(moved, zk.hvp(f, (b,), (np.ones(300),))[0], rtol=1e-8)
    monkeypatch.setattr("zkynet.implicit.theorem.memory_limit", lambda: 1000)
    with pytest.raises(zk.errors.JacobianTooLargeError, match="300 x 300"):
        zk.grad(f)(b)


def test_a_root_within_a_root():
    def inner(x, a):
        return zk.root(lambda y: y**3 + y - a * x, 1.0)

    check_grads(lambda a: zk.root(lambda x: x + 0.3 * inner(x, a) - 1.0, 0.5), (1.4,))


def test_fixed_point_that_is_not_approached():
    with pytest.raises(ConvergenceError, match="1000 iterations"):
        zk.fixed_point(lambda x: -x + 1.0, 0.0)
    with pytest.raises(ConvergenceError, match="expected: at most"):
        zk.fixed_point(lambda x: 0.5 * x + 1.0, 0.0, max_iterations=3)
    with np.errstate(all="ignore"), pytest.raises(ConvergenceError):
        zk.fixed_point(lambda x: x * x, 3.0)


def test_minimum_of_a_quadratic_and_of_a_quartic():
    h = A + A.T
    close(zk.jacobian(lambda b: zk.minimize(lambda x: 0.5 * x @ (h @ x) - b @ x, np.zeros(2)))(B), np.linalg.inv(h))

    def f(a):
        return zk.minimize(lambda x: op.sum((x * x - a) ** 2) + op.sum(x), np.full(2, 0.1))

    check_grads(f, (np.array([2.0, 3.0]),))
    slope = zk.grad(lambda x: op.sum((x * x - np.array([2.0, 3.0])) ** 2) + op.sum(x))
    close(slope(f(np.array([2.0, 3.0])).value), 0.0, atol=1e-10)


def test_minimize_refuses_what_is_no_scalar():
    with pytest.raises(NotDifferentiableError, match="scalar"):
        zk.minimize(lambda x: x * x, np.ones(2))
    with pytest.raises(NotDifferentiableError, match="depends on x"):
        zk.minimize(lambda x: op.sum(op.stop_gradient(x)), np.ones(2))


# ---- linear operators ----


def test_conjugate_gradients_solve_and_are_differentiated():
    def matvec(m):
        return lambda x: op.matmul(m, op.matmul(op.matrix_transpose(m), x)) + x

    close(zk.linear_operator_solve(matvec(A), B), np.linalg.solve(A @ A.T + np.eye(2), B))
    check_grads(lambda m, b: zk.linear_operator_solve(matvec(m), b), (A, B))


def test_conjugate_gradients_keep_the_shape_and_need_few_steps():
    d = np.arange(1.0, 7.0).reshape(2, 3)
    close(conjugate_gradient(lambda x: d * x, np.ones((2, 3))), 1 / d)
    with pytest.raises(ConvergenceError, match="after 2 iterations"):
        conjugate_gradient(lambda x: d * x, np.ones((2, 3)), max_iterations=2)
    close(conjugate_gradient(lambda x: d * x, np.ones((2, 3)), x0=1 / d, max_iterations=0), 1 / d)


def test_an_operator_that_is_not_positive_definite():
    with pytest.raises(ConvergenceError, match="not positive definite"):
        zk.linear_operator_solve(lambda x: -x, B)


# ---- differential equations ----

TIMES = np.array([0.0, 0.4, 1.5])


def decay(y, t, k):
    return -k * y


def test_odeint_against_the_exponential():
    y = zk.odeint(decay, B, TIMES, 0.7)
    assert y.shape == (3, 2)
    close(y, B * np.exp(-0.7 * TIMES)[:, None], rtol=1e-7)
    close(zk.odeint(decay, y.value[-1], TIMES[::-1], 0.7)[-1], B, rtol=1e-6)  # and back
    close(zk.odeint(decay, B, TIMES[:1], 0.7), B[None])
    close(zk.odeint(decay, B, np.array([1.0, 1.0, 2.0]), 0.7)[1], B)


def test_odeint_derivatives_against_closed_forms():
    def last(y0, t, k):
        return op.sum(zk.odeint(decay, y0, t, k, rtol=1e-10, atol=1e-12)[-1])

    dy, dt, dk = zk.grad(last, (0, 1, 2))(B, TIMES, 0.7)
    whole = np.sum(B) * np.exp(-0.7 * 1.5)
    close(dy, np.full(2, np.exp(-0.7 * 1.5)), rtol=1e-8)
    close(dt, [0.7 * whole, 0.0, -0.7 * whole], rtol=1e-7, atol=1e-8)
    close(dk, -1.5 * whole, rtol=1e-8)
    close(zk.grad(zk.grad(last, 2), 2)(B, TIMES, 0.7), 1.5**2 * whole, rtol=1e-7)
    close(zk.jvp(lambda k: last(B, TIMES, k), (0.7,), (2.0,))[1], -3.0 * whole, rtol=1e-8)


def pendulum(y, t, k):
    return op.stack([y[1], -k * op.sin(y[0]) + 0.1 * t])


def test_odeint_against_differences():
    def f(y0, t, k):
        return zk.odeint(pendulum, y0, t, k, rtol=1e-9, atol=1e-10)[-1]

    check_grads(f, (np.array([1.0, 0.2]), np.array([0.0, 0.8]), 0.7), order=1, atol=1e-7)


def test_odeint_against_scipy():
    integrate = pytest.importorskip("scipy.integrate", reason="the second opinion on differential equations is SciPy's")
    y0 = np.array([1.0, 0.2])
    found = integrate.solve_ivp(
        lambda t, y: [y[1], -0.7 * np.sin(y[0]) + 0.1 * t], (0, 1.5), y0, t_eval=TIMES, rtol=1e-11, atol=1e-13
    )
    close(zk.odeint(pendulum, y0, TIMES, 0.7, rtol=1e-9, atol=1e-11), found.y.T, rtol=1e-7)
    ours = zk.solve_ivp(lambda t, y: pendulum(y, t, 0.7), (0.0, 1.5), y0, t_eval=TIMES, rtol=1e-9)
    close(ours.t, TIMES)
    close(ours.y, found.y, rtol=1e-7)


def test_solve_ivp_gives_both_ends_and_checks_its_times():
    t, y = zk.solve_ivp(lambda t, y, k: -k * y, (0.0, 2.0), B, args=(0.5,))
    close(t, [0.0, 2.0])
    close(y[:, 1], B * np.exp(-1.0), rtol=1e-7)
    with pytest.raises(ValueError, match="within t_span"):
        zk.solve_ivp(lambda t, y: -y, (0.0, 2.0), B, t_eval=[1.0, 3.0])


def test_the_gradient_of_a_strong_decay_is_right():
    """The continuous adjoint would integrate exp(30 t) backwards here."""
    f = zk.grad(lambda y0: zk.odeint(decay, y0, np.array([0.0, 1.0]), 30.0, rtol=1e-7, atol=1e-30)[1, 0])
    close(f(np.ones(1)), np.exp(-30.0), rtol=1e-5, atol=0)


def test_odeint_through_a_network():
    layer = zk.nn.Linear(2, 2, 0, dtype="float64")

    def f(layer, y0):
        return op.sum(zk.odeint(lambda y, t: op.tanh(layer(y)), y0, np.array([0.0, 1.0]))[1] ** 2)

    gradients = zk.grad(f)(layer, B)
    step, bias = 1e-4, layer.bias.value.copy()
    sides = []
    for sign in (1, -1):
        layer.bias.value = bias + sign * step * np.array([1.0, 0.0])
        sides.append(float(f(layer, B).value))
    close(gradients["bias"][0], (sides[0] - sides[1]) / (2 * step), rtol=1e-5)
    assert set(gradients) == {"weight", "bias"}


class Flow(zk.Module):
    def __init__(self):
        super().__init__()
        self.rate = zk.Parameter("rate", 0.7)

    def call(self, y):
        return zk.odeint(lambda y, t: -self.rate * y, y, np.array([0.0, 1.0]))[1]


def test_odeint_in_a_module_called_from_outside():
    m = Flow()
    graph = m(B)
    graph.back()
    close(graph.grad(m.rate), -B * np.exp(-0.7), rtol=1e-6)


def test_odeint_of_complex_and_of_single_precision():
    def f(w):
        return op.real(zk.odeint(lambda y, t: 1j * w * y, np.array([1.0 + 0j]), np.array([0.0, 2.0]))[1, 0])

    close(f(0.6), np.cos(1.2), rtol=1e-6)
    close(zk.grad(f)(0.6), -2 * np.sin(1.2), rtol=1e-6)
    y = zk.odeint(decay, B.astype("float32"), TIMES, 0.7)
    assert y.dtype == np.float32
    close(y, B * np.exp(-0.7 * TIMES)[:, None], rtol=2e-5)


def test_odeint_says_what_is_wrong():
    with pytest.raises(ConvergenceError, match="t = 1"):
        zk.odeint(lambda y, t: y * y, np.ones(1), np.array([0.0, 2.0]))
    with pytest.raises(ConvergenceError, match="did not reach t = 1"):
        zk.odeint(decay, B, np.array([0.0, 1.0]), 1e5, max_steps=50)
    with pytest.raises(ShapeError, match="shape of the state"):
        zk.odeint(lambda y, t: y[0], B, TIMES)
    with pytest.raises(ValueError, match="increase or decrease"):
        zk.odeint(decay, B, np.array([0.0, 1.0, 0.5]), 1.0)
    with pytest.raises(ShapeError, match="sequence"):
        zk.odeint(decay, B, 1.0, 1.0)
    with pytest.raises(TypeError, match="make y0 complex"):
        zk.odeint(lambda y, t: 1j * y, B, TIMES)


# ---- integrals ----


def test_quad_against_closed_forms():
    close(zk.quad(op.exp, 0.0, 2.0), np.exp(2.0) - 1)
    close(zk.quad(op.exp, 2.0, 0.0), 1 - np.exp(2.0))
    close(zk.quad(lambda x: op.exp(-x * x), -np.inf, np.inf), np.pi**0.5)
    close(zk.quad(lambda x: op.exp(-x * x), np.inf, -np.inf), -(np.pi**0.5))
    close(zk.quad(lambda x: op.exp(-x), 1.0, np.inf), np.exp(-1.0))
    close(zk.quad(op.exp, -np.inf, 1.0), np.e)
    close(zk.quad(op.sqrt, 0.0, 1.0), 2 / 3)
    close(zk.quad(lambda x: op.abs(x - 0.3), 0, 1), (0.3**2 + 0.7**2) / 2)
    close(zk.quad(lambda x: op.stack([x, x * x]), 0.0, 3.0), [4.5, 9.0])
    close(zk.quad(lambda x: 2.0, 0.0, 3.0), 6.0)
    close(zk.quad(lambda x: op.exp(1j * x), 0.0, np.pi), 2j, atol=1e-12)


def test_quad_is_differentiated_at_the_ends_and_under_the_integral():
    def f(a, b, k):
        return zk.quad(lambda x, k: op.sin(k * x) / (1 + x * x), a, b, k)

    da, db, _ = zk.grad(f, (0, 1, 2))(0.3, 1.7, 2.0)
    close(da, -np.sin(0.6) / 1.09)
    close(db, np.sin(3.4) / 3.89)
    check_grads(f, (0.3, 1.7, 2.0))
    close(zk.grad(lambda k: zk.quad(lambda x: op.exp(-k * x), 0.0, np.inf))(2.0), -0.25)
    close(zk.grad(lambda a: zk.quad(lambda x: op.exp(-x), a, np.inf))(2.0), -np.exp(-2.0))


def test_quad_that_does_not_converge():
    with np.errstate(all="ignore"), pytest.raises(ConvergenceError, match="singular"):
        zk.quad(lambda x: 1 / x, 0.0, 1.0)
    with pytest.raises(ShapeError, match="numbers"):
        zk.quad(op.exp, np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="same infinity"):
        zk.quad(op.exp, np.inf, np.inf)


def test_fixed_quad_is_exact_for_polynomials():
    for n in (1, 3, 5):
        powers = np.arange(2 * n)[:, None]
        close(
            zk.fixed_quad(lambda x, p=powers: op.expand_dims(x, 0) ** p, 0.0, 2.0, n=n),
            2.0 ** np.arange(1, 2 * n + 1) / np.arange(1, 2 * n + 1),
        )
    assert abs(float(zk.fixed_quad(lambda x: x**2, 0.0, 2.0, n=1).value) - 8 / 3) > 0.1
    check_grads(lambda a, b, k: zk.fixed_quad(lambda x: op.sin(k * x), a, b, n=6), (0.3, 1.7, 2.0))
    with pytest.raises(ValueError, match="at least 1"):
        zk.fixed_quad(op.exp, 0.0, 1.0, n=0)


# ---- everywhere ----


def test_every_backend(backend):
    b, zero = backend.asarray(B), backend.asarray(np.zeros(2))
    a, times = backend.asarray(A), backend.asarray(TIMES[:2])

    def solved(b):
        return op.sum(zk.root(cubic, zero, a, b))

    def integrated(b):
        return op.sum(zk.odeint(decay, b, times, 0.7)[-1])

    close(zk.grad(solved)(b), zk.grad(lambda b: op.sum(zk.root(cubic, np.zeros(2), A, b)))(B))
    close(zk.grad(integrated)(b), np.full(2, np.exp(-0.28)), rtol=1e-6)
    close(
        zk.grad(lambda k: zk.quad(lambda x: op.exp(k * x), 0.0, backend.asarray(1.0)))(backend.asarray(0.5)),
        2 * np.exp(0.5) - 4 * (np.exp(0.5) - 1),
    )
    with zk.use_backend(backend):
        close(zk.grad(lambda b: op.sum(zk.fixed_point(lambda x: 0.5 * x + b, zero)))(b), 2.0)


def test_a_compiled_function_is_refused():
    jax = backends_here.get("jax")
    b, zero = jax.asarray(B), jax.asarray(np.zeros(2))
    for f in (
        lambda b: zk.root(lambda x: x - b, zero),
        lambda b: zk.odeint(decay, b, TIMES, 0.7),
        lambda b: zk.quad(lambda x: op.sum(b) * x, 0.0, 1.0),
    ):
        with pytest.raises(TypeError, match="inside a compiled function"):
            jax.compile(lambda b, f=f: f(b).value)(b)


def test_they_are_loaded_when_first_asked_for():
    import zkynet.implicit

    for name in ("fixed_point", "fixed_quad", "linear_operator_solve", "minimize", "odeint", "quad", "root"):
        assert getattr(zk, name) is getattr(zkynet.implicit, name) and name in dir(zk)

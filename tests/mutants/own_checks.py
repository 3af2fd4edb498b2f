"""Checks of a few mutants that no test of a row or of the suite is made for."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from mutants.checks import named, suite
from mutants.fft import follows as follows

import zkynet as zk
from zkynet import stats
from zkynet.errors import ConvergenceError, JacobianTooLargeError, ShapeError, VJPShapeError
from zkynet.framework import jacobians, op
from zkynet.framework.backprop import pull_back, seed
from zkynet.framework.operations import elementwise, exponential
from zkynet.framework.operator import Operator, Plan
from zkynet.framework.trace import lifted
from zkynet.implicit import conjugate_gradient, minimize, odeint, root
from zkynet.testing import check_grads

A = np.array
close = np.testing.assert_allclose


def refused(error, says, f, *args, **settings):
    """AssertionError where a call does not raise ``error`` with a message that ``says`` this."""
    try:
        f(*args, **settings)
    except error as raised:
        assert says in str(raised), raised
        return
    raise AssertionError(f"{error.__name__} was not raised")


# ---- tests that belong together ----


def together(file: str, *tests: str):
    """Tests of one file, by their names behind "test_"."""
    return suite(file, *[f"test_{name}" for name in tests])


engine = named(
    " + ".join(f"suite engine.test_{f}" for f in ("custom_operators", "complex", "nesting", "dtypes", "arguments"))
)
checkpoints = together(
    "engine.test_checkpoint",
    *("it_equals_the_function_itself", "several_results", "parameters_get_their_gradients"),
    *("random_draws_are_repeated", "a_state_is_assigned_once"),
)
ownership = together(
    "engine.test_mutation",
    *("a_captured_constant_is_changed", "the_argument_itself_is_changed", "values_are_read_only"),
    *("what_a_transform_returns_belongs_to_the_caller", "a_cotangent_that_comes_back_unchanged_is_a_copy"),
    "pull_may_be_called_many_times_whatever_happens_to_its_arrays",
)
given_arrays = together(
    "engine.test_mutation",
    *("a_cotangent_is_changed_after_a_recorded_pull", "a_tangent_is_changed_after_a_recorded_jvp"),
)
newton = together(
    "test_implicit",
    *("square_root_to_third_order", "root_of_a_system", "where_there_is_no_root_there_is_an_error"),
    "a_root_as_near_as_numbers_can_tell",
)
conjugate_gradients = together(
    "test_implicit",
    *("conjugate_gradients_solve_and_are_differentiated", "conjugate_gradients_keep_the_shape_and_need_few_steps"),
)


# ---- distributions ----


def near_one():
    """The logarithm of a probability near 1, from what is missing, where a family gives no logarithms of its own."""
    close(stats.pareto.logcdf(1e6, 3.0).item(), -1e-18, rtol=1e-9)


def silent_beyond_n():
    """More successes than trials: probability 0, and no gradient however large the cotangent."""
    value, pull = zk.vjp(lambda p: stats.binomial.logpmf(A([6, 7]), 5.0, p), A([0.3, 0.3]))
    assert (value == -np.inf).all() and (pull(A([np.inf, 1.0]))[0] == 0).all()


def sure_of_classes():
    """Logits are given up to a constant, probabilities as they are."""
    p, q = A([0.2, 0.5, 0.3]), A([0.4, 0.4, 0.2])
    for other in (stats.categorical(q), stats.categorical(logits=np.log(q) - 2.0)):
        found = stats.kl_divergence(stats.categorical(logits=np.log(p) + 3.0), other)
        close(found.item(), np.sum(p * np.log(p / q)), rtol=1e-13)


# ---- equations ----


def solves_with_what_is_given():
    """A root's gradient goes through ``linear_solve``."""
    calls = []

    def solve(matvec, b):
        calls.append(b)
        return conjugate_gradient(matvec, b)

    found = zk.grad(lambda a: op.sum(root(lambda x, a: 2.0 * x - a, np.zeros(2), a, linear_solve=solve)))(np.ones(2))
    close(found, 0.5)
    assert calls


def as_near_as_can_be():
    """No number makes this 0, and the nearest is taken."""
    close(root(lambda x: 1e20 * (x * x * x - 5.0), 1.7, tol=1e-30).item(), 5 ** (1 / 3), rtol=1e-15)


def minimum_moves():
    check_grads(lambda a: minimize(lambda x, a: op.sum((x - a * a) ** 2), np.zeros(2), a), (A([0.5, -1.2]),), order=1)


def no_root_is_nan():
    with np.errstate(all="ignore"):
        refused(ConvergenceError, "root", root, lambda x: op.log(x), -1.0)


def solved_to_tolerance():
    d = np.logspace(0.0, 6.0, 12)
    close(conjugate_gradient(lambda x: d * x, np.ones(12)).value * d, 1.0, rtol=0, atol=1e-9)


def driven(y, t):
    return t * t - y


def first_step_too_long():
    """A first step over the whole interval has to be refused."""
    y = odeint(driven, np.zeros(1), A([0.0, 2.0]), rtol=1e-9, atol=1e-11, max_steps=300, first_step=2.0).value[-1, 0]
    close(y, 2 - 2 * np.exp(-2.0), rtol=1e-7)


def refuses_times():
    refused(ValueError, "increase or decrease", odeint, driven, np.zeros(1), A([0.0, 1.0, 0.5]), max_steps=200)


def refuses_slopes():
    refused(
        ShapeError, "the slope must have", odeint, lambda y, t: A([1.0, 2.0]), np.zeros(1), A([0.0, 1.0]), max_steps=20
    )


# ---- the engine ----


class WrongShape(Operator):
    """Its rule gives four entries for one of three."""

    broadcasts = True

    def forward(self, xp, x):
        return x

    def vjp_x(self, xp, g):
        return xp.concat([g, g[..., :1]], axis=-1)


def refuses_what_does_not_fit():
    refused(VJPShapeError, "WrongShape", zk.grad(lambda x: op.sum(WrongShape()(x))), np.ones(3))


class Counted(Operator):
    """a * b, and how often the rule of b ran."""

    calls = 0
    multilinear = True

    def forward(self, xp, a, b):
        return a * b

    def vjp_a(self, xp, g, b):
        return g * b

    def vjp_b(self, xp, g, a):
        Counted.calls += 1
        return g * a


class CountedByTwo(Counted):
    """The same with a rule that reads two arrays, which the sweep does not write out."""

    def vjp_b(self, xp, g, a, b):
        return Counted.vjp_b(self, xp, g, a)


def nothing_for_nobody():
    """The sweep of an inner gradient runs no rule for what an outer one alone will ask for."""
    for kind in (Counted, CountedByTwo):
        zk.grad(partial(_inner_gradient, kind))(np.ones(2))


def _inner_gradient(kind, c):
    Counted.calls = 0
    inner = zk.grad(lambda x: op.sum(kind()(x, op.sin(c))))(np.ones(2))
    assert Counted.calls == 0
    return op.sum(inner)


def one_output_twice():
    def f(x):
        y = op.sin(x)
        return y, y

    close(zk.vjp(f, np.zeros(2))[1]((np.ones(2), 2 * np.ones(2)))[0], 3.0)


def asked_on_the_way():
    """A sweep goes on behind a Record that it was asked for."""
    x = lifted(np.ones(2), lambda: "x")
    y = op.exp(x)
    z = op.sum(y * 2.0)
    by_y, by_x = pull_back([z.record], [seed(z.record)], [y.record, x.record], False)
    assert by_x is not None
    close(by_y, 2.0)
    close(by_x, 2 * np.e)


def tangents_have_their_dtype():
    single, double = np.ones(2, np.float32), np.ones(2)
    assert zk.jvp(lambda x: x + double, (single,), (single,))[1].dtype == np.float64


def chunks_recorded():
    """The gradient of a Jacobian that is computed in chunks."""
    weights = np.arange(6.0).reshape(2, 3)
    f = lambda x: op.stack([op.sum(x**3), x[0] * x[1] * x[2]])  # noqa: E731
    for mode in ("rev", "fwd"):
        found = zk.grad(lambda x, m=mode: op.sum(zk.jacobian(f, mode=m, chunk_size=1)(x) * weights))(A([1.0, 2, 3]))
        close(
            found,
            zk.grad(
                lambda x: (
                    op.sum(3 * x**2 * weights[0])
                    + op.sum(op.stack([x[1] * x[2], x[0] * x[2], x[0] * x[1]]) * weights[1])
                )
            )(A([1.0, 2, 3])),
        )


def reached_twice():
    """A diagonal Jacobian meets another one in the same step."""

    def f(x):
        y = op.sin(x)
        return y * op.cumulative_sum(y)

    x = A([0.1, 0.5, 0.9])
    close(zk.jacobian(f, mode="rev")(x), zk.jacobian(f, mode="fwd")(x))


def has_a_limit():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jacobians, "memory_limit", lambda: 71)
        refused(JacobianTooLargeError, "limit", zk.jacobian(op.sin), np.ones(3))


def little_is_kept():
    """Plans made anew: what each operator keeps for its rules."""
    assert Plan(exponential.Exp).keep((None,)) == (None, None)
    one = object()
    assert Plan(exponential.Exp).keep((one,)) == (None, True)
    assert Plan(elementwise.Add).keep((one, one)) == (None, None, None)
    assert Plan(elementwise.Multiply).keep((one, None)) == (None, True, None)
    assert Plan(elementwise.Multiply).keep((None, one)) == (True, None, None)

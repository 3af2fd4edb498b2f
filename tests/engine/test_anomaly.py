"""zk.detect_anomaly: 50 planted faults, each found with its operator and its line.

A fault is a function of a backend. The line that has to be named is the one that ends in the comment ``here``.
"""

import inspect
import linecache
from typing import NamedTuple

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from support.engine import nothing_left_behind
from zkynet import nn
from zkynet.errors import AnomalyError
from zkynet.framework import op
from zkynet.framework.record import WATCHED

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, of the same faults

INF, NAN = float("inf"), float("nan")
EVERY = ("numpy", "jax", "array_api_strict")
FAULTS = {}


class Fault(NamedTuple):
    """``says`` is a part of the message; ``operator`` and ``line`` are what has to be named."""

    run: object
    operator: str
    says: str
    line: int
    backends: tuple[str, ...]


def fault(operator, says, backends=("numpy",)):
    """Put a function into the table."""

    def add(run):
        lines, start = inspect.getsourcelines(run)
        (line,) = [start + n for n, text in enumerate(lines) if text.rstrip().endswith("# here")]
        assert run.__name__ not in FAULTS
        FAULTS[run.__name__] = Fault(run, operator, says, line, backends)
        return run

    return add


# ---- forward: made of finite numbers ----


@fault("Log", "NaN came out of finite numbers", EVERY)
def log_of_a_negative(xp):
    x = xp.asarray([1.0, -1.0])
    return op.sum(op.log(x))  # here


@fault("Log1p", "NaN and infinity came out")
def two_kinds_at_once(xp):
    return op.log1p(xp.asarray([-1.0, -2.0])) * 2.0  # here


@fault("Divide", "NaN came out of finite numbers", EVERY)
def zero_over_zero(xp):
    x = xp.asarray([0.0, 1.0])
    y = op.divide(x, x)  # here
    return op.sum(y)


@fault("Exp", "infinity came out of finite numbers", EVERY)
def exp_overflows(xp):
    x = op.exp(xp.asarray([0.0, 1000.0]))  # here
    return x / op.sum(x)


@fault("Exp", "infinity came out of finite numbers")
def an_overflow_beside_an_infinity_that_is_meant(xp):
    return op.sum(op.exp(xp.asarray([-INF, INF, 1000.0])))  # here


@fault("Sum", "infinity came out of finite numbers")
def a_sum_overflows_beside_an_infinity_that_is_meant(xp):
    return op.sum(xp.asarray([-INF, 1.5e308, 1.5e308])) * 1.0  # here


@fault("Multiply", "infinity came out")
def single_precision_overflows(xp):
    x = op.asarray(np.array([1e30], "float32"))
    return op.sum(x * x)  # here


@fault("AsType", "infinity came out")
def a_cast_overflows(xp):
    return op.astype(xp.asarray([1e300]), "float32") + 1  # here


@fault("Pow", "NaN came out")
def a_root_of_a_negative_number(xp):
    return op.sum(op.asarray(xp.asarray([-8.0])) ** (1 / 3))  # here


@fault("MatMul", "infinity came out")
def a_product_overflows(xp):
    a = op.asarray(xp.asarray([[1e200, 1.0]]))
    return op.sum(a @ op.matrix_transpose(a))  # here


@fault("Exp", "input x:       float 1000.0")
def python_numbers(xp):
    return op.exp(1000.0) * 2.0  # here


@fault("Log", "magnitudes 0 .. 1")
def complex_numbers(xp):
    return op.sum(op.real(op.log(xp.asarray([0j, 1j]))))  # here


# ---- forward: of infinities, and from outside ----


@fault("Subtract", "NaN came out of infinite numbers")
def infinity_less_infinity(xp):
    x = op.asarray(xp.asarray([INF, 1.0]))
    return op.sum(x - x)  # here


@fault("Softmax", "NaN came out of infinite numbers", EVERY)
def a_row_that_is_masked_altogether(xp):
    scores = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    mask = xp.asarray([[True, False], [False, False]])
    weights = op.softmax(op.where(mask, scores, -INF))  # here
    return op.sum(weights)


@fault("Multiply", "its input number 1, b, already has NaN")
def a_constant_that_is_nan(xp):
    return op.sum(op.asarray(xp.asarray([1.0])) * NAN)  # here


@fault("Reshape", "its input number 0, x, already has NaN")
def data_that_are_nan(xp):
    x = op.reshape(xp.asarray([1.0, NAN]), (2, 1))  # here
    return op.sum(x)


@fault("Compare", "its input number 0, a, already has NaN")
def a_comparison_swallows_a_nan(xp):
    return op.where(op.greater(xp.asarray([NAN]), 0.0), 1.0, 0.0)  # here


@fault("Log", "infinity came out")
def where_takes_the_entry(xp):
    x = xp.asarray([0.0, 2.0])
    y = op.log(x)  # here
    return op.sum(op.where(op.less(x, 1.0), op.reshape(y, (2,)), 0.0))


@fault("Log", "NaN came out")
def nobody_uses_the_result(xp):
    return op.log(xp.asarray([-1.0]))  # here


# ---- forward, inside of something ----


@fault("Log", "NaN came out")
def deep_in_a_module(xp):
    class Inner(zk.Module):
        def __init__(self, weight):
            self.w = zk.Parameter("w", np.array([weight, 2.0]))

        def call(self, x):
            return op.log(x * self.w)  # here

    class Outer(zk.Module):
        def __init__(self):
            self.parts = [nn.Sequential(Inner(3.0), Inner(-1.0))]

        def call(self, x):
            return op.sum(self.parts[0](x))

    return zk.value_and_grad(lambda model, x: model(x))(Outer(), np.ones(2))


@fault("Multiply", "its input number 1, b, already has NaN")
def a_weight_that_is_nan(xp):
    class Scale(zk.Module):
        def __init__(self):
            self.w = zk.Parameter("w", np.array([NAN, 2.0]))

        def call(self, x):
            return op.sum(x * self.w)  # here

    return zk.grad(lambda m: m(np.ones(2)))(Scale())


@fault("Multiply", "its input number 0, a, already has infinity")
def a_weight_that_has_diverged(xp):
    class Scale(zk.Module):
        def __init__(self):
            self.w = zk.Parameter("w", np.array([INF, 2.0]))

        def call(self, x):
            return op.sum(self.w * x)  # here

    return Scale()(np.ones(2))


@fault("MatMul", "infinity came out")
def a_layer_of_the_library(xp):
    layer = nn.Linear(np.full((2, 2), 1e200))
    x = np.full((1, 2), 1e200)
    return op.sum(layer(x))  # here


@fault("Sqrt", "NaN came out")
def in_a_checkpoint(xp):
    def root(x):
        return op.sqrt(x)  # here

    return zk.grad(lambda x: op.sum(zk.checkpoint(root)(x)))(xp.asarray([-1.0]))


@fault("Divide", "NaN came out")
def in_a_function_with_its_own_rule(xp):
    @zk.custom_vjp
    def unit(x):
        return x / op.sum(x)  # here

    return op.sum(unit(xp.asarray([0.0, 0.0])))


@fault("Log", "NaN came out")
def under_no_grad(xp):
    with zk.no_grad():
        return op.sum(op.log(xp.asarray([-1.0])))  # here


@fault("Log", "infinity came out")
def in_an_inner_transform(xp):
    def outer(x):
        y, _ = zk.value_and_grad(lambda z: op.sum(op.log(z * x)))(x)  # here
        return y

    return zk.grad(outer)(xp.asarray([0.0, 1.0]))


# ---- backward ----


@fault("Sqrt", "its rule sent infinity to x", EVERY)
def sqrt_at_zero(xp):
    def f(x):
        y = op.sqrt(x)  # here
        return op.sum(y)

    return zk.grad(f)(xp.asarray([0.0, 4.0]))


@fault("Sqrt", "its rule sent infinity to x", EVERY)
def a_norm_at_zero(xp):
    def norm(x):
        return op.sqrt(op.sum(x * x))  # here

    return zk.grad(norm)(xp.asarray([0.0, 0.0]))


@fault("Sqrt", "its rule sent infinity to x")
def what_a_where_lets_through(xp):
    def f(x, low):
        return op.sum(op.sqrt(op.where(x > 0, x, low)))  # here

    return zk.grad(f, (0, 1))(xp.asarray([-1.0, 4.0]), xp.asarray([0.0, 0.0]))


@fault("Log", "its rule sent infinity")
def a_slope_overflows(xp):
    return zk.grad(lambda x: op.sum(op.log(x)))(xp.asarray([1e-310]))  # here


@fault("Divide", "its rule sent infinity to a")
def a_tiny_denominator(xp):
    return zk.grad(lambda a, b: op.sum(a / b))(xp.asarray([1e-310]), xp.asarray([1e-310]))  # here


@fault("Reciprocal", "its rule sent infinity to x")
def a_reciprocal_of_a_tiny_number(xp):
    return zk.grad(lambda x: op.sum(op.reciprocal(x)))(xp.asarray([1e-200]))  # here


@fault("Multiply", "its rule sent infinity to a")
def gradients_explode(xp):
    def f(x):
        x = x * 1e200  # here
        return op.sum(x * 1e200)

    return zk.grad(f)(xp.asarray([1e-300]))


@fault("norm", "in its rule:   Divide", EVERY)
def a_wrong_rule_of_ones_own(xp):
    @zk.custom_vjp
    def norm(x):
        return op.sqrt(op.sum(x * x))

    @norm.defvjp
    def _(g, y, x):
        return (g * (x / y),)

    return zk.grad(lambda x: norm(x) * 2.0)(xp.asarray([0.0, 0.0]))  # here


@fault("Halve", "its rule sent NaN to x")
def a_wrong_operator_of_ones_own(xp):
    class Halve(zk.Operator):
        def forward(self, xp, x):
            return x / 2

        def vjp_x(self, xp, g, x):
            return g * ((x / 2) / x)

    return zk.grad(lambda x: op.sum(Halve()(x)))(xp.asarray([0.0, 1.0]))  # here


@fault("Sqrt", "its rule sent infinity")
def backward_in_a_checkpoint(xp):
    def root(x):
        return op.sqrt(x * 1.0)  # here

    return zk.grad(lambda x: op.sum(zk.checkpoint(root)(x)))(xp.asarray([0.0]))


@fault("Sqrt", "its rule sent infinity")
def backward_from_a_module_called_from_outside(xp):
    class Root(zk.Module):
        def call(self, x):
            return op.sqrt(x)  # here

    return zk.Module.build("Around", lambda x: op.sum(Root()(x)), ["x"])(xp.asarray([0.0])).back()


@fault("Sqrt", "its rule sent infinity")
def gradients_of_several_calls(xp):
    w = zk.Parameter("w", xp.asarray([0.0, 1.0]))
    root = zk.Module.build("Root", lambda x, w: op.sqrt(x * w), ["x"], [w])  # here
    loss = op.sum(root(1.0)) + op.sum(root(2.0))
    return zk.gradients(loss, [w])


@fault("Sqrt", "cotangent:     float64 (2, 2)")
def all_jacobians_of_a_module(xp):
    return zk.Module.build("Root", lambda x: op.sqrt(x) * 2.0, ["x"])(xp.asarray([0.0, 1.0])).back()  # here


@fault("Sqrt", "its rule sent infinity to x", EVERY)
def a_jacobian(xp):
    return zk.jacobian(lambda x: op.sqrt(x) * 2.0, mode="rev")(xp.asarray([1.0, 0.0]))  # here


@fault("Sqrt", "its rule sent infinity")
def backward_in_an_inner_transform(xp):
    def inner(z):
        return op.sum(op.sqrt(z))  # here

    return zk.grad(lambda x: op.sum(zk.grad(inner)(x) * x))(xp.asarray([0.0]))


@fault("Pow", "in a rule of:  Pow")
def a_second_derivative(xp):
    def f(x):
        return op.sum(x**1.5)  # here

    return zk.grad(lambda x: op.sum(zk.grad(f)(x)))(xp.asarray([0.0]))


@fault("Pow", "in a rule of:  Pow")
def a_hessian(xp):
    def f(x):
        return op.sum((x * 1.0) ** 1.5)  # here

    return zk.hessian(f)(xp.asarray([0.0, 1.0]))


@fault("Pow", "in a rule of:  Pow")
def a_third_derivative(xp):
    def f(x):
        return op.sum(x**2.5)  # here

    return zk.grad(zk.grad(zk.grad(f)))(0.0)


@fault("Pow", "in a rule of:  Pow")
def a_second_derivative_through_a_checkpoint(xp):
    @zk.checkpoint
    def f(x):
        return op.sum(x**1.5)  # here

    return zk.grad(lambda x: op.sum(zk.grad(f)(x)))(xp.asarray([0.0]))


@fault("Sin", "its cotangent already has NaN")
def a_cotangent_that_is_nan(xp):
    _, pull = zk.vjp(lambda x: op.sin(x), xp.asarray([1.0, 2.0]))  # here
    return pull(xp.asarray([NAN, 1.0]))


# ---- forward mode ----


@fault("Sqrt", "its tangent has infinity", EVERY)
def a_tangent(xp):
    x = xp.asarray([0.0, 1.0])
    return zk.jvp(lambda x: op.sqrt(x) * 2.0, (x,), (xp.asarray([1.0, 1.0]),))  # here


@fault("Sqrt", "its tangent has infinity")
def a_jacobian_forward(xp):
    return zk.jacobian(lambda x: op.sqrt(x) * 2.0, mode="fwd")(xp.asarray([1.0, 0.0]))  # here


@fault("Pow", "in a rule of:  Pow")
def a_product_with_a_hessian(xp):
    def f(x):
        return op.sum(x**1.5)  # here

    x = xp.asarray([0.0])
    return zk.hvp(f, (x,), (xp.asarray([1.0]),))


PLANTED = [(name, backend) for name, each in FAULTS.items() for backend in each.backends]


def test_there_are_fifty_faults():
    assert len(FAULTS) == 50


@pytest.mark.parametrize("name, library", PLANTED)
def test_a_planted_fault_is_found(name, library):
    each, backend = FAULTS[name], backends_here.get(library)
    with nothing_left_behind():
        with pytest.raises(AnomalyError) as caught, zk.detect_anomaly():
            each.run(backend)
        error, message = caught.value, str(caught.value)
        assert (error.operator, error.line) == (each.operator, each.line)
        assert error.file == __file__
        assert each.says in message
        assert f"{__file__}:{each.line}, in " in message
        assert linecache.getline(__file__, each.line).strip() in message
        assert not WATCHED

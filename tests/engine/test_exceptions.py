"""An exception anywhere leaves nothing behind, and says where it comes from."""

import sys

import numpy as np
import pytest

import zkynet as zk
from support.engine import nothing_left_behind
from zkynet.errors import ShapeError
from zkynet.framework import op
from zkynet.framework.operator import Operator
from zkynet.framework.record import RUNNING, apply

X = np.array([0.1, 0.2, 0.3])


class Fault(zk.Operator):
    """The identity, that raises ``error`` in its forward or in its rule."""

    def __init__(self, error, where):
        self.error, self.where = error, where

    def forward(self, xp, x):
        if self.where == "forward":
            raise self.error
        return x + 0.0

    def vjp_x(self, xp, g):
        if self.where == "rule":
            raise self.error
        return g

    def jvp_x(self, xp, t):
        return self.vjp_x(xp, t)


TRANSFORMS = {
    "grad": lambda f: zk.grad(lambda x: op.sum(f(x)))(X),
    "vjp": lambda f: zk.vjp(f, X)[1](X),
    "jvp": lambda f: zk.jvp(f, (X,), (X,)),
    "jacobian": lambda f: zk.jacobian(f, mode="rev")(X),
    "jacobian forward": lambda f: zk.jacobian(f, mode="fwd")(X),
    "hessian": lambda f: zk.hessian(lambda x: op.sum(f(x)))(X),
    "grad of grad": lambda f: zk.grad(lambda x: op.sum(zk.grad(lambda y: op.sum(f(y)))(x)))(X),
    "checkpoint": lambda f: zk.grad(lambda x: op.sum(zk.checkpoint(f)(x)))(X),
    "no_grad": lambda f: zk.grad(lambda x: op.sum(zk.no_grad()(zk.grad(lambda y: op.sum(f(y))))(x) * x))(X),
    "custom_vjp": lambda f: zk.grad(lambda x: op.sum(custom(f)(x)))(X),
}


def custom(f):
    """``f`` as a function with a rule of its own, in which it is called too."""
    made = zk.custom_vjp(f)
    made.defvjp(lambda g, y, x: (zk.vjp(f, x)[1](g)[0],))
    return made


@pytest.mark.parametrize("error", [ValueError("v"), KeyboardInterrupt(), SystemExit(1), MemoryError(), StopIteration()])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("where", ["forward", "rule"])
def test_a_failing_operator_leaves_the_context_as_it_was(where, transform, error):
    with nothing_left_behind(), pytest.raises(type(error)) as caught:
        TRANSFORMS[transform](Fault(error, where))
    assert caught.value is error
    assert not RUNNING


def subclasses(cls):
    found = [cls]
    for sub in cls.__subclasses__():
        found += subclasses(sub)
    return found


OPERATORS = sorted(
    {
        c
        for c in subclasses(Operator)
        if c.__module__.startswith("zkynet.framework.operations") and "forward" in vars(c)
    },
    key=lambda c: c.__qualname__,
)


@pytest.mark.parametrize("cls", OPERATORS, ids=lambda c: c.__name__)
def test_an_error_in_any_operator_names_it(cls):
    def forward(self, xp, *arrays):
        raise FloatingPointError("broken")

    broken = type(cls.__name__, (cls,), {"forward": forward, "promotion": None, "joint": False, "promotes": None})
    operator = broken.__new__(broken)
    with nothing_left_behind(), pytest.raises(FloatingPointError) as caught:
        zk.grad(lambda x: apply(operator, x, np.ones((2, 1))))(X)
    (note,) = caught.value.__notes__
    assert cls.__name__ in note and "(3,) float64" in note and "(2, 1) float64" in note


def test_an_error_in_a_rule_names_its_operator():
    with pytest.raises(ValueError) as caught:
        zk.grad(lambda x: op.sum(Fault(ValueError("v"), "rule")(x)))(X)
    assert "Fault" in caught.value.__notes__[0] and "(3,)" in caught.value.__notes__[0]


class Interrupted(BaseException):
    """Stands for a KeyboardInterrupt."""


def work():
    """Much of the engine, in some hundred calls."""
    p = zk.Parameter("p", 2.0)

    def f(x):
        with zk.no_grad():
            c = op.sum(x)
        inner = zk.grad(lambda y: op.sum(op.sin(y) * c + zk.checkpoint(lambda z: z * z)(y)))(x)
        return op.sum(inner[0:2] * p)

    zk.value_and_grad(f)(X)
    zk.grad(lambda p: f(X))(p)
    zk.jvp(f, (X,), (X,))


def interrupt_after(calls):
    """Run ``work`` and raise in its ``calls``-th function call; whether it came that far."""
    left = calls

    def profile(frame, event, argument):
        nonlocal left
        if event in ("call", "c_return") and "zkynet" in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise Interrupted

    sys.setprofile(profile)
    try:
        work()
    except Interrupted:
        return True
    finally:
        sys.setprofile(None)
    return False


@pytest.mark.slow
@pytest.mark.skipif(hasattr(sys, "monitoring") and sys.gettrace() is not None, reason="another tool watches the calls")
def test_an_interrupt_at_any_moment_leaves_the_context_as_it_was():
    calls = 1
    while True:
        with nothing_left_behind():
            if not interrupt_after(calls):
                break
        calls += 1 + calls // 60
    assert calls > 500


def test_shapes_that_do_not_broadcast_are_the_same_error_everywhere(backend):
    a, b = backend.asarray([1.0, 2.0]), backend.asarray([1.0, 2.0, 3.0])
    for f in (lambda: op.add(a, b), lambda: op.asarray(a) * b, lambda: op.where(a > 0, a, b)):
        with pytest.raises(ShapeError) as caught:
            f()
        assert "(2,)" in str(caught.value) and "(3,)" in str(caught.value)
        assert "in operator" in caught.value.__notes__[0]
    with pytest.raises(ShapeError):
        op.matmul(backend.asarray([[1.0, 2.0]]), backend.asarray([[1.0, 2.0, 3.0]]))
    with pytest.raises(ShapeError):
        op.broadcast_to(a, (3,))
    with pytest.raises(ShapeError):
        op.concat([a, backend.asarray([[1.0]])])


def test_an_error_note_names_python_numbers():
    with pytest.raises(TypeError) as caught:
        apply(Fault(TypeError("t"), "forward"), 2.0)
    assert "float 2.0" in caught.value.__notes__[0]

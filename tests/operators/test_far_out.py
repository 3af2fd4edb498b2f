"""Far out on both sides: no overflow and no warning, the right limits, and slopes that are not 0 too soon."""

from __future__ import annotations

import math

import numpy as np
import pytest

import zkynet as zk
from support import backends as backends_here
from zkynet.framework import op

FAR = np.array([-1e300, -1e5, -800.0, -40.0, 0.0, 40.0, 800.0, 1e5, 1e300])
RIGHT = {  # what each is on the far right, in terms of x
    "identity": ["relu", "leaky_relu", "elu", "celu", "silu", "swish", "mish", "gelu", "softplus", "squareplus"],
    "one": ["sigmoid", "tanh", "hard_tanh", "hard_sigmoid", "soft_sign"],
    "zero": ["log_sigmoid", "log1mexp"],
}
SLOW = {"soft_sign": 1e-2, "squareplus": 1e-5}  # they come near their limits as a power of x does
LIMITS = [(name, kind) for kind, names in RIGHT.items() for name in names]


def numbers_of(kind, x):
    return {"identity": x, "one": np.ones_like(x), "zero": np.zeros_like(x)}[kind]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "kind"), LIMITS)
def test_nothing_overflows_and_the_limits_are_right(name, kind, dtype):
    x = FAR[np.abs(FAR) < 1e30].astype(dtype) if dtype == "float32" else FAR
    x = x[x > 0] if name == "log1mexp" else x
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y = getattr(op, name)(x).value
    far = x >= 800
    np.testing.assert_allclose(y[far], numbers_of(kind, x[far]), rtol=SLOW.get(name, 1e-6), atol=1e-30)
    assert y.dtype == x.dtype and np.isfinite(y).all()
    slopes = zk.grad(lambda x: op.sum(getattr(op, name)(x)))(x)
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize(
    ("name", "x", "slope"),
    [
        ("sigmoid", 40.0, math.exp(-40)),
        ("sigmoid", -700.0, math.exp(-700)),
        ("softplus", -700.0, math.exp(-700)),
        ("log_sigmoid", 700.0, math.exp(-700)),
        ("elu", -700.0, math.exp(-700)),
        ("silu", -50.0, -49 * math.exp(-50)),
        ("log1mexp", 700.0, math.exp(-700)),
        ("soft_sign", 1e100, 1e-200),
        ("squareplus", -1e100, 1e-200),
        ("atan", 1e100, 1e-200),
        ("asinh", 1e200, 1e-200),
        ("acosh", 1e200, 1e-200),
    ],
)
def test_slopes_are_not_0_too_soon(name, x, slope):
    assert zk.grad(getattr(op, name))(x) == pytest.approx(slope, rel=1e-12)


def test_frexp_gives_what_numpy_gives(backend):
    x = np.array([[0.0, 1.0, -3.0, 1e300], [0.3, np.inf, -1024.0, 1e-300]])
    mantissa, exponent = op.frexp(backend.asarray(x))
    np.testing.assert_array_equal(backend.to_numpy(mantissa.value), np.frexp(x)[0])
    np.testing.assert_array_equal(backend.to_numpy(exponent.value), np.frexp(x)[1])
    assert backend.name_of(exponent.dtype) == "int32"


def test_float_power_is_in_double_precision(backend):
    x = backend.asarray(np.array([2.0, 4.0], "float32"))
    y = op.float_power(x, -1)
    assert backend.name_of(y.dtype) == "float64"
    np.testing.assert_array_equal(backend.to_numpy(y.value), [0.5, 0.25])
    whole = op.float_power(backend.asarray(np.array([2, 4])), backend.asarray(np.array([-1, -2])))
    np.testing.assert_array_equal(backend.to_numpy(whole.value), [0.5, 1 / 16])
    assert op.float_power(2, -1).value == 0.5 and type(op.float_power(2, -1).value) is float
    gradient = zk.grad(lambda x: op.sum(op.float_power(x, -1)))(x)
    assert backend.name_of(gradient.dtype) == "float32"


def test_operators_are_named_after_their_functions():
    assert op.Compare("equal").functional_name == "equal" and op.Predicate("isnan").functional_name == "isnan"
    names = ("remainder", "logaddexp", "exp2", "hypot", "atan2", "silu", "log1mexp", "xlogy", "rsqrt", "ldexp")
    assert all(getattr(op, name.capitalize())().functional_name == name for name in names)
    assert op.AsType("float32").functional_name == "astype"


def test_what_is_stochastic_needs_its_generator():
    with pytest.raises(TypeError, match="Generator"):
        op.rrelu(np.ones(3), generator=7)


def test_real_if_close_refuses_in_a_compiled_function():
    jax = backends_here.get("jax")
    with pytest.raises(TypeError, match=r"op\.real"):
        jax.compile(lambda z: op.real_if_close(z).value)(jax.asarray(np.array([1 + 1j])))

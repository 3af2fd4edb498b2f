"""Complex numbers: dL/dRe + i dL/dIm for real losses, f'(z) for holomorphic functions."""

import numpy as np
import pytest

import zkynet as zk
from support.numeric import directional, gradient
from zkynet.errors import NotDifferentiableError
from zkynet.framework import op

Z = np.array([0.3 + 0.5j, -0.7 + 0.2j])
W = np.array([0.1 - 0.4j, 0.6 + 0.9j])


def value(f):
    return lambda *xs: np.asarray(op.asarray(f(*xs)).value)


LOSSES = {
    "abs squared": lambda z: op.sum(op.real(z * op.conj(z))),
    "abs": lambda z: op.sum(op.abs(z)),
    "real of a cube": lambda z: op.real(op.sum(z**3)),
    "imaginary part": lambda z: op.sum(op.imag(z * z * (1 + 2j))),
    "exp": lambda z: op.abs(op.sum(op.exp(z) * W)),
    "with conj": lambda z: op.real(op.sum(z * op.conj(z) ** 2 * W)),
    "matmul": lambda z: op.real(op.sum(np.array([[1, 1j], [2j, 1 - 1j]]) @ z)),
    "division": lambda z: op.real(op.sum(W / z)),
    "through real": lambda z: op.sum(op.real(z) ** 2 * op.imag(z)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_real_and_imaginary_parts(name):
    f = LOSSES[name]
    np.testing.assert_allclose(zk.grad(f)(Z), gradient(value(f), [Z])[0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_against_the_gradient_descends(name):
    f = LOSSES[name]
    v, g = zk.value_and_grad(f)(Z)
    assert value(f)(Z - 1e-4 * g) < v


@pytest.mark.parametrize("name", LOSSES)
def test_second_derivatives(name):
    f = LOSSES[name]
    found = zk.grad(lambda z: op.sum(op.real(zk.grad(f)(z) * op.conj(W))))(Z)
    numerical = gradient(lambda z: np.sum(np.real(zk.grad(f)(z) * np.conj(W))), [Z])[0]
    np.testing.assert_allclose(found, numerical, rtol=1e-6, atol=1e-8)


def test_tangents_are_directional_derivatives():
    f = lambda z: op.conj(z) * z * z + op.abs(z) * 1j  # noqa: E731
    np.testing.assert_allclose(zk.jvp(f, (Z,), (W,))[1], directional(value(f), [Z], [W]), rtol=1e-8)


def test_pull_is_the_adjoint_of_the_tangent_map():
    f = lambda z: op.conj(z) * z * z  # noqa: E731
    (c,) = zk.vjp(f, Z)[1](W)
    v = np.array([1 + 2j, -0.5j])
    t = zk.jvp(f, (Z,), (v,))[1]
    np.testing.assert_allclose(np.real(np.vdot(W, t)), np.real(np.vdot(c, v)))


def test_python_complex_numbers():
    assert zk.grad(lambda z: op.real(z * op.conj(z)))(3 + 4j) == 6 + 8j
    assert type(zk.grad(lambda z: op.real(z))(3 + 4j)) is complex
    assert zk.grad(lambda z: op.imag(z))(3 + 4j) == 1j
    assert zk.jvp(lambda z: z * z, (1j,), (1.0,)) == (-1 + 0j, 2j)
    assert zk.grad(lambda x: op.real(x * 1j * 1j))(2.0) == -1.0
    assert type(zk.grad(lambda x: op.abs(x * 1j))(2.0)) is float


def test_a_real_input_of_a_complex_computation_has_a_real_gradient():
    x = np.array([1.0, 2.0])
    found = zk.grad(lambda x: op.sum(op.abs(x * W) ** 2))(x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, 2 * x * np.abs(W) ** 2)


def test_single_precision_stays():
    found = zk.grad(lambda z: op.sum(op.abs(z)))(Z.astype(np.complex64))
    assert found.dtype == np.complex64


# ---- holomorphic functions ----


def test_the_complex_derivative():
    assert zk.grad(lambda z: z**3, holomorphic=True)(1 + 2j) == 3 * (1 + 2j) ** 2
    np.testing.assert_allclose(
        zk.grad(lambda z: op.sum(op.exp(z) / z), holomorphic=True)(Z), np.exp(Z) / Z - np.exp(Z) / Z**2
    )
    np.testing.assert_allclose(zk.grad(zk.grad(lambda z: z**3, holomorphic=True), holomorphic=True)(2j), 12j)


@pytest.mark.parametrize("mode", ["auto", "fwd", "rev"])
def test_the_complex_jacobian(mode):
    found = zk.jacobian(lambda z: op.sin(z) * W[0], mode=mode, holomorphic=True)(Z)
    np.testing.assert_allclose(found, np.diag(np.cos(Z) * W[0]))
    assert zk.jacobian(lambda z: z * z, mode=mode, holomorphic=True)(1j) == 2j


@pytest.mark.parametrize(
    "f",
    [
        lambda z: op.sum(op.conj(z)),
        lambda z: op.sum(z * op.real(z)),
        lambda z: op.sum(op.abs(z) * z),
        lambda z: op.sum(z * z + 0.01 * op.conj(z) ** 2),
    ],
)
def test_a_function_that_is_not_holomorphic_has_no_complex_derivative(f):
    with pytest.raises(NotDifferentiableError, match="not holomorphic here"):
        zk.grad(f, holomorphic=True)(Z)
    for mode in ("fwd", "rev"):
        with pytest.raises(NotDifferentiableError, match="not holomorphic here"):
            zk.jacobian(f, mode=mode, holomorphic=True)(Z)


def test_the_complex_derivative_needs_complex_numbers_on_both_sides():
    with pytest.raises(NotDifferentiableError, match="both sides"):
        zk.grad(lambda z: op.sum(op.abs(z)), holomorphic=True)(Z)
    with pytest.raises(NotDifferentiableError, match="both sides"):
        zk.grad(lambda x: x * 1j, holomorphic=True)(2.0)
    with pytest.raises(NotDifferentiableError, match="both sides"):
        zk.jacobian(lambda x: x * 1j, holomorphic=True)(np.ones(2))
    assert zk.grad(lambda x: x * x, holomorphic=True)(3.0) == 6.0


def test_complex_outputs_and_inputs_without_holomorphic():
    with pytest.raises(NotDifferentiableError, match="holomorphic=True"):
        zk.grad(lambda z: op.sum(z * z))(Z)
    with pytest.raises(NotDifferentiableError, match="holomorphic=True"):
        zk.jacobian(lambda z: z * z)(Z)
    x = np.ones(2)
    np.testing.assert_array_equal(zk.jacobian(lambda x: x * W)(x), np.diag(W))
    with pytest.raises(NotDifferentiableError, match="fwd"):
        zk.jacobian(lambda x: x * W, mode="rev")(x)


def test_on_every_backend(backend):
    z = backend.asarray(Z)
    found = zk.grad(LOSSES["exp"])(z)
    np.testing.assert_allclose(backend.to_numpy(found), zk.grad(LOSSES["exp"])(Z))
    found = zk.jacobian(lambda z: z**3, holomorphic=True)(z)
    np.testing.assert_allclose(backend.to_numpy(found), np.diag(3 * Z**2))

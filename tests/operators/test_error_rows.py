"""The recorded rows about errors: a wrong call gets one exception on every backend, and never a wrong number."""

from __future__ import annotations

import numpy as np
import pytest

import zkynet as zk
from support import truths
from support.points import host
from zkynet.framework import op

SQUARE = np.array([[1.0, 2.0], [2.0, 4.0]])
TALL = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
WIDE = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])


def raises(error, *parts):
    """An exception of that type, with every part in its message."""
    return pytest.raises(error, match="(?s)" + "".join(f"(?=.*{part})" for part in parts))


@pytest.fixture
def a(backend):
    """Makes an array on the backend under test, which is the default one meanwhile."""
    with zk.use_backend(backend):
        yield lambda x, dtype=None: backend.asarray(np.array(x, dtype))


def test_er_int_requires_grad(a):
    with raises(TypeError, "int64", r"astype\(float\)"):
        zk.grad(op.sum)(a([1, 2]))


def test_er_bool_requires_grad(a):
    with raises(TypeError, "bool"):
        zk.grad(lambda x: op.sum(op.where(x, 1.0, 2.0)))(a([True]))


def test_er_nonscalar_backward(a):
    with raises(TypeError, "scalar", r"\(2,\)"):
        zk.grad(lambda x: x * 2)(a([1.0, 2.0]))


def test_er_int_output(a):
    with raises(TypeError, "int64"):
        zk.grad(op.argmax)(a([1.0, 2.0]))
    with raises(TypeError, "int64"):
        zk.grad(lambda x: op.sum(op.astype(x, "int64")))(a([1.0, 2.0]))


def test_er_complex_output(a):
    with raises(TypeError, "complex", "holomorphic"):
        zk.grad(lambda z: op.sum(z * z))(a([1j]))
    assert host([zk.grad(lambda z: op.sum(z * z), holomorphic=True)(a([1j]))])[0] == 2j


def test_er_unused_input(a):
    gradient = zk.grad(lambda x, y: op.sum(x), (0, 1))(a([1.0, 2.0]), a([[3.0]]))[1]
    np.testing.assert_array_equal(host([gradient])[0], [[0.0]])


def test_er_cot_shape(a):
    _, pull = zk.vjp(lambda x: x * 2, a([1.0, 2.0]))
    with raises(ValueError, r"\(3,\)", r"\(2,\)"):
        pull(a([1.0, 1.0, 1.0]))
    with raises(ValueError, r"\(\)", r"\(2,\)"):
        pull(1.0)


def test_er_cot_dtype(a):
    gradient = zk.vjp(lambda x: x * 2, a([1.0, 2.0]))[1](a([1.0, 2.0], "float32"))[0]
    assert host([gradient])[0].dtype == np.float64


def test_er_double_backward_freed(a):
    _, pull = zk.vjp(lambda x: x * x, a([1.0, 2.0]))
    one, two = (host([pull(a([1.0, 1.0]))[0]])[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def changed(x, entry, number):
    """Whether the array's library let one of its entries be written."""
    try:
        x[entry] = number
    except TypeError:  # JAX's arrays cannot be written to, and the error says so
        return False
    return True


def test_er_mutate_after_forward(a):
    x = a([1.0, 2.0])
    held = zk.Tensor(x)
    _, pull = zk.vjp(lambda x: x * x, x)
    changed(x, 0, 100)
    np.testing.assert_array_equal(host(pull(a([1.0, 1.0])))[0], [2.0, 4.0])
    np.testing.assert_array_equal(host([held])[0], [1.0, 2.0])


def test_er_mutate_large():
    """Large arrays of the host are not copied: their bytes are compared."""
    x = np.ones(1 << 18)
    _, pull = zk.vjp(lambda x: x * x, x)
    x[0] = 100
    with pytest.raises(zk.errors.MutationError):
        pull(np.ones(x.size))


def test_er_mutate_shared_numpy(a):
    """A view, and a Tensor that an operator made as one: the buffer is changed behind them."""
    buffer = a(np.ones(4))
    view = op.reshape(buffer, (2, 2))
    _, pull = zk.vjp(lambda x: x * x, buffer[:2])
    for entry in range(4):
        changed(buffer, entry, 100)
    np.testing.assert_array_equal(host(pull(a(np.ones(2))))[0], 2.0)
    np.testing.assert_array_equal(host([view])[0], 1.0)


def test_er_gather_oob(a):
    with raises(IndexError, "5", "3"):
        zk.grad(lambda x: op.sum(x[[5]]))(a([1.0, 2.0, 3.0]))


def test_er_take_oob_value(a):
    with raises(IndexError, "5"):
        op.take(a([1.0, 2.0, 3.0]), a([5]))


def test_er_scatter_oob(a):
    with raises(IndexError, "7"):
        op.scatter_add(a([1.0, 2.0, 3.0]), a([7]), a([1.0]))


def test_er_cholesky_notpd(a):
    with raises(np.linalg.LinAlgError, "positive definite"):
        op.cholesky(a([[1.0, 2.0], [2.0, 1.0]]))


def test_er_solve_singular(a):
    with raises(np.linalg.LinAlgError, "singular"):
        op.linalg.solve(a(SQUARE), a([1.0, 2.0]))


def test_er_inv_singular(a):
    with raises(np.linalg.LinAlgError, "singular"):
        op.linalg.inv(a(SQUARE))


def test_er_qr_wide(a):
    """There is a gradient; the numbers are those of torch and JAX."""
    truth = [[2.3254886400542523, -1.212678125181665, -1.212678125181665]]
    truth += [[-1.6121485664179778, -0.7276068751089991, -0.7276068751089991]]
    gradient = zk.grad(lambda x: op.sum(op.qr(x)[1]))(a(WIDE))
    np.testing.assert_allclose(host([gradient])[0], truth, rtol=1e-12)


def test_er_qr_complete(a):
    with raises(NotImplementedError, "complete a basis"):
        zk.grad(lambda x: op.sum(op.qr(x, mode="complete")[0]))(a(TALL))
    gradient = zk.grad(lambda x: op.sum(op.qr(x, mode="complete")[1] ** 2))(a(TALL))  # R alone: the norm of x
    np.testing.assert_allclose(host([gradient])[0], 2 * TALL, rtol=1e-12)


def test_er_svd_full(a):
    with raises(NotImplementedError, "complete a basis"):
        zk.grad(lambda x: op.sum(op.svd(x)[0]))(a(TALL))


def test_er_svd_gauge(a):
    """Allowed: the sign of real singular vectors is the same nearby. The numbers are those of torch and JAX."""
    truth = [[-0.43648774951688507, 0.05493341165048454], [-0.9315716953698637, 0.6979495580437339]]
    truth += [[0.660594587362396, -0.42477645095162975]]
    gradient = zk.grad(lambda x: op.sum(op.svd(x, full_matrices=False)[0]))(a(TALL))
    np.testing.assert_allclose(host([gradient])[0], truth, rtol=1e-11)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_er_eigh_nan(a):
    try:
        values = host([op.eigh(a([[np.nan, 1.0], [1.0, 1.0]]))[0]])[0]
    except np.linalg.LinAlgError:
        return
    assert np.isnan(values).all()


def test_er_max_empty(a):
    with raises(ValueError, "no identity"):
        op.max(a([]))


def test_er_ce_label_oob(a):
    with raises(IndexError, "5"):
        op.softmax_cross_entropy(a([[1.0, 2.0, 3.0]]), a([5]))


def test_er_ce_label_neg(a):
    with raises(ValueError, "negative"):
        op.softmax_cross_entropy(a([[1.0, 2.0, 3.0]]), a([-1]))


def test_er_embed_neg(a):
    with raises(IndexError, "negative"):
        op.embedding(a([[1.0], [2.0]]), a([-1]))
    np.testing.assert_array_equal(host([op.take(a([[1.0], [2.0]]), a([-1]), axis=0)])[0], [[2.0]])  # wraps, as NumPy


def test_er_bn_batch1(a):
    with raises(ValueError, "one value per channel", r"\(1, 2\)"):
        op.batch_norm(a([[1.0, 2.0]]))


def test_er_conv_channels(a):
    with raises(ValueError, r"\(1, 2, 3, 3\)", r"\(1, 3, 2, 2\)"):
        op.conv(a(np.ones((1, 2, 3, 3))), a(np.ones((1, 3, 2, 2))))


def test_er_axis_oob(a):
    with raises(np.exceptions.AxisError, "axis 5"):
        op.sum(a([[1.0, 2.0]]), axis=5)


def test_er_axis_dup(a):
    with raises(ValueError, "duplicate"):
        op.sum(a([[1.0, 2.0]]), axis=(0, 0))


def test_er_bool_of_tracer(a):
    assert float(zk.grad(lambda x: x * 3 if x > 0 else x)(a(2.0))) == 3.0
    assert float(zk.grad(lambda x: x * 3 if x > 0 else x)(a(-2.0))) == 1.0


def test_er_inplace_tracer(a):
    def f(x):
        before = x * x
        y = x * 1.0
        y[0] = 5.0
        return op.sum(before + y)

    np.testing.assert_array_equal(host([zk.grad(f)(a([1.0, 2.0]))])[0], [2.0, 5.0])


def test_er_leak_tracer(a):
    kept = []
    zk.grad(lambda x: kept.append(x * 2) or op.sum(x))(a([1.0, 2.0]))
    np.testing.assert_array_equal(host([kept[0] + 1])[0], [3.0, 5.0])  # what it was when it was made


def test_er_np_ufunc_on_tracked(a):
    gradient = zk.grad(lambda x: op.sum(np.sin(x)))(a([0.0, 1.0]))
    np.testing.assert_allclose(host([gradient])[0], np.cos([0.0, 1.0]), rtol=1e-15)
    with raises(TypeError, "spacing", "gradient"):
        zk.grad(lambda x: op.sum(np.spacing(x)))(a([1.0]))


def test_er_float_of_tracked(a):
    for exit_ in (float, int, np.asarray):
        with raises(TypeError, "item", "stop_gradient"):
            zk.grad(lambda x, exit_=exit_: x * exit_(x))(a(2.0))


def test_er_big_jacobian(a):
    many = 1 << 20  # their Jacobian would have 2 ** 40 entries
    with raises(MemoryError, "GB", "vjp"):
        zk.jacobian(lambda x: x * 2)(a(np.ones(many)))


def test_er_pow_int_neg(a):
    with raises(ValueError, "negative integer powers"):
        op.pow(a([2]), -1)


def test_er_nan_cot(a):
    gradient = zk.vjp(op.relu, a([-1.0, 1.0]))[1](a([np.nan, 1.0]))[0]
    np.testing.assert_array_equal(host([gradient])[0], [0.0, 1.0])


def test_er_eigh_degen_vec(a):
    with raises(np.linalg.LinAlgError, "eigenvalues are equal"):
        zk.grad(lambda x: op.sum(op.eigh(x)[1]))(a(np.eye(2)))


@pytest.mark.skipif(truths.load() is None, reason=f"the recorded truths are not beside this checkout: {truths.path()}")
def test_every_row_is_run():
    run = {name.removeprefix("test_") for name in globals() if name.startswith("test_er_")}
    rows = [row["id"] for row in truths.load().ERRORS]
    assert len(rows) == 39
    assert run - {"er_mutate_large"} == set(rows)

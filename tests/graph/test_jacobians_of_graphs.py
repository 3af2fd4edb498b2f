"""Full Jacobians and products from graphs: shapes, broadcasting, JAX as judge, every backend, and the size limit."""

import numpy as np
import pytest

import zkynet as zk
from graph.simple import Simple, gradients_of, module
from zkynet.errors import JacobianTooLargeError
from zkynet.framework import op

SHAPES = [
    ((), ()),
    ((), (3,)),
    ((3,), ()),
    ((3,), (1,)),
    ((3,), (3,)),
    ((3,), (2, 1)),
    ((2, 3), (3,)),
    ((2, 3), (2, 1)),
    ((2, 1, 3, 2), (3, 1)),
    ((2, 1, 3, 2), (2, 3, 1, 1)),
]


def some(shape, start):
    """Numbers without a pattern, of this shape."""
    n = int(np.prod(shape))
    return np.reshape(np.cos(np.arange(start, start + n) * 1.7) + 1.5, shape)


def analytic(x, w):
    """The value, df/dx and df/dw of (x + w) * x**2 as dense Jacobians."""
    y = (x + w) * x**2

    def dense(entries, shape):
        whole = np.zeros(y.shape + shape)
        for k in np.ndindex(y.shape):
            mine = k[len(k) - len(shape) :]
            whole[k + tuple(i if n > 1 else 0 for i, n in zip(mine, shape, strict=True))] += entries[k]
        return whole

    slope_x = np.broadcast_to(3 * x**2 + 2 * w * x, y.shape)
    return y, dense(slope_x, np.shape(x)), dense(np.broadcast_to(x**2, y.shape), np.shape(w))


@pytest.mark.parametrize(("x_shape", "w_shape"), SHAPES, ids=str)
def test_closed_form_with_every_way_to_broadcast(x_shape, w_shape):
    x, w = some(x_shape, 1), some(w_shape, 50)
    y, by_x, by_w = analytic(x, w)
    model = Simple(w)
    result = model(x)
    np.testing.assert_allclose(result.value, y, rtol=1e-14)
    found = gradients_of(result, model)
    assert found["x"].shape == y.shape + x_shape and found["w"].shape == y.shape + w_shape
    np.testing.assert_allclose(found["x"], by_x, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(found["w"], by_w, rtol=1e-13, atol=1e-15)
    g = some(y.shape, 99)
    product = gradients_of(result, model, g)
    np.testing.assert_allclose(product["x"], np.tensordot(g, by_x, y.ndim), rtol=1e-13)
    np.testing.assert_allclose(product["w"], np.tensordot(g, by_w, y.ndim), rtol=1e-13)


def attention(xp, x, w, b):
    """Products, a softmax, a reduction that keeps its axis: a row of everything."""
    scores = xp.exp(xp.tanh(x @ w) + b)
    weights = scores / xp.sum(scores, axis=-1, keepdims=True)
    return weights * xp.where(x > 1.5, x, xp.sqrt(x))


def pooled(xp, x, w, b):
    """From four axes to a matrix, by transposing and reducing."""
    y = xp.reshape(xp.permute_dims(x * w, (1, 0, 2, 3)), (4, -1))
    return xp.sum(xp.maximum(y, 1.0), axis=1)[:, None] * xp.log(b)


PROGRAMS = {
    "attention": (attention, (2, 3, 3), (3, 3), (3,)),
    "matrix": (attention, (4, 3), (3, 3), (4, 1)),
    "four axes": (pooled, (2, 4, 3, 2), (4, 1, 1), (1, 3)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_against_jax(name):
    jax = pytest.importorskip("jax", reason="JAX is the judge of these Jacobians")
    zk.backends.get("jax").selected()  # its 64-bit mode
    program, *shapes = PROGRAMS[name]
    x, w, b = arrays = [some(shape, 10 * k + 1) for k, shape in enumerate(shapes)]
    model = module(lambda x, w, b: program(op, x, w, b), "x", w=w, b=b)
    result = model(x)
    truth = jax.jit(lambda *a: program(jax.numpy, *a))(*arrays)
    jacobians = jax.jit(jax.jacrev(lambda *a: program(jax.numpy, *a), argnums=(0, 1, 2)))(*arrays)
    np.testing.assert_allclose(result.value, truth, rtol=1e-12)
    g = some(truth.shape, 7)
    full, products = gradients_of(result, model), gradients_of(result, model, g)
    for key, array, expected in zip("xwb", arrays, jacobians, strict=True):
        assert full[key].shape == truth.shape + array.shape
        np.testing.assert_allclose(full[key], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(products[key], np.tensordot(g, expected, truth.ndim), rtol=1e-10, atol=1e-12)


def test_every_node_has_the_jacobian_that_jax_gives():
    jax = pytest.importorskip("jax", reason="JAX is the judge of these Jacobians")
    zk.backends.get("jax").selected()
    model = module(lambda x: op.sum(op.sin(x) * x, axis=0), "x")
    x = some((2, 3), 1)
    result = model(x).back()
    nodes = {node.operator.functional_name: node for node in result.nodes if node.children}
    assert list(nodes) == ["sin", "multiply", "sum"]
    rest = {"sin": lambda s: jax.numpy.sum(s * x, axis=0), "multiply": lambda p: jax.numpy.sum(p, axis=0)}
    for name, function in rest.items():
        np.testing.assert_allclose(nodes[name].gvalue, jax.jacrev(function)(nodes[name].value), rtol=1e-12)
    np.testing.assert_array_equal(nodes["sum"].gvalue, np.eye(3))


def test_on_every_backend(backend):
    xp = backend
    model = Simple(xp.asarray(np.array([1.0])))
    x = xp.asarray(np.array([3.0, 4.0, 5.0]))
    result = model(x)
    assert all(zk.backends.backend_of(node.value) is xp for node in result.nodes)
    for g, by_x, by_w in (
        (None, np.diag([33.0, 56.0, 85.0]), [[9.0], [16.0], [25.0]]),
        (np.array([1.0, 2.0, 3.0]), [33.0, 112.0, 255.0], [116.0]),
        (xp.asarray(np.array([1, 2, 3])), [33.0, 112.0, 255.0], [116.0]),
    ):
        found = gradients_of(result, model, g)
        assert all(zk.backends.backend_of(c) is xp for c in found.values())
        np.testing.assert_array_equal(xp.to_numpy(found["x"]), by_x)
        np.testing.assert_array_equal(xp.to_numpy(found["w"]), by_w)
    np.testing.assert_array_equal(xp.to_numpy(result.root.gvalue), [1.0, 2.0, 3.0])
    assert "33." in str(result.steps()) and "shape (3,)" in repr(result)


def test_a_host_array_that_meets_a_device_array_gets_its_gradient_on_the_host(backend):
    model = Simple(backend.asarray(np.array([1.0])))
    result = model(np.array([3.0, 4.0, 5.0])).back()
    assert zk.backends.backend_of(result.value) is backend
    assert isinstance(result.grad(model.input("x")), np.ndarray)
    np.testing.assert_array_equal(result.grad(model.input("x")), np.diag([33.0, 56.0, 85.0]))


def test_a_number_on_every_backend(backend):
    model = Simple(backend.asarray(np.array(1.0, np.float32)))
    result = model(3)
    assert backend.name_of(result.value.dtype) == "float32"
    found = gradients_of(result, model)
    assert found["x"] == 33.0 and type(found["x"]) is float
    assert float(backend.to_numpy(found["w"])) == 9.0 and backend.name_of(found["w"].dtype) == "float32"


def test_default_backend_for_numbers_and_lists(backend):
    with zk.use_backend(backend.name):
        model = Simple([1.0])
        result = model(op.asarray([3.0, 4.0]))
        assert zk.backends.backend_of(result.value) is backend
        np.testing.assert_array_equal(backend.to_numpy(result.back().grad(model.w)), [[9.0], [16.0]])


def test_empty_outputs_and_inputs():
    model = Simple(np.ones((0, 2)))
    found = gradients_of(model(np.ones((3, 0, 2))), model)
    assert found["x"].shape == (3, 0, 2, 3, 0, 2) and found["w"].shape == (3, 0, 2, 0, 2)
    total = module(lambda x: op.sum(x), "x")
    assert total(np.ones((0, 2))).back().grad(total.input("x")).shape == (0, 2)


class TestTooLarge:
    def test_the_error_says_the_size_and_the_ways_out_before_any_work(self, monkeypatch):
        monkeypatch.setattr("zkynet.framework.graph.memory_limit", lambda: 1000)
        monkeypatch.setattr("zkynet.framework.graph.pull_back", lambda *_: pytest.fail("a sweep was begun"))
        model = Simple()
        result = model(np.ones(100))
        asked = r"(?s)0\.00 GB.*limit.*back\(cotangent\).*zk.jacobian"
        with pytest.raises(JacobianTooLargeError, match=asked):
            result.back()
        with pytest.raises(MemoryError):
            list(result.steps())
        assert not result.has_gradients

    def test_nothing_is_allocated(self):
        model = Simple()
        result = model(np.ones(4_000_000))  # 16e12 entries
        with pytest.raises(JacobianTooLargeError, match="512000"):
            result.back()
        assert result.back(np.ones(4_000_000)).grad(model.w) == 4e6

    def test_at_the_limit_it_fits(self, monkeypatch):
        model = Simple()
        result = model(np.ones(10))
        needed = 8 * sum(10 * np.size(node.value) for node in result.nodes)
        monkeypatch.setattr("zkynet.framework.graph.memory_limit", lambda: needed)
        result.back()
        monkeypatch.setattr("zkynet.framework.graph.memory_limit", lambda: needed - 1)
        with pytest.raises(JacobianTooLargeError):
            model(np.ones(10)).back()

    def test_a_product_and_a_scalar_have_no_limit(self, monkeypatch):
        monkeypatch.setattr("zkynet.framework.graph.memory_limit", lambda: 0)
        model = Simple()
        result = model(np.array([3.0, 4.0])).back(np.ones(2))
        np.testing.assert_array_equal(result.grad(model.input("x")), [33.0, 56.0])
        mean = module(lambda x: op.mean(x), "x")
        np.testing.assert_array_equal(mean(np.ones(4)).back().grad(mean.input("x")), np.full(4, 0.25))

"""zk.gradients: of what stands on the graphs of calls; gradient_graph: the graph of a gradient."""

import numpy as np
import pytest

import zkynet as zk
from support import backends
from zkynet.framework import cg, op

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
Y = np.array([[1.0, 0.0], [0.0, 1.0]])


@pytest.fixture
def model():
    return zk.nn.Linear(np.arange(6.0).reshape(3, 2) / 6, np.array([0.1, -0.2]))


@pytest.fixture
def simple():
    return cg.Module.build("Simple", lambda x, w: (x + w) * x**2, ["x"], [cg.Parameter("w", 1.0)])


def loss_of(model, x):
    return op.mean(op.square(op.tanh(model(x)) - Y))


@pytest.mark.parametrize("name", ["numpy", "jax", "array_api_strict"])
def test_a_loss_on_top_of_a_call(model, name):
    backend = backends.get(name)
    model.to(backend=backend)
    x = backend.asarray(X)
    loss = loss_of(model, x)
    assert type(loss) is cg.Tensor
    found = zk.gradients(loss, [model.weight, model.bias])
    expected = zk.grad(loss_of)(model, x)
    for c, true in zip(found, expected.values(), strict=True):
        np.testing.assert_allclose(backend.to_numpy(c), backend.to_numpy(true), rtol=1e-12)


def test_a_parameter_gets_the_sum_over_all_calls(model):
    loss = op.sum(model(X)) + 2 * op.sum(model(X[:1]))
    (found,) = zk.gradients(loss, [model.bias])
    assert found.tolist() == [4, 4]


def test_through_a_call_into_the_call_that_gave_its_input(simple):
    inner = simple(3.0)
    outer = simple(inner)  # f(f(3)), each call with its own graph
    assert outer.value == 37 * 36**2
    slope = 3 * 36**2 + 2 * 36  # f'(36)
    found = zk.gradients(outer, [inner, inner.root, simple.input("x"), simple.param("w")])
    # The Variable x stands in both calls: as every Parameter, it gets the sum.
    assert found == [slope, slope, slope + slope * 33, slope * 9 + 36**2]
    assert outer.back().grad(simple.input("x")) == slope


def test_arrays_are_the_callers_own(model):
    graph = model(X)
    first = zk.gradients(op.sum(graph), [model.weight])[0]
    first[...] = 0
    assert zk.gradients(op.sum(graph), [model.weight])[0].any()


def test_a_cotangent_for_what_is_no_scalar(model):
    g = np.array([[1.0, 0.0], [0.0, 2.0]])
    (found,) = zk.gradients(model(X), [model.weight], g)
    np.testing.assert_allclose(found, X.T @ g)


def test_complex_gradients_are_those_of_grad():
    z = cg.Parameter("z", np.array([1.0 + 2j, -0.5j]))
    module = cg.Module.build("Norm", lambda z: op.sum(op.real(z * op.conj(z))), [], [z])
    (found,) = zk.gradients(module(), [z])
    np.testing.assert_allclose(found, 2 * z.value)


def test_inside_a_transform_they_are_tensors_and_differentiable(simple):
    np.array(3.0)

    def slope(x):
        w = x * 1.0
        return zk.gradients((w + 1.0) * w**2, [w])[0]


def test_errors_name_what_is_unused(model, simple):
    loss = loss_of(model, X)
    with pytest.raises(zk.errors.NotInGraphError, match="w_"):
        zk.gradients(loss, [simple.param("w")])
    assert zk.gradients(loss, [simple.param("w")], allow_unused=True) == [0.0]
    assert zk.gradients(loss, [simple.input("x")], allow_unused=True) == [None]
    zeros = zk.gradients(loss, [zk.Parameter("u", np.ones(3))], allow_unused=True)[0]
    assert zeros.tolist() == [0, 0, 0]


def test_errors(model):
    with pytest.raises(TypeError, match=r"zk\.gradients\(loss, \[x\]\)"):
        zk.gradients(loss_of(model, X), model.weight)
    with pytest.raises(zk.errors.NotDifferentiableError, match=r"shape \(2, 2\)"):
        zk.gradients(model(X), [model.weight])
    with pytest.raises(zk.errors.CotangentError, match=r"\(2, 2\)"):
        zk.gradients(model(X), [model.weight], np.ones(2))


# ---- the graph of a gradient ----


def test_the_graph_of_a_gradient_has_the_steps_of_both_ways(simple):
    graph = simple(3.0)
    by_w, by_x = zk.gradient_graph(graph)
    assert (by_w.value, by_x.value) == (9.0, 33.0)
    assert {"pow", "add", "multiply"} <= {n.ref.functional_name for n in by_x.nodes if isinstance(n, cg.OperatorNode)}
    assert by_x.call_id == graph.call_id
    assert by_x.node_of(simple.input("x")).value == 3.0


def test_it_can_be_differentiated_again(simple):
    (by_x,) = zk.gradient_graph(simple(3.0), simple.input("x"))
    by_x.back()
    assert by_x.grad(simple.input("x")) == 20.0  # 6 x + 2 w
    assert by_x.grad(simple.param("w")) == 6.0  # 2 x
    (third,) = zk.gradient_graph(zk.gradient_graph(by_x, simple.input("x"))[0], simple.input("x"))
    assert third.value == 6.0


def test_it_leaves_the_graph_alone(simple):
    graph = simple(3.0)
    before = [(n.id, n.name) for n in graph.nodes]
    zk.gradient_graph(graph)
    assert [(n.id, n.name) for n in graph.nodes] == before


def test_of_an_array_it_is_the_gradient_of_the_sum(model):
    (by_x,) = zk.gradient_graph(model(X), model.input("x"))
    np.testing.assert_allclose(by_x.value, np.ones((2, 2)) @ np.asarray(model.weight.value).T)


def test_what_has_no_gradient_says_so(model):
    with pytest.raises(zk.errors.NotDifferentiableError, match="depends on nothing"):
        zk.gradient_graph(cg.Module.build("Flat", lambda x: op.argmax(x), ["x"])(X))

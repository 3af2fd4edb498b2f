"""Every row of the operator case table inside a Module: the graph says what the transforms say, node by node."""

import numpy as np
import pytest

import zkynet as zk
from graph.simple import module
from support.cases import DIFFERENTIABLE
from support.points import op_function, points
from zkynet.errors import ZkynetError
from zkynet.framework import cg, op


def in_a_module(point):
    """A Module that does what a point's function does, and the list of its graphs, one an output."""
    f = op_function(point)
    model = module(lambda *inputs: list(as_list(f(*inputs))), *[f"x{i}" for i in range(len(point.inputs))])
    return model, model(*point.inputs)


def as_list(y):
    return y if isinstance(y, (list, tuple)) else [y]


REAL = [(row.name, False) for row in DIFFERENTIABLE]
COMPLEX = [(row.name, True) for row in DIFFERENTIABLE if row.complex]


@pytest.mark.parametrize(("name", "is_complex"), REAL + COMPLEX)
def test_products_with_the_jacobian(name, is_complex):
    for point in [p for p in points(name, is_complex) if p.differentiable][:3]:
        model, graphs = in_a_module(point)
        variables = [model.input(f"x{i}") for i in range(len(point.inputs))]
        for k, (graph, g) in enumerate(zip(graphs, point.g, strict=True)):
            f = op_function(point)
            value, pull = zk.vjp(lambda *x, f=f, k=k: as_list(f(*x))[k], *point.inputs)
            np.testing.assert_array_equal(graph.value, value)
            graph.back(g)
            for variable, expected in zip(variables, pull(g), strict=True):
                found = graph.grad(variable)
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
                assert getattr(found, "dtype", type(found)) == getattr(expected, "dtype", type(expected))
            check_nodes(graph)
            check_steps(graph, g)


def check_nodes(graph, lead=()):
    """The graph is grounded in InputNodes, in the order of the run, and every gradient has its shape."""
    nodes = graph.nodes
    place = {node: n for n, node in enumerate(nodes)}
    for node in nodes:
        assert isinstance(node, cg.InputNode) == (not node.children), node
        assert all(place[child] < place[node] for child in node.children)
        if node.tracked:
            assert np.shape(node.gvalue) == lead + np.shape(node.value)


def check_steps(graph, g):
    """The steps hold the gradients of the nodes, and what is sent to a node adds up to its gradient."""
    received = {}
    for step in graph.steps(g):
        np.testing.assert_array_equal(step.gvalue, step.node.gvalue)
        for child, c in step.sends:
            assert child in step.node.children
            received[child] = received.get(child, 0) + np.asarray(c)
    for node, total in received.items():
        np.testing.assert_allclose(total, node.gvalue, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE])
def test_full_jacobians(name):
    for point in [p for p in points(name) if p.differentiable and not any(map(np.iscomplexobj, p.truth()))][:2]:
        model, graphs = in_a_module(point)
        f = op_function(point)
        every = tuple(range(len(point.inputs)))
        for k, graph in enumerate(graphs):
            truth = zk.jacobian(lambda *x, f=f, k=k: as_list(f(*x))[k], argnums=every, mode="rev")(*point.inputs)
            graph.back()
            for i, expected in enumerate(truth):
                found = graph.grad(model.input(f"x{i}"))
                assert np.shape(found) == np.shape(graph.value) + np.shape(point.inputs[i])
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [row.name for row in DIFFERENTIABLE])
def test_derivatives_taken_inside_of_the_call(name):
    """Forward and reverse mode of each operator are themselves part of the graph."""
    for point in [p for p in points(name) if p.differentiable and not any(map(np.iscomplexobj, p.truth()))][:1]:
        f = op_function(point)

        def total(x, f=f, point=point):
            return sum(op.sum(y * y) for y in as_list(f(x, *point.inputs[1:])))

        for derived in (lambda x, f=total: zk.grad(f)(x), lambda x, f=total: zk.jvp(f, (x,), (op.ones_like(x),))[1]):
            model = module(derived, "x")
            value, pull = zk.vjp(derived, point.inputs[0])
            graph = model(point.inputs[0])
            np.testing.assert_allclose(graph.value, value, rtol=1e-12, atol=1e-14)
            g = np.ones(np.shape(value)) if np.shape(value) else 1.0
            found = graph.back(g).grad(model.input("x"))
            np.testing.assert_allclose(found, pull(g)[0], rtol=1e-10, atol=1e-12)
            check_nodes(graph)
            check_steps(graph, g)


def test_the_graph_of_a_gradient_has_steps_too():
    model = module(lambda a: op.sum(op.linalg.eigh(a)[0] ** 3), "a")
    a = np.array([[2.0, 1.0], [1.0, 5.0]])
    graph = model(a)
    (derived,) = zk.gradient_graph(graph, model.input("a"))
    np.testing.assert_allclose(derived.value, 3 * a @ a, rtol=1e-12)
    derived.back()
    check_nodes(derived, lead=(2, 2))
    check_steps(derived, None)


def test_an_operator_without_a_rule_is_named():
    class NoRule(zk.Operator):
        def forward(self, xp, x):
            return xp.exp(x)

    graph = module(NoRule(), "x")(1.0)
    with pytest.raises(ZkynetError, match="NoRule has no vector-Jacobian product"):
        graph.back()
    assert not graph.has_gradients
    assert op.stop_gradient(graph).value == np.exp(1.0)

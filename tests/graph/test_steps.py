"""The backward pass one node at a time: its order, what each step sends, its text, and its independence."""

import numpy as np
import pytest

import zkynet as zk
from graph.simple import Simple, module, sharing
from zkynet.errors import CotangentError, NotDifferentiableError
from zkynet.framework import op


def weights():
    """Some numbers for a parameter of shape (3, 2)."""
    return np.array([[0.3, -1.0], [0.7, 0.2], [-0.5, 1.1]])


def network(x, w, b):
    hidden = op.tanh(x @ w + b)
    values, vectors = op.linalg.eigh(hidden.T @ hidden + np.diag([1.0, 3.0]))
    return op.sum(values * values) + op.sum(op.where(hidden > 0, hidden, 0.0)) + vectors[0, 0] ** 2


MODELS = {
    "numbers": (Simple(), 3.0, None),
    "vector": (Simple(np.array([1.0])), np.array([3.0, 4.0, 5.0]), None),
    "product": (Simple(np.array([1.0])), np.array([3.0, 4.0, 5.0]), np.array([1.0, 0.0, -2.0])),
    "network": (module(network, "x", w=weights(), b=np.zeros(2)), np.arange(12.0).reshape(4, 3) / 10, None),
    "complex": (module(lambda z: op.sum(op.real(z * z * (1 + 2j))), "z"), np.array([1 + 2j, 3 - 1j]), None),
    "complex product": (module(lambda z: z * z * (1 + 2j), "z"), np.array([1 + 2j, 3 - 1j]), np.array([1j, 2.0])),
    "twice": (module(lambda x: op.mult(x, x), "x"), 3.0, None),
    "float32": (Simple(np.float32(1.0)), np.array([3.0], np.float32), None),
}


@pytest.mark.parametrize("name", MODELS)
class TestContents:
    def test_each_tracked_node_once_with_its_gvalue(self, name):
        model, x, g = MODELS[name]
        result = model(x).back(g)
        steps = list(result.steps(g))
        assert len({s.node for s in steps}) == len(steps)
        assert {s.node for s in steps} == {n for n in result.nodes if n.tracked}
        assert steps[0].node == result.root
        for step in steps:
            assert type(step.gvalue) is type(step.node.gvalue)
            np.testing.assert_array_equal(step.gvalue, step.node.gvalue)
            assert getattr(step.gvalue, "dtype", None) == getattr(step.node.gvalue, "dtype", None)

    def test_parents_come_before_their_children(self, name):
        model, x, g = MODELS[name]
        result = model(x)
        seen = set()
        for step in result.steps(g):
            assert all(parent in seen for parent in step.node.parents if parent.tracked)
            seen.add(step.node)

    def test_what_is_sent_adds_up_to_the_childs_gradient(self, name):
        model, x, g = MODELS[name]
        result = model(x).back(g)
        received = {}
        for step in result.steps(g):
            for child, c in step.sends:
                assert child in step.node.children
                received[child] = c if child not in received else received[child] + c
        assert set(received) == {n for n in result.nodes if n.tracked} - {result.root}
        for node, total in received.items():
            np.testing.assert_allclose(total, node.gvalue, rtol=1e-6 if name == "float32" else 1e-12, atol=1e-14)


def test_one_send_for_each_input_in_order():
    result = MODELS["twice"][0](3.0)
    first = next(iter(result.steps()))
    x = result.node_of(result.module.input("x"))
    assert first.sends == [(x, 3.0), (x, 3.0)]
    product = next(iter(Simple()(3.0).steps()))
    assert [(n.name, c) for n, c in product.sends] == [("add_1", 9.0), ("pow_1", 4.0)]


def test_steps_and_back_do_not_touch_each_other():
    model = Simple()
    result = model(np.array([3.0, 4.0]))
    steps = result.steps()
    assert len(steps) == 5 and not result.has_gradients
    result.back(np.ones(2))
    assert len(list(result.steps())) == len(list(steps)) == 5
    np.testing.assert_array_equal(result.grad(model.input("x")), [33.0, 56.0])


def test_writing_into_a_step_changes_nothing():
    result = Simple()(np.array([3.0, 4.0])).back()
    last = None
    for step in result.steps():
        expected = step.node.gvalue
        np.testing.assert_array_equal(step.gvalue, expected)
        assert not sharing(step.gvalue, expected)
        step.gvalue[...] = np.nan
        for _, c in step.sends:
            c[...] = np.nan
        last = step
    assert np.isfinite(last.node.gvalue).all()


def test_numpy_goes_on_warning_between_the_steps():
    before = np.geterr()
    for _ in Simple()(3.0).steps():
        assert np.geterr() == before
        break
    assert np.geterr() == before


def test_there_are_none_where_nothing_is_tracked():
    result = module(lambda x: np.array([1.0, 2.0]), "x")(3.0)
    assert list(result.steps()) == [] and len(result.steps()) == 0
    assert len(str(result.steps()).splitlines()) == 1


def test_errors_are_those_of_back():
    result = Simple()(np.array([3.0, 4.0]))
    with pytest.raises(CotangentError):
        list(result.steps(np.ones(3)))
    with pytest.raises(NotDifferentiableError, match="int64"):
        list(module(lambda x: x + 1, "x")(np.array([1, 2])).steps())
    with pytest.raises(NotDifferentiableError, match="complex"):
        list(module(lambda x: x * 1j, "x")(2.0).steps())


TABLE = """\
step           gradient, then what it sends  to
1. multiply_1  1.0
               9.0                           -> add_1
               4.0                           -> pow_1
2. pow_1       4.0
               24.0                          -> {x}
3. add_1       9.0
               9.0                           -> {x}
               9.0                           -> {w}"""


def test_as_text():
    model = Simple()
    result = model(3.0)
    x, w = model.input("x").name, model.w.name
    text = str(result.steps())
    assert text.startswith(TABLE.format(x=x, w=w))
    assert sorted(line[3:].split() for line in text.splitlines()[-2:]) == sorted([[x, "33.0"], [w, "9.0"]])
    assert repr(next(iter(result.steps()))) == "BackStep(multiply_1: gvalue 1.0, sends 9.0 to add_1, 4.0 to pow_1)"


def test_a_large_gradient_is_told_by_its_shape():
    text = str(Simple()(np.arange(100.0)).steps())
    assert "array of shape (100, 100)" in text and max(map(len, text.splitlines())) < 120


def test_as_html():
    class Odd(zk.Module):
        def __init__(self):
            self.w = zk.Parameter("<w> & co", 1.0)

        def call(self, x):
            return x * self.w

    html = Odd()(3.0).steps()._repr_html_()
    assert html.startswith("<table>") and html.endswith("</table>") and html.count("<tr>") == html.count("</tr>") == 6
    assert "&lt;w> &amp; co" in html and "<w>" not in html and "<code>3.0</code>" in html


def test_on_every_backend(backend):
    model = Simple(backend.asarray(np.array([1.0])))
    result = model(backend.asarray(np.array([3.0, 4.0]))).back()
    for step in result.steps():
        np.testing.assert_array_equal(backend.to_numpy(step.gvalue), backend.to_numpy(step.node.gvalue))
    assert "[[33. 0.] [ 0. 56.]]" in str(result.steps())

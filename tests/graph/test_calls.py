"""Call sessions: who begins one, what is told to it, and that nothing is left of it."""

import contextvars
import gc
import threading
import weakref

import numpy as np
import pytest

import zkynet as zk
from graph.simple import Simple, gradients_of, module
from support.engine import nothing_left_behind, records_alive
from zkynet.errors import TrackedValueError
from zkynet.framework import cg, op
from zkynet.framework.record import CONTEXT, WATCHED


class Spy(zk.Module):
    """f(x) = (x + w) * x**2, and what type its own results and those of a Module inside have."""

    def __init__(self):
        self.simple = Simple()
        self.seen = []

    def call(self, x):
        y = self.simple(x)
        self.seen += [type(y), type(x)]
        return y


class TestInsideOfOtherThings:
    """Only the first call from outside gives a ModuleGraph; wherever a value is wanted for more, it is a Tensor."""

    def kinds(self, run):
        spy, found = Spy(), []

        def f(x):
            found.append(type(spy(x)))
            return spy.simple(x)

        run(f)
        return {*found, *spy.seen}

    def test_from_outside(self):
        spy = Spy()
        assert type(spy(3.0)) is cg.ModuleGraph and set(spy.seen) == {zk.Tensor}

    @pytest.mark.parametrize(
        "run",
        [
            lambda f: zk.grad(f)(3.0),
            lambda f: zk.value_and_grad(f)(3.0),
            lambda f: zk.jvp(f, (3.0,), (1.0,)),
            lambda f: zk.vjp(f, 3.0),
            lambda f: zk.jacobian(f)(np.ones(2)),
            lambda f: zk.jacobian(f, mode="fwd")(np.ones(2)),
            lambda f: zk.hessian(f)(3.0),
            lambda f: zk.hvp(f, (3.0,), (1.0,)),
            lambda f: zk.grad(zk.checkpoint(f))(3.0),
            lambda f: zk.no_grad()(f)(op.asarray(3.0)),
        ],
        ids=["grad", "value_and_grad", "jvp", "vjp", "jacobian", "fwd", "hessian", "hvp", "checkpoint", "no_grad"],
    )
    def test_in_transforms(self, run):
        assert self.kinds(run) == {zk.Tensor}
        assert CONTEXT.get().session is None and not WATCHED

    def test_in_a_custom_rule(self):
        found, simple = [], module(lambda x: x * x * x, "x")

        @zk.custom_vjp
        def cube(x):
            y = simple(x)
            found.append(type(y))
            return y

        @cube.defvjp
        def _(g, y, x):
            found.append(type(simple(x)))
            return (3.0 * g * x * x,)

        assert zk.grad(cube)(2.0) == 12.0
        cube(2.0)
        outer = module(cube, "x")
        assert outer(2.0).back().grad(outer.input("x")) == 12.0
        assert found[0] is zk.Tensor and found[-2] is zk.Tensor

    def test_checkpoint_from_outside_gives_a_tensor(self):
        model = Simple()
        y = zk.checkpoint(model)(3.0)
        assert type(y) is zk.Tensor and y.value == 36.0
        assert zk.gradients(y, [model.w]) == [9.0]

    def test_values_are_the_same_everywhere(self):
        model = Simple()
        result = model(3.0).back()
        assert zk.value_and_grad(model)(3.0) == (36.0, 33.0) == (result.value, result.grad(model.input("x")))
        assert zk.grad(lambda m: m(3.0))(model) == {"w": 9.0}


class TestTransformsInsideOfACall:
    def test_a_gradient_is_part_of_the_graph(self):
        model = module(lambda x, w: zk.grad(lambda y: (y + w) * y**2)(x), "x", w=1.0)
        result = model(3.0)
        assert result.value == 33.0
        assert gradients_of(result, model) == {"x": 20.0, "w": 6.0}  # of 3 x**2 + 2 w x

    def test_forward_mode_and_jacobians(self):
        model = module(lambda x, w: zk.jvp(lambda y: y**3 * w, (x,), (1.0,))[1], "x", w=2.0)
        assert gradients_of(model(3.0), model) == {"x": 36.0, "w": 27.0}
        model = module(lambda x: op.sum(zk.jacobian(lambda y: y**3)(x)), "x")
        np.testing.assert_array_equal(model(np.array([1.0, 2.0])).back().grad(model.input("x")), [6.0, 12.0])

    def test_modules_in_transforms_in_modules(self):
        inner = Simple()
        model = module(lambda x: zk.grad(inner)(x) + inner(x), "x")
        model.inner = inner
        result = model(3.0).back()
        assert result.value == 33.0 + 36.0
        assert result.grad(model.input("x")) == 20.0 + 33.0 and result.grad(inner.w) == 6.0 + 9.0

    def test_a_custom_rule_with_a_transform(self):
        @zk.custom_vjp
        def root(a):
            x = 1.0
            for _ in range(30):
                f, slope = zk.value_and_grad(lambda x: x * x - a)(x)
                x = x - op.asarray(f) / op.asarray(slope)
            return op.asarray(x)

        @root.defvjp
        def _(g, y, a):
            return (g / (2.0 * y),)

        model = module(root, "a")
        result = model(np.array(9.0)).back()
        np.testing.assert_allclose(result.value, 3.0)
        np.testing.assert_allclose(result.grad(model.input("a")), 1 / 6)

    def test_checkpoint(self):
        model = module(lambda x, w: op.sum(zk.checkpoint(lambda x: op.tanh(x * w) * x)(x) ** 2), "x", w=np.ones(3))
        plain = module(lambda x, w: op.sum((op.tanh(x * w) * x) ** 2), "x", w=np.ones(3))
        x = np.array([0.1, 0.2, 0.3])
        found, expected = gradients_of(model(x), model), gradients_of(plain(x), plain)
        np.testing.assert_allclose(found["x"], expected["x"], rtol=1e-13)
        np.testing.assert_allclose(found["w"], expected["w"], rtol=1e-13)
        node = next(n for n in model(x).nodes if len(n.children) == 2)
        assert {child.ref for child in node.children} == {model.input("x"), model.param("w")}

    def test_checkpoint_with_several_outputs_and_something_from_outside(self):
        outside = module(lambda x: x * 2.0, "x")(np.array([1.0, 2.0]))
        model = module(lambda x: sum(zk.checkpoint(lambda x: (x * 3.0, outside))(x)), "x")
        result = model(np.array([1.0, 1.0])).back()
        np.testing.assert_array_equal(result.value, [5.0, 7.0])
        np.testing.assert_array_equal(result.grad(model.input("x")), 3.0 * np.eye(2))

    def test_checkpoint_of_python_numbers(self):
        model = module(lambda x, w: op.multiply(*zk.checkpoint(lambda x: (x * w, x * x * w))(x)), "x", w=2.0)
        assert gradients_of(model(3.0), model) == {"x": 108.0, "w": 108.0}


class TestNothingIsLeft:
    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, RecursionError])
    @pytest.mark.parametrize("depth", [1, 3])
    def test_after_an_exception(self, error, depth):
        kept = []

        def fn(x):
            y = x * 2.0
            kept.append(weakref.ref(y.record))
            raise error("stop")

        model = module(fn, "x")
        for _ in range(depth - 1):
            model = module(model, "x")
        gc.collect()
        with nothing_left_behind():
            with pytest.raises(error):
                model(3.0)
            assert not WATCHED and CONTEXT.get().session is None
        gc.collect()  # the traceback
        assert kept[0]() is None
        assert type(Simple()(3.0)) is cg.ModuleGraph

    def test_a_call_that_catches_the_error_of_a_module_inside(self):
        def wrong(x):
            raise ValueError

        inner = module(wrong, "x")

        def fn(x):
            try:
                inner(x)
            except ValueError:
                return x * 2.0

        model = module(fn, "x")
        result = model(3.0)
        assert result.root.frame.module is model and result.back().grad(model.input("x")) == 2.0

    def test_errors_name_the_operator(self):
        model = module(lambda x, w: x + w, "x", w=np.ones((3, 2)))
        with pytest.raises(ValueError) as caught:
            model(np.ones((2, 2)))
        assert "operator Add with inputs: (2, 2) float64, (3, 2) float64" in "".join(caught.value.__notes__)

    def test_generators_that_outlive_the_call(self):
        def numbers(x):
            while True:
                x = x * 2.0
                yield x

        running = []
        model = module(lambda x: running.append(numbers(x)) or next(running[0]), "x")
        with nothing_left_behind():
            result = model(3.0)
            assert next(running[0]).value == 12.0 and len(result.nodes) == 3


class Two(zk.Module):
    def __init__(self):
        self.w, self.simple = zk.Parameter("w", np.ones(3)), Simple()

    def call(self, x):
        values, vectors = op.linalg.eigh(op.reshape(x[:1], (1, 1)))
        return {"a": op.sum(self.simple(x * self.w) * np.ones(3)), "b": values[0] * vectors[0, 0] * x}


def test_everything_is_freed_by_reference_counting_alone():
    model = Two()
    gc.collect()
    gc.disable()
    try:
        before = records_alive()
        result = model(np.arange(3.0))
        refs = [weakref.ref(result["a"]), weakref.ref(result["a"].root.__zkynet_tensor__())]
        for graph in result.values():
            graph.back()
            graph.grad(model.w), graph.grad(model.input("x")), repr(graph), str(graph.steps())
            for node in graph.nodes:
                refs.append(weakref.ref(node.__zkynet_tensor__()))
                asked = node.id, node.name, node.children, node.parents, node.gvalue, node.value, repr(node)
        loss = op.mean(result["a"] * 2.0)
        zk.gradients(loss, [model.w])
        derived = zk.gradient_graph(result["a"])
        refs += [weakref.ref(graph) for graph in derived]
        derived[0].back()
        del result, loss, derived, graph, node, asked
        assert all(ref() is None for ref in refs)
        assert records_alive() == before
    finally:
        gc.enable()


def test_a_node_keeps_its_graph():
    node = Simple()(3.0).root
    assert node.graph.back() and node.gvalue == 1.0 and node.children[0].value == 4.0


class Chain(zk.Module):
    def __init__(self):
        self.w = zk.Parameter("w", 1.0)

    def call(self, x, *, n):
        for _ in range(n):
            x = x * self.w
        return x


@pytest.mark.slow
def test_a_long_chain():
    """No recursion; and if looking at all nodes were quadratic, this would not end."""
    n, model = 100_000, Chain()
    result = model(2.0, n=n).back()
    nodes = result.nodes
    assert len(nodes) == n + 2 and nodes[-1] == result.root
    assert len({node.id for node in nodes}) == len({node.name for node in nodes}) == n + 2
    assert all(node.value == 2.0 or node.ref is model.w for node in nodes)
    assert [len(node.children) for node in nodes] == [0, 0] + [2] * n
    assert [len(node.parents) for node in nodes] == [n] + [1] * n + [0]
    assert [node.gvalue for node in nodes] == [2.0 * n] + [1.0] * (n + 1)
    assert sum(1 for _ in result.steps()) == n + 2
    assert result.grad(model.w) == 2.0 * n and result.grad(model.input("x")) == 1.0


class TestThreads:
    def test_calls_in_threads_are_independent(self):
        model, found, start = Simple(), {}, threading.Barrier(4)

        def work(k):
            start.wait()
            for _ in range(50):
                result = model(float(k))
                found.setdefault(k, []).append((result.call_id, result.back().grad(model.w), len(result.nodes)))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert all(w == k * k and n == 5 for k, calls in found.items() for _, w, n in calls)
        assert len({call_id for calls in found.values() for call_id, *_ in calls}) == 200
        assert not WATCHED

    def run_in_thread(self, target, known):
        out = []

        def fn(x, w):
            run = contextvars.copy_context().run if known else lambda f: f()
            thread = threading.Thread(target=run, args=(lambda: out.append(target(x, w)),))
            thread.start()
            thread.join()
            return out[0] + 1.0

        return module(fn, "x", w=2.0)

    def test_a_thread_inside_of_a_call_that_knows_of_it(self):
        model = self.run_in_thread(lambda x, w: (x * 3.0) * w, known=True)
        result = model(5.0)
        assert gradients_of(result, model) == {"x": 6.0, "w": 15.0} and len(result.nodes) == 7

    @pytest.mark.parametrize(
        "target",
        [lambda x, w: x * 3.0, lambda x, w: (x * 3.0) * w, lambda x, w: x * w, lambda x, w: op.exp(x) * x * x],
        ids=["once", "twice", "with a parameter", "several"],
    )
    def test_a_thread_that_does_not_is_an_error_and_no_lost_gradient(self, target):
        model = self.run_in_thread(target, known=False)
        with nothing_left_behind(), pytest.raises(TrackedValueError, match="copy_context"):
            model(5.0)


def test_the_trigger_of_the_session_gives_the_call_id():
    inner, outer = Simple(), Spy()
    ids = [outer(3.0).call_id, inner(3.0).call_id, outer(3.0).call_id]
    assert ids == sorted(set(ids))
    assert outer(3.0).module is outer and inner(3.0).module is inner


def test_a_module_without_call_says_so():
    class Empty(zk.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty needs a method call"):
        Empty()()


def test_all_ways_to_give_a_number_agree():
    model = Simple()
    results = [model(x).back() for x in (3, 3.0, np.array(3.0), np.float64(3.0))]
    assert {float(r.value) for r in results} == {36.0}
    assert {float(r.grad(model.w)) for r in results} == {9.0}
    assert {float(r.grad(model.input("x"))) for r in results} == {33.0}


def test_an_int_by_keyword_is_a_setting_inside_and_outside_of_transforms():
    class Summed(zk.Module):
        def call(self, x, axis=0):
            return op.sum(x, axis=axis)

    x = np.arange(6.0).reshape(2, 3)
    assert Summed()(x, axis=1).value.tolist() == [3, 12]
    assert zk.grad(lambda x: op.sum(Summed()(x, axis=1)))(x).shape == (2, 3)
